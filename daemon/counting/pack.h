/* SPDX-License-Identifier: ISC */
/*
 * A window at rest: one to eleven bytes a live bucket, from the newest to the oldest. The high
 * four bits of a token are the distance from the bucket before it (the first: from one past the
 * newest), the low four its count; 0 in either says that the number follows, the distance in a
 * byte, the count in sevens of bits, low ones first. An ordinary bucket of a few recipients takes
 * one byte.
 */
#ifndef REEVE_DAEMON_COUNTING_PACK_H
#define REEVE_DAEMON_COUNTING_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/counting/window.h"

#define PACK_MAX_BYTES (WINDOW_BUCKETS * 12)

/* Returns the length. */
size_t pack_window(const struct window *window, uint8_t bytes[static PACK_MAX_BYTES]);
/* `window` has its bucket_ms and newest; live, count and total are set from `bytes`, which
 * pack_window() made. */
void pack_unpack(struct window *window, const uint8_t *bytes, size_t len);
/* Bytes from outside: do they hold what pack_window() could have written? */
bool pack_is_valid(const uint8_t *bytes, size_t len) __attribute__((warn_unused_result));

#endif
