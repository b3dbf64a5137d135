/* SPDX-License-Identifier: ISC */
/*
 * Open addressing with linear probing, at most three quarters full, in a power
 * of two that doubles. Keys live in an arena of the map, so a map of a million
 * names costs few allocations. Nothing is ever taken out: no tombstones.
 */
#include "common/strmap.h"

#include <assert.h>

#include "common/alloc.h"
#include "common/arena.h"
#include "common/hash.h"

#define FIRST_SLOTS 8
#define ARENA_BLOCK_BYTES 512

struct slot {
	uint64_t hash;
	struct slice key;
	void *value;             /* NULL: the slot is free */
};

struct strmap {
	struct hash_key hash_key;
	struct slot *slots;
	size_t mask;             /* slots - 1 */
	size_t count;
	struct arena arena;
};

struct strmap *strmap_new(void)
{
	struct strmap *map = mem_zalloc(sizeof(*map));

	map->hash_key = hash_key_random();
	map->slots = mem_zalloc_array(FIRST_SLOTS, sizeof(*map->slots));
	map->mask = FIRST_SLOTS - 1;
	arena_init(&map->arena, ARENA_BLOCK_BYTES);
	return map;
}

void strmap_free(struct strmap **map)
{
	if (!*map)
		return;
	arena_release(&(*map)->arena);
	free((*map)->slots);
	mem_free(map);
}

/* The slot that holds `key`, or the free one where it would go. */
static struct slot *find_slot(const struct strmap *map, struct slice key, uint64_t hash)
{
	size_t at = hash & map->mask;

	while (map->slots[at].value) {
		if (map->slots[at].hash == hash && slice_equal(map->slots[at].key, key))
			break;
		at = (at + 1) & map->mask;
	}
	return &map->slots[at];
}

static void grow(struct strmap *map)
{
	struct slot *old = map->slots;
	size_t old_count = map->mask + 1;

	map->slots = mem_zalloc_array(old_count * 2, sizeof(*map->slots));
	map->mask = old_count * 2 - 1;
	for (size_t i = 0; i < old_count; i++) {
		if (old[i].value)
			*find_slot(map, old[i].key, old[i].hash) = old[i];
	}
	free(old);
}

void strmap_set(struct strmap *map, struct slice key, void *value)
{
	uint64_t hash = hash64(&map->hash_key, key);
	struct slot *slot;

	assert(value);
	slot = find_slot(map, key, hash);
	if (!slot->value) {
		if (map->count + 1 > (map->mask + 1) / 4 * 3) {
			grow(map);
			slot = find_slot(map, key, hash);
		}
		slot->hash = hash;
		slot->key = arena_dup(&map->arena, key);
		map->count++;
	}
	slot->value = value;
}

void *strmap_get(const struct strmap *map, struct slice key)
{
	if (map->count == 0)
		return NULL;
	return find_slot(map, key, hash64(&map->hash_key, key))->value;
}

size_t strmap_count(const struct strmap *map)
{
	return map->count;
}
