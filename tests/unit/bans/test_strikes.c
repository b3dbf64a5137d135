/* SPDX-License-Identifier: ISC */
#include "daemon/bans/strikes.h"
#include "daemon/bans/traffic.h"

#include <criterion/criterion.h>

#define HOUR_MS UINT64_C(3600000)

static const uint64_t windows[STRIKES_COUNTS] = {
	[STRIKES_STRIKES] = HOUR_MS,     [STRIKES_SENT] = HOUR_MS,  [STRIKES_BAD] = HOUR_MS,
	[STRIKES_AUTH_FAILURES] = 60000, [STRIKES_CONNECTIONS] = HOUR_MS,
};

static struct strikes *make(size_t max)
{
	struct strikes *strikes = strikes_new((struct hash_key){ 3, 4 }, max);

	strikes_set_windows(strikes, windows, 24 * HOUR_MS);
	return strikes;
}

static struct ip number(unsigned i)
{
	return (struct ip){ .bytes = { [0] = 0x20, [12] = (uint8_t)(i >> 24), [13] = (uint8_t)(i >> 16),
				       [14] = (uint8_t)(i >> 8), [15] = (uint8_t)i } };
}

Test(strikes, counts_slide)
{
	struct strikes *strikes = make(10);
	struct ip key = number(1);
	uint64_t now = 1000 * HOUR_MS;
	struct strikes_entry *entry = strikes_get(strikes, &key, now);

	cr_expect_null(strikes_find(strikes, &(struct ip){ 0 }));
	cr_expect_eq(strikes_find(strikes, &key), entry);
	for (uint64_t i = 1; i <= 40; i++)
		cr_expect_eq(strikes_add(strikes, entry, STRIKES_STRIKES, 1, now + i * 1000), i);
	cr_expect_eq(strikes_sum(strikes, entry, STRIKES_SENT, now), 0);
	cr_expect_eq(strikes_sum(strikes, entry, STRIKES_STRIKES, now + HOUR_MS - 130000), 40);
	cr_expect_eq(strikes_sum(strikes, entry, STRIKES_STRIKES, now + HOUR_MS + 41000), 0);
	cr_expect_eq(strikes_add(strikes, entry, STRIKES_STRIKES, 1, now + HOUR_MS + 41000), 1);
	cr_expect_eq(strikes_add(strikes, entry, STRIKES_STRIKES, 1, now + 50 * HOUR_MS), 1);
	strikes_clear(entry, STRIKES_STRIKES);
	cr_expect_eq(strikes_sum(strikes, entry, STRIKES_STRIKES, now + 50 * HOUR_MS), 0);
	strikes_free(&strikes);
	cr_expect_null(strikes);
}

/* Never more than there were in the window, never less than in all of it but a 30th. */
Test(strikes, a_count_is_within_a_part_of_the_truth)
{
	static uint64_t times[4000];
	struct strikes *strikes = make(10);
	struct ip key = number(1);
	struct strikes_entry *entry = strikes_get(strikes, &key, 0);
	uint64_t random = 88172645463325252U, now = 5000000;

	for (unsigned n = 0; n < 4000; n++) {
		uint64_t sum, most = 0, least = 0;

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		now += random % 40000;
		times[n] = now;
		sum = strikes_add(strikes, entry, STRIKES_STRIKES, 1, now);
		for (unsigned i = 0; i <= n; i++) {
			most += now - times[i] < HOUR_MS;
			least += now - times[i] <= HOUR_MS - HOUR_MS / STRIKES_PARTS;
		}
		cr_assert(sum <= most && sum >= least);
	}
	strikes_free(&strikes);
}

/* The entry that was asked for last is found without looking; it must not be when it is another's. */
Test(strikes, the_last_one_is_not_taken_for_another)
{
	struct strikes *strikes = make(3);
	struct ip one = number(1), other = number(2), third = number(3), fourth = number(4);
	struct strikes_entry *entry = strikes_get(strikes, &one, 1);

	strikes_note(strikes, entry, STRIKES_STRIKES, 1, 1);
	cr_expect_eq(strikes_get(strikes, &one, 2), entry);
	cr_expect_neq(strikes_get(strikes, &other, 3), entry);
	cr_expect_eq(strikes_get(strikes, &one, 4), entry);
	cr_expect_eq(strikes_sum(strikes, entry, STRIKES_STRIKES, 4), 1);
	strikes_tick(strikes, 4 + HOUR_MS);
	cr_expect_eq(strikes_entries(strikes), 0);
	entry = strikes_get(strikes, &one, 5 + HOUR_MS);
	cr_expect_eq(strikes_sum(strikes, entry, STRIKES_STRIKES, 5 + HOUR_MS), 0, "begun anew");
	cr_expect_eq(strikes_entries(strikes), 1);
	strikes_get(strikes, &other, 6 + HOUR_MS);
	strikes_get(strikes, &third, 7 + HOUR_MS);
	strikes_get(strikes, &one, 8 + HOUR_MS);
	strikes_get(strikes, &fourth, 9 + HOUR_MS);
	cr_expect_null(strikes_find(strikes, &other), "one was seen after it");
	cr_expect_not_null(strikes_find(strikes, &one));
	strikes_free(&strikes);
}

Test(strikes, the_longest_unseen_leaves_and_notable_ones_stay)
{
	struct strikes *strikes = make(100);
	struct ip notable = number(1), plain = number(2), key;

	strikes_mark_notable(strikes, strikes_get(strikes, &notable, 1));
	strikes_get(strikes, &plain, 1);
	for (unsigned i = 10; i < 5000; i++) {
		key = number(i);
		strikes_get(strikes, &key, i);
	}
	cr_expect_eq(strikes_entries(strikes), 100);
	cr_expect_not_null(strikes_find(strikes, &notable));
	cr_expect_null(strikes_find(strikes, &plain));
	cr_expect_not_null(strikes_find(strikes, &key));
	for (unsigned i = 10; i < 5000; i++) {
		key = number(i);
		strikes_mark_notable(strikes, strikes_get(strikes, &key, 5000 + i));
	}
	cr_expect_eq(strikes_entries(strikes), 100);
	cr_expect_null(strikes_find(strikes, &notable), "among its like the longest unseen leaves");
	strikes_free(&strikes);
}

Test(strikes, what_was_not_seen_for_long_is_forgotten)
{
	struct strikes *strikes = make(100);
	struct ip plain = number(1), notable = number(2);

	strikes_get(strikes, &plain, 0);
	strikes_mark_notable(strikes, strikes_get(strikes, &notable, 0));
	strikes_tick(strikes, HOUR_MS - 1);
	cr_expect_eq(strikes_entries(strikes), 2);
	strikes_tick(strikes, HOUR_MS);
	cr_expect_null(strikes_find(strikes, &plain));
	cr_expect_not_null(strikes_find(strikes, &notable));
	strikes_tick(strikes, 24 * HOUR_MS);
	cr_expect_eq(strikes_entries(strikes), 0);
	strikes_free(&strikes);
}

Test(strikes, a_changed_window_begins_empty_and_the_others_stay)
{
	uint64_t changed[STRIKES_COUNTS];
	struct strikes *strikes = make(10);
	struct ip key = number(1);
	struct strikes_entry *entry = strikes_get(strikes, &key, 1000);

	strikes_add(strikes, entry, STRIKES_STRIKES, 1, 1000);
	strikes_add(strikes, entry, STRIKES_AUTH_FAILURES, 1, 1000);
	memcpy(changed, windows, sizeof(changed));
	changed[STRIKES_AUTH_FAILURES] = HOUR_MS;
	strikes_set_windows(strikes, changed, HOUR_MS);
	cr_expect_eq(strikes_sum(strikes, entry, STRIKES_STRIKES, 1000), 1);
	cr_expect_eq(strikes_sum(strikes, entry, STRIKES_AUTH_FAILURES, 1000), 0);
	strikes_free(&strikes);
}

Test(strikes, parts_do_not_wrap)
{
	struct strikes *strikes = make(10);
	struct ip key = number(1);
	struct strikes_entry *entry = strikes_get(strikes, &key, 1000);

	for (unsigned i = 0; i < 70000; i++)
		strikes_add(strikes, entry, STRIKES_STRIKES, 1, 1000);
	cr_expect_eq(strikes_sum(strikes, entry, STRIKES_STRIKES, 1000), 65535);
	strikes_free(&strikes);
}

Test(traffic, slides)
{
	struct traffic traffic = { 0 };

	for (uint64_t i = 0; i < 1000; i++)
		traffic_add(&traffic, i);
	cr_expect_eq(traffic_sum(&traffic, 1000), 1000);
	cr_expect_eq(traffic_sum(&traffic, HOUR_MS - 1), 1000);
	cr_expect_eq(traffic_sum(&traffic, HOUR_MS), 0);
	traffic_add(&traffic, HOUR_MS);
	cr_expect_eq(traffic_sum(&traffic, HOUR_MS), 1);
	traffic_add(&traffic, 100 * HOUR_MS);
	cr_expect_eq(traffic_sum(&traffic, 100 * HOUR_MS), 1);
}
