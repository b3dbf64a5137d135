/* SPDX-License-Identifier: ISC */
/*
 * Open addressing with linear probing, at most three quarters full, in a power
 * of two that doubles. A few keys stand in a row instead: comparing them costs less
 * than one hash. Keys live in an arena of the map, so a map of a million
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
	uint64_t lengths;        /* bit 1 << (length & 63) of each key */
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

static bool is_few(const struct strmap *map)
{
	return map->mask < FIRST_SLOTS;
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

static struct slot *find_among_few(const struct strmap *map, struct slice key)
{
	size_t at = 0;

	while (at < map->count && !slice_equal(map->slots[at].key, key))
		at++;
	return &map->slots[at];
}

static struct slot *find(const struct strmap *map, struct slice key)
{
	return is_few(map) ? find_among_few(map, key)
			   : find_slot(map, key, hash64(&map->hash_key, key));
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
	struct slot *slot = find(map, key);

	assert(value);
	if (!slot->value) {
		if (map->count + 1 > (map->mask + 1) / 4 * 3) {
			grow(map);
			slot = find(map, key);
		}
		slot->hash = hash64(&map->hash_key, key);
		slot->key = arena_dup(&map->arena, key);
		map->lengths |= UINT64_C(1) << (key.len & 63);
		map->count++;
	}
	slot->value = value;
}

/* Most of what is asked for is not there, and often has a length that nothing has. */
void *strmap_get(const struct strmap *map, struct slice key)
{
	return map->lengths >> (key.len & 63) & 1 ? find(map, key)->value : NULL;
}

size_t strmap_count(const struct strmap *map)
{
	return map->count;
}
