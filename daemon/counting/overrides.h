/* SPDX-License-Identifier: ISC */
/*
 * Live limits: what `reevectl limit set` puts in place of a rule's own limit for one subject, until
 * a time or until it is unset. They belong to the rule's name, as counters do, and outlive reloads.
 *
 * The table is pure and bounded. Each override has a slot whose number stays while it lives: the
 * record number on disk. What changed is marked until it was written.
 */
#ifndef REEVE_DAEMON_COUNTING_OVERRIDES_H
#define REEVE_DAEMON_COUNTING_OVERRIDES_H

#include "common/units.h"
#include "daemon/counting/counter.h"

#define OVERRIDES_MAX 10000
#define OVERRIDE_RATES 4
#define OVERRIDE_RULE_BYTES 64
#define OVERRIDE_BY_BYTES 31
#define OVERRIDE_NONE UINT32_MAX

/* Texts end in NUL and hold none. The subject is the counter's (normalised, hashed if it is long), or
 * "@example.com": each subject of that domain by itself. */
struct override {
	char rule[OVERRIDE_RULE_BYTES + 1];
	char subject[COUNTER_SUBJECT_BYTES + 1];
	char by[OVERRIDE_BY_BYTES + 1]; /* who set it; printable */
	struct rate rates[OVERRIDE_RATES];
	unsigned rate_count; /* 0: unlimited */
	uint64_t since_wall_ms;
	uint64_t until_wall_ms; /* UINT64_MAX: until it is unset */
};

struct overrides;

struct overrides *overrides_new(size_t max) __attribute__((returns_nonnull, warn_unused_result));
void overrides_free(struct overrides **overrides);

/* Adds, or replaces the one of the same rule and subject. false: the table is full. */
bool overrides_put(struct overrides *overrides, const struct override *override)
	__attribute__((warn_unused_result));
/* false: there is none. */
bool overrides_remove(struct overrides *overrides, struct slice rule, struct slice subject);
/* One that is not over; NULL: none. Valid until the next change. NULL table: none. */
const struct override *overrides_find(const struct overrides *overrides, struct slice rule,
	struct slice subject, uint64_t wall_ms);
/* Takes out those that are over; returns how many. */
unsigned overrides_expire(struct overrides *overrides, uint64_t wall_ms);
/* In no order, those that are over but not yet taken out included. `each` changes nothing. */
void overrides_each(const struct overrides *overrides,
	void (*each)(void *arg, const struct override *override), void *arg);
size_t overrides_count(const struct overrides *overrides);

/* ---- for a store that keeps them ---- */

/* NULL: the slot is free. */
const struct override *overrides_at(const struct overrides *overrides, uint32_t slot);
bool overrides_is_dirty(const struct overrides *overrides);
/* The next changed slot from `from` on, unmarked after it; OVERRIDE_NONE: no more. It may be free
 * by now. */
uint32_t overrides_next_dirty(struct overrides *overrides, uint32_t from);
void overrides_mark(struct overrides *overrides, uint32_t slot);
/* Into that slot, not marked, into a table that was only restored into; overrides_restored() ends
 * it. false: taken, too far, or of a known rule and subject. */
bool overrides_restore(struct overrides *overrides, uint32_t slot, const struct override *override)
	__attribute__((warn_unused_result));
void overrides_restored(struct overrides *overrides);

#endif
