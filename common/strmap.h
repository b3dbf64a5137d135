/* SPDX-License-Identifier: ISC */
/*
 * A map from byte strings to pointers: built once, asked often, never shrunk.
 * Keys are copied; the hash is keyed, because strangers choose what is looked up.
 */
#ifndef REEVE_COMMON_STRMAP_H
#define REEVE_COMMON_STRMAP_H

#include "common/slice.h"

struct strmap;

struct strmap *strmap_new(void) __attribute__((returns_nonnull, warn_unused_result));
/* The values are the caller's to free. */
void strmap_free(struct strmap **map);

/* Adds, or replaces the value. `value` is not NULL. */
void strmap_set(struct strmap *map, struct slice key, void *value);
/* NULL: not in the map. */
void *strmap_get(const struct strmap *map, struct slice key);
size_t strmap_count(const struct strmap *map);

#endif
