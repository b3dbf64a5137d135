/* SPDX-License-Identifier: ISC */
/*
 * The frame of a capped table whose entries are found by a 128-bit key and
 * leave in the order of their last use: it hands out numbers from 0 up, and
 * the table keeps what it holds in an array of its own under the same numbers.
 * Low numbers are used again first. Every call takes constant time, and none allocates but recent_new().
 */
#ifndef REEVE_DAEMON_MAIL_RECENT_H
#define REEVE_DAEMON_MAIL_RECENT_H

#include <stdint.h>

#include "common/hash.h"

#define RECENT_NONE UINT32_MAX

struct recent;

/* 1 <= max_entries < 2^30. */
struct recent *recent_new(size_t max_entries) __attribute__((returns_nonnull, warn_unused_result));
void recent_free(struct recent **recent);

/* RECENT_NONE: not there. */
uint32_t recent_find(const struct recent *recent, struct hash128 key);
/* The key is not there yet, and the table is not full. */
uint32_t recent_add(struct recent *recent, struct hash128 key, uint64_t mono_ms);
void recent_touch(struct recent *recent, uint32_t entry, uint64_t mono_ms);
void recent_remove(struct recent *recent, uint32_t entry);
/* The longest unused; RECENT_NONE: the table is empty. */
uint32_t recent_oldest(const struct recent *recent);
uint64_t recent_last_use(const struct recent *recent, uint32_t entry);
bool recent_is_full(const struct recent *recent);
size_t recent_count(const struct recent *recent);

#endif
