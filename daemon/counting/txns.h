/* SPDX-License-Identifier: ISC */
/*
 * What mail transactions charged: for each counter (a group) how much and in which buckets
 * (layers), and for which recipients (members). A bounded table by the transaction's id, which is
 * a keyed hash already; kept 15 minutes after the last use, 2 after END-OF-MESSAGE; when it is
 * full, the longest unused leaves. It knows no counters but their slot and birth, and decides
 * nothing (see ledger.h).
 *
 * Two groups, two layers and four members have room in the transaction itself; longer lists are
 * on the heap, TXN_MAX_ITEMS at most, and all heaps together are bounded too.
 */
#ifndef REEVE_DAEMON_COUNTING_TXNS_H
#define REEVE_DAEMON_COUNTING_TXNS_H

#include "common/clock.h"
#include "daemon/counting/counter.h"
#include "daemon/counting/marks.h"

#define TXN_IDLE_MS (15 * 60 * 1000)
#define TXN_ENDED_MS (2 * 60 * 1000)
#define TXN_UNSETTLED_MS (10 * 60 * 1000)
#define TXN_MAX_ITEMS 4096
#define TXN_INLINE_GROUPS 2 /* powers of two, all three */
#define TXN_INLINE_LAYERS 2
#define TXN_INLINE_MEMBERS 4
#define TXN_NONE UINT32_MAX

struct txn_group {
	uint64_t rule_id;
	uint64_t limit;
	uint64_t reserved;    /* ever: recipients; or the claim in bytes, later the real size */
	uint64_t net;         /* charged now */
	uint32_t slot, birth; /* of the counter */
	uint32_t recipients;  /* distinct ones, refunded ones too */
	uint8_t what;         /* enum counter_what */
	bool gate, one_subject;
	bool charged; /* not refunded; net may be 0 all the same */
};

struct txn_layer {
	uint64_t amount; /* above 0 */
	uint32_t bucket; /* low bits of the bucket's number */
	uint16_t group;
};

struct txn_member {
	uint64_t recipient;
	uint16_t group;
	bool refunded;
};

/* In which list a transaction stands, each from the longest unused to the last used. */
enum txn_age { TXN_ACTIVE, TXN_UNSETTLED, TXN_ENDED, TXN_AGES };

struct txn {
	struct hash128 id; /* zero: the slot is free, and `older` is the next free one + 1 */
	uint64_t service;
	int64_t used_ms;       /* monotonic; below 0 for those of an earlier run */
	uint32_t older, newer; /* slot + 1 */
	uint32_t asked;
	uint16_t groups, layers, members;
	uint16_t group_room, layer_room, member_room; /* on the heap */
	uint8_t age; /* enum txn_age; UNSETTLED: ten minutes have passed, settled or not */
	bool settled, ended;
	bool any_refunded;            /* some member may be */
	bool ending;                  /* whoever keeps the ledger: another store is to say */
				      /* whether it goes back, */
	bool local;                   /* decided here alone, and */
	uint32_t version;             /* what another store had of it last; 0: nothing */
	struct txn_group *group_heap; /* NULL: the inline ones */
	struct txn_layer *layer_heap;
	struct txn_member *member_heap;
	struct txn_group group_inline[TXN_INLINE_GROUPS];
	struct txn_layer layer_inline[TXN_INLINE_LAYERS];
	struct txn_member member_inline[TXN_INLINE_MEMBERS];
};

struct txn_table {
	/* private */
	struct txn *slots;
	uint32_t *index; /* slot + 1 */
	uint64_t *dirty; /* marks */
	uint32_t max, high, index_mask;
	uint32_t free_slot; /* + 1 */
	struct {
		uint32_t oldest, newest;
	} ages[TXN_AGES]; /* slot + 1 */
	size_t heap_max;
	/* readable */
	size_t heap_bytes;
	uint32_t count;
	uint64_t evictions;
};

struct txn_table *txn_table_new(size_t max) __attribute__((warn_unused_result));
void txn_table_free(struct txn_table **table);

/* NULL: not known. Does not count as use. */
struct txn *txn_find(const struct txn_table *table, struct hash128 id);
/* A new one, used now; the id is not zero and not there. The longest unused leaves for it if need
 * be. */
struct txn *txn_add(struct txn_table *table, struct hash128 id, uint64_t mono_ms)
	__attribute__((returns_nonnull));
void txn_remove(struct txn_table *table, struct txn *txn);
void txn_touch(struct txn_table *table, struct txn *txn, int64_t used_ms);
/* Moves it to the list of another age, as its last used. */
void txn_set_age(struct txn_table *table, struct txn *txn, enum txn_age age);
/* NULL: that list is empty. */
struct txn *txn_oldest(const struct txn_table *table, enum txn_age age);

static inline struct txn_group *txn_groups(struct txn *txn)
{
	return txn->group_heap ? txn->group_heap : txn->group_inline;
}

static inline struct txn_layer *txn_layers(struct txn *txn)
{
	return txn->layer_heap ? txn->layer_heap : txn->layer_inline;
}

static inline struct txn_member *txn_members(struct txn *txn)
{
	return txn->member_heap ? txn->member_heap : txn->member_inline;
}

/* A zeroed item at the end of its list; NULL: TXN_MAX_ITEMS are there. Earlier pointers into the
 * list are void. */
struct txn_group *txn_add_group(struct txn_table *table, struct txn *txn);
struct txn_layer *txn_add_layer(struct txn_table *table, struct txn *txn);
struct txn_member *txn_add_member(struct txn_table *table, struct txn *txn);

/* As table.h: by slot, for whoever writes them to disk. */
static inline uint32_t txn_slot(const struct txn_table *table, const struct txn *txn)
{
	return (uint32_t)(txn - table->slots);
}

static inline void txn_mark(struct txn_table *table, const struct txn *txn)
{
	marks_set(table->dirty, txn_slot(table, txn));
}

/* NULL: the slot is free. */
struct txn *txn_at(const struct txn_table *table, uint32_t slot);
uint32_t txn_next_dirty(struct txn_table *table, uint32_t from);
void txn_mark_slot(struct txn_table *table, uint32_t slot);
/* Into that slot, only between txn_table_new() and txn_restored(), in any order. NULL: taken,
 * past the end, or the id is there or zero. */
struct txn *txn_restore(struct txn_table *table, uint32_t slot, struct hash128 id);
/* Sorts the lists by last use. */
void txn_restored(struct txn_table *table);

uint64_t txn_table_bytes(const struct txn_table *table);

#endif
