/* SPDX-License-Identifier: ISC */
/*
 * Slots in an array that doubles, and an index by keyed hash over them, built anew when it does.
 */
#include "daemon/counting/overrides.h"

#include "common/alloc.h"

#define FIRST_ROOM 16u /* a power of two */

struct slot {
	struct override override;
	bool used, dirty;
	uint32_t next_free; /* + 1 */
};

struct overrides {
	struct hash_key key;
	struct slot *slots;
	uint32_t *index; /* slot + 1; twice as long as slots */
	uint32_t room, high, count, max, dirty;
	uint32_t free_slot;        /* + 1 */
	uint64_t next_end_wall_ms; /* none ends before it */
};

struct overrides *overrides_new(size_t max)
{
	struct overrides *overrides = mem_zalloc(sizeof(*overrides));

	overrides->key = hash_key_random();
	overrides->max = max < OVERRIDE_NONE / 4 ? (uint32_t)max : OVERRIDE_NONE / 4;
	overrides->room = FIRST_ROOM;
	overrides->slots = mem_zalloc_array(FIRST_ROOM, sizeof(*overrides->slots));
	overrides->index = mem_zalloc_array(FIRST_ROOM * 2, sizeof(*overrides->index));
	overrides->next_end_wall_ms = UINT64_MAX;
	return overrides;
}

void overrides_free(struct overrides **overrides)
{
	if (!*overrides)
		return;
	mem_free(&(*overrides)->slots);
	mem_free(&(*overrides)->index);
	mem_free(overrides);
}

/* ---- the index ---- */

static uint32_t home_of(const struct overrides *overrides, struct slice rule, struct slice subject)
{
	uint64_t hash = hash64_mix(hash64(&overrides->key, rule), hash64(&overrides->key, subject));

	return (uint32_t)hash & (overrides->room * 2 - 1);
}

static uint32_t home_of_slot(const struct overrides *overrides, uint32_t slot)
{
	const struct override *override = &overrides->slots[slot].override;

	return home_of(overrides, slice_of(override->rule), slice_of(override->subject));
}

static uint32_t next_place(const struct overrides *overrides, uint32_t place)
{
	return (place + 1) & (overrides->room * 2 - 1);
}

static uint32_t find(const struct overrides *overrides, struct slice rule, struct slice subject)
{
	uint32_t place = home_of(overrides, rule, subject);

	for (; overrides->index[place]; place = next_place(overrides, place)) {
		uint32_t slot = overrides->index[place] - 1;

		if (slice_is(subject, overrides->slots[slot].override.subject) &&
			slice_is(rule, overrides->slots[slot].override.rule))
			return slot;
	}
	return OVERRIDE_NONE;
}

static void index_add(struct overrides *overrides, uint32_t slot)
{
	uint32_t place = home_of_slot(overrides, slot);

	while (overrides->index[place])
		place = next_place(overrides, place);
	overrides->index[place] = slot + 1;
}

/* What stands behind the hole and may not stay there moves up. */
static void index_remove(struct overrides *overrides, uint32_t slot)
{
	uint32_t mask = overrides->room * 2 - 1, hole = home_of_slot(overrides, slot), place;

	while (overrides->index[hole] != slot + 1)
		hole = next_place(overrides, hole);
	for (place = next_place(overrides, hole); overrides->index[place];
		place = next_place(overrides, place)) {
		uint32_t home = home_of_slot(overrides, overrides->index[place] - 1);

		if (((place - home) & mask) >= ((place - hole) & mask)) {
			overrides->index[hole] = overrides->index[place];
			hole = place;
		}
	}
	overrides->index[hole] = 0;
}

/* Room for slots below `wanted`. */
static void grow(struct overrides *overrides, uint32_t wanted)
{
	uint32_t room = overrides->room;

	if (wanted <= room)
		return;
	while (room < wanted)
		room *= 2;
	overrides->slots = mem_grow(overrides->slots, room * sizeof(*overrides->slots));
	memset(overrides->slots + overrides->room, 0,
		(room - overrides->room) * sizeof(*overrides->slots));
	overrides->room = room;
	mem_free(&overrides->index);
	overrides->index = mem_zalloc_array(room * 2u, sizeof(*overrides->index));
	for (uint32_t slot = 0; slot < overrides->high; slot++)
		if (overrides->slots[slot].used)
			index_add(overrides, slot);
}

/* ---- slots ---- */

void overrides_mark(struct overrides *overrides, uint32_t slot)
{
	overrides->dirty += !overrides->slots[slot].dirty;
	overrides->slots[slot].dirty = true;
}

static uint32_t take_slot(struct overrides *overrides)
{
	uint32_t slot = overrides->free_slot;

	if (slot) {
		overrides->free_slot = overrides->slots[slot - 1].next_free;
		return slot - 1;
	}
	grow(overrides, overrides->high + 1);
	return overrides->high++;
}

static void fill(struct overrides *overrides, uint32_t slot, const struct override *override)
{
	overrides->slots[slot].override = *override;
	overrides->slots[slot].used = true;
	overrides->count++;
	index_add(overrides, slot);
	if (override->until_wall_ms < overrides->next_end_wall_ms)
		overrides->next_end_wall_ms = override->until_wall_ms;
}

static void clear(struct overrides *overrides, uint32_t slot)
{
	index_remove(overrides, slot);
	overrides->slots[slot].used = false;
	overrides->slots[slot].next_free = overrides->free_slot;
	overrides->free_slot = slot + 1;
	overrides->count--;
	overrides_mark(overrides, slot);
}

/* ---- what is promised ---- */

bool overrides_put(struct overrides *overrides, const struct override *override)
{
	uint32_t slot = find(overrides, slice_of(override->rule), slice_of(override->subject));

	if (slot != OVERRIDE_NONE) {
		overrides->slots[slot].override = *override;
		if (override->until_wall_ms < overrides->next_end_wall_ms)
			overrides->next_end_wall_ms = override->until_wall_ms;
	} else {
		if (overrides->count >= overrides->max)
			return false;
		slot = take_slot(overrides);
		fill(overrides, slot, override);
	}
	overrides_mark(overrides, slot);
	return true;
}

bool overrides_remove(struct overrides *overrides, struct slice rule, struct slice subject)
{
	uint32_t slot = find(overrides, rule, subject);

	if (slot == OVERRIDE_NONE)
		return false;
	clear(overrides, slot);
	return true;
}

const struct override *overrides_find(const struct overrides *overrides, struct slice rule,
	struct slice subject, uint64_t wall_ms)
{
	uint32_t slot;

	if (!overrides || overrides->count == 0)
		return NULL;
	slot = find(overrides, rule, subject);
	if (slot == OVERRIDE_NONE || overrides->slots[slot].override.until_wall_ms <= wall_ms)
		return NULL;
	return &overrides->slots[slot].override;
}

unsigned overrides_expire(struct overrides *overrides, uint64_t wall_ms)
{
	uint64_t next_ms = UINT64_MAX;
	unsigned removed = 0;

	if (wall_ms < overrides->next_end_wall_ms)
		return 0;
	for (uint32_t slot = 0; slot < overrides->high; slot++) {
		uint64_t until_ms = overrides->slots[slot].override.until_wall_ms;

		if (!overrides->slots[slot].used)
			continue;
		if (until_ms <= wall_ms) {
			clear(overrides, slot);
			removed++;
		} else if (until_ms < next_ms) {
			next_ms = until_ms;
		}
	}
	overrides->next_end_wall_ms = next_ms;
	return removed;
}

void overrides_each(const struct overrides *overrides,
	void (*each)(void *arg, const struct override *override), void *arg)
{
	for (uint32_t slot = 0; slot < overrides->high; slot++)
		if (overrides->slots[slot].used)
			each(arg, &overrides->slots[slot].override);
}

size_t overrides_count(const struct overrides *overrides)
{
	return overrides->count;
}

const struct override *overrides_at(const struct overrides *overrides, uint32_t slot)
{
	return overrides->slots[slot].used ? &overrides->slots[slot].override : NULL;
}

bool overrides_is_dirty(const struct overrides *overrides)
{
	return overrides->dirty > 0;
}

uint32_t overrides_next_dirty(struct overrides *overrides, uint32_t from)
{
	for (uint32_t slot = from; overrides->dirty && slot < overrides->high; slot++) {
		if (!overrides->slots[slot].dirty)
			continue;
		overrides->slots[slot].dirty = false;
		overrides->dirty--;
		return slot;
	}
	return OVERRIDE_NONE;
}

bool overrides_restore(struct overrides *overrides, uint32_t slot, const struct override *override)
{
	if (slot >= overrides->max || (slot < overrides->high && overrides->slots[slot].used) ||
		find(overrides, slice_of(override->rule), slice_of(override->subject)) !=
			OVERRIDE_NONE)
		return false;
	grow(overrides, slot + 1);
	if (slot >= overrides->high)
		overrides->high = slot + 1;
	fill(overrides, slot, override);
	return true;
}

void overrides_restored(struct overrides *overrides)
{
	for (uint32_t slot = overrides->high; slot-- > 0;) {
		if (overrides->slots[slot].used)
			continue;
		overrides->slots[slot].next_free = overrides->free_slot;
		overrides->free_slot = slot + 1;
	}
}
