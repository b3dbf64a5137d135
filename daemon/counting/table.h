/* SPDX-License-Identifier: ISC */
/*
 * All counters of this node, in one bounded table that is reserved once: entries by dense slot
 * number (also the record numbers on disk), an index over them by keyed hash, and a pool of
 * blocks for subjects and for windows with many live buckets. At most TABLE_COUNTER_BYTES a
 * counter altogether, whatever the keys are: when entries or blocks run out, of a random sample
 * the least used (part of its limit) leaves, never one above half its limit. Nothing is ever
 * rehashed.
 *
 * A slot is given again to others; `birth` tells lives apart, so that a reference is a slot and a
 * birth. The table knows nothing about transactions and decides nothing. `wall_ms` comes in. What
 * changed is marked by slot, for whoever writes it to disk.
 */
#ifndef REEVE_DAEMON_COUNTING_TABLE_H
#define REEVE_DAEMON_COUNTING_TABLE_H

#include "daemon/counting/blocks.h"
#include "daemon/counting/counter.h"
#include "daemon/counting/marks.h"
#include "daemon/counting/pack.h"
#include "daemon/counting/series.h"
#include "daemon/counting/window.h"

#define TABLE_NONE UINT32_MAX
#define TABLE_COUNTER_BYTES 190
#define TABLE_MAX_COUNTERS (1u << 28)
#define TABLE_INLINE_BYTES 14
/* A counter whose window has passed is kept so much longer: a transaction may still settle on it.
 */
#define TABLE_LINGER_MS (16 * 60 * 1000)

struct table_entry {
	uint32_t hash;
	uint32_t birth; /* 0: the slot is free, and `subject` is the next free one + 1 */
	uint64_t newest, total;
	uint64_t limit;            /* the last one; for eviction and listing */
	uint32_t warned;           /* low bits of the bucket of the last warning, if HAS_WARNED */
	uint32_t subject, buckets; /* chains of blocks; buckets: what `packed` has no room for */
	uint16_t series;
	uint16_t packed_len;
	uint8_t subject_len;
	uint8_t flags;
	uint8_t packed[TABLE_INLINE_BYTES];
};

struct counter_table {
	/* private */
	struct hash_key key;
	struct table_entry *entries;
	uint32_t *index; /* tag of the hash, and slot + 1 in the low bits */
	uint64_t *dirty; /* marks */
	struct blocks blocks;
	struct series_set series;
	uint32_t max, high; /* slots there are; slots that were ever used */
	uint32_t places;    /* in the index */
	uint32_t slot_mask;
	unsigned tag_shift;
	uint32_t free_slot; /* + 1; 0: none below high */
	uint32_t count, next_birth;
	uint32_t swept; /* where the next sweep begins; while restoring: slots below it are taken */
	uint64_t random;
	const uint32_t *protected_slots;
	unsigned protected_count;
	uint32_t storing; /* the slot whose window is being put away; it does not leave either */
	/* readable */
	uint64_t evictions, no_room; /* no_room: nothing could leave, and a counter was not made */
};

struct counter_table *table_new(size_t max_counters, struct hash_key key)
	__attribute__((warn_unused_result));
void table_free(struct counter_table **table);

/* What a key hashes to, so that the counters of one rule or of one subject share the work. */
struct table_hash {
	uint64_t rule_id; /* series_rule_id() */
	uint64_t subject;
};

static inline struct table_hash table_hash(
	const struct counter_table *table, const struct counter_key *key)
{
	return (struct table_hash){series_rule_id(key->rule), hash64(&table->key, key->subject)};
}

/* TABLE_NONE: there is none. */
uint32_t table_find(
	const struct counter_table *table, const struct counter_key *key, struct table_hash of_key);
/* A new counter, unused; the key must not be there. Others may leave for it (not protected ones).
 * TABLE_NONE: nothing could leave, or the key is impossible (empty or too long). */
uint32_t table_add(struct counter_table *table, const struct counter_key *key,
	struct table_hash hash, uint64_t limit, uint64_t wall_ms)
	__attribute__((warn_unused_result));
void table_remove(struct counter_table *table, uint32_t slot);
/* The counters in these slots (or TABLE_NONE) do not leave for others; the list is the caller's
 * and may change. NULL and 0: no more. */
static inline void table_protect(struct counter_table *table, const uint32_t *slots, unsigned count)
{
	table->protected_slots = slots;
	table->protected_count = count;
}

/* Is the life that began as `birth` still in this slot? */
static inline bool table_is_alive(const struct counter_table *table, uint32_t slot, uint32_t birth)
{
	return slot < table->high && birth && table->entries[slot].birth == birth;
}

/* The window, rolled to `wall_ms`; and back, which marks the counter dirty. */
void table_load(
	const struct counter_table *table, uint32_t slot, uint64_t wall_ms, struct window *ret);
void table_store(
	struct counter_table *table, uint32_t slot, struct window *window, uint64_t wall_ms);
/* What is used, where nothing has left the window since the last charge; false: table_load()
 * says. */
static inline bool table_used(
	const struct counter_table *table, uint32_t slot, uint64_t wall_ms, uint64_t *ret_used)
{
	const struct table_entry *entry = &table->entries[slot];

	if (entry->newest - wall_ms / table->series.items[entry->series].bucket_ms >=
		WINDOW_BUCKETS)
		return false;
	*ret_used = entry->total;
	return true;
}

/* Adds without unpacking, where table_used() has said true and the newest bucket's token can hold
 * it; false: nothing was done, and load, add and store do it. */
bool table_bump(struct counter_table *table, uint32_t slot, uint64_t amount)
	__attribute__((warn_unused_result));
void table_set_limit(struct counter_table *table, uint32_t slot, uint64_t limit);
/* Has it not warned within the window that ends with its newest bucket? Then it has now. */
bool table_warn_once(struct counter_table *table, uint32_t slot);

void table_forget_warning(struct counter_table *table, uint32_t slot);

/* Looks at the next `slots` slots and removes counters that are long over. Call it now and then. */
void table_sweep(struct counter_table *table, uint32_t slots, uint64_t wall_ms);

/* What the counter in a slot is; the subject is put into `memory`. false: the slot is free. */
bool table_key(const struct counter_table *table, uint32_t slot,
	char memory[static COUNTER_SUBJECT_BYTES], struct counter_key *ret)
	__attribute__((warn_unused_result));

/* One counter in full, for listing and for the disk. */
struct table_record {
	struct counter_key key; /* `subject` and `rule` point into this record and into the table */
	uint32_t birth, warned;
	bool has_warned;
	uint64_t newest, limit;
	size_t packed_len;
	uint8_t packed[PACK_MAX_BYTES];
	char subject[COUNTER_SUBJECT_BYTES];
};

/* false: the slot is free. */
bool table_read(const struct counter_table *table, uint32_t slot, struct table_record *ret)
	__attribute__((warn_unused_result));
/* Puts a record back into its slot (or, where that is taken or past the end, into another,
 * dirty), only between table_new() and table_restored(). false: no room, an impossible key, or it
 * is there already. */
bool table_restore(struct counter_table *table, uint32_t slot, const struct table_record *record)
	__attribute__((warn_unused_result));
void table_restored(struct counter_table *table);
/* No birth up to this one is given again: somebody still refers to it. */
void table_reserve_births(struct counter_table *table, uint32_t birth);

/* The next slot from `from` on that changed, clean after it; TABLE_NONE: no more. It may be free
 * by now. */
uint32_t table_next_dirty(struct counter_table *table, uint32_t from);

static inline bool table_is_dirty(const struct counter_table *table, uint32_t slot)
{
	return marks_has(table->dirty, slot);
}

static inline void table_mark(struct counter_table *table, uint32_t slot)
{
	marks_set(table->dirty, slot);
}

static inline void table_unmark(struct counter_table *table, uint32_t slot)
{
	marks_clear(table->dirty, slot);
}

/* All series that have counters, for looking up a subject in each: the next number from `from`
 * on; SERIES_NONE: no more. */
uint16_t table_next_series(
	const struct counter_table *table, uint16_t from, struct counter_key *ret_key);
/* The key's series (its subject counts for nothing) is known from now on, with counters or without. */
void table_know_series(struct counter_table *table, const struct counter_key *key);

/* Bytes of memory in use (of what was reserved). */
uint64_t table_bytes(const struct counter_table *table);

#endif
