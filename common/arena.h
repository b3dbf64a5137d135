/* SPDX-License-Identifier: ISC */
/*
 * One arena holds all that a request needs; it is reset, not freed, when the
 * request ends, so that a busy connection allocates nothing. The first block
 * stays, later blocks are freed at reset. Never fails (see alloc.h); who puts
 * bytes from outside into it has capped their number.
 */
#ifndef REEVE_COMMON_ARENA_H
#define REEVE_COMMON_ARENA_H

#include "common/slice.h"

struct arena_block;

struct arena {
	/* private */
	struct arena_block *block;   /* the one in use; older ones behind it */
	struct arena_block *first;   /* kept over resets */
	size_t used;                 /* in block */
};

void arena_init(struct arena *arena, size_t first_block_bytes);
void arena_reset(struct arena *arena);
void arena_release(struct arena *arena);

/* Aligned for any type; not zeroed. */
void *arena_alloc(struct arena *arena, size_t bytes)
	__attribute__((malloc, returns_nonnull, warn_unused_result));
void *arena_zalloc(struct arena *arena, size_t bytes)
	__attribute__((malloc, returns_nonnull, warn_unused_result));
struct slice arena_dup(struct arena *arena, struct slice bytes);

#endif
