/* SPDX-License-Identifier: ISC */
/*
 * A small table: a configuration makes a handful of series. Adding and dropping are rare, so they
 * may walk all places; finding is one step of hashing and one comparison of numbers.
 */
#include "daemon/counting/series.h"

#include "common/alloc.h"
#include "daemon/counting/window.h"

#define INDEX_PLACES (2u * SERIES_MAX)

void series_init(struct series_set *set)
{
	set->items = mem_zalloc_array(SERIES_MAX, sizeof(*set->items));
	set->index = mem_zalloc_array(INDEX_PLACES, sizeof(*set->index));
	set->used = 0;
}

void series_release(struct series_set *set)
{
	mem_free(&set->items);
	mem_free(&set->index);
	set->used = 0;
}

uint64_t series_rule_id(struct slice rule)
{
	uint64_t word = 0, hash = rule.len;

	for (; rule.len > sizeof(word); rule = slice_from(rule, sizeof(word))) {
		memcpy(&word, rule.data, sizeof(word));
		hash = hash64_mix(hash, word);
	}
	word = 0;
	if (rule.len)
		memcpy(&word, rule.data, rule.len);
	return hash64_mix(hash, word);
}

/* The rule's id is mixed already; one multiplication spreads its windows. */
static inline unsigned place_of(uint64_t rule_id, unsigned what, uint64_t window_ms)
{
	return (unsigned)((rule_id + (window_ms * 4 + what) * UINT64_C(0x9e3779b97f4a7c15)) >> 32) %
	       INDEX_PLACES;
}

uint16_t series_find(const struct series_set *set, const struct counter_key *key, uint64_t rule_id)
{
	unsigned place = place_of(rule_id, key->what, key->window_ms);

	for (; set->index[place]; place = (place + 1) % INDEX_PLACES) {
		const struct series *series = &set->items[set->index[place] - 1];

		if (series->window_ms == key->window_ms && series->rule_id == rule_id &&
			series->what == key->what && series->rule_len == key->rule.len)
			return (uint16_t)(set->index[place] - 1);
	}
	return SERIES_NONE;
}

static void index_add(struct series_set *set, uint16_t number)
{
	const struct series *series = &set->items[number];
	unsigned place = place_of(series->rule_id, series->what, series->window_ms);

	while (set->index[place])
		place = (place + 1) % INDEX_PLACES;
	set->index[place] = (uint16_t)(number + 1);
}

static uint16_t free_place(const struct series_set *set)
{
	uint16_t number = 0;

	while (number < set->used && set->items[number].counters)
		number++;
	return number < SERIES_MAX ? number : SERIES_NONE;
}

uint16_t series_get(struct series_set *set, const struct counter_key *key, uint64_t rule_id)
{
	uint16_t number = series_find(set, key, rule_id);
	struct series *series;

	if (number != SERIES_NONE || key->rule.len == 0 || key->rule.len > SERIES_RULE_BYTES)
		return number;
	number = free_place(set);
	if (number == SERIES_NONE)
		return number;
	series = &set->items[number];
	series->rule_id = rule_id;
	series->window_ms = key->window_ms;
	series->bucket_ms = window_bucket_ms(key->window_ms);
	series->what = (uint8_t)key->what;
	series->rule_len = (uint8_t)key->rule.len;
	memcpy(series->name, key->rule.data, key->rule.len);
	if (number == set->used)
		set->used++;
	index_add(set, number);
	return number;
}

void series_drop(struct series_set *set, uint16_t number)
{
	if (--set->items[number].counters > 0)
		return;
	memset(set->index, 0, INDEX_PLACES * sizeof(*set->index));
	for (uint16_t i = 0; i < set->used; i++)
		if (set->items[i].counters)
			index_add(set, i);
}
