/* SPDX-License-Identifier: ISC */
/*
 * Strikes counted over all nodes: one script for each that is seen, and nobody waits for it. Its answer
 * holds the totals, and goes to the store's watcher. For redis.c.
 */
#ifndef REEVE_DAEMON_STORE_REDIS_TALLIES_H
#define REEVE_DAEMON_STORE_REDIS_TALLIES_H

#include "daemon/store/redis/runner.h"
#include "daemon/store/store.h"

#define TALLIES_OUT 256 /* under way at most; further ones are refused */

struct tallies;

struct tallies_options {
	struct slice prefix; /* outlives the tallies, as all here does */
	uint64_t timeout_ms;
	bool given_time;     /* tests: the times handed in count, not Redis' own */
	struct store *store; /* for its watcher */
	struct redis_port *port;
	const struct scripts *scripts;
};

struct tallies *tallies_new(const struct tallies_options *options)
	__attribute__((returns_nonnull, warn_unused_result));
/* No call may be out. */
void tallies_free(struct tallies **tallies);
/* The link came up. */
void tallies_up(struct tallies *tallies);
/* See struct store_ops. */
bool tallies_add(struct tallies *tallies, const struct store_strikes *strikes, struct clock_now now)
	__attribute__((warn_unused_result));

#endif
