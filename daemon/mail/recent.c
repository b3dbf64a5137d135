/* SPDX-License-Identifier: ISC */
/*
 * Slots of entry numbers (linear probing, at most half full; removal shifts
 * back, so there are no tombstones), and the entries in a list by their numbers:
 * the most recent first. Both arrays are sized for the cap at once: they come from
 * calloc(3), so the pages of entries that were never used cost nothing, and no
 * call ever stops to rehash.
 */
#include "daemon/mail/recent.h"

#include <assert.h>
#include <string.h>

#include "common/alloc.h"

struct entry {
	struct hash128 key;
	uint64_t last_use_mono_ms;
	uint32_t newer, older;       /* `older` also links the free ones */
};

struct recent {
	struct entry *entries;
	uint32_t *slots;             /* entry number + 1; 0: free */
	uint32_t mask;               /* slots - 1 */
	uint32_t max_entries;
	uint32_t begun;              /* entries from here on were never used */
	uint32_t count;
	uint32_t newest, oldest, free;
};

struct recent *recent_new(size_t max_entries)
{
	struct recent *recent = mem_zalloc(sizeof(*recent));
	uint32_t slots = 2;

	assert(max_entries >= 1 && max_entries < UINT32_C(1) << 30);
	while (slots < max_entries * 2)
		slots *= 2;
	recent->entries = mem_zalloc_array(max_entries, sizeof(*recent->entries));
	recent->slots = mem_zalloc_array(slots, sizeof(*recent->slots));
	recent->mask = slots - 1;
	recent->max_entries = (uint32_t)max_entries;
	recent->newest = recent->oldest = recent->free = RECENT_NONE;
	return recent;
}

void recent_free(struct recent **recent)
{
	if (!*recent)
		return;
	free((*recent)->entries);
	free((*recent)->slots);
	mem_free(recent);
}

static uint32_t home_of(const struct recent *recent, struct hash128 key)
{
	return (uint32_t)key.lo & recent->mask;
}

/* The slot that holds `key`, or the free one where it would go. */
static uint32_t slot_of(const struct recent *recent, struct hash128 key)
{
	uint32_t at = home_of(recent, key);

	while (recent->slots[at] &&
	       !hash128_equal(recent->entries[recent->slots[at] - 1].key, key))
		at = (at + 1) & recent->mask;
	return at;
}

/* Entries behind a freed slot move up to it unless that would put them before their home. */
static void free_slot(struct recent *recent, uint32_t hole)
{
	for (uint32_t at = (hole + 1) & recent->mask; recent->slots[at];
	     at = (at + 1) & recent->mask) {
		uint32_t home = home_of(recent, recent->entries[recent->slots[at] - 1].key);

		if (((at - home) & recent->mask) >= ((at - hole) & recent->mask)) {
			recent->slots[hole] = recent->slots[at];
			hole = at;
		}
	}
	recent->slots[hole] = 0;
}

static void unlink_entry(struct recent *recent, uint32_t number)
{
	const struct entry *entry = &recent->entries[number];

	if (entry->newer == RECENT_NONE)
		recent->newest = entry->older;
	else
		recent->entries[entry->newer].older = entry->older;
	if (entry->older == RECENT_NONE)
		recent->oldest = entry->newer;
	else
		recent->entries[entry->older].newer = entry->newer;
}

static void link_newest(struct recent *recent, uint32_t number)
{
	struct entry *entry = &recent->entries[number];

	entry->newer = RECENT_NONE;
	entry->older = recent->newest;
	if (recent->newest == RECENT_NONE)
		recent->oldest = number;
	else
		recent->entries[recent->newest].newer = number;
	recent->newest = number;
}

uint32_t recent_find(const struct recent *recent, struct hash128 key)
{
	/* RECENT_NONE is 0 - 1. */
	return recent->slots[slot_of(recent, key)] - 1;
}

uint32_t recent_add(struct recent *recent, struct hash128 key, uint64_t mono_ms)
{
	uint32_t number = recent->free;

	assert(!recent_is_full(recent));
	if (number == RECENT_NONE)
		number = recent->begun++;
	else
		recent->free = recent->entries[number].older;
	recent->slots[slot_of(recent, key)] = number + 1;
	recent->entries[number].key = key;
	recent->entries[number].last_use_mono_ms = mono_ms;
	link_newest(recent, number);
	recent->count++;
	return number;
}

void recent_touch(struct recent *recent, uint32_t entry, uint64_t mono_ms)
{
	recent->entries[entry].last_use_mono_ms = mono_ms;
	if (recent->newest == entry)
		return;
	unlink_entry(recent, entry);
	link_newest(recent, entry);
}

void recent_remove(struct recent *recent, uint32_t entry)
{
	free_slot(recent, slot_of(recent, recent->entries[entry].key));
	unlink_entry(recent, entry);
	recent->entries[entry].older = recent->free;
	recent->free = entry;
	recent->count--;
}

uint32_t recent_oldest(const struct recent *recent)
{
	return recent->oldest;
}

uint64_t recent_last_use(const struct recent *recent, uint32_t entry)
{
	return recent->entries[entry].last_use_mono_ms;
}

bool recent_is_full(const struct recent *recent)
{
	return recent->count == recent->max_entries;
}

size_t recent_count(const struct recent *recent)
{
	return recent->count;
}
