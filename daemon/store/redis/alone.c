/* SPDX-License-Identifier: ISC */
/*
 * Decisions without Redis, by the ledger's own rules over what this node was granted itself. A limit
 * counts with the node's share of it. What the ledger changes is marked dirty by its table, and is
 * asserted when Redis can be asked again.
 */
#include <math.h>
#include <stdio.h>

#include "daemon/store/redis/counters_parts.h"

static uint64_t share_of(const struct counters *counters, uint64_t limit)
{
	double share = ceil((double)limit * counters->options.slack /
			    (double)(counters->nodes ? counters->nodes : 1));

	return share >= (double)MAX_NUMBER ? MAX_NUMBER : (uint64_t)share;
}

void txn_is_local(struct counters *counters, struct hash128 transaction)
{
	struct txn *txn = hash128_is_zero(transaction)
				  ? NULL
				  : txn_find(counters->own->ledger->txns, transaction);

	if (hash128_is_zero(transaction) || (txn && txn->local))
		return;
	if (!txn)
		txn = txn_add(counters->own->ledger->txns, transaction, counters->now.mono_ms);
	foreign_forget(counters, txn);
	txn->local = true;
	txn->version = 0;
	drop_later(counters, transaction);
}

static void copy_results(struct store_reserve *op, const struct store_charge *from, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		op->charges[i].outcome = from[i].outcome;
		op->charges[i].used = from[i].used;
		op->charges[i].retry_ms = from[i].retry_ms;
		op->charges[i].warn = from[i].warn;
		op->charges[i].free_ms = from[i].free_ms;
		op->charges[i].free_amount = from[i].free_amount;
	}
}

void alone_reserve(struct counters *counters, struct store_reserve *op, bool was_sent)
{
	unsigned count = op->count < STORE_MAX_CHARGES ? op->count : STORE_MAX_CHARGES;
	struct ledger_request request = {
		op->transaction, op->service, op->recipient, op->asked, op->dry};
	struct store_charge charges[STORE_MAX_CHARGES];
	struct own_ref refs[STORE_MAX_CHARGES];
	struct clock_now now = store_clock(counters);
	bool whole = op->recipient == 0 && !was_sent && !hash128_is_zero(op->transaction) &&
		     foreign_is(counters, op->transaction);

	for (unsigned i = 0; i < count; i++) {
		charges[i] = op->charges[i];
		charges[i].limit = share_of(counters, op->charges[i].limit);
		refs[i] = own_get(
			counters->own, &op->charges[i].key, charges[i].limit, refs, i, now.wall_ms);
	}
	op->refused = ledger_reserve(counters->own->ledger, &request, charges, count, now);
	copy_results(op, charges, count);
	if (op->dry)
		return;
	if (whole && op->refused < 0)
		foreign_counted_here(counters, op->transaction);
	else if ((op->refused < 0 || was_sent) && !hash128_is_zero(op->transaction))
		txn_is_local(counters, op->transaction);
	counters->in_doubt = true;
}

void clear_refused(struct store_settle *op)
{
	op->refused_rule[0] = op->refused_subject[0] = '\0';
	op->refused_key = (struct counter_key){.rule = SLICE_EMPTY, .subject = SLICE_EMPTY};
}

void name_refused(struct counters *counters, struct own_ref ref, struct store_settle *op)
{
	char memory[COUNTER_SUBJECT_BYTES];
	struct counter_key key;

	if (!own_is_alive(counters->own, ref) ||
		!table_key(counters->own->ledger->counters, ref.slot, memory, &key))
		return;
	snprintf(op->refused_rule, sizeof(op->refused_rule), "%.*s", SLICE_ARG(key.rule));
	memcpy(op->refused_subject, key.subject.data, key.subject.len);
	op->refused_subject[key.subject.len] = '\0';
	op->refused_key = key;
	op->refused_key.rule = slice_of(op->refused_rule);
	op->refused_key.subject = slice_make(op->refused_subject, key.subject.len);
}

void alone_settle(struct counters *counters, struct store_settle *op)
{
	struct ledger *ledger = counters->own->ledger;
	struct ledger_settlement settlement = {.transaction = op->transaction,
		.service = op->service,
		.recipient_count = op->recipient_count,
		.asked = op->asked,
		.recipient = op->recipient,
		.size_bytes = op->size_bytes,
		.end_of_message = op->end_of_message,
		.dry = op->dry};

	ledger_settle(ledger, &settlement, store_clock(counters));
	op->unknown = settlement.unknown;
	op->refused = settlement.refused;
	op->used = settlement.used;
	op->limit = settlement.limit;
	op->retry_ms = settlement.retry_ms;
	op->refunded = settlement.refunded;
	clear_refused(op);
	if (settlement.refused)
		name_refused(counters, own_ref_of(counters->own, settlement.refused_slot), op);
	if (op->dry || settlement.unknown)
		return;
	txn_is_local(counters, op->transaction);
	counters->in_doubt = true;
}

void alone_refund(struct counters *counters, struct hash128 transaction, enum refund_kind kind)
{
	struct ledger *ledger = counters->own->ledger;

	if (!txn_find(ledger->txns, transaction))
		return;
	if (kind == REFUND_ALWAYS)
		ledger_refund(ledger, transaction, store_clock(counters));
	else
		ledger_abandon(ledger, transaction, store_clock(counters));
	txn_is_local(counters, transaction);
	counters->in_doubt = true;
}

void alone_reset(struct counters *counters, const struct ask *ask)
{
	uint64_t wall_ms = store_clock(counters).wall_ms;

	for (unsigned i = 0; i < ask->counter_count; i++)
		own_empty(counters->own, ask->refs[i].ref, wall_ms);
	counters->in_doubt = true;
}

void alone_usage(struct counters *counters, struct store_usage *op)
{
	const struct counter_table *table = counters->own->ledger->counters;
	uint32_t slot = table_find(table, &op->key, table_hash(table, &op->key));
	struct clock_now now = store_clock(counters);
	struct window window;

	op->used = op->free_ms = op->free_amount = 0;
	if (slot == TABLE_NONE)
		return;
	table_load(table, slot, now.wall_ms, &window);
	op->used = window.total;
	op->free_ms = window_next_ms(&window, now.wall_ms, &op->free_amount);
}
