/* SPDX-License-Identifier: ISC */
/*
 * Slots, an open-addressing index by the low half of the id (at most half full), and three lists
 * by age. A list of items that outgrows its transaction moves to the heap, doubles there, and
 * never comes back.
 */
#include "daemon/counting/txns.h"

#include <stdlib.h>

#include "common/alloc.h"
#include "daemon/counting/blocks.h"

#define TABLE_MAX_TXNS (1u << 26)
#define HEAP_BASE_BYTES ((size_t)64 << 20)
#define HEAP_TXN_BYTES 256 /* and so much more for each transaction */

static size_t index_bytes(const struct txn_table *table)
{
	return ((size_t)table->index_mask + 1) * sizeof(*table->index);
}

struct txn_table *txn_table_new(size_t max)
{
	struct txn_table *table = mem_zalloc(sizeof(*table));

	if (max < 4)
		max = 4;
	if (max > TABLE_MAX_TXNS)
		max = TABLE_MAX_TXNS;
	table->max = (uint32_t)max;
	table->index_mask = (UINT32_MAX >> __builtin_clz(table->max)) * 2 + 1;
	table->heap_max = HEAP_BASE_BYTES + max * HEAP_TXN_BYTES;
	table->slots = blocks_map(max * sizeof(*table->slots));
	table->index = blocks_map(index_bytes(table));
	table->dirty = blocks_map(marks_bytes(max));
	return table;
}

static void drop_heaps(struct txn *txn)
{
	mem_free(&txn->group_heap);
	mem_free(&txn->layer_heap);
	mem_free(&txn->member_heap);
}

void txn_table_free(struct txn_table **table)
{
	struct txn_table *old = *table;

	if (!old)
		return;
	for (uint32_t slot = 0; slot < old->high; slot++)
		drop_heaps(&old->slots[slot]);
	blocks_unmap(old->slots, (size_t)old->max * sizeof(*old->slots));
	blocks_unmap(old->index, index_bytes(old));
	blocks_unmap(old->dirty, marks_bytes(old->max));
	mem_free(table);
}

uint64_t txn_table_bytes(const struct txn_table *table)
{
	return (uint64_t)table->high * sizeof(*table->slots) + index_bytes(table) +
	       marks_bytes(table->high) + table->heap_bytes;
}

/* ---- the index ---- */

static uint32_t home_of(const struct txn_table *table, struct hash128 id)
{
	return (uint32_t)id.lo & table->index_mask;
}

struct txn *txn_find(const struct txn_table *table, struct hash128 id)
{
	uint32_t place = home_of(table, id);

	for (; table->index[place]; place = (place + 1) & table->index_mask) {
		struct txn *txn = &table->slots[table->index[place] - 1];

		if (hash128_equal(txn->id, id))
			return txn;
	}
	return NULL;
}

static void index_add(struct txn_table *table, const struct txn *txn)
{
	uint32_t place = home_of(table, txn->id);

	while (table->index[place])
		place = (place + 1) & table->index_mask;
	table->index[place] = txn_slot(table, txn) + 1;
}

static void index_remove(struct txn_table *table, const struct txn *txn)
{
	uint32_t mask = table->index_mask;
	uint32_t hole = home_of(table, txn->id);

	while (table->index[hole] != txn_slot(table, txn) + 1)
		hole = (hole + 1) & mask;
	for (uint32_t place = (hole + 1) & mask; table->index[place]; place = (place + 1) & mask) {
		uint32_t home = home_of(table, table->slots[table->index[place] - 1].id);

		if (((place - home) & mask) >= ((place - hole) & mask)) {
			table->index[hole] = table->index[place];
			hole = place;
		}
	}
	table->index[hole] = 0;
}

/* ---- lists by age ---- */

static void unlink_txn(struct txn_table *table, struct txn *txn)
{
	if (txn->older)
		table->slots[txn->older - 1].newer = txn->newer;
	else
		table->ages[txn->age].oldest = txn->newer;
	if (txn->newer)
		table->slots[txn->newer - 1].older = txn->older;
	else
		table->ages[txn->age].newest = txn->older;
	txn->older = txn->newer = 0;
}

static void append_txn(struct txn_table *table, struct txn *txn)
{
	uint32_t name = txn_slot(table, txn) + 1;

	txn->older = table->ages[txn->age].newest;
	if (txn->older)
		table->slots[txn->older - 1].newer = name;
	else
		table->ages[txn->age].oldest = name;
	table->ages[txn->age].newest = name;
}

struct txn *txn_oldest(const struct txn_table *table, enum txn_age age)
{
	uint32_t name = table->ages[age].oldest;

	return name ? &table->slots[name - 1] : NULL;
}

void txn_set_age(struct txn_table *table, struct txn *txn, enum txn_age age)
{
	unlink_txn(table, txn);
	txn->age = (uint8_t)age;
	append_txn(table, txn);
}

void txn_touch(struct txn_table *table, struct txn *txn, int64_t used_ms)
{
	txn->used_ms = used_ms;
	txn_set_age(table, txn, txn->ended ? TXN_ENDED : TXN_ACTIVE);
	txn_mark(table, txn);
}

/* ---- coming and going ---- */

static size_t heap_bytes_of(const struct txn *txn)
{
	return txn->group_room * sizeof(struct txn_group) +
	       txn->layer_room * sizeof(struct txn_layer) +
	       txn->member_room * sizeof(struct txn_member);
}

static void slot_free(struct txn_table *table, struct txn *txn)
{
	*txn = (struct txn){.older = table->free_slot};
	table->free_slot = txn_slot(table, txn) + 1;
}

void txn_remove(struct txn_table *table, struct txn *txn)
{
	index_remove(table, txn);
	unlink_txn(table, txn);
	table->heap_bytes -= heap_bytes_of(txn);
	drop_heaps(txn);
	txn_mark(table, txn);
	slot_free(table, txn);
	table->count--;
}

static struct txn *longest_unused(const struct txn_table *table)
{
	struct txn *longest = NULL;

	for (int age = 0; age < TXN_AGES; age++) {
		struct txn *txn = txn_oldest(table, (enum txn_age)age);

		if (txn && (!longest || txn->used_ms < longest->used_ms))
			longest = txn;
	}
	return longest;
}

struct txn *txn_add(struct txn_table *table, struct hash128 id, uint64_t mono_ms)
{
	struct txn *txn;

	if (table->count == table->max) {
		txn_remove(table, longest_unused(table));
		table->evictions++;
	}
	if (table->free_slot) {
		txn = &table->slots[table->free_slot - 1];
		table->free_slot = txn->older;
	} else {
		txn = &table->slots[table->high++];
	}
	txn->id = id;
	txn->used_ms = (int64_t)mono_ms;
	txn->older = 0;
	table->count++;
	index_add(table, txn);
	append_txn(table, txn);
	txn_mark(table, txn);
	return txn;
}

/* Others leave until `bytes` more fit into what all heaps may have; never `txn` itself. */
static void make_heap_room(struct txn_table *table, const struct txn *txn, size_t bytes)
{
	while (table->heap_bytes + bytes > table->heap_max) {
		struct txn *other = longest_unused(table);

		if (other == txn)
			return;
		txn_remove(table, other);
		table->evictions++;
	}
}

/* A list that is full, inline or on the heap, gets twice the room. */
static void *grow(struct txn_table *table, const struct txn *txn, void *heap,
	const void *inline_items, size_t count, size_t item_bytes, uint16_t *room)
{
	size_t more = (count * 2 - *room) * item_bytes;
	void *memory;

	make_heap_room(table, txn, more);
	memory = mem_grow(heap, count * 2 * item_bytes);
	if (!heap)
		memcpy(memory, inline_items, count * item_bytes);
	table->heap_bytes += more;
	*room = (uint16_t)(count * 2);
	return memory;
}

struct txn_group *txn_add_group(struct txn_table *table, struct txn *txn)
{
	struct txn_group *group;

	if (txn->groups == TXN_MAX_ITEMS)
		return NULL;
	if (txn->groups == (txn->group_room ? txn->group_room : TXN_INLINE_GROUPS))
		txn->group_heap = grow(table, txn, txn->group_heap, txn->group_inline, txn->groups,
			sizeof(*group), &txn->group_room);
	group = &txn_groups(txn)[txn->groups++];
	*group = (struct txn_group){.slot = 0};
	return group;
}

struct txn_layer *txn_add_layer(struct txn_table *table, struct txn *txn)
{
	struct txn_layer *layer;

	if (txn->layers == TXN_MAX_ITEMS)
		return NULL;
	if (txn->layers == (txn->layer_room ? txn->layer_room : TXN_INLINE_LAYERS))
		txn->layer_heap = grow(table, txn, txn->layer_heap, txn->layer_inline, txn->layers,
			sizeof(*layer), &txn->layer_room);
	layer = &txn_layers(txn)[txn->layers++];
	*layer = (struct txn_layer){.group = 0};
	return layer;
}

struct txn_member *txn_add_member(struct txn_table *table, struct txn *txn)
{
	struct txn_member *member;

	if (txn->members == TXN_MAX_ITEMS)
		return NULL;
	if (txn->members == (txn->member_room ? txn->member_room : TXN_INLINE_MEMBERS))
		txn->member_heap = grow(table, txn, txn->member_heap, txn->member_inline,
			txn->members, sizeof(*member), &txn->member_room);
	member = &txn_members(txn)[txn->members++];
	*member = (struct txn_member){.group = 0};
	return member;
}

/* ---- disk ---- */

struct txn *txn_at(const struct txn_table *table, uint32_t slot)
{
	if (slot >= table->high || hash128_is_zero(table->slots[slot].id))
		return NULL;
	return &table->slots[slot];
}

uint32_t txn_next_dirty(struct txn_table *table, uint32_t from)
{
	uint32_t slot = marks_next(table->dirty, from, table->high);

	if (slot != MARKS_NONE)
		marks_clear(table->dirty, slot);
	return slot;
}

void txn_mark_slot(struct txn_table *table, uint32_t slot)
{
	marks_set(table->dirty, slot);
}

struct txn *txn_restore(struct txn_table *table, uint32_t slot, struct hash128 id)
{
	struct txn *txn;

	if (slot >= table->max || txn_at(table, slot) || hash128_is_zero(id) || txn_find(table, id))
		return NULL;
	if (slot >= table->high)
		table->high = slot + 1;
	txn = &table->slots[slot];
	txn->id = id;
	table->count++;
	index_add(table, txn);
	append_txn(table, txn);
	return txn;
}

struct restored {
	int64_t used_ms;
	uint32_t slot;
};

static int compare_restored(const void *a, const void *b)
{
	const struct restored *one = a, *other = b;

	return (one->used_ms > other->used_ms) - (one->used_ms < other->used_ms);
}

void txn_restored(struct txn_table *table)
{
	struct restored *order = mem_zalloc_array(table->count, sizeof(*order));
	uint32_t count = 0;

	table->free_slot = 0;
	for (uint32_t slot = table->high; slot-- > 0;) {
		if (txn_at(table, slot))
			order[count++] = (struct restored){table->slots[slot].used_ms, slot};
		else
			slot_free(table, &table->slots[slot]);
	}
	qsort(order, count, sizeof(*order), compare_restored);
	for (uint32_t i = 0; i < count; i++) {
		struct txn *txn = &table->slots[order[i].slot];

		txn_set_age(table, txn, txn->ended ? TXN_ENDED : TXN_ACTIVE);
	}
	mem_free(&order);
}
