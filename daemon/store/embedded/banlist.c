/* SPDX-License-Identifier: ISC */
/*
 * An array that doubles (the bound is far above ordinary lists), and an index by keyed hash that
 * is built anew when it does.
 */
#include "daemon/store/embedded/banlist.h"

#include "common/alloc.h"

#define FIRST_ROOM 64u /* a power of two */

struct slot {
	struct ban ban;
	bool used, dirty;
	uint32_t next_free; /* + 1 */
};

struct banlist {
	struct hash_key key;
	struct slot *slots;
	uint32_t *index; /* slot + 1; twice as long as slots */
	uint32_t room, high, count, max, dirty;
	uint32_t free_slot; /* + 1 */
};

struct banlist *banlist_new(size_t max, struct hash_key key)
{
	struct banlist *list = mem_zalloc(sizeof(*list));

	list->key = key;
	list->max = max < BANLIST_NONE / 4 ? (uint32_t)max : BANLIST_NONE / 4;
	list->room = FIRST_ROOM;
	list->slots = mem_zalloc_array(list->room, sizeof(*list->slots));
	list->index = mem_zalloc_array(list->room * 2u, sizeof(*list->index));
	return list;
}

void banlist_free(struct banlist **list)
{
	if (!*list)
		return;
	mem_free(&(*list)->slots);
	mem_free(&(*list)->index);
	mem_free(list);
}

/* ---- the index ---- */

static uint32_t home_of(const struct banlist *list, const struct cidr *network)
{
	char bytes[sizeof(network->ip.bytes) + 1];

	memcpy(bytes, network->ip.bytes, sizeof(network->ip.bytes));
	bytes[sizeof(network->ip.bytes)] = (char)network->bits;
	return (uint32_t)hash64(&list->key, slice_make(bytes, sizeof(bytes))) &
	       (list->room * 2 - 1);
}

static uint32_t next_place(const struct banlist *list, uint32_t place)
{
	return (place + 1) & (list->room * 2 - 1);
}

static uint32_t find(const struct banlist *list, const struct cidr *network)
{
	uint32_t place = home_of(list, network);

	for (; list->index[place]; place = next_place(list, place)) {
		const struct cidr *other = &list->slots[list->index[place] - 1].ban.network;

		if (other->bits == network->bits && ip_equal(&other->ip, &network->ip))
			return list->index[place] - 1;
	}
	return BANLIST_NONE;
}

static void index_add(struct banlist *list, uint32_t slot)
{
	uint32_t place = home_of(list, &list->slots[slot].ban.network);

	while (list->index[place])
		place = next_place(list, place);
	list->index[place] = slot + 1;
}

static void index_remove(struct banlist *list, uint32_t slot)
{
	uint32_t mask = list->room * 2 - 1;
	uint32_t hole = home_of(list, &list->slots[slot].ban.network);
	uint32_t place;

	while (list->index[hole] != slot + 1)
		hole = next_place(list, hole);
	for (place = next_place(list, hole); list->index[place]; place = next_place(list, place)) {
		uint32_t home = home_of(list, &list->slots[list->index[place] - 1].ban.network);

		if (((place - home) & mask) >= ((place - hole) & mask)) {
			list->index[hole] = list->index[place];
			hole = place;
		}
	}
	list->index[hole] = 0;
}

/* Room for slots below `wanted`. */
static void grow(struct banlist *list, uint32_t wanted)
{
	uint32_t room = list->room;

	if (wanted <= room)
		return;
	while (room < wanted)
		room *= 2;
	list->slots = mem_grow(list->slots, room * sizeof(*list->slots));
	memset(list->slots + list->room, 0, (room - list->room) * sizeof(*list->slots));
	list->room = room;
	mem_free(&list->index);
	list->index = mem_zalloc_array(room * 2u, sizeof(*list->index));
	for (uint32_t slot = 0; slot < list->high; slot++)
		if (list->slots[slot].used)
			index_add(list, slot);
}

/* ---- bans ---- */

void banlist_mark(struct banlist *list, uint32_t slot)
{
	list->dirty += !list->slots[slot].dirty;
	list->slots[slot].dirty = true;
}

static uint32_t take_slot(struct banlist *list)
{
	uint32_t slot;

	if (list->free_slot) {
		slot = list->free_slot - 1;
		list->free_slot = list->slots[slot].next_free;
		return slot;
	}
	grow(list, list->high + 1);
	return list->high++;
}

static void fill(struct banlist *list, uint32_t slot, const struct ban *ban)
{
	list->slots[slot].ban = *ban;
	list->slots[slot].used = true;
	list->count++;
	index_add(list, slot);
}

bool banlist_put(struct banlist *list, const struct ban *ban)
{
	uint32_t slot = find(list, &ban->network);

	if (slot != BANLIST_NONE) {
		list->slots[slot].ban = *ban;
	} else {
		if (list->count == list->max)
			return false;
		slot = take_slot(list);
		fill(list, slot, ban);
	}
	banlist_mark(list, slot);
	return true;
}

static void free_slot(struct banlist *list, uint32_t slot)
{
	list->slots[slot].used = false;
	list->slots[slot].next_free = list->free_slot;
	list->free_slot = slot + 1;
}

void banlist_remove(struct banlist *list, const struct cidr *network)
{
	uint32_t slot = find(list, network);

	if (slot == BANLIST_NONE)
		return;
	index_remove(list, slot);
	free_slot(list, slot);
	list->count--;
	banlist_mark(list, slot);
}

bool banlist_restore(struct banlist *list, uint32_t slot, const struct ban *ban)
{
	if (slot >= list->max || banlist_at(list, slot) ||
		find(list, &ban->network) != BANLIST_NONE)
		return false;
	grow(list, slot + 1);
	if (slot >= list->high)
		list->high = slot + 1;
	fill(list, slot, ban);
	return true;
}

void banlist_restored(struct banlist *list)
{
	list->free_slot = 0;
	for (uint32_t slot = list->high; slot-- > 0;)
		if (!list->slots[slot].used)
			free_slot(list, slot);
}

size_t banlist_count(const struct banlist *list)
{
	return list->count;
}

const struct ban *banlist_at(const struct banlist *list, uint32_t slot)
{
	return slot < list->high && list->slots[slot].used ? &list->slots[slot].ban : NULL;
}

uint32_t banlist_high(const struct banlist *list)
{
	return list->high;
}

bool banlist_is_dirty(const struct banlist *list)
{
	return list->dirty > 0;
}

uint32_t banlist_next_dirty(struct banlist *list, uint32_t from)
{
	if (!list->dirty)
		return BANLIST_NONE;
	for (uint32_t slot = from; slot < list->high; slot++)
		if (list->slots[slot].dirty) {
			list->slots[slot].dirty = false;
			list->dirty--;
			return slot;
		}
	return BANLIST_NONE;
}
