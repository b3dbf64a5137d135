/* SPDX-License-Identifier: ISC */
/*
 * Bans and live limits in Redis: two shared lists (shared.h) and what stands in them. For
 * redis.c, which has the connections.
 */
#ifndef REEVE_DAEMON_STORE_REDIS_LISTS_H
#define REEVE_DAEMON_STORE_REDIS_LISTS_H

#include "daemon/store/redis/shared.h"
#include "daemon/store/store.h"

struct lists;

struct lists_options {
	struct slice prefix; /* outlives the lists */
	uint64_t timeout_ms;
	size_t max_bans;       /* bans.max_entries */
	uint64_t keep_bans_ms; /* bans.max_duration: an ended ban makes the next one longer */
	struct hash_key hash_key;
	bool given_time; /* tests: see struct shared_options */
};

/* Sets store->overrides, and asks store->watcher whenever it has something to tell. */
struct lists *lists_new(const struct lists_options *options, struct store *store,
	struct redis_port *port, const struct scripts *scripts)
	__attribute__((returns_nonnull, warn_unused_result));
/* No call may be out. */
void lists_free(struct lists **lists);
/* After a reload: all bans are offered to the watcher again. */
void lists_configure(struct lists *lists, size_t max_bans, uint64_t keep_bans_ms);

/* The link for commands came up, or ended. */
void lists_up(struct lists *lists, struct clock_now now);
void lists_down(struct lists *lists, struct clock_now now);
/* The link for the channel. */
void lists_channel(struct lists *lists, bool up);
void lists_hint(struct lists *lists, struct slice payload);
/* See struct store_ops. */
void lists_run(struct lists *lists, struct clock_now now);
void lists_flush(struct lists *lists);
uint64_t lists_next(const struct lists *lists);
void lists_tick(struct lists *lists, struct clock_now now);

void lists_ban_put(struct lists *lists, const struct ban *ban, struct clock_now now);
void lists_ban_remove(struct lists *lists, const struct cidr *network, struct clock_now now);
void lists_bans_each(struct lists *lists, void (*each)(void *arg, const struct ban *), void *arg);
bool lists_override_put(struct lists *lists, const struct override *override, struct clock_now now);
bool lists_override_remove(
	struct lists *lists, struct slice rule, struct slice subject, struct clock_now now);

struct lists_health {
	struct shared_health bans, overrides;
};
void lists_health(const struct lists *lists, struct lists_health *ret);

#endif
