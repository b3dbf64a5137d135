/* SPDX-License-Identifier: ISC */
/*
 * The window and its packed form against the plainest thing there is: a list of all that was ever
 * added, with the bucket it fell into.
 */
#include "daemon/counting/pack.h"
#include "daemon/counting/window.h"

#include <criterion/criterion.h>

#define HOUR_MS UINT64_C(3600000)
#define START_MS UINT64_C(1700000000000)
#define MAX_ADDS 4000

struct add {
	uint64_t bucket, at_ms, amount;
};

struct brute {
	uint64_t bucket_ms, window_ms, newest;
	struct add adds[MAX_ADDS];
	unsigned count;
};

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static uint64_t brute_used(const struct brute *brute, uint64_t newest)
{
	uint64_t used = 0;

	for (unsigned i = 0; i < brute->count; i++)
		if (brute->adds[i].bucket + 60 >= newest)
			used += brute->adds[i].amount;
	return used;
}

/* Whatever lies inside the true window must be counted. */
static uint64_t brute_true_used(const struct brute *brute, uint64_t wall_ms)
{
	uint64_t used = 0;

	for (unsigned i = 0; i < brute->count; i++)
		if (brute->adds[i].at_ms + brute->window_ms > wall_ms)
			used += brute->adds[i].amount;
	return used;
}

static uint64_t brute_wait(
	const struct brute *brute, uint64_t limit, uint64_t amount, uint64_t wall_ms)
{
	uint64_t newest = wall_ms / brute->bucket_ms;

	if (amount > limit)
		return UINT64_MAX;
	newest = newest > brute->newest ? newest : brute->newest;
	for (uint64_t bucket = newest;; bucket++)
		if (brute_used(brute, bucket) + amount <= limit)
			return bucket == newest ? 0 : bucket * brute->bucket_ms - wall_ms;
}

static void through_pack(struct window *window)
{
	uint8_t bytes[PACK_MAX_BYTES];
	size_t len = pack_window(window, bytes);
	struct window again = {.bucket_ms = window->bucket_ms, .newest = window->newest};

	cr_assert(pack_is_valid(bytes, len));
	pack_unpack(&again, bytes, len);
	cr_assert_eq(again.total, window->total);
	cr_assert_eq(again.live, window->live);
	for (unsigned i = 0; i < WINDOW_BUCKETS; i++)
		if (window->live >> i & 1)
			cr_assert_eq(again.count[i], window->count[i]);
	*window = again;
}

static uint64_t step_ms(uint64_t *random, uint64_t window_ms)
{
	switch (next_random(random) % 8) {
	case 0:
		return window_ms / 3;
	case 1:
		return next_random(random) % 50 ? window_ms / 20 : window_ms + window_ms / 30;
	default:
		return next_random(random) % (window_ms / 40 + 1);
	}
}

static void one_step(struct window *window, struct brute *brute, uint64_t wall_ms, uint64_t *random)
{
	uint64_t amount =
		next_random(random) % 9 ? next_random(random) % 6 : next_random(random) % 5000;
	uint64_t limit = 200 + next_random(random) % 5000;

	window_roll(window, wall_ms);
	brute->newest = window->newest;
	cr_assert_eq(window->newest, wall_ms / brute->bucket_ms);
	cr_assert_eq(window->total, brute_used(brute, window->newest));
	cr_assert(window->total >= brute_true_used(brute, wall_ms));
	cr_assert_eq(window_wait_ms(window, limit, amount, wall_ms),
		brute_wait(brute, limit, amount, wall_ms));
	if (next_random(random) % 4 == 0 && brute->count) {
		struct add *add = &brute->adds[next_random(random) % brute->count];
		uint64_t taken = window_take(
			window, add->bucket, amount < add->amount ? amount : add->amount);

		if (add->bucket + 60 >= window->newest)
			cr_assert_eq(taken, amount < add->amount ? amount : add->amount);
		else
			cr_assert_eq(taken, 0);
		add->amount -= taken;
	} else if (window_fits(window, limit, amount)) {
		uint64_t bucket = window_add(window, amount);

		brute->adds[brute->count++] = (struct add){bucket, wall_ms, amount};
	}
	through_pack(window);
}

Test(window, is_as_brute_force)
{
	static const uint64_t windows[] = {
		HOUR_MS, 24 * HOUR_MS, 1000, 1, 61, 90000, 7 * HOUR_MS + 1};
	static struct brute brute;
	uint64_t random = UINT64_C(88172645463325252);

	for (unsigned w = 0; w < sizeof(windows) / sizeof(windows[0]); w++) {
		uint64_t wall_ms = START_MS + next_random(&random) % HOUR_MS;
		struct window window;

		window_init(&window, windows[w]);
		brute = (struct brute){.bucket_ms = window.bucket_ms, .window_ms = windows[w]};
		while (brute.count < MAX_ADDS) {
			wall_ms += step_ms(&random, windows[w]);
			one_step(&window, &brute, wall_ms, &random);
		}
	}
}

Test(window, buckets_cover_the_window)
{
	for (uint64_t window_ms = 1; window_ms < 100000; window_ms += 7) {
		cr_assert(window_bucket_ms(window_ms) * 60 >= window_ms);
		cr_assert(window_bucket_ms(window_ms) * 60 < window_ms + 60);
	}
	cr_assert_eq(window_bucket_ms(HOUR_MS), 60000);
}

Test(window, a_full_hour_is_free_again_within_a_minute)
{
	struct window window;

	window_init(&window, HOUR_MS);
	window_roll(&window, START_MS);
	window_add(&window, 200);
	window_roll(&window, START_MS + HOUR_MS - 1);
	cr_assert_not(window_fits(&window, 200, 1));
	window_roll(&window, START_MS + HOUR_MS + 60000);
	cr_assert(window_fits(&window, 200, 200));
}

Test(window, a_clock_set_back_counts_into_the_newest)
{
	struct window window;
	uint64_t newest;

	window_init(&window, HOUR_MS);
	window_roll(&window, START_MS);
	newest = window_add(&window, 5);
	window_roll(&window, START_MS - HOUR_MS / 2);
	cr_assert_eq(window_add(&window, 5), newest);
	cr_assert_eq(window.total, 10);
	cr_assert_gt(window_wait_ms(&window, 10, 1, START_MS - HOUR_MS / 2), HOUR_MS);
}

Test(window, a_clock_from_the_far_future_begins_afresh)
{
	struct window window;

	window_init(&window, HOUR_MS);
	window_roll(&window, START_MS + 1000 * HOUR_MS);
	window_add(&window, 5);
	window_roll(&window, START_MS);
	cr_assert_eq(window.total, 0);
	cr_assert_eq(window_add(&window, 1), START_MS / 60000);
}

Test(window, saturates)
{
	struct window window;
	uint64_t bucket;

	window_init(&window, HOUR_MS);
	window_roll(&window, START_MS);
	window_add(&window, UINT64_MAX - 1);
	bucket = window_add(&window, 100);
	cr_assert_eq(window.total, UINT64_MAX);
	cr_assert_not(window_fits(&window, UINT64_MAX, 1));
	through_pack(&window);
	cr_assert_eq(window_take(&window, bucket, UINT64_MAX), UINT64_MAX);
	cr_assert_eq(window.total, 0);
}

Test(window, takes_no_more_than_there_is)
{
	struct window window;
	uint64_t bucket;

	window_init(&window, HOUR_MS);
	window_roll(&window, START_MS);
	bucket = window_add(&window, 3);
	cr_assert_eq(window_take(&window, bucket, 5), 3);
	cr_assert_eq(window_take(&window, bucket, 5), 0);
	cr_assert_eq(window_take(&window, bucket + 1, 5), 0);
	cr_assert_eq(window_take(&window, bucket - 61, 5), 0);
	window_add(&window, 3);
	window_roll(&window, START_MS + HOUR_MS * 2);
	cr_assert_eq(window_take(&window, bucket, 5), 0);
}

Test(window, says_when_the_next_part_is_free)
{
	struct window window;
	uint64_t amount;

	window_init(&window, HOUR_MS);
	window_roll(&window, START_MS);
	cr_assert_eq(window_next_ms(&window, START_MS, &amount), 0);
	cr_assert_eq(amount, 0);
	window_add(&window, 3);
	window_roll(&window, START_MS + 120000);
	window_add(&window, 4);
	cr_assert_eq(window_next_ms(&window, START_MS + 120000, &amount),
		(START_MS / 60000 + 61) * 60000 - (START_MS + 120000));
	cr_assert_eq(amount, 3);
}

Test(pack, full_and_heavy_windows_come_back)
{
	for (uint64_t newest = 1000; newest < 1000 + 2 * WINDOW_BUCKETS; newest++) {
		struct window window;

		window_init(&window, 60);
		for (uint64_t bucket = newest - 60; bucket <= newest; bucket++) {
			window_roll(&window, bucket);
			window_add(&window, bucket % 2 ? 1 : UINT64_C(1) << bucket % 57);
		}
		through_pack(&window);
	}
}

Test(pack, an_ordinary_bucket_takes_a_byte)
{
	struct window window;
	uint8_t bytes[PACK_MAX_BYTES];

	window_init(&window, HOUR_MS);
	for (unsigned i = 0; i < 61; i++) {
		window_roll(&window, START_MS + i * 60000);
		window_add(&window, 1 + i % 15);
	}
	cr_assert_eq(pack_window(&window, bytes), 61);
}

Test(pack, refuses_what_it_would_not_have_written)
{
	static const struct {
		uint8_t bytes[12];
		size_t len;
		bool valid;
	} cases[] = {
		{{0x11}, 1, true},
		{{0x00, 61, 16}, 3, true},
		{{0x01}, 1, false},             /* distance missing */
		{{0x01, 15}, 2, false},         /* distance that fits the nibble */
		{{0x01, 62}, 2, false},         /* beyond the ring */
		{{0x10}, 1, false},             /* count missing */
		{{0x10, 15}, 2, false},         /* count that fits the nibble */
		{{0x10, 0x80, 0x00}, 3, false}, /* count with a useless byte */
		{{0x10, 0x80}, 2, false},       /* count cut off */
		{{0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, 11, true},
		{{0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02}, 11, false},
		{{0xf1, 0xf1, 0xf1, 0xf1, 0x11}, 5, true},
		{{0xf1, 0xf1, 0xf1, 0xf1, 0x21}, 5, false},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_assert_eq(
			pack_is_valid(cases[i].bytes, cases[i].len), cases[i].valid, "case %u", i);
}
