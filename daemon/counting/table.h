/* SPDX-License-Identifier: ISC */
/*
 * All counters of this node, in one bounded table that is reserved once: entries by dense slot number
 * (also the record numbers on disk), an index over them by keyed hash, and a pool of blocks for subjects and
 * for windows with many live buckets. At most TABLE_COUNTER_BYTES a counter altogether, whatever the keys are: when
 * entries or blocks run out, of a random sample the least used (part of its limit) leaves, never one above half its
 * limit. Nothing is ever rehashed.
 *
 * A slot is given again to others; `birth` tells lives apart, so that a reference is a slot and a birth.
 * The table knows nothing about transactions and decides nothing. `wall_ms` comes in. What changed is marked
 * by slot, for whoever writes it to disk.
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
/* A counter whose window has passed is kept so much longer: a transaction may still settle on it. */
#define TABLE_LINGER_MS (16 * 60 * 1000)

struct table_entry {
	uint32_t hash;
	uint32_t birth;              /* 0: the slot is free, and `subject` is the next free one + 1 */
	uint64_t newest, total;
	uint64_t limit;              /* the last one; for eviction and listing */
	uint32_t warned;             /* low bits of the bucket of the last warning, if HAS_WARNED */
	uint32_t subject, buckets;   /* chains of blocks; buckets: what `packed` has no room for */
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
	uint32_t *index;             /* tag of the hash, and slot + 1 in the low bits */
	uint64_t *dirty;             /* marks */
	struct blocks blocks;
	struct series_set series;
	uint32_t max, high;          /* slots there are; slots that were ever used */
	uint32_t places;             /* in the index */
	uint32_t slot_mask;
	unsigned tag_shift;
	uint32_t free_slot;          /* + 1; 0: none below high */
	uint32_t count, next_birth;
	uint32_t swept;              /* where the next sweep begins; while restoring: slots below it are taken */
	uint64_t random;
	/* readable */
	uint64_t evictions, no_room; /* no_room: nothing could leave, and a counter was not made */
};

struct counter_table *table_new(size_t max_counters, struct hash_key key)
	__attribute__((warn_unused_result));
void table_free(struct counter_table **table);

/* The subject's part of a look-up, so that the counters of one subject share it. */
static inline uint64_t table_hash(const struct counter_table *table, struct slice subject)
{
	return hash64(&table->key, subject);
}

/* `subject_hash` is table_hash() of the key's subject. TABLE_NONE: there is none. */
uint32_t table_find(const struct counter_table *table, const struct counter_key *key,
		    uint64_t subject_hash);
/* A new counter, unused; the key must not be there. Others may leave for it (not pinned ones). TABLE_NONE: nothing
 * could leave, or the key is impossible (empty or too long). */
uint32_t table_add(struct counter_table *table, const struct counter_key *key,
		   uint64_t subject_hash, uint64_t limit, uint64_t wall_ms)
	__attribute__((warn_unused_result));
void table_remove(struct counter_table *table, uint32_t slot);
/* While it is pinned a counter does not leave for another. */
void table_pin(struct counter_table *table, uint32_t slot, bool pinned);

/* Is the life that began as `birth` still in this slot? */
static inline bool table_is_alive(const struct counter_table *table, uint32_t slot, uint32_t birth)
{
	return slot < table->high && birth && table->entries[slot].birth == birth;
}

/* The window, rolled to `wall_ms`; and back, which marks the counter dirty. */
void table_load(const struct counter_table *table, uint32_t slot, uint64_t wall_ms,
		struct window *ret);
void table_store(struct counter_table *table, uint32_t slot, struct window *window,
		 uint64_t wall_ms);
void table_set_limit(struct counter_table *table, uint32_t slot, uint64_t limit);
/* Has it not warned within the window before `newest`? Then it has now. */
bool table_warn_once(struct counter_table *table, uint32_t slot, uint64_t newest);

void table_forget_warning(struct counter_table *table, uint32_t slot);

/* Looks at the next `slots` slots and removes counters that are long over. Call it now and then. */
void table_sweep(struct counter_table *table, uint32_t slots, uint64_t wall_ms);

/* One counter in full, for listing and for the disk. */
struct table_record {
	struct counter_key key;      /* `subject` and `rule` point into this record and into the table */
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
/* Puts a record back into its slot (or, where that is taken or past the end, into another, dirty), only
 * between table_new() and table_restored(). false: no room, an impossible key, or it is there already. */
bool table_restore(struct counter_table *table, uint32_t slot, const struct table_record *record)
	__attribute__((warn_unused_result));
void table_restored(struct counter_table *table);
/* No birth up to this one is given again: somebody still refers to it. */
void table_reserve_births(struct counter_table *table, uint32_t birth);

/* The next slot from `from` on that changed, clean after it; TABLE_NONE: no more. It may be free by now. */
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

/* All series that have counters, for looking up a subject in each: the next number from `from` on;
 * SERIES_NONE: no more. */
uint16_t table_next_series(const struct counter_table *table, uint16_t from,
			   struct counter_key *ret_key);

/* Bytes of memory in use (of what was reserved). */
uint64_t table_bytes(const struct counter_table *table);

#endif
