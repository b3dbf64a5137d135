/* SPDX-License-Identifier: ISC */
/*
 * Entries are found through linear probing over 32-bit words: some bits of the hash beside the
 * slot number keep most false probes away from the entries. Removal shifts back, so there are no
 * tombstones to clean up. Slots that were given back form a list; the rest above `high` was never
 * touched.
 */
#include "daemon/counting/table.h"

#include "common/alloc.h"

#define HAS_WARNED 1u
#define SAMPLE 16  /* counters looked at for one that may leave */
#define SAMPLES 16 /* such rounds before giving up */

/* ---- making ---- */

static size_t places_for(uint32_t max)
{
	return (size_t)max + max / 2 + 8;
}

/* What is left of a counter's bytes after entry, index, mark, and a little for the fixed parts. */
static size_t blocks_for_all(uint32_t max)
{
	size_t fixed = (size_t)max * sizeof(struct table_entry) +
		       places_for(max) * sizeof(uint32_t) + marks_bytes(max);
	size_t left = ((size_t)max * TABLE_COUNTER_BYTES - fixed) / BLOCK_BYTES;
	size_t least = blocks_for(COUNTER_SUBJECT_BYTES) * 4;

	return left > least ? left : least;
}

struct counter_table *table_new(size_t max_counters, struct hash_key key)
{
	struct counter_table *table = mem_zalloc(sizeof(*table));

	if (max_counters < 8)
		max_counters = 8;
	if (max_counters > TABLE_MAX_COUNTERS)
		max_counters = TABLE_MAX_COUNTERS;
	table->key = key;
	table->random = key.k0 ^ key.k1 ^ UINT64_C(0x9e3779b97f4a7c15);
	table->random += !table->random;
	table->max = (uint32_t)max_counters;
	table->next_birth = 1;
	table->storing = TABLE_NONE;
	table->places = (uint32_t)places_for(table->max);
	table->slot_mask = UINT32_MAX >> __builtin_clz(table->max);
	table->tag_shift = 32 - (unsigned)__builtin_clz(table->max);
	table->entries = blocks_map((size_t)table->max * sizeof(*table->entries));
	table->index = blocks_map((size_t)table->places * sizeof(*table->index));
	table->dirty = blocks_map(marks_bytes(table->max));
	blocks_init(&table->blocks, blocks_for_all(table->max));
	series_init(&table->series);
	return table;
}

void table_free(struct counter_table **table)
{
	struct counter_table *old = *table;

	if (!old)
		return;
	blocks_unmap(old->entries, (size_t)old->max * sizeof(*old->entries));
	blocks_unmap(old->index, (size_t)old->places * sizeof(*old->index));
	blocks_unmap(old->dirty, marks_bytes(old->max));
	blocks_release(&old->blocks);
	series_release(&old->series);
	mem_free(table);
}

uint64_t table_bytes(const struct counter_table *table)
{
	return (uint64_t)table->high * sizeof(*table->entries) +
	       (uint64_t)table->places * sizeof(*table->index) + marks_bytes(table->high) +
	       (uint64_t)table->blocks.touched * BLOCK_BYTES;
}

/* ---- the index ---- */

/* The subject's hash is keyed and uniform; its counters need only be told apart. */
static inline uint32_t hash_of(uint64_t subject_hash, uint16_t series)
{
	return (uint32_t)((subject_hash + (series + UINT64_C(1)) * UINT64_C(0x9e3779b97f4a7c15)) >>
			  32);
}

/* High bits of the hash say where, low ones make the tag. */
static uint32_t home_of(const struct counter_table *table, uint32_t hash)
{
	return (uint32_t)((uint64_t)hash * table->places >> 32);
}

static uint32_t next_place(const struct counter_table *table, uint32_t place)
{
	return ++place == table->places ? 0 : place;
}

static bool is_key(const struct counter_table *table, uint32_t slot, uint32_t hash, uint16_t series,
	struct slice subject)
{
	const struct table_entry *entry = &table->entries[slot];

	return entry->hash == hash && entry->series == series &&
	       entry->subject_len == subject.len &&
	       blocks_equal(&table->blocks, entry->subject, subject.data, subject.len);
}

uint32_t table_find(
	const struct counter_table *table, const struct counter_key *key, struct table_hash of_key)
{
	uint16_t series = series_find(&table->series, key, of_key.rule_id);
	uint32_t hash, place, word;

	if (series == SERIES_NONE)
		return TABLE_NONE;
	hash = hash_of(of_key.subject, series);
	for (place = home_of(table, hash); (word = table->index[place]) != 0;
		place = next_place(table, place)) {
		uint32_t slot = (word & table->slot_mask) - 1;

		if ((word ^ hash << table->tag_shift) >> table->tag_shift == 0 &&
			is_key(table, slot, hash, series, key->subject))
			return slot;
	}
	return TABLE_NONE;
}

static void index_add(struct counter_table *table, uint32_t slot)
{
	uint32_t hash = table->entries[slot].hash;
	uint32_t place = home_of(table, hash);

	while (table->index[place])
		place = next_place(table, place);
	table->index[place] = (slot + 1) | hash << table->tag_shift;
}

static uint32_t distance(const struct counter_table *table, uint32_t from, uint32_t to)
{
	return to >= from ? to - from : to + table->places - from;
}

static void index_remove(struct counter_table *table, uint32_t slot)
{
	uint32_t hole = home_of(table, table->entries[slot].hash);
	uint32_t place, word;

	while ((table->index[hole] & table->slot_mask) != slot + 1)
		hole = next_place(table, hole);
	/* Whatever probing would no longer reach over the hole moves into it. */
	for (place = next_place(table, hole); (word = table->index[place]) != 0;
		place = next_place(table, place)) {
		uint32_t home = home_of(table, table->entries[(word & table->slot_mask) - 1].hash);

		if (distance(table, home, place) >= distance(table, hole, place)) {
			table->index[hole] = word;
			hole = place;
		}
	}
	table->index[hole] = 0;
}

/* ---- entries ---- */

static void slot_free(struct counter_table *table, uint32_t slot)
{
	table->entries[slot] = (struct table_entry){.subject = table->free_slot};
	table->free_slot = slot + 1;
}

void table_remove(struct counter_table *table, uint32_t slot)
{
	struct table_entry *entry = &table->entries[slot];

	index_remove(table, slot);
	blocks_drop(&table->blocks, &entry->subject);
	blocks_drop(&table->blocks, &entry->buckets);
	series_drop(&table->series, entry->series);
	slot_free(table, slot);
	table->count--;
	table_mark(table, slot);
}

static bool is_protected(const struct counter_table *table, uint32_t slot)
{
	for (unsigned i = 0; i < table->protected_count; i++)
		if (table->protected_slots[i] == slot)
			return true;
	return slot == table->storing;
}

static uint64_t next_random(struct counter_table *table)
{
	table->random ^= table->random << 13;
	table->random ^= table->random >> 7;
	table->random ^= table->random << 17;
	return table->random;
}

/* The part of its limit that a counter has used; above 0.5: it stays. */
static double part_used(const struct counter_table *table, uint32_t slot, uint64_t wall_ms)
{
	const struct table_entry *entry = &table->entries[slot];
	struct window window;

	if (entry->total == 0)
		return 0;
	table_load(table, slot, wall_ms, &window);
	if (window.total == 0)
		return 0;
	return entry->limit ? (double)window.total / (double)entry->limit : 1;
}

/* The least used of a sample; of equals the longest unused. TABLE_NONE: none may leave. */
static uint32_t pick_victim(struct counter_table *table, uint64_t wall_ms)
{
	uint32_t best = TABLE_NONE;
	uint64_t best_age_ms = 0;
	double best_part = 0;

	for (unsigned i = 0; i < SAMPLE; i++) {
		uint32_t slot = (uint32_t)(next_random(table) % table->high);
		const struct table_entry *entry = &table->entries[slot];
		uint64_t newest_ms, age_ms;
		double part;

		if (!entry->birth || is_protected(table, slot))
			continue;
		newest_ms = entry->newest * table->series.items[entry->series].bucket_ms;
		age_ms = wall_ms > newest_ms ? wall_ms - newest_ms : 0;
		part = part_used(table, slot, wall_ms);
		if (part > 0.5)
			continue;
		if (best == TABLE_NONE || part < best_part ||
			(part <= best_part && age_ms > best_age_ms)) {
			best = slot;
			best_part = part;
			best_age_ms = age_ms;
		}
	}
	return best;
}

static bool evict_one(struct counter_table *table, uint64_t wall_ms)
{
	uint32_t victim = TABLE_NONE;

	for (unsigned i = 0; i < SAMPLES && victim == TABLE_NONE && table->count; i++)
		victim = pick_victim(table, wall_ms);
	if (victim == TABLE_NONE)
		return false;
	table_remove(table, victim);
	table->evictions++;
	return true;
}

static uint32_t take_slot(struct counter_table *table)
{
	uint32_t slot = table->free_slot;

	if (!slot)
		return table->high++;
	slot--;
	table->free_slot = table->entries[slot].subject;
	return slot;
}

static bool make_room(struct counter_table *table, size_t blocks, uint64_t wall_ms)
{
	while ((table->high == table->max && !table->free_slot) ||
		blocks_left(&table->blocks) < blocks)
		if (!evict_one(table, wall_ms))
			return false;
	return true;
}

static uint32_t new_birth(struct counter_table *table)
{
	uint32_t birth = table->next_birth++;

	table->next_birth += !table->next_birth;
	return birth;
}

static void entry_fill(struct counter_table *table, uint32_t slot, uint16_t series,
	struct slice subject, uint64_t subject_hash)
{
	struct table_entry *entry = &table->entries[slot];

	*entry = (struct table_entry){.series = series, .subject_len = (uint8_t)subject.len};
	entry->hash = hash_of(subject_hash, series);
	/* make_room() has seen to it that this fits. */
	(void)!blocks_put(&table->blocks, &entry->subject, subject.data, subject.len);
	index_add(table, slot);
	table->count++;
}

uint32_t table_add(struct counter_table *table, const struct counter_key *key,
	struct table_hash hash, uint64_t limit, uint64_t wall_ms)
{
	uint16_t series;
	uint32_t slot;

	if (key->subject.len == 0 || key->subject.len > COUNTER_SUBJECT_BYTES ||
		!make_room(table, blocks_for(key->subject.len), wall_ms) ||
		(series = series_get(&table->series, key, hash.rule_id)) == SERIES_NONE) {
		table->no_room++;
		return TABLE_NONE;
	}
	table->series.items[series].counters++;
	slot = take_slot(table);
	entry_fill(table, slot, series, key->subject, hash.subject);
	table->entries[slot].birth = new_birth(table);
	table->entries[slot].limit = limit;
	table->entries[slot].newest = wall_ms / table->series.items[series].bucket_ms;
	table_mark(table, slot);
	return slot;
}

/* ---- windows ---- */

static void unpack(
	const struct counter_table *table, const struct table_entry *entry, struct window *ret)
{
	uint8_t bytes[PACK_MAX_BYTES];

	ret->bucket_ms = table->series.items[entry->series].bucket_ms;
	ret->newest = entry->newest;
	if (entry->packed_len <= TABLE_INLINE_BYTES) {
		pack_unpack(ret, entry->packed, entry->packed_len);
		return;
	}
	memcpy(bytes, entry->packed, TABLE_INLINE_BYTES);
	blocks_get(&table->blocks, entry->buckets, bytes + TABLE_INLINE_BYTES,
		entry->packed_len - TABLE_INLINE_BYTES);
	pack_unpack(ret, bytes, entry->packed_len);
}

void table_load(
	const struct counter_table *table, uint32_t slot, uint64_t wall_ms, struct window *ret)
{
	unpack(table, &table->entries[slot], ret);
	window_roll(ret, wall_ms);
}

static bool put_packed(
	struct counter_table *table, struct table_entry *entry, const uint8_t *bytes, size_t len)
{
	size_t first = len < TABLE_INLINE_BYTES ? len : TABLE_INLINE_BYTES;

	if ((len > first || entry->buckets) &&
		!blocks_put(&table->blocks, &entry->buckets, bytes + first, len - first))
		return false;
	memcpy(entry->packed, bytes, first);
	entry->packed_len = (uint16_t)len;
	return true;
}

/* The oldest bucket's content joins the next one: it leaves later than it might, never sooner. */
static void fold_oldest(struct window *window)
{
	uint64_t bucket = window->newest - (WINDOW_BUCKETS - 1);
	uint64_t amount;

	while (!(window->live >> (bucket % WINDOW_BUCKETS) & 1))
		bucket++;
	amount = window_take(window, bucket, UINT64_MAX);
	if (!window->live) {
		window_add(window, amount);
		return;
	}
	while (!(window->live >> (bucket % WINDOW_BUCKETS) & 1))
		bucket++;
	window->count[bucket % WINDOW_BUCKETS] += amount;
	window->total += amount;
}

void table_store(
	struct counter_table *table, uint32_t slot, struct window *window, uint64_t wall_ms)
{
	struct table_entry *entry = &table->entries[slot];
	uint8_t bytes[PACK_MAX_BYTES];

	table->storing = slot;
	while (!put_packed(table, entry, bytes, pack_window(window, bytes)))
		if (!evict_one(table, wall_ms))
			fold_oldest(window);
	table->storing = TABLE_NONE;
	entry->newest = window->newest;
	entry->total = window->total;
	table_mark(table, slot);
}

/* The newest bucket's token comes first: its distance is 1, and a small count stands in it or in
 * the byte behind it. */
bool table_bump(struct counter_table *table, uint32_t slot, uint64_t amount)
{
	struct table_entry *entry = &table->entries[slot];
	uint8_t *packed = entry->packed;

	if (amount == 0)
		return true;
	if (amount > 15)
		return false;
	if (entry->packed_len == 0) {
		packed[0] = (uint8_t)(0x10 | amount);
		entry->packed_len = 1;
	} else if (packed[0] > 0x10 && packed[0] + amount < 0x20) {
		packed[0] = (uint8_t)(packed[0] + amount);
	} else if (packed[0] == 0x10 && packed[1] + amount < 0x80) {
		packed[1] = (uint8_t)(packed[1] + amount);
	} else {
		return false;
	}
	entry->total += amount;
	table_mark(table, slot);
	return true;
}

void table_set_limit(struct counter_table *table, uint32_t slot, uint64_t limit)
{
	table->entries[slot].limit = limit;
}

bool table_warn_once(struct counter_table *table, uint32_t slot)
{
	struct table_entry *entry = &table->entries[slot];

	if (entry->flags & HAS_WARNED && (uint32_t)entry->newest - entry->warned < WINDOW_BUCKETS)
		return false;
	entry->flags |= HAS_WARNED;
	entry->warned = (uint32_t)entry->newest;
	table_mark(table, slot);
	return true;
}

void table_forget_warning(struct counter_table *table, uint32_t slot)
{
	table->entries[slot].flags &= (uint8_t)~HAS_WARNED;
	table_mark(table, slot);
}

static bool is_over(
	const struct counter_table *table, const struct table_entry *entry, uint64_t wall_ms)
{
	uint64_t bucket_ms = table->series.items[entry->series].bucket_ms;
	uint64_t over_ms = (entry->newest + WINDOW_BUCKETS) * bucket_ms;

	return wall_ms > over_ms && wall_ms - over_ms > TABLE_LINGER_MS;
}

void table_sweep(struct counter_table *table, uint32_t slots, uint64_t wall_ms)
{
	for (; slots && table->high; slots--) {
		uint32_t slot = table->swept >= table->high ? 0 : table->swept;
		const struct table_entry *entry = &table->entries[slot];

		table->swept = slot + 1;
		if (entry->birth && is_over(table, entry, wall_ms))
			table_remove(table, slot);
	}
}

/* ---- records ---- */

bool table_read(const struct counter_table *table, uint32_t slot, struct table_record *ret)
{
	const struct table_entry *entry;
	const struct series *series;

	if (slot >= table->high || !table->entries[slot].birth)
		return false;
	entry = &table->entries[slot];
	series = &table->series.items[entry->series];
	blocks_get(&table->blocks, entry->subject, ret->subject, entry->subject_len);
	ret->key = (struct counter_key){
		.rule = series_rule(&table->series, entry->series),
		.subject = slice_make(ret->subject, entry->subject_len),
		.what = (enum counter_what)series->what,
		.window_ms = series->window_ms,
	};
	ret->birth = entry->birth;
	ret->warned = entry->warned;
	ret->has_warned = (entry->flags & HAS_WARNED) != 0;
	ret->newest = entry->newest;
	ret->limit = entry->limit;
	ret->packed_len = entry->packed_len;
	if (entry->packed_len <= TABLE_INLINE_BYTES) {
		memcpy(ret->packed, entry->packed, entry->packed_len);
		return true;
	}
	memcpy(ret->packed, entry->packed, TABLE_INLINE_BYTES);
	blocks_get(&table->blocks, entry->buckets, ret->packed + TABLE_INLINE_BYTES,
		entry->packed_len - TABLE_INLINE_BYTES);
	return true;
}

/* While records are put back, free slots below `high` are found by looking, each once; later they
 * are a list. */
static uint32_t restore_slot(struct counter_table *table, uint32_t wanted)
{
	uint32_t slot = table->swept;

	if (wanted < table->max && !(wanted < table->high && table->entries[wanted].birth)) {
		table->high = wanted >= table->high ? wanted + 1 : table->high;
		return wanted;
	}
	while (slot < table->high && table->entries[slot].birth)
		slot++;
	table->swept = slot;
	if (slot == table->max)
		return TABLE_NONE;
	table->high += slot == table->high;
	return slot;
}

bool table_restore(struct counter_table *table, uint32_t slot, const struct table_record *record)
{
	const struct counter_key *key = &record->key;
	struct table_hash hash = table_hash(table, key);
	struct table_entry *entry;
	struct window window;
	uint16_t series;
	uint32_t wanted = slot;

	if (key->subject.len == 0 || key->subject.len > COUNTER_SUBJECT_BYTES ||
		blocks_left(&table->blocks) <
			blocks_for(key->subject.len) + blocks_for(record->packed_len) ||
		table_find(table, key, hash) != TABLE_NONE ||
		(series = series_get(&table->series, key, hash.rule_id)) == SERIES_NONE)
		return false;
	table->series.items[series].counters++;
	slot = restore_slot(table, wanted);
	if (slot == TABLE_NONE) {
		series_drop(&table->series, series);
		return false;
	}
	entry_fill(table, slot, series, key->subject, hash.subject);
	entry = &table->entries[slot];
	entry->birth = slot == wanted ? record->birth : new_birth(table);
	entry->limit = record->limit;
	entry->warned = record->warned;
	entry->flags = record->has_warned ? HAS_WARNED : 0;
	entry->newest = record->newest;
	(void)!put_packed(table, entry, record->packed, record->packed_len);
	unpack(table, entry, &window);
	entry->total = window.total;
	table_reserve_births(table, entry->birth);
	if (slot != wanted)
		table_mark(table, slot);
	return true;
}

void table_restored(struct counter_table *table)
{
	table->swept = 0;
	table->free_slot = 0;
	for (uint32_t slot = table->high; slot-- > 0;)
		if (!table->entries[slot].birth)
			slot_free(table, slot);
}

void table_reserve_births(struct counter_table *table, uint32_t birth)
{
	if (birth >= table->next_birth)
		table->next_birth = birth + 1 + (birth == UINT32_MAX);
}

/* ---- lists ---- */

uint32_t table_next_dirty(struct counter_table *table, uint32_t from)
{
	uint32_t slot = marks_next(table->dirty, from, table->high);

	if (slot != MARKS_NONE)
		table_unmark(table, slot);
	return slot;
}

uint16_t table_next_series(
	const struct counter_table *table, uint16_t from, struct counter_key *ret_key)
{
	for (; from < table->series.used; from++) {
		const struct series *series = &table->series.items[from];

		if (!series->counters)
			continue;
		*ret_key = (struct counter_key){.rule = series_rule(&table->series, from),
			.what = (enum counter_what)series->what,
			.window_ms = series->window_ms};
		return from;
	}
	return SERIES_NONE;
}
