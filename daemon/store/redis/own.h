/* SPDX-License-Identifier: ISC */
/*
 * What this run of this node holds of the counters in Redis: in a ledger what it was granted, net,
 * by counter and bucket, with the transactions it saw; and beside it what it gave back of others'
 * grants. Own value of a bucket = granted - given back; it may be below 0. These tables are the
 * truth: what Redis has under our name is made equal to them (asserted) whenever it may differ.
 *
 * A counter that was changed without an acknowledged script is dirty (a mark of the table). Its
 * owner's name in Redis is the incarnation and the birth, so that a counter that was evicted here
 * and comes back never overwrites what it held before.
 *
 * Pure: time comes in, nothing is sent.
 */
#ifndef REEVE_DAEMON_STORE_REDIS_OWN_H
#define REEVE_DAEMON_STORE_REDIS_OWN_H

#include "daemon/counting/ledger.h"

struct own_state {
	uint32_t birth;     /* of the counter that this is about */
	uint32_t in_flight; /* commands without an answer that may change it */
};

struct own {
	struct ledger *ledger;
	/* private */
	struct counter_table *given; /* `limit` holds the birth of the counter it belongs to */
	struct own_state *states;
};

struct own_ref {
	uint32_t slot, birth; /* TABLE_NONE: there was no room */
};

/* A bucket and what we hold of it. */
struct own_value {
	uint64_t bucket;
	int64_t own;
};

struct own *own_new(const struct ledger_options *options)
	__attribute__((returns_nonnull, warn_unused_result));
void own_free(struct own **own);

/* Finds or makes the counter, clean if it is new. Others may leave for it, not those in the `count`
 * refs. */
struct own_ref own_get(struct own *own, const struct counter_key *key, uint64_t limit,
	const struct own_ref *keep, unsigned count, uint64_t wall_ms);
/* Redis says that our value of a bucket changed by so much; the counter stays as clean as it was. */
void own_book(struct own *own, struct own_ref ref, uint64_t bucket, int64_t difference);
/* All that is not 0, at most WINDOW_BUCKETS * 2, from the oldest on; returns how many. */
unsigned own_values(const struct own *own, uint32_t slot, uint64_t wall_ms,
	struct own_value values[static 2 * WINDOW_BUCKETS]);

static inline bool own_is_alive(const struct own *own, struct own_ref ref)
{
	return table_is_alive(own->ledger->counters, ref.slot, ref.birth);
}

/* Of what lives in a slot now. */
static inline struct own_ref own_ref_of(const struct own *own, uint32_t slot)
{
	return (struct own_ref){slot, own->ledger->counters->entries[slot].birth};
}

static inline bool own_is_dirty(const struct own *own, struct own_ref ref)
{
	return own_is_alive(own, ref) && table_is_dirty(own->ledger->counters, ref.slot);
}

void own_mark(struct own *own, struct own_ref ref);
void own_unmark(struct own *own, struct own_ref ref);
/* Every counter there is (and free slots, which nobody minds). */
void own_mark_all(struct own *own);
/* Commands that may change it: one more, one fewer; how many. */
void own_sent(struct own *own, struct own_ref ref);
void own_answered(struct own *own, struct own_ref ref);
uint32_t own_in_flight(const struct own *own, struct own_ref ref);
/* Ages both tables a little. */
void own_sweep(struct own *own, uint64_t wall_ms);
/* Empties a counter here, and marks it. */
void own_empty(struct own *own, struct own_ref ref, uint64_t wall_ms);
/* Empties the counters of a subject here, and marks them; returns how many held something. */
unsigned own_reset(struct own *own, struct slice subject, struct clock_now now);

#endif
