/* SPDX-License-Identifier: ISC */
/*
 * The node's side of counting in Redis: one script call a request, local decisions where Redis does
 * not answer in time, and own values asserted wherever Redis may not have them.
 *
 * A request whose counters are clean goes out at once. One whose counter is in doubt carries the
 * assertion with it; where another command on that counter is under way, it waits for that one's
 * answer. Whatever has no answer when its time is over is decided from the node's own table, against
 * the node's share of each limit, and what it touched is in doubt from then on; the answer that
 * comes later changes nothing.
 *
 * A transaction of which a part was decided here is local from then on: Redis forgets it, and it
 * settles here.
 *
 * Knows no sockets: commands go out through a port, answers come in as calls of struct redis_call.
 * Nothing wakes from inside a call of this header but counters_up(), counters_down() and
 * counters_run().
 */
#ifndef REEVE_DAEMON_STORE_REDIS_COUNTERS_H
#define REEVE_DAEMON_STORE_REDIS_COUNTERS_H

#include "daemon/counting/ledger.h"
#include "daemon/store/redis/link.h"
#include "daemon/store/store.h"

struct counters;

struct counters_events { /* for the log; members may be NULL */
	/* A key holds what cannot be ours; the counter is decided locally for its window. */
	void (*bad_key)(void *arg, struct slice key);
	/* Another process has our node name, and is alive. */
	void (*name_taken)(void *arg);
};

struct counters_options {
	struct slice prefix, node; /* outlive the counters */
	uint64_t timeout_ms;       /* store.timeout */
	bool fail;                 /* on_failure is not local: such ops come back as failed */
	uint64_t nodes;            /* 0: as many as Redis has seen in the last hour */
	double slack;
	size_t max_counters, max_transactions;
	enum ledger_settle settle;
	/* For tests: buckets follow the times that are handed in, not Redis' own. */
	bool given_time;
	const struct counters_events *events; /* NULL: none */
	void *arg;
};

struct counters *counters_new(const struct counters_options *options, struct redis_port *port)
	__attribute__((returns_nonnull, warn_unused_result));
/* No call may be out. Ops that still wait are left as they are. */
void counters_free(struct counters **counters);

/* The connection came up, or ended (after its calls were answered with NULL). */
void counters_up(struct counters *counters);
void counters_down(struct counters *counters);
/* What another node said on the channel. */
void counters_hint(struct counters *counters, struct slice payload);
/* In each turn of the loop, before requests are run: what has waited too long is decided here, what
 * is in doubt is asserted. */
void counters_run(struct counters *counters, struct clock_now now);
/* The next mono_ms at which counters_run() has something to do; UINT64_MAX: nothing. */
uint64_t counters_next(const struct counters *counters);
/* About once a second. */
void counters_tick(struct counters *counters, struct clock_now now);

/* As in struct store_ops. */
void counters_reserve(struct counters *counters, struct store_reserve *op, struct clock_now now);
void counters_settle(struct counters *counters, struct store_settle *op, struct clock_now now);
void counters_refund(struct counters *counters, struct hash128 transaction, struct clock_now now);
void counters_abandon(struct counters *counters, struct hash128 transaction, struct clock_now now);
void counters_usage(struct counters *counters, struct store_usage *op, struct clock_now now);
/* Counts what this node knows of; all of the cluster's is emptied. */
unsigned counters_reset(struct counters *counters, struct slice subject, struct clock_now now);
void counters_forget(struct counters *counters, struct store_op *op);
/* What this node holds. */
void counters_list(struct counters *counters, struct slice subject,
	void (*each)(void *arg, const struct store_counter *), void *arg, struct clock_now now);
/* Counters like this one (its subject counts for nothing) may be in Redis, whether or not this node
 * sees any: then a subject's are listed and emptied with the others. */
void counters_know(struct counters *counters, const struct counter_key *key);
uint64_t counters_scan(struct counters *counters, uint64_t cursor,
	void (*each)(void *arg, const struct store_counter *), void *arg, struct clock_now now);

/* Redis is asked; else every decision is made here. */
bool counters_are_ready(const struct counters *counters);

struct counters_health {
	bool ready;         /* counters_are_ready() */
	uint64_t nodes;     /* that share the limits */
	uint64_t local;     /* decisions made here, ever */
	uint64_t overdue;   /* of them: because the answer did not come in time */
	uint64_t in_doubt;  /* counters that wait to be asserted, at most */
	uint64_t asserted;  /* counters, ever */
	uint64_t greetings; /* how often Redis had to be told who we are */
	uint64_t bad_keys;
	uint64_t counters, transactions, evictions, uncounted, bytes;
	int64_t clock_offset_ms; /* Redis' clock minus ours */
};
void counters_health(const struct counters *counters, struct counters_health *ret);

#endif
