/* SPDX-License-Identifier: ISC */
/*
 * The counter table: finding, removal that leaves no gap, who leaves when it is full, blocks that
 * run out, marks and records. Its memory is measured in test_memory.c.
 */
#include "daemon/counting/table.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "common/alloc.h"

#define HOUR_MS UINT64_C(3600000)
#define NOW_MS UINT64_C(1700000000000)

static const struct hash_key key = {1, 2};

static struct counter_key key_of(const char *rule, const char *subject)
{
	return (struct counter_key){.rule = slice_of(rule),
		.subject = slice_of(subject),
		.what = COUNT_RECIPIENTS,
		.window_ms = HOUR_MS};
}

static uint32_t find(struct counter_table *table, const char *subject)
{
	struct counter_key counter = key_of("hourly", subject);

	return table_find(table, &counter, table_hash(table, &counter));
}

static uint32_t add(
	struct counter_table *table, const char *subject, uint64_t amount, uint64_t limit)
{
	struct counter_key counter = key_of("hourly", subject);
	uint32_t slot = table_add(table, &counter, table_hash(table, &counter), limit, NOW_MS);
	struct window window;

	if (slot == TABLE_NONE || !amount)
		return slot;
	table_load(table, slot, NOW_MS, &window);
	window_add(&window, amount);
	table_store(table, slot, &window, NOW_MS);
	return slot;
}

static uint64_t used(struct counter_table *table, uint32_t slot)
{
	struct window window;

	table_load(table, slot, NOW_MS, &window);
	return window.total;
}

Test(table, keys_differ_in_each_of_their_parts)
{
	struct counter_table *table = table_new(100, key);
	struct counter_key keys[5] = {key_of("a", "s"), key_of("b", "s"), key_of("a", "t"),
		key_of("a", "s"), key_of("a", "s")};
	uint32_t slots[5];

	keys[3].what = COUNT_BYTES;
	keys[4].window_ms = 24 * HOUR_MS;
	for (int i = 0; i < 5; i++) {
		struct table_hash hash = table_hash(table, &keys[i]);

		cr_assert_eq(table_find(table, &keys[i], hash), TABLE_NONE);
		slots[i] = table_add(table, &keys[i], hash, 10, NOW_MS);
	}
	for (int i = 0; i < 5; i++)
		cr_assert_eq(table_find(table, &keys[i], table_hash(table, &keys[i])), slots[i]);
	cr_assert_eq(table->count, 5);
	table_free(&table);
}

Test(table, random_adding_and_removing_keeps_all_others)
{
	enum { SUBJECTS = 600 };
	static uint32_t births[SUBJECTS];
	struct counter_table *table = table_new(1000, key);
	uint64_t random = 42;

	for (int step = 0; step < 60000; step++) {
		char subject[32];
		unsigned which;
		uint32_t slot;

		random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
		which = (unsigned)(random >> 33) % SUBJECTS;
		snprintf(subject, sizeof(subject), "user%u@example.com", which);
		slot = find(table, subject);
		cr_assert_eq(slot != TABLE_NONE, births[which] != 0);
		if (slot == TABLE_NONE) {
			slot = add(table, subject, which % 3, 10);
			births[which] = table->entries[slot].birth;
		} else {
			cr_assert(table_is_alive(table, slot, births[which]));
			cr_assert_eq(used(table, slot), which % 3);
			table_remove(table, slot);
			cr_assert_not(table_is_alive(table, slot, births[which]));
			births[which] = 0;
		}
	}
	cr_assert_eq(table->evictions, 0);
	table_free(&table);
}

Test(table, subjects_of_any_length)
{
	struct counter_table *table = table_new(1000, key);
	char subject[COUNTER_SUBJECT_BYTES + 2];

	memset(subject, 'x', sizeof(subject));
	for (unsigned len = 1; len <= COUNTER_SUBJECT_BYTES; len++) {
		struct counter_key counter = key_of("r", "");

		counter.subject = slice_make(subject, len);
		cr_assert_neq(table_add(table, &counter, table_hash(table, &counter), 1, NOW_MS),
			TABLE_NONE);
	}
	for (unsigned len = 0; len <= COUNTER_SUBJECT_BYTES + 1; len++) {
		struct counter_key counter = key_of("r", "");
		struct table_record record;
		uint32_t slot;

		counter.subject = slice_make(subject, len);
		slot = table_find(table, &counter, table_hash(table, &counter));
		cr_assert_eq(slot != TABLE_NONE, len > 0 && len <= COUNTER_SUBJECT_BYTES);
		if (slot == TABLE_NONE)
			continue;
		cr_assert(table_read(table, slot, &record));
		cr_assert(slice_equal(record.key.subject, counter.subject));
	}
	cr_assert_eq(add(table, "", 1, 1), TABLE_NONE);
	table_free(&table);
}

Test(table, the_least_used_leaves_and_none_above_half)
{
	enum { MAX = 1000 };
	struct counter_table *table = table_new(MAX, key);
	char subject[32];
	unsigned stayed = 0;

	/* 500 above half their limit of 10, 500 at or below. */
	for (unsigned i = 0; i < MAX; i++) {
		snprintf(subject, sizeof(subject), "old%u", i);
		add(table, subject, i % 2 ? 6 + i % 5 : i % 6, 10);
	}
	for (unsigned i = 0; i < 400; i++) {
		snprintf(subject, sizeof(subject), "new%u", i);
		cr_assert_neq(add(table, subject, 9, 10), TABLE_NONE);
	}
	cr_assert_eq(table->count, MAX);
	cr_assert_eq(table->evictions, 400);
	for (unsigned i = 1; i < MAX; i += 2) {
		snprintf(subject, sizeof(subject), "old%u", i);
		cr_assert_neq(find(table, subject), TABLE_NONE, "%s left", subject);
	}
	/* Of those that may leave, the more used ones are likelier to be still there. */
	for (unsigned i = 4; i < MAX; i += 6) {
		snprintf(subject, sizeof(subject), "old%u", i);
		stayed += find(table, subject) != TABLE_NONE;
	}
	cr_assert_gt(stayed, 60);
	table_free(&table);
}

Test(table, when_nobody_may_leave_a_counter_is_not_made)
{
	struct counter_table *table = table_new(100, key);
	struct counter_key late = key_of("hourly", "late");
	char subject[32];

	for (unsigned i = 0; i < 100; i++) {
		snprintf(subject, sizeof(subject), "full%u", i);
		add(table, subject, 6, 10);
	}
	cr_assert_eq(add(table, "late", 1, 10), TABLE_NONE);
	cr_assert_eq(table->no_room, 1);
	cr_assert_eq(table->evictions, 0);
	/* An hour later they are all unused. */
	cr_assert_neq(table_add(table, &late, table_hash(table, &late), 10, NOW_MS + 2 * HOUR_MS),
		TABLE_NONE);
	table_free(&table);
}

Test(table, protected_counters_stay)
{
	struct counter_table *table = table_new(8, key);
	uint32_t slots[7];
	char subject[32];

	for (unsigned i = 0; i < 7; i++) {
		snprintf(subject, sizeof(subject), "protected%u", i);
		slots[i] = add(table, subject, 0, 10);
	}
	table_protect(table, slots, 7);
	for (unsigned i = 0; i < 50; i++) {
		snprintf(subject, sizeof(subject), "passing%u", i);
		cr_assert_neq(add(table, subject, 0, 10), TABLE_NONE);
	}
	for (unsigned i = 0; i < 7; i++) {
		snprintf(subject, sizeof(subject), "protected%u", i);
		cr_assert_eq(find(table, subject), slots[i]);
	}
	table_free(&table);
}

Test(table, bumps_are_what_load_add_and_store_would_do)
{
	static const uint64_t amounts[] = {
		1, 0, 3, 9, 2, 1, 15, 15, 15, 15, 15, 15, 15, 15, 15, 1, 16};
	struct counter_table *table = table_new(8, key);
	uint32_t slot = add(table, "a", 0, 10);
	uint64_t sum = 0, total;

	for (unsigned i = 0; i < sizeof(amounts) / sizeof(amounts[0]); i++) {
		cr_assert(table_used(table, slot, NOW_MS, &total));
		cr_assert_eq(total, sum);
		if (!table_bump(table, slot, amounts[i])) {
			struct window window;

			cr_assert(sum + amounts[i] > 15);
			table_load(table, slot, NOW_MS, &window);
			window_add(&window, amounts[i]);
			table_store(table, slot, &window, NOW_MS);
		}
		sum += amounts[i];
		cr_assert_eq(used(table, slot), sum);
	}
	cr_assert_not(table_used(table, slot, NOW_MS + 60000, &total));
	cr_assert(table_used(table, slot, NOW_MS - 60000, &total));
	cr_assert_not(table_used(table, slot, NOW_MS - 2 * HOUR_MS, &total));
	table_free(&table);
}

/* The first `count` of 61 buckets. */
static void fill_buckets(
	struct counter_table *table, uint32_t slot, unsigned count, uint64_t amount)
{
	for (unsigned i = 0; i < count; i++) {
		struct window window;
		uint64_t wall_ms = NOW_MS - (60 - i) * 60000;

		table_load(table, slot, wall_ms, &window);
		window_add(&window, amount);
		table_store(table, slot, &window, wall_ms);
	}
}

Test(table, blocks_run_out_and_no_total_is_lost)
{
	enum { MAX = 64 };
	struct counter_table *table = table_new(MAX, key);
	char subject[COUNTER_SUBJECT_BYTES];
	uint32_t slots[MAX];

	/* Everybody above half: nobody may leave, so windows lose buckets instead, but never a
	 * count. */
	memset(subject, 's', sizeof(subject));
	for (unsigned i = 0; i < MAX; i++) {
		struct counter_key counter = {
			SLICE("r"), slice_make(subject, 8), COUNT_BYTES, HOUR_MS};

		subject[0] = (char)('0' + i);
		slots[i] = table_add(
			table, &counter, table_hash(table, &counter), 1, NOW_MS - HOUR_MS);
		cr_assert_neq(slots[i], TABLE_NONE);
		fill_buckets(table, slots[i], 1, 1000000);
	}
	for (unsigned i = 0; i < MAX; i++)
		fill_buckets(table, slots[i], 61, 1000000);
	cr_assert_eq(table->evictions, 0);
	for (unsigned i = 0; i < MAX; i++)
		cr_assert_eq(used(table, slots[i]), 62 * 1000000);
	cr_assert(blocks_left(&table->blocks) < 20);
	table_free(&table);
}

static void use_at(struct counter_table *table, uint32_t slot, uint64_t wall_ms)
{
	struct window window;

	table_load(table, slot, wall_ms, &window);
	window_add(&window, 1);
	table_store(table, slot, &window, wall_ms);
}

Test(table, warns_once_per_window)
{
	struct counter_table *table = table_new(8, key);
	uint32_t slot = add(table, "a", 1, 10);

	cr_assert(table_warn_once(table, slot));
	cr_assert_not(table_warn_once(table, slot));
	use_at(table, slot, NOW_MS + 60 * 60000);
	cr_assert_not(table_warn_once(table, slot));
	use_at(table, slot, NOW_MS + 61 * 60000);
	cr_assert(table_warn_once(table, slot));
	table_forget_warning(table, slot);
	cr_assert(table_warn_once(table, slot));
	table_free(&table);
}

Test(table, sweeps_away_what_is_long_over)
{
	struct counter_table *table = table_new(100, key);
	char subject[32];

	for (unsigned i = 0; i < 50; i++) {
		snprintf(subject, sizeof(subject), "s%u", i);
		add(table, subject, 1, 10);
	}
	table_sweep(table, 1000, NOW_MS + HOUR_MS + 60000 + TABLE_LINGER_MS - 60000);
	cr_assert_eq(table->count, 50);
	table_sweep(table, 20, NOW_MS + HOUR_MS + 2 * 60000 + TABLE_LINGER_MS);
	cr_assert_eq(table->count, 30);
	table_sweep(table, 1000, NOW_MS + HOUR_MS + 2 * 60000 + TABLE_LINGER_MS);
	cr_assert_eq(table->count, 0);
	cr_assert_eq(table->blocks.used, 0);
	cr_assert_eq(table_next_series(table, 0, &(struct counter_key){0}), SERIES_NONE);
	table_free(&table);
}

Test(table, knows_a_series_that_has_no_counters)
{
	struct counter_table *table = table_new(100, key);
	struct counter_key wanted = {SLICE("hourly"), SLICE_EMPTY, COUNT_BYTES, HOUR_MS}, found;
	uint16_t number;

	table_know_series(table, &wanted);
	table_know_series(table, &wanted);
	number = table_next_series(table, 0, &found);
	cr_assert_neq(number, SERIES_NONE);
	cr_assert(slice_is(found.rule, "hourly"));
	cr_assert_eq(found.what, COUNT_BYTES);
	cr_assert_eq(found.window_ms, HOUR_MS);
	cr_assert_eq(table_next_series(table, (uint16_t)(number + 1), &found), SERIES_NONE);
	table_free(&table);
}

Test(table, marks_each_change_once)
{
	struct counter_table *table = table_new(1000, key);
	uint32_t a = add(table, "a", 1, 10), b = add(table, "b", 1, 10);

	cr_assert_eq(table_next_dirty(table, 0), a);
	cr_assert_eq(table_next_dirty(table, a + 1), b);
	cr_assert_eq(table_next_dirty(table, 0), TABLE_NONE);
	table_remove(table, a);
	cr_assert_eq(table_next_dirty(table, 0), a);
	for (unsigned i = 0; i < 900; i++)
		table_mark(table, i % 2);
	cr_assert_eq(table_next_dirty(table, 0), 0);
	cr_assert_eq(table_next_dirty(table, 1), 1);
	cr_assert_eq(table_next_dirty(table, 2), TABLE_NONE);
	table_free(&table);
}

/* Writes all counters of one table into another, as a disk would. */
static void copy(struct counter_table *from, struct counter_table *to)
{
	struct table_record record;

	for (uint32_t slot = 0; slot < from->high; slot++)
		if (table_read(from, slot, &record))
			(void)!table_restore(to, slot, &record);
	table_restored(to);
}

Test(table, comes_back_from_its_records)
{
	struct counter_table *table = table_new(1000, key);
	struct counter_table *again = table_new(1000, (struct hash_key){3, 4});
	uint32_t kept, birth, fresh;

	for (unsigned i = 0; i < 300; i++) {
		char subject[32];

		snprintf(subject, sizeof(subject), "s%u", i);
		add(table, subject, i + 1, 1000);
	}
	fill_buckets(table, find(table, "s7"), 61, 3);
	table_warn_once(table, find(table, "s7"));
	for (unsigned i = 100; i < 200; i++) {
		char subject[32];

		snprintf(subject, sizeof(subject), "s%u", i);
		table_remove(table, find(table, subject));
	}
	copy(table, again);
	kept = find(again, "s7");
	birth = table->entries[find(table, "s7")].birth;
	cr_assert_eq(kept, find(table, "s7"));
	cr_assert_eq(used(again, kept), 8 + 61 * 3);
	cr_assert(table_is_alive(again, kept, birth));
	cr_assert_not(table_warn_once(again, kept));
	cr_assert_eq(again->count, 200);
	cr_assert_eq(table_next_dirty(again, 0), TABLE_NONE);
	/* New ones take the gaps first, and no birth twice. */
	fresh = add(again, "fresh", 1, 1);
	cr_assert_lt(fresh, 200);
	cr_assert_gt(again->entries[fresh].birth, 300);
	table_free(&table);
	table_free(&again);
}

Test(table, a_smaller_one_takes_what_it_can)
{
	struct counter_table *table = table_new(1000, key);
	struct counter_table *small = table_new(100, key);
	struct table_record record;
	char subject[32];

	for (unsigned i = 0; i < 150; i++) {
		snprintf(subject, sizeof(subject), "s%u", i);
		add(table, subject, 1, 1000);
		if (i < 80)
			table_remove(table, find(table, subject));
	}
	/* Slots 0 and on were used again and again: put some far out. */
	for (uint32_t slot = 0; slot < table->high; slot++)
		if (table_read(table, slot, &record))
			cr_assert(table_restore(small, slot + 60, &record));
	table_restored(small);
	cr_assert_eq(small->count, 70);
	for (unsigned i = 80; i < 150; i++) {
		snprintf(subject, sizeof(subject), "s%u", i);
		cr_assert_neq(find(small, subject), TABLE_NONE);
	}
	cr_assert(table_read(small, find(small, "s90"), &record));
	cr_assert_not(table_restore(small, 5000, &record), "the same key twice");
	table_free(&table);
	table_free(&small);
}

static uint16_t series(struct series_set *set, const char *rule, uint64_t window_ms, bool make)
{
	struct counter_key counter = {slice_of(rule), SLICE("s"), COUNT_MESSAGES, window_ms};
	uint64_t rule_id = series_rule_id(counter.rule);

	return make ? series_get(set, &counter, rule_id) : series_find(set, &counter, rule_id);
}

Test(series, many_and_none_too_many)
{
	struct series_set set;
	char rule[16];
	uint16_t numbers[SERIES_MAX];

	series_init(&set);
	for (unsigned i = 0; i < SERIES_MAX; i++) {
		snprintf(rule, sizeof(rule), "rule-%u", i);
		numbers[i] = series(&set, rule, 1000 + i % 3, true);
		cr_assert_neq(numbers[i], SERIES_NONE);
		set.items[numbers[i]].counters++;
	}
	cr_assert_eq(series(&set, "one-more", 1, true), SERIES_NONE);
	series_drop(&set, numbers[17]);
	cr_assert_eq(series(&set, "one-more", 1, true), numbers[17]);
	cr_assert_eq(series(&set, "rule-17", 1002, false), SERIES_NONE);
	cr_assert_eq(series(&set, "rule-18", 1000, false), numbers[18]);
	cr_assert_eq(series(&set, "rule-18", 1001, false), SERIES_NONE);
	cr_assert_eq(series(&set, "", 1, true), SERIES_NONE);
	series_release(&set);
}

Test(blocks, chains_grow_shrink_and_run_out)
{
	struct blocks blocks;
	char bytes[300], again[300];
	uint32_t a = 0, b = 0;

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)i;
	blocks_init(&blocks, 10);
	cr_assert(blocks_put(&blocks, &a, bytes, 8 * BLOCK_PAYLOAD));
	cr_assert_not(blocks_put(&blocks, &b, bytes, 3 * BLOCK_PAYLOAD));
	cr_assert_eq(b, 0);
	cr_assert(blocks_put(&blocks, &b, bytes + 1, 2 * BLOCK_PAYLOAD));
	cr_assert_eq(blocks_left(&blocks), 0);
	cr_assert_not(blocks_put(&blocks, &b, bytes, 2 * BLOCK_PAYLOAD + 1));
	cr_assert(blocks_equal(&blocks, b, bytes + 1, 2 * BLOCK_PAYLOAD));
	cr_assert(blocks_put(&blocks, &a, bytes, 5));
	cr_assert_eq(blocks_left(&blocks), 7);
	cr_assert(blocks_put(&blocks, &b, bytes, 9 * BLOCK_PAYLOAD));
	blocks_get(&blocks, b, again, 9 * BLOCK_PAYLOAD);
	cr_assert_arr_eq(again, bytes, 9 * BLOCK_PAYLOAD);
	cr_assert_not(blocks_equal(&blocks, b, bytes + 1, 40));
	blocks_drop(&blocks, &a);
	blocks_drop(&blocks, &b);
	cr_assert_eq(blocks.used, 0);
	blocks_release(&blocks);
}
