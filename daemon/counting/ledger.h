/* SPDX-License-Identifier: ISC */
/*
 * The pure heart of counting: reserve at RCPT, settle at DATA or END-OF-MESSAGE, refund what came
 * to nothing, over a table of counters and one of transactions. `now` comes in; nothing is read,
 * written, logged or woken. Every call is one atomic step.
 *
 * - A recipient is charged once per rule and transaction; messages and bytes once per counter and
 *   transaction.
 * - A refused request charges nothing. Gates pass all together or not at all; soft counters are
 *   charged after them, and never refuse.
 * - What was settled is settled: settling DATA and then END-OF-MESSAGE, or either again, changes
 *   nothing.
 * - After a refund the same request, or settling again, charges anew.
 * - A charge whose counter left (it was evicted) is forgotten with it.
 */
#ifndef REEVE_DAEMON_COUNTING_LEDGER_H
#define REEVE_DAEMON_COUNTING_LEDGER_H

#include "common/clock.h"
#include "daemon/counting/charge.h"
#include "daemon/counting/services.h"
#include "daemon/counting/table.h"
#include "daemon/counting/txns.h"

/* One counter of the request that is being reserved. Its slot stands in ledger->slots. */
struct ledger_item {
	struct table_hash hash;
	uint64_t used;    /* before this request */
	uint32_t same_as; /* an earlier item with this counter; TABLE_NONE: none */
	bool already, over;
	bool loaded; /* its window is in ledger->windows */
};

struct ledger {
	struct counter_table *counters;
	struct txn_table *txns;
	struct services services;
	/* private */
	struct ledger_item items[STORE_MAX_CHARGES];
	uint32_t slots[STORE_MAX_CHARGES]; /* TABLE_NONE: not there yet */
	struct window windows[STORE_MAX_CHARGES];
	uint64_t amounts[TXN_MAX_ITEMS]; /* of the groups of the transaction in hand */
};

struct ledger_options {
	size_t max_counters, max_transactions;
	enum ledger_settle settle;
	struct hash_key key;
};

struct ledger *ledger_new(const struct ledger_options *options) __attribute__((warn_unused_result));
void ledger_free(struct ledger **ledger);

struct ledger_request {
	struct hash128 transaction; /* zero: charged, but not remembered */
	uint64_t service;
	uint64_t recipient; /* 0: the whole message; then the transaction counts as settled */
	unsigned asked;
	bool dry; /* results as they would be, and free_ms; nothing changes */
};

/* Fills the results of the `count` (at most STORE_MAX_CHARGES) charges. Returns the first
 * refusing gate, -1: none. */
int ledger_reserve(struct ledger *ledger, const struct ledger_request *request,
	struct store_charge *charges, unsigned count, struct clock_now now);

/* How many of the charges has the transaction not made before? Nothing is changed; those that it
 * has are CHARGE_ALREADY. */
unsigned ledger_unknown(struct ledger *ledger, const struct ledger_request *request,
	struct store_charge *charges, unsigned count, struct clock_now now);

/* Where a charge was made that another store granted. */
struct ledger_booking {
	uint32_t slot, birth;
	uint64_t bucket;
};

/* Remembers charges that were granted elsewhere (outcome GRANTED or OVER) as the transaction's own.
 * The counters themselves are the caller's. Of the keys only `what` is looked at. */
void ledger_book(struct ledger *ledger, const struct ledger_request *request,
	const struct store_charge *charges, const struct ledger_booking *bookings, unsigned count,
	struct clock_now now);

struct ledger_settlement {
	struct hash128 transaction;
	uint64_t service;
	uint64_t recipient_count;
	unsigned asked;     /* 0: not known; then what reserving said last */
	uint64_t recipient; /* where recipient_count is 1 and it is known which: its hash; else 0 */
	uint64_t size_bytes;
	bool end_of_message;
	bool dry; /* results as they would be, `refunded` but; nothing changes */
	/* results */
	bool unknown, refused;
	uint32_t refused_slot;          /* the first refusing counter; valid until the next call */
	uint64_t used, limit, retry_ms; /* retry_ms: the longest of all that refuse */
	uint64_t refunded;              /* recipients given back: the most in any one counter */
};

void ledger_settle(
	struct ledger *ledger, struct ledger_settlement *settlement, struct clock_now now);
/* All that the transaction charged goes back, settled or not. */
void ledger_refund(struct ledger *ledger, struct hash128 transaction, struct clock_now now);
/* The same if it never settled and its service does. */
void ledger_abandon(struct ledger *ledger, struct hash128 transaction, struct clock_now now);
/* Ends transactions whose time has come and removes counters that are over; a bounded piece of
 * work. */
void ledger_sweep(struct ledger *ledger, struct clock_now now);
/* Empties the counters of a subject; they stay, so that open transactions can settle. Returns how
 * many held something. */
unsigned ledger_reset(struct ledger *ledger, struct slice subject, struct clock_now now);

/* For ledger's own files: give back all of it; returns the most recipients given back in one
 * counter. */
uint64_t ledger_refund_all(struct ledger *ledger, struct txn *txn, uint64_t wall_ms);
/* Takes `ledger->amounts[group]` back from each group's buckets, newest first. */
void ledger_take_back(struct ledger *ledger, struct txn *txn, uint64_t wall_ms);
/* Remembers `amount` in `bucket` for the group. */
void ledger_add_layer(
	struct ledger *ledger, struct txn *txn, uint16_t group, uint64_t bucket, uint64_t amount);

#endif
