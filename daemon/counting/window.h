/* SPDX-License-Identifier: ISC */
/*
 * The sliding window: 61 buckets of 1/60 of the window and their total, so
 * that no window ever holds more than the limit, and what was used is free
 * again within 1/60 of the window. Bucket numbers are absolute: wall time / bucket length, which
 * is rounded up, so that 60 buckets are never less than the window.
 *
 * A clock behind the newest bucket counts into the newest; one that is more than a whole window
 * behind (it had stood in the far future) begins afresh.
 *
 * This is the working form; at rest the table keeps it packed (see pack.h).
 */
#ifndef REEVE_DAEMON_COUNTING_WINDOW_H
#define REEVE_DAEMON_COUNTING_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#define WINDOW_BUCKETS 61

struct window {
	uint64_t bucket_ms;             /* window / 60, at least 1 */
	uint64_t newest;                /* number of the newest bucket; 0: never used */
	uint64_t total;                 /* of all live buckets */
	uint64_t live;                  /* bit b % 61: bucket b holds something */
	uint64_t count[WINDOW_BUCKETS]; /* bucket b is at b % 61; undefined where it is not live */
};

/* The length of a bucket for a window. */
static inline uint64_t window_bucket_ms(uint64_t window_ms)
{
	return window_ms <= 60 ? 1 : window_ms / 60 + (window_ms % 60 != 0);
}

void window_init(struct window *window, uint64_t window_ms);
/* Drops what has left the window at `wall_ms`. Every other call expects it to have been called. */
void window_roll(struct window *window, uint64_t wall_ms);
/* Adds to the newest bucket; returns its number. Saturates instead of wrapping. */
uint64_t window_add(struct window *window, uint64_t amount);
/* Adds to `bucket`; one past the newest becomes the newest first. false: it has left the window,
 * and nothing was done. */
bool window_add_at(struct window *window, uint64_t bucket, uint64_t amount);
/* Takes back from `bucket`; an expired bucket takes none, none falls below 0. Returns what was
 * taken. */
uint64_t window_take(struct window *window, uint64_t bucket, uint64_t amount);
/* Milliseconds from `wall_ms` until `amount` fits under `limit`; UINT64_MAX: never. 0: now. */
uint64_t window_wait_ms(
	const struct window *window, uint64_t limit, uint64_t amount, uint64_t wall_ms);
/* Milliseconds until the oldest live bucket leaves, and what it holds; 0 and 0: nothing is used. */
uint64_t window_next_ms(const struct window *window, uint64_t wall_ms, uint64_t *ret_amount);

/* Would `amount` more stay within `limit`? */
static inline bool window_fits(const struct window *window, uint64_t limit, uint64_t amount)
{
	return amount <= limit && window->total <= limit - amount;
}

#endif
