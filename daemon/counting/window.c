/* SPDX-License-Identifier: ISC */
/*
 * A ring of 61 buckets with a bit for each that holds something: rolling, packing and unpacking
 * touch live buckets only, and an empty window need not be cleared.
 */
#include "daemon/counting/window.h"

#define RING_MASK ((UINT64_C(1) << WINDOW_BUCKETS) - 1)

static inline uint64_t slot_bit(uint64_t bucket)
{
	return UINT64_C(1) << (bucket % WINDOW_BUCKETS);
}

void window_init(struct window *window, uint64_t window_ms)
{
	window->bucket_ms = window_bucket_ms(window_ms);
	window->newest = 0;
	window->total = 0;
	window->live = 0;
}

static void restart(struct window *window, uint64_t newest)
{
	window->newest = newest;
	window->total = 0;
	window->live = 0;
}

/* The bits of the `count` (1 to 60) slots from the one of `bucket` on, around the ring. */
static uint64_t slot_range(uint64_t bucket, unsigned count)
{
	unsigned first = (unsigned)(bucket % WINDOW_BUCKETS);
	uint64_t ones = (UINT64_C(1) << count) - 1;
	uint64_t bits = ones << first;

	if (first + count > WINDOW_BUCKETS)
		bits |= ones >> (WINDOW_BUCKETS - first);
	return bits & RING_MASK;
}

void window_roll(struct window *window, uint64_t wall_ms)
{
	uint64_t current = wall_ms / window->bucket_ms;
	uint64_t gone;

	if (current <= window->newest) {
		if (window->newest - current >= WINDOW_BUCKETS)
			restart(window, current);
		return;
	}
	if (current - window->newest >= WINDOW_BUCKETS) {
		restart(window, current);
		return;
	}
	gone = window->live & slot_range(window->newest + 1, (unsigned)(current - window->newest));
	window->live &= ~gone;
	window->newest = current;
	for (; gone; gone &= gone - 1)
		window->total -= window->count[__builtin_ctzll(gone)];
}

static inline void add_to(struct window *window, uint64_t bucket, uint64_t amount)
{
	uint64_t bit = slot_bit(bucket);
	uint64_t *count = &window->count[bucket % WINDOW_BUCKETS];

	if (amount > UINT64_MAX - window->total)
		amount = UINT64_MAX - window->total;
	if (amount) {
		*count = (window->live & bit ? *count : 0) + amount;
		window->live |= bit;
		window->total += amount;
	}
}

uint64_t window_add(struct window *window, uint64_t amount)
{
	add_to(window, window->newest, amount);
	return window->newest;
}

bool window_add_at(struct window *window, uint64_t bucket, uint64_t amount)
{
	if (bucket > window->newest)
		window_roll(window, bucket * window->bucket_ms);
	if (window->newest - bucket >= WINDOW_BUCKETS)
		return false;
	add_to(window, bucket, amount);
	return true;
}

uint64_t window_take(struct window *window, uint64_t bucket, uint64_t amount)
{
	uint64_t bit = slot_bit(bucket);
	uint64_t *count = &window->count[bucket % WINDOW_BUCKETS];

	if (bucket > window->newest || window->newest - bucket >= WINDOW_BUCKETS ||
		!(window->live & bit))
		return 0;
	if (amount >= *count) {
		amount = *count;
		window->live &= ~bit;
	}
	*count -= amount;
	window->total -= amount;
	return amount;
}

/* From `wall_ms` until `bucket` has left the window. */
static uint64_t leaves_in_ms(const struct window *window, uint64_t bucket, uint64_t wall_ms)
{
	uint64_t leaves_ms = (bucket + WINDOW_BUCKETS) * window->bucket_ms;

	return leaves_ms > wall_ms ? leaves_ms - wall_ms : 1;
}

/* The oldest live bucket from `bucket` on; only where there is one. */
static uint64_t next_live(const struct window *window, uint64_t bucket)
{
	unsigned first = (unsigned)(bucket % WINDOW_BUCKETS);
	uint64_t turned = window->live >> first | window->live << (WINDOW_BUCKETS - first);

	return bucket + (unsigned)__builtin_ctzll(turned & RING_MASK);
}

static uint64_t oldest_possible(const struct window *window)
{
	return window->newest >= WINDOW_BUCKETS - 1 ? window->newest - (WINDOW_BUCKETS - 1) : 0;
}

uint64_t window_wait_ms(
	const struct window *window, uint64_t limit, uint64_t amount, uint64_t wall_ms)
{
	uint64_t bucket = oldest_possible(window);
	uint64_t over;

	if (amount > limit)
		return UINT64_MAX;
	if (window_fits(window, limit, amount))
		return 0;
	over = window->total - (limit - amount);
	for (;; bucket++) {
		uint64_t count;

		bucket = next_live(window, bucket);
		count = window->count[bucket % WINDOW_BUCKETS];
		if (count >= over)
			return leaves_in_ms(window, bucket, wall_ms);
		over -= count;
	}
}

uint64_t window_next_ms(const struct window *window, uint64_t wall_ms, uint64_t *ret_amount)
{
	uint64_t bucket;

	if (!window->live) {
		*ret_amount = 0;
		return 0;
	}
	bucket = next_live(window, oldest_possible(window));
	*ret_amount = window->count[bucket % WINDOW_BUCKETS];
	return leaves_in_ms(window, bucket, wall_ms);
}
