/* SPDX-License-Identifier: ISC */
/*
 * Entries lie in chunks and never move. An index of (hash, number) with linear probing finds one
 * by its network: a miss costs one line of the cache, a hit two (the second is a brief of the
 * entry, because entries are large), and that for each prefix length in use, which are two or
 * three. Every live entry stands in one of two heaps by its end, the automatic ones apart from
 * those made by hand, which never leave before their time.
 *
 * Invariant: an entry is in a heap, or former, or free.
 */
#include "daemon/bans/list.h"

#include "common/alloc.h"
#include "common/list.h"

#define CHUNK_ENTRIES 256
#define MAPPED_BITS 96

/*
 * Groups of IPv6 bans by /48, hashed into a few counters: where one is low there cannot be many,
 * and only where it is high the entries are gone through.
 */
#define GROUP_BITS 48
#define GROUPS 65536

enum place { PLACE_FREE, PLACE_AUTOMATIC, PLACE_MANUAL, PLACE_FORMER };

struct entry {
	struct ban ban;
	struct list former;             /* PLACE_FORMER: longest ended first */
	uint32_t heap_at;
	uint32_t next_free;             /* number + 1; 0: none */
	enum place place;
};

/* What a question looks at, close together; the same as in the entry. */
struct brief {
	struct cidr network;
	uint8_t place;
	uint64_t until_wall_ms;
};

struct chunk {
	struct brief briefs[CHUNK_ENTRIES];
	struct entry entries[CHUNK_ENTRIES];
};

struct slot {
	uint32_t hash;
	uint32_t entry;                 /* number + 1; 0: empty */
};

struct heap {
	uint32_t *items;                /* the soonest to end first */
	size_t count, room;
};

struct ban_list {
	struct hash_key key;
	size_t max_entries, used;       /* former ones included */
	struct chunk **chunks;
	size_t chunk_count, fresh;      /* fresh: numbers from here on were never used */
	uint32_t first_free;
	struct slot *slots;
	size_t mask;
	struct heap heaps[2];           /* by ban.manual */
	struct list former;
	uint8_t lengths[129];           /* prefix lengths in use */
	size_t length_count;
	uint32_t length_use[129];
	uint32_t *groups;
};

static struct entry *entry_at(const struct ban_list *list, uint32_t number)
{
	return &list->chunks[number / CHUNK_ENTRIES]->entries[number % CHUNK_ENTRIES];
}

static struct brief *brief_at(const struct ban_list *list, uint32_t number)
{
	return &list->chunks[number / CHUNK_ENTRIES]->briefs[number % CHUNK_ENTRIES];
}

static void set_place(struct ban_list *list, uint32_t number, enum place place)
{
	struct entry *entry = entry_at(list, number);

	entry->place = place;
	*brief_at(list, number) = (struct brief){
		entry->ban.network, (uint8_t)place, entry->ban.until_wall_ms,
	};
}

/* ---- index */

/*
 * Cheaper than hash64(), which takes most of the time of a question otherwise. Strangers hardly
 * choose what is in the table (each entry takes many strikes, and there are few a minute), and
 * the key is ours.
 */
static uint32_t hash_of(const struct ban_list *list, const struct cidr *network)
{
	uint64_t high, low, hash = list->key.k0 ^ list->key.k1 * network->bits;

	memcpy(&high, network->ip.bytes, sizeof(high));
	memcpy(&low, network->ip.bytes + sizeof(high), sizeof(low));
	hash = hash64_mix(hash64_mix(hash, high), low);
	return (uint32_t)(hash >> 32);
}

static bool is_same(const struct cidr *a, const struct cidr *b)
{
	return a->bits == b->bits && ip_equal(&a->ip, &b->ip);
}

/* The slot of the network, or the empty one where it would go. */
static size_t slot_of(const struct ban_list *list, const struct cidr *network, uint32_t hash)
{
	size_t at = hash & list->mask;

	while (list->slots[at].entry &&
	       (list->slots[at].hash != hash ||
		!is_same(&brief_at(list, list->slots[at].entry - 1)->network, network)))
		at = (at + 1) & list->mask;
	return at;
}

static void index_insert(struct ban_list *list, uint32_t hash, uint32_t number)
{
	size_t at = hash & list->mask;

	while (list->slots[at].entry)
		at = (at + 1) & list->mask;
	list->slots[at] = (struct slot){ hash, number + 1 };
}

/* Closes the gap: whoever could stand nearer to its home moves there, so no marks are left. */
static void index_remove(struct ban_list *list, size_t gap)
{
	size_t at = gap;

	for (;;) {
		size_t home;

		at = (at + 1) & list->mask;
		if (!list->slots[at].entry)
			break;
		home = list->slots[at].hash & list->mask;
		if (((at - home) & list->mask) < ((at - gap) & list->mask))
			continue;
		list->slots[gap] = list->slots[at];
		gap = at;
	}
	list->slots[gap] = (struct slot){ 0, 0 };
}

/* At most half full. */
static void index_resize(struct ban_list *list, size_t entries)
{
	struct slot *old = list->slots;
	size_t old_slots = old ? list->mask + 1 : 0, slots = 64;

	while (slots < 2 * entries)
		slots *= 2;
	if (slots == old_slots)
		return;
	list->slots = mem_zalloc_array(slots, sizeof(list->slots[0]));
	list->mask = slots - 1;
	for (size_t i = 0; i < old_slots; i++)
		if (old[i].entry)
			index_insert(list, old[i].hash, old[i].entry - 1);
	free(old);
}

/* ---- prefix lengths */

static void use_length(struct ban_list *list, uint8_t bits)
{
	if (list->length_use[bits]++ == 0)
		list->lengths[list->length_count++] = bits;
}

static void drop_length(struct ban_list *list, uint8_t bits)
{
	size_t at = 0;

	if (--list->length_use[bits] > 0)
		return;
	while (list->lengths[at] != bits)
		at++;
	list->lengths[at] = list->lengths[--list->length_count];
}

/* ---- heaps */

static bool ends_before(const struct ban_list *list, uint32_t a, uint32_t b)
{
	return entry_at(list, a)->ban.until_wall_ms < entry_at(list, b)->ban.until_wall_ms;
}

static void heap_set(struct ban_list *list, struct heap *heap, size_t at, uint32_t number)
{
	heap->items[at] = number;
	entry_at(list, number)->heap_at = (uint32_t)at;
}

static void heap_up(struct ban_list *list, struct heap *heap, size_t at)
{
	uint32_t number = heap->items[at];

	while (at > 0 && ends_before(list, number, heap->items[(at - 1) / 2])) {
		heap_set(list, heap, at, heap->items[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	heap_set(list, heap, at, number);
}

static void heap_down(struct ban_list *list, struct heap *heap, size_t at)
{
	uint32_t number = heap->items[at];

	for (;;) {
		size_t child = 2 * at + 1;

		if (child + 1 < heap->count &&
		    ends_before(list, heap->items[child + 1], heap->items[child]))
			child++;
		if (child >= heap->count || !ends_before(list, heap->items[child], number))
			break;
		heap_set(list, heap, at, heap->items[child]);
		at = child;
	}
	heap_set(list, heap, at, number);
}

static void heap_add(struct ban_list *list, struct heap *heap, uint32_t number)
{
	if (heap->count == heap->room) {
		heap->room = heap->room ? 2 * heap->room : 64;
		heap->items = mem_grow(heap->items, heap->room * sizeof(heap->items[0]));
	}
	heap->items[heap->count] = number;
	heap_up(list, heap, heap->count++);
}

static void heap_take(struct ban_list *list, struct heap *heap, size_t at)
{
	uint32_t last = heap->items[--heap->count];

	if (at == heap->count)
		return;
	heap->items[at] = last;
	heap_up(list, heap, at);
	heap_down(list, heap, entry_at(list, last)->heap_at);
}

/* ---- places of entries */

static uint32_t *group_of(const struct ban_list *list, const struct cidr *network)
{
	struct cidr group = ip_network(&network->ip, 0, GROUP_BITS);

	return &list->groups[hash_of(list, &group) % GROUPS];
}

static bool is_grouped(const struct ban *ban)
{
	return !ban->manual && !ip_is_v4(&ban->network.ip) && ban->network.bits > GROUP_BITS;
}

static void enter(struct ban_list *list, uint32_t number)
{
	struct entry *entry = entry_at(list, number);

	set_place(list, number, entry->ban.manual ? PLACE_MANUAL : PLACE_AUTOMATIC);
	heap_add(list, &list->heaps[entry->ban.manual], number);
	use_length(list, entry->ban.network.bits);
	if (is_grouped(&entry->ban))
		++*group_of(list, &entry->ban.network);
}

static void leave(struct ban_list *list, uint32_t number)
{
	struct entry *entry = entry_at(list, number);

	if (entry->place == PLACE_FORMER) {
		list_remove(&entry->former);
		return;
	}
	heap_take(list, &list->heaps[entry->ban.manual], entry->heap_at);
	drop_length(list, entry->ban.network.bits);
	if (is_grouped(&entry->ban))
		--*group_of(list, &entry->ban.network);
}

static uint32_t take_number(struct ban_list *list)
{
	uint32_t number;

	list->used++;
	if (list->first_free) {
		number = list->first_free - 1;
		list->first_free = entry_at(list, number)->next_free;
		return number;
	}
	if (list->fresh == list->chunk_count * CHUNK_ENTRIES) {
		list->chunks = mem_grow(list->chunks,
					(list->chunk_count + 1) * sizeof(struct chunk *));
		list->chunks[list->chunk_count++] = mem_zalloc(sizeof(struct chunk));
	}
	return (uint32_t)list->fresh++;
}

static void drop(struct ban_list *list, uint32_t number, struct ban *ret_ban)
{
	struct entry *entry = entry_at(list, number);
	const struct cidr *network = &entry->ban.network;

	if (ret_ban)
		*ret_ban = entry->ban;
	leave(list, number);
	index_remove(list, slot_of(list, network, hash_of(list, network)));
	set_place(list, number, PLACE_FREE);
	entry->next_free = list->first_free;
	list->first_free = number + 1;
	list->used--;
}

/* ---- the list */

struct ban_list *ban_list_new(struct hash_key key, size_t max_entries)
{
	struct ban_list *list = mem_zalloc(sizeof(*list));

	list->key = key;
	list_init(&list->former);
	list->groups = mem_zalloc_array(GROUPS, sizeof(list->groups[0]));
	ban_list_set_max(list, max_entries);
	return list;
}

void ban_list_free(struct ban_list **list)
{
	struct ban_list *old = *list;

	if (!old)
		return;
	for (size_t i = 0; i < old->chunk_count; i++)
		free(old->chunks[i]);
	free(old->chunks);
	free(old->slots);
	free(old->heaps[false].items);
	free(old->heaps[true].items);
	free(old->groups);
	free(old);
	*list = NULL;
}

void ban_list_set_max(struct ban_list *list, size_t max_entries)
{
	list->max_entries = max_entries;
	index_resize(list, max_entries > list->used ? max_entries : list->used);
}

static uint32_t find_number(const struct ban_list *list, const struct cidr *network)
{
	return list->slots[slot_of(list, network, hash_of(list, network))].entry;
}

const struct ban *ban_list_find(const struct ban_list *list, const struct ip *ip, uint64_t wall_ms,
				bool automatic)
{
	bool v4 = ip_is_v4(ip);
	uint64_t until_wall_ms = wall_ms;
	uint32_t longest = 0;

	for (size_t i = 0; i < list->length_count; i++) {
		unsigned bits = list->lengths[i];
		const struct brief *brief;
		struct cidr network;
		uint32_t number;

		if (v4 && bits < MAPPED_BITS)
			continue;
		network = ip_network(ip, v4 ? bits - MAPPED_BITS : 0, bits);
		number = find_number(list, &network);
		if (!number)
			continue;
		brief = brief_at(list, number - 1);
		if (brief->place == PLACE_FORMER || brief->until_wall_ms <= until_wall_ms ||
		    (brief->place == PLACE_AUTOMATIC && !automatic))
			continue;
		longest = number;
		until_wall_ms = brief->until_wall_ms;
	}
	return longest ? &entry_at(list, longest - 1)->ban : NULL;
}

const struct ban *ban_list_get(const struct ban_list *list, const struct cidr *network)
{
	uint32_t number = find_number(list, network);

	return number ? &entry_at(list, number - 1)->ban : NULL;
}

const struct ban *ban_list_put(struct ban_list *list, const struct ban *ban)
{
	uint32_t hash = hash_of(list, &ban->network);
	uint32_t number = list->slots[slot_of(list, &ban->network, hash)].entry;

	if (number) {
		leave(list, --number);
	} else {
		if (list->used >= list->max_entries)
			return NULL;
		number = take_number(list);
		index_insert(list, hash, number);
	}
	entry_at(list, number)->ban = *ban;
	enter(list, number);
	return &entry_at(list, number)->ban;
}

bool ban_list_remove(struct ban_list *list, const struct cidr *network, struct ban *ret_ban)
{
	uint32_t number = find_number(list, network);

	if (!number)
		return false;
	drop(list, number - 1, ret_ban);
	return true;
}

bool ban_list_is_full(const struct ban_list *list)
{
	return list->used >= list->max_entries;
}

bool ban_list_is_over(const struct ban_list *list)
{
	return list->used > list->max_entries;
}

/* The number of the entry that has been former for longest. */
static uint32_t oldest_former(const struct ban_list *list)
{
	const struct entry *entry = LIST_ENTRY(list->former.next, struct entry, former);

	return find_number(list, &entry->ban.network) - 1;
}

bool ban_list_evict(struct ban_list *list, struct ban *ret_ban, bool *ret_was_live)
{
	const struct heap *heap = &list->heaps[false];

	*ret_was_live = list_is_empty(&list->former);
	if (!*ret_was_live)
		drop(list, oldest_former(list), ret_ban);
	else if (heap->count)
		drop(list, heap->items[0], ret_ban);
	else
		return false;
	return true;
}

bool ban_list_expire(struct ban_list *list, uint64_t wall_ms, struct ban *ret_ban)
{
	const struct heap *automatic = &list->heaps[false], *manual = &list->heaps[true];

	if (automatic->count) {
		uint32_t number = automatic->items[0];
		struct entry *entry = entry_at(list, number);

		if (entry->ban.until_wall_ms <= wall_ms) {
			*ret_ban = entry->ban;
			leave(list, number);
			set_place(list, number, PLACE_FORMER);
			list_append(&list->former, &entry->former);
			return true;
		}
	}
	if (!manual->count || entry_at(list, manual->items[0])->ban.until_wall_ms > wall_ms)
		return false;
	drop(list, manual->items[0], ret_ban);
	return true;
}

bool ban_list_forget(struct ban_list *list, uint64_t ended_wall_ms, struct ban *ret_ban)
{
	uint32_t number;

	if (list_is_empty(&list->former))
		return false;
	number = oldest_former(list);
	if (entry_at(list, number)->ban.until_wall_ms > ended_wall_ms)
		return false;
	drop(list, number, ret_ban);
	return true;
}

bool ban_list_has_within(const struct ban_list *list, const struct cidr *network, unsigned bits,
			 unsigned count)
{
	const struct heap *heap = &list->heaps[false];

	/* The counter of the group holds at least as many as there are. */
	if (*group_of(list, network) < count)
		return false;
	for (size_t i = 0; i < heap->count && count; i++) {
		const struct cidr *one = &entry_at(list, heap->items[i])->ban.network;

		if (one->bits == bits && cidr_contains(network, &one->ip))
			count--;
	}
	return count == 0;
}

void ban_list_each(const struct ban_list *list, void (*each)(void *arg, const struct ban *ban),
		   void *arg)
{
	for (size_t i = 0; i < 2; i++)
		for (size_t j = 0; j < list->heaps[i].count; j++)
			each(arg, &entry_at(list, list->heaps[i].items[j])->ban);
}

size_t ban_list_count(const struct ban_list *list)
{
	return list->heaps[false].count + list->heaps[true].count;
}
