/* SPDX-License-Identifier: ISC */
/*
 * What this node holds of the counters, for people to look at.
 */
#include "daemon/store/redis/counters_parts.h"

#define SCAN_SLOTS 4096 /* a turn, well under a millisecond */

struct listing {
	const struct counter_table *counters;
	void (*each)(void *arg, const struct store_counter *);
	void *arg;
	uint64_t wall_ms;
};

static void list_slot(const struct listing *listing, uint32_t slot)
{
	char memory[COUNTER_SUBJECT_BYTES];
	struct store_counter counter;
	struct window window;

	if (!table_key(listing->counters, slot, memory, &counter.key))
		return;
	table_load(listing->counters, slot, listing->wall_ms, &window);
	counter.used = window.total;
	counter.limit = listing->counters->entries[slot].limit;
	if (window.total)
		listing->each(listing->arg, &counter);
}

/* One that holds nothing here may hold something in Redis, so it is told of. */
static void list_key(const struct listing *listing, const struct counter_key *key)
{
	const struct counter_table *table = listing->counters;
	uint32_t slot = table_find(table, key, table_hash(table, key));
	struct store_counter counter = {.key = *key, .limit = UINT64_MAX};
	struct window window;

	if (slot != TABLE_NONE) {
		table_load(table, slot, listing->wall_ms, &window);
		counter.used = window.total;
		counter.limit = table->entries[slot].limit;
	}
	listing->each(listing->arg, &counter);
}

static struct listing listing_of(struct counters *counters,
	void (*each)(void *arg, const struct store_counter *), void *arg, struct clock_now now)
{
	counters->now = now;
	return (struct listing){
		counters->own->ledger->counters, each, arg, store_clock(counters).wall_ms};
}

void counters_list(struct counters *counters, struct slice subject,
	void (*each)(void *arg, const struct store_counter *), void *arg, struct clock_now now)
{
	struct listing listing = listing_of(counters, each, arg, now);
	const struct counter_table *table = listing.counters;
	struct counter_key key;

	for (uint32_t slot = 0; subject.len == 0 && slot < table->high; slot++)
		list_slot(&listing, slot);
	for (uint16_t i = 0; subject.len && (i = table_next_series(table, i, &key)) != SERIES_NONE;
		i++) {
		key.subject = subject;
		list_key(&listing, &key);
	}
}

void counters_know(struct counters *counters, const struct counter_key *key)
{
	table_know_series(counters->own->ledger->counters, key);
}

uint64_t counters_scan(struct counters *counters, uint64_t cursor,
	void (*each)(void *arg, const struct store_counter *), void *arg, struct clock_now now)
{
	struct listing listing = listing_of(counters, each, arg, now);
	uint64_t end = cursor + SCAN_SLOTS, high = listing.counters->high;

	for (uint64_t slot = cursor; slot < end && slot < high; slot++)
		list_slot(&listing, (uint32_t)slot);
	return end < high ? end : 0;
}
