/* SPDX-License-Identifier: ISC */
/*
 * Two counter tables. What is taken back comes off our own grants first; only what Redis took from
 * buckets in which others had been granted goes into the second one, which is small.
 */
#include "daemon/store/redis/own.h"

#include <string.h>

#include "common/alloc.h"
#include "daemon/counting/blocks.h"

#define SWEEP_COUNTERS 8192

struct own *own_new(const struct ledger_options *options)
{
	struct own *own = mem_zalloc(sizeof(*own));

	own->ledger = ledger_new(options);
	own->given = table_new(options->max_counters / 4, options->key);
	own->states = blocks_map((size_t)own->ledger->counters->max * sizeof(*own->states));
	return own;
}

void own_free(struct own **own)
{
	struct own *old = *own;

	if (!old)
		return;
	blocks_unmap(old->states, (size_t)old->ledger->counters->max * sizeof(*old->states));
	ledger_free(&old->ledger);
	table_free(&old->given);
	mem_free(own);
}

/* ---- finding ---- */

/* Keeps those counters in place while another is made. */
static void protect(struct own *own, const struct own_ref *keep, unsigned count)
{
	uint32_t *slots = own->ledger->slots;

	if (count > STORE_MAX_CHARGES)
		count = STORE_MAX_CHARGES;
	for (unsigned i = 0; i < count; i++)
		slots[i] = keep[i].slot;
	table_protect(own->ledger->counters, slots, count);
}

struct own_ref own_get(struct own *own, const struct counter_key *key, uint64_t limit,
	const struct own_ref *keep, unsigned count, uint64_t wall_ms)
{
	struct counter_table *counters = own->ledger->counters;
	struct table_hash hash = table_hash(counters, key);
	uint32_t slot = table_find(counters, key, hash);

	if (slot == TABLE_NONE) {
		protect(own, keep, count);
		slot = table_add(counters, key, hash, limit, wall_ms);
		table_protect(counters, NULL, 0);
		if (slot == TABLE_NONE)
			return (struct own_ref){TABLE_NONE, 0};
		table_unmark(counters, slot);
	}
	return (struct own_ref){slot, counters->entries[slot].birth};
}

/* What was given back of this counter; TABLE_NONE: nothing, or it belonged to an earlier life. */
static uint32_t find_given(const struct own *own, const struct counter_key *key, uint32_t birth)
{
	uint32_t slot;

	if (own->given->count == 0)
		return TABLE_NONE;
	slot = table_find(own->given, key, table_hash(own->given, key));
	if (slot == TABLE_NONE || own->given->entries[slot].limit != birth)
		return TABLE_NONE;
	return slot;
}

static uint32_t get_given(
	struct own *own, const struct counter_key *key, uint32_t birth, uint64_t wall_ms)
{
	struct table_hash hash = table_hash(own->given, key);
	uint32_t slot = table_find(own->given, key, hash);

	if (slot != TABLE_NONE && own->given->entries[slot].limit != birth) {
		table_remove(own->given, slot);
		slot = TABLE_NONE;
	}
	return slot != TABLE_NONE ? slot : table_add(own->given, key, hash, birth, wall_ms);
}

/* ---- booking ---- */

static uint64_t bucket_ms_of(const struct counter_table *table, uint32_t slot)
{
	return table->series.items[table->entries[slot].series].bucket_ms;
}

/* As it is, not rolled to any time. */
static void load(const struct counter_table *table, uint32_t slot, struct window *ret)
{
	table_load(table, slot, table->entries[slot].newest * bucket_ms_of(table, slot), ret);
}

static void give_back(struct own *own, struct own_ref ref, uint64_t bucket, uint64_t amount)
{
	char memory[COUNTER_SUBJECT_BYTES];
	struct counter_key key;
	struct window window;
	uint64_t wall_ms;
	uint32_t slot;

	if (!table_key(own->ledger->counters, ref.slot, memory, &key))
		return;
	wall_ms = bucket * bucket_ms_of(own->ledger->counters, ref.slot);
	slot = get_given(own, &key, ref.birth, wall_ms);
	if (slot == TABLE_NONE)
		return;
	load(own->given, slot, &window);
	if (window_add_at(&window, bucket, amount))
		table_store(own->given, slot, &window, wall_ms);
}

static void take(struct own *own, struct own_ref ref, uint64_t bucket, uint64_t amount)
{
	struct counter_table *counters = own->ledger->counters;
	struct window window;
	uint64_t taken;

	load(counters, ref.slot, &window);
	taken = window_take(&window, bucket, amount);
	if (taken)
		table_store(counters, ref.slot, &window, bucket * window.bucket_ms);
	if (taken < amount)
		give_back(own, ref, bucket, amount - taken);
}

static void grant(struct own *own, struct own_ref ref, uint64_t bucket, uint64_t amount)
{
	struct counter_table *counters = own->ledger->counters;
	struct window window;

	if (counters->entries[ref.slot].newest == bucket && table_bump(counters, ref.slot, amount))
		return;
	load(counters, ref.slot, &window);
	if (window_add_at(&window, bucket, amount))
		table_store(counters, ref.slot, &window, bucket * window.bucket_ms);
}

void own_book(struct own *own, struct own_ref ref, uint64_t bucket, int64_t difference)
{
	bool was_dirty = own_is_dirty(own, ref);

	if (!own_is_alive(own, ref) || difference == 0)
		return;
	if (difference > 0)
		grant(own, ref, bucket, (uint64_t)difference);
	else
		take(own, ref, bucket, (uint64_t)-difference);
	if (!was_dirty)
		own_unmark(own, ref);
}

unsigned own_values(const struct own *own, uint32_t slot, uint64_t wall_ms,
	struct own_value values[static 2 * WINDOW_BUCKETS])
{
	struct window granted, given = {.live = 0};
	char memory[COUNTER_SUBJECT_BYTES];
	struct counter_key key;
	uint32_t other = TABLE_NONE;
	uint64_t first, newest;
	unsigned count = 0;

	table_load(own->ledger->counters, slot, wall_ms, &granted);
	if (own->given->count && table_key(own->ledger->counters, slot, memory, &key))
		other = find_given(own, &key, own->ledger->counters->entries[slot].birth);
	if (other != TABLE_NONE)
		table_load(own->given, other, wall_ms, &given);
	newest = given.live && given.newest > granted.newest ? given.newest : granted.newest;
	first = newest >= WINDOW_BUCKETS - 1 ? newest - (WINDOW_BUCKETS - 1) : 0;
	for (uint64_t bucket = first; bucket <= newest; bucket++) {
		unsigned at = bucket % WINDOW_BUCKETS;
		int64_t value = 0;

		if (granted.live >> at & 1 && bucket <= granted.newest)
			value += (int64_t)granted.count[at];
		if (given.live >> at & 1 && bucket <= given.newest &&
			given.newest - bucket < WINDOW_BUCKETS)
			value -= (int64_t)given.count[at];
		if (value)
			values[count++] = (struct own_value){bucket, value};
	}
	return count;
}

/* ---- marks and commands under way ---- */

void own_mark(struct own *own, struct own_ref ref)
{
	if (own_is_alive(own, ref))
		table_mark(own->ledger->counters, ref.slot);
}

void own_unmark(struct own *own, struct own_ref ref)
{
	if (own_is_alive(own, ref))
		table_unmark(own->ledger->counters, ref.slot);
}

void own_mark_all(struct own *own)
{
	struct counter_table *counters = own->ledger->counters;

	memset(counters->dirty, 0xff, marks_bytes(counters->high));
}

static struct own_state *state_of(struct own *own, struct own_ref ref)
{
	struct own_state *state;

	if (!own_is_alive(own, ref))
		return NULL;
	state = &own->states[ref.slot];
	if (state->birth != ref.birth)
		*state = (struct own_state){ref.birth, 0};
	return state;
}

void own_sent(struct own *own, struct own_ref ref)
{
	struct own_state *state = state_of(own, ref);

	if (state)
		state->in_flight++;
}

void own_answered(struct own *own, struct own_ref ref)
{
	struct own_state *state = state_of(own, ref);

	if (state && state->in_flight)
		state->in_flight--;
}

uint32_t own_in_flight(const struct own *own, struct own_ref ref)
{
	const struct own_state *state;

	if (!own_is_alive(own, ref))
		return 0;
	state = &own->states[ref.slot];
	return state->birth == ref.birth ? state->in_flight : 0;
}

void own_sweep(struct own *own, uint64_t wall_ms)
{
	table_sweep(own->ledger->counters, SWEEP_COUNTERS, wall_ms);
	table_sweep(own->given, SWEEP_COUNTERS, wall_ms);
}

static void drop_given(struct own *own, struct slice subject)
{
	struct counter_key key;

	for (uint16_t i = 0; (i = table_next_series(own->given, i, &key)) != SERIES_NONE; i++) {
		uint32_t slot;

		key.subject = subject;
		slot = table_find(own->given, &key, table_hash(own->given, &key));
		if (slot != TABLE_NONE)
			table_remove(own->given, slot);
	}
}

void own_empty(struct own *own, struct own_ref ref, uint64_t wall_ms)
{
	struct counter_table *counters = own->ledger->counters;
	char memory[COUNTER_SUBJECT_BYTES];
	struct counter_key key;
	struct window window;
	uint32_t given;

	if (!own_is_alive(own, ref) || !table_key(counters, ref.slot, memory, &key))
		return;
	given = find_given(own, &key, ref.birth);
	if (given != TABLE_NONE)
		table_remove(own->given, given);
	table_load(counters, ref.slot, wall_ms, &window);
	window.total = window.live = 0;
	table_store(counters, ref.slot, &window, wall_ms);
	table_forget_warning(counters, ref.slot);
}

unsigned own_reset(struct own *own, struct slice subject, struct clock_now now)
{
	drop_given(own, subject);
	return ledger_reset(own->ledger, subject, now);
}
