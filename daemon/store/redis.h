/* SPDX-License-Identifier: ISC */
/*
 * The store of a cluster: counters and transactions in Redis, one script call a request, and a
 * decision from this node's own table whenever Redis does not answer in time (daemon/store/redis/).
 * Starts, and answers, without Redis.
 */
#ifndef REEVE_DAEMON_STORE_REDIS_H
#define REEVE_DAEMON_STORE_REDIS_H

#include "daemon/store/redis/counters.h"
#include "daemon/store/store.h"

struct redis_store_options {
	const struct config_store *config; /* outlives the store, as `loop` and `dns` do */
	struct uv_loop_s *loop;
	struct dns *dns; /* NULL: addresses only */
	size_t max_transactions;
	enum ledger_settle settle;
	/* For tests: buckets follow the times that are handed in, not Redis' own. */
	bool given_time;
	const struct counters_events *events; /* NULL, or members NULL: not told */
	void (*notice)(void *arg, enum redis_notice notice, struct slice detail); /* or NULL */
	void *arg;
};

struct store *store_redis_open(const struct redis_store_options *options, struct clock_now now)
	__attribute__((returns_nonnull, warn_unused_result));

/* In each turn of the loop: before requests are run, and after it (what was asked goes out in one
 * write). */
void store_redis_run(struct store *store, struct clock_now now);
void store_redis_flush(struct store *store);
/* The next mono_ms at which store_redis_run() has something to do. */
uint64_t store_redis_next(const struct store *store) __attribute__((warn_unused_result));

struct redis_store_health {
	bool asked; /* Redis decides; else this node does by itself */
	struct redis_link_health link;
	struct counters_health counters;
};
void store_redis_health(const struct store *store, struct redis_store_health *ret);

/* The key for hashes that come here from outside: the same on all nodes that share a prefix. */
struct hash_key store_redis_hash_key(const struct config_store *config);

#endif
