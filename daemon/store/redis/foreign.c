/* SPDX-License-Identifier: ISC */
/*
 * Giving back what other nodes charged. What this node charged itself stands in its own table, and is
 * asserted whatever became of a command. Of a transaction that others charged the table knows
 * nothing: if the answer is lost, so is the difference, and the next assertion would undo it. So such
 * a command has a number, Redis keeps with the transaction what was taken for it, and it is sent
 * again until the answer is here.
 *
 * In the same way it is asked whether what Redis granted this node goes back, now that it is over: only
 * Redis knows whether another node has settled it. Until it says so the charge stands. It stands for
 * good where there is no room for the question, or no answer within a quarter of an hour: rather a
 * message too many than one that is not counted.
 */
#include "daemon/store/redis/counters_parts.h"

#define MAX_KEPT 4096
#define AGAIN_MS 1000
#define OTHERS_FIRST_MS 3000

void foreign_init(struct counters *counters)
{
	list_init(&counters->foreign);
}

void foreign_free(struct counters *counters)
{
	struct list *node;

	while ((node = list_pop(&counters->foreign)) != NULL) {
		struct ask *ask = LIST_ENTRY(node, struct ask, node);

		ask_free(&ask);
	}
}

bool foreign_is_end(const struct ask *ask)
{
	return ask->give && ask->version;
}

/* Its transaction has been used again meanwhile, and is decided here. */
static bool is_void(const struct counters *counters, const struct ask *ask)
{
	const struct txn *txn = txn_find(counters->own->ledger->txns, ask->transaction);

	return foreign_is_end(ask) && txn && txn->local;
}

bool foreign_keep(struct counters *counters, struct ask *ask)
{
	if (!ask->give || counters->foreign_count >= MAX_KEPT ||
		counters->now.mono_ms - ask->since_mono_ms >= TXN_IDLE_MS || is_void(counters, ask))
		return false;
	ask->repeats = ask->repeats || ask->sent;
	list_append(&counters->foreign, &ask->node);
	counters->foreign_count++;
	if (counters->foreign_at_mono_ms < counters->now.mono_ms + AGAIN_MS)
		counters->foreign_at_mono_ms = counters->now.mono_ms + AGAIN_MS;
	return true;
}

/* Who charged it may have given it back itself while it could not ask Redis, and says so as soon as
 * it can: that comes first. */
void foreign_ready(struct counters *counters)
{
	counters->foreign_at_mono_ms = counters->now.mono_ms + OTHERS_FIRST_MS;
}

bool foreign_is(const struct counters *counters, struct hash128 transaction)
{
	const struct txn *txn = txn_find(counters->own->ledger->txns, transaction);

	return !txn || (!txn->local && txn->groups == 0);
}

static void give_number(struct counters *counters, struct ask *ask, enum refund_kind kind)
{
	ask->refund = kind;
	ask->give = ++counters->gives;
	ask->since_mono_ms = counters->now.mono_ms;
}

/* Names no counters: Redis tells which they are. */
static struct ask *make(
	struct counters *counters, struct hash128 transaction, enum refund_kind kind)
{
	struct ask *ask = ask_new(counters, ASK_REFUND, NULL, 0, 0);

	ask->transaction = transaction;
	give_number(counters, ask, kind);
	return ask;
}

void foreign_end(struct counters *counters, struct hash128 transaction, enum refund_kind kind)
{
	struct txn *txn = txn_find(counters->own->ledger->txns, transaction);
	struct ask *ask;

	if (!txn || txn->ending)
		return;
	ask = ask_about(counters, ASK_REFUND, NULL, transaction);
	give_number(counters, ask, kind);
	txn->ending = true;
	ask_go(counters, ask);
}

void foreign_ended(struct counters *counters, const struct ask *ask)
{
	struct txn *txn = txn_find(counters->own->ledger->txns, ask->transaction);

	if (foreign_is_end(ask) && txn)
		txn->ending = false;
}

void foreign_forget(struct counters *counters, struct txn *txn)
{
	struct list *node, *next;

	for (node = counters->foreign.next; txn->ending && node != &counters->foreign;
		node = next) {
		struct ask *ask = LIST_ENTRY(node, struct ask, node);

		next = node->next;
		if (!foreign_is_end(ask) || !hash128_equal(ask->transaction, txn->id))
			continue;
		counters->foreign_count--;
		ask_free(&ask);
		txn->ending = false;
	}
}

void foreign_refund(struct counters *counters, struct hash128 transaction, enum refund_kind kind,
	bool when_back)
{
	struct ask *ask;

	if (counters->state <= COUNTERS_REFUSED && !when_back)
		return;
	ask = make(counters, transaction, kind);
	ask_go(counters, ask);
}

void foreign_counted_here(struct counters *counters, struct hash128 transaction)
{
	struct ask *ask = make(counters, transaction, REFUND_COUNTED_HERE);
	struct txn_table *txns = counters->own->ledger->txns;
	struct txn *txn = txn_find(txns, transaction);

	if (!foreign_keep(counters, ask)) {
		ask_free(&ask);
		txn_is_local(counters, transaction);
		return;
	}
	if (!txn)
		txn = txn_add(txns, transaction, counters->now.mono_ms);
	txn->local = true;
	txn->version = 0;
}

void foreign_run(struct counters *counters)
{
	struct list again;
	struct list *node;

	if (counters->now.mono_ms < foreign_next(counters))
		return;
	list_init(&again);
	while ((node = list_pop(&counters->foreign)) != NULL)
		list_append(&again, node);
	counters->foreign_count = 0;
	while ((node = list_pop(&again)) != NULL) {
		struct ask *ask = LIST_ENTRY(node, struct ask, node);

		ask->tries = 0;
		ask_go(counters, ask);
	}
}

uint64_t foreign_next(const struct counters *counters)
{
	if (counters->state != COUNTERS_READY || list_is_empty(&counters->foreign))
		return UINT64_MAX;
	return counters->foreign_at_mono_ms;
}
