/* SPDX-License-Identifier: ISC */
/*
 * The store of a cluster: counters and transactions in Redis, one script call a request, and a
 * decision from this node's own table whenever Redis does not answer in time; bans and live limits
 * as lists that every node holds in memory (daemon/store/redis/). Starts, and answers, without
 * Redis.
 *
 * What was changed on a list while Redis was away is in this process only until Redis is back.
 */
#ifndef REEVE_DAEMON_STORE_REDIS_H
#define REEVE_DAEMON_STORE_REDIS_H

#include "daemon/store/redis/counters.h"
#include "daemon/store/redis/lists.h"
#include "daemon/store/store.h"

struct redis_store_options {
	const struct config_store *config; /* outlives the store, as `loop` and `dns` do */
	struct uv_loop_s *loop;
	struct dns *dns; /* NULL: addresses only */
	size_t max_transactions;
	enum ledger_settle settle;
	size_t max_bans;       /* bans.max_entries */
	uint64_t keep_bans_ms; /* bans.max_duration */
	/* For tests: buckets follow the times that are handed in, not Redis' own. */
	bool given_time;
	const struct counters_events *events; /* NULL, or members NULL: not told */
	void (*notice)(void *arg, enum redis_notice notice, struct slice detail); /* or NULL */
	void *arg;
};

struct store *store_redis_open(const struct redis_store_options *options, struct clock_now now)
	__attribute__((returns_nonnull, warn_unused_result));

/* After a reload: all bans are offered to the watcher again. */
void store_redis_configure(struct store *store, size_t max_bans, uint64_t keep_bans_ms);

/* At start, and after a reload: see counters_know(). */
void store_redis_know(struct store *store, const struct counter_key *key);

/* In each turn of the loop: before requests are run, and after it (what was asked goes out in one
 * write). */
void store_redis_run(struct store *store, struct clock_now now);
void store_redis_flush(struct store *store);
/* The next mono_ms at which store_redis_run() has something to do; 0: nothing. */
uint64_t store_redis_next(const struct store *store) __attribute__((warn_unused_result));

/* Redis decides; else this node does by itself. */
bool store_redis_is_asked(const struct store *store);

struct redis_store_health {
	const struct config_store *config; /* what it was opened with */
	bool asked;                        /* store_redis_is_asked() */
	struct redis_link_health link, channel;
	struct counters_health counters;
	struct lists_health lists;
};
void store_redis_health(const struct store *store, struct redis_store_health *ret);

/* The key for hashes that come here from outside (transactions, services, recipients). All nodes must
 * have the same one, also those that start while Redis is away, so it follows from the prefix; it is
 * no secret. Who found two recipients with one hash would have a message charged one less at RCPT,
 * which DATA puts right. */
struct hash_key store_redis_hash_key(const struct config_store *config);

#endif
