/* SPDX-License-Identifier: ISC */
/*
 * The store of one machine: everything in memory in bounded tables, and behind it LMDB with dense
 * record numbers as keys. What changed goes out once a second in one durable transaction on a
 * worker thread, bans at once; counters and the transactions that charged them go out together,
 * so that after kill -9 a repeat is either known or was not counted. One transaction is bounded
 * (snapshot.h); what has no room follows at once in others. Measured on two cores and a virtual
 * disk, with requests of ever other ones of a million logins: at 20,000 a second all is written
 * within half a second; at 40,000 the disk falls behind by seconds, and kill -9 loses those.
 *
 * A disk that fails never disturbs an answer: what could not be written stays marked and is tried
 * again, after a second first, then after ever longer pauses of up to EMBEDDED_RETRY_MS.
 */
#ifndef REEVE_DAEMON_STORE_EMBEDDED_H
#define REEVE_DAEMON_STORE_EMBEDDED_H

#include "daemon/store/store.h"

#define EMBEDDED_RETRY_MS 30000
#define EMBEDDED_MAX_BANS 1000000

/* Where blocking work is done. `work` runs on another thread, then `done` on the loop's; one at a
 * time; `run` may be called again from within `done`. `wait` returns when none is under way (its
 * `done` has run, and what that one began, too). NULL worker: work runs at once, in place. */
struct worker {
	void (*run)(
		struct worker *worker, void (*work)(void *arg), void (*done)(void *arg), void *arg);
	void (*wait)(struct worker *worker);
};

enum embedded_settle { EMBEDDED_SETTLE_AUTO, EMBEDDED_SETTLE_DATA, EMBEDDED_SETTLE_NONE };

struct embedded_options {
	struct slice folder; /* empty: memory only. Made with mode 0750 if its parent exists */
	size_t max_counters;
	size_t max_transactions;
	enum embedded_settle settle;
	/* For a store that has none yet, see store_embedded_hash_key(); zero: a random one. */
	struct hash_key hash_key;
};

struct embedded_health { /* for metrics and log lines */
	uint64_t counters, transactions, evictions, bytes;
	uint64_t commits, commit_failures, last_commit_wall_ms, last_commit_ms;
	bool disk_failing;
	char last_error[128];
	uint64_t bans;
	uint64_t transaction_evictions;
	/* Charges that found the table full of counters above half their limit, and passed. */
	uint64_t uncounted;
	/* At open; dropped: damaged, foreign or long over. */
	uint64_t loaded_counters, loaded_transactions, dropped_records;
};

/* NULL: the folder cannot be used; `ret_why` (256 bytes) says why, with the path. `now` ages what
 * is read. */
struct store *store_embedded_open(const struct embedded_options *options, struct worker *worker,
	struct clock_now now, char ret_why[static 256]) __attribute__((warn_unused_result));
void store_embedded_health(const struct store *store, struct embedded_health *ret);
/* The key for hashes that come here from outside (transactions, services, recipients): drawn at
 * the first start and kept with the store, so that a transaction is known again after a restart. */
struct hash_key store_embedded_hash_key(const struct store *store);

#endif
