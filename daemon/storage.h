/* SPDX-License-Identifier: ISC */
/*
 * The daemon's store, of whichever kind, between the bans and the log: what happens to bans goes into
 * it, what other nodes changed comes out of it, and its faults begin and end with a line.
 */
#ifndef REEVE_DAEMON_STORAGE_H
#define REEVE_DAEMON_STORAGE_H

#include "common/logline.h"
#include "daemon/bans/bans.h"
#include "daemon/engine/ruleset.h"
#include "daemon/loop/loop.h"

struct storage;

struct storage_options {
	struct config *config; /* referenced: what it says of the store counts until the end */
	struct loop *loop;
	struct worker *worker; /* embedded */
	struct dns *dns;       /* redis; outlives the store */
	size_t max_transactions;
	struct log_sink *log;
	/* Another process has our node name, and is alive: this one has to end. */
	void (*name_taken)(void *arg);
	void *arg;
};

/* NULL: it cannot be opened; logged. */
struct storage *storage_open(const struct storage_options *options)
	__attribute__((warn_unused_result));
/* Writes out what is left. Before loop_free(), and before what `options` names; NULL is accepted. */
void storage_close(struct storage **storage);

struct store *storage_store(const struct storage *storage);
/* For hashes that are kept in it. */
struct hash_key storage_hash_key(const struct storage *storage);

/* Puts the bans that are kept on the list, and from now on those of other nodes. */
void storage_attach(struct storage *storage, struct bans *bans);
/* At start and after each reload, when the bans have the configuration too. */
void storage_configure(struct storage *storage, const struct ruleset *ruleset);
void storage_note_ban(
	struct storage *storage, const struct bans_event *event, struct clock_now now);

/* The first thing of a turn, and about once a second. */
void storage_run(struct storage *storage, struct clock_now now);
void storage_tick(struct storage *storage, struct clock_now now);

#endif
