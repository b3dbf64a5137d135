/* SPDX-License-Identifier: ISC */
/*
 * What is asked of the counters: each becomes a question to Redis, see ask.c, where it can be one.
 */
#include "daemon/store/redis/counters.h"

#include <stdio.h>
#include <string.h>

#include "common/alloc.h"
#include "daemon/store/redis/counters_parts.h"

#define MAX_COMMAND_BYTES ((size_t)1 << 20)

/* ---- making ---- */

static void draw_incarnation(struct counters *counters)
{
	struct hash_key random = hash_key_random();
	char text[INCARNATION_BYTES + 1];

	counters->owner = random.k0 ^ random.k1;
	snprintf(text, sizeof(text), "%016llx", (unsigned long long)counters->owner);
	memcpy(counters->incarnation, text, INCARNATION_BYTES);
}

struct counters *counters_new(const struct counters_options *options, struct redis_port *port)
{
	struct counters *counters = mem_zalloc(sizeof(*counters));
	struct ledger_options ledger = {
		.max_counters = options->max_counters,
		.max_transactions = options->max_transactions,
		.settle = options->settle,
		.key = hash_key_random(),
	};

	counters->options = *options;
	counters->port = port;
	counters->own = own_new(&ledger);
	counters->scripts = scripts_new();
	keys_init(&counters->keys, options->prefix);
	draw_incarnation(counters);
	list_init(&counters->waiting);
	list_init(&counters->spare);
	buf_init(&counters->fence_key, KEYS_MAX_BYTES);
	buf_init(&counters->fence_value, KEYS_MAX_BYTES);
	foreign_init(counters);
	buf_init(&counters->args, MAX_COMMAND_BYTES);
	buf_init(&counters->out, MAX_COMMAND_BYTES);
	buf_init(&counters->key, KEYS_MAX_BYTES);
	counters->nodes = options->nodes ? options->nodes : 1;
	upkeep_init(counters);
	return counters;
}

void counters_free(struct counters **counters)
{
	struct counters *old = *counters;
	struct list *node;

	if (!old)
		return;
	while ((node = list_pop(&old->waiting)) != NULL) {
		struct ask *ask = LIST_ENTRY(node, struct ask, node);

		ask_free(&ask);
	}
	foreign_free(old);
	while ((node = list_pop(&old->spare)) != NULL) {
		struct ask *ask = LIST_ENTRY(node, struct ask, node);

		mem_free(&ask);
	}
	own_free(&old->own);
	scripts_free(&old->scripts);
	buf_release(&old->fence_key);
	buf_release(&old->fence_value);
	buf_release(&old->args);
	buf_release(&old->out);
	buf_release(&old->key);
	mem_free(&old->drops);
	mem_free(counters);
}

/* ---- what is asked ---- */

/* An op that was not answered at once sleeps. */
static void sleep_on(struct store_op *op)
{
	if (op->state == STORE_OP_DONE)
		return;
	op->state = STORE_OP_PENDING;
	waiter_expect(op->waiter);
}

static void keep_charge(
	struct ask *ask, const struct store_charge *charge, unsigned place, struct own_ref ref)
{
	unsigned i = ask->charge_count++;

	ask->charges[i] = *charge;
	ask->charges[i].key.rule = ask->charges[i].key.subject = SLICE_EMPTY;
	ask->counter_of[i] = (uint16_t)ask_add(ask, ref);
	ask->place_of[i] = (uint16_t)place;
}

/* The counters of all charges that are not known yet; false: one has no place or a bad key, and the
 * request is decided here. */
static bool collect(struct counters *counters, struct ask *ask, const struct store_reserve *op,
	unsigned count, uint64_t wall_ms)
{
	struct own_ref refs[STORE_MAX_CHARGES];
	bool usable = true;

	for (unsigned i = 0; i < count; i++) {
		const struct store_charge *charge = &op->charges[i];

		refs[i] = own_get(counters->own, &charge->key, charge->limit, refs, i, wall_ms);
		usable = usable && refs[i].slot != TABLE_NONE && !is_bad_key(counters, refs[i]);
		if (usable && charge->outcome != CHARGE_ALREADY)
			keep_charge(ask, charge, i, refs[i]);
	}
	return usable;
}

static bool is_local(const struct counters *counters, struct hash128 transaction)
{
	const struct txn *txn = hash128_is_zero(transaction)
					? NULL
					: txn_find(counters->own->ledger->txns, transaction);

	return txn && txn->local;
}

static uint32_t version_of(const struct counters *counters, struct hash128 transaction)
{
	const struct txn *txn = txn_find(counters->own->ledger->txns, transaction);

	return txn ? txn->version : 0;
}

void ask_reserve(struct counters *counters, struct store_reserve *op, uint64_t deadline_mono_ms)
{
	unsigned count = op->count < STORE_MAX_CHARGES ? op->count : STORE_MAX_CHARGES;
	struct ledger_request request = {
		op->transaction, op->service, op->recipient, op->asked, op->dry};
	struct ask *ask;

	op->refused = -1;
	for (unsigned i = 0; i < count; i++)
		op->charges[i].outcome = CHARGE_NONE;
	if (!op->dry && is_local(counters, op->transaction) &&
		!ledger_unknown(counters->own->ledger, &request, op->charges, count,
			store_clock(counters))) {
		op_done(&op->op, false);
		return;
	}
	ask = ask_new(counters, ASK_RESERVE, &op->op, count, count);
	ask->request = request;
	ask->deadline_mono_ms = deadline_mono_ms;
	if (!is_local(counters, op->transaction))
		ask->transaction = op->transaction;
	ask->version = op->dry ? 0 : version_of(counters, ask->transaction);
	if (!collect(counters, ask, op, count, store_clock(counters).wall_ms))
		ask->tries = MAX_TRIES;
	ask_go(counters, ask);
}

void counters_reserve(struct counters *counters, struct store_reserve *op, struct clock_now now)
{
	counters->now = now;
	op->op.state = STORE_OP_IDLE;
	ask_reserve(counters, op, now.mono_ms + counters->options.timeout_ms);
	sleep_on(&op->op);
}

/* The counters that this node knows the transaction to have charged. */
static unsigned known_counters(const struct counters *counters, struct hash128 transaction,
	struct own_ref refs[static TXN_MAX_ITEMS])
{
	struct txn *txn = txn_find(counters->own->ledger->txns, transaction);
	unsigned count = 0;

	for (unsigned i = 0; txn && i < txn->groups; i++) {
		const struct txn_group *group = &txn_groups(txn)[i];
		struct own_ref ref = {group->slot, group->birth};

		if (own_is_alive(counters->own, ref))
			refs[count++] = ref;
	}
	return count;
}

/* Redis may have forgotten it with all else. */
static bool its_service_settles(const struct counters *counters, struct hash128 transaction)
{
	const struct txn *txn = txn_find(counters->own->ledger->txns, transaction);

	return txn && services_settles(&counters->own->ledger->services, txn->service,
			      store_clock(counters).wall_ms);
}

struct ask *ask_about(struct counters *counters, enum ask_kind kind, struct store_op *op,
	struct hash128 transaction)
{
	struct own_ref refs[TXN_MAX_ITEMS];
	unsigned count = known_counters(counters, transaction, refs);
	struct ask *ask = ask_new(counters, kind, op, count, 0);

	for (unsigned i = 0; i < count; i++)
		ask->refs[ask->counter_count++] = (struct ask_counter){refs[i], false};
	ask->transaction = transaction;
	ask->version = version_of(counters, transaction);
	ask->settles = kind == ASK_REFUND && its_service_settles(counters, transaction);
	return ask;
}

void counters_settle(struct counters *counters, struct store_settle *op, struct clock_now now)
{
	struct ask *ask;

	counters->now = now;
	if (!op->dry)
		services_settled(&counters->own->ledger->services, op->service, now.wall_ms);
	if (is_local(counters, op->transaction)) {
		alone_settle(counters, op);
		op->op.failed = false;
		op->op.state = STORE_OP_DONE;
		return;
	}
	ask = ask_about(counters, ASK_SETTLE, &op->op, op->transaction);
	if (op->dry)
		ask->version = 0;
	ask->request.dry = op->dry;
	ask->request.service = op->service;
	ask->request.recipient = op->recipient;
	ask->request.asked = op->asked;
	ask->recipient_count = op->recipient_count;
	ask->size_bytes = op->size_bytes;
	ask->end_of_message = op->end_of_message;
	op->op.state = STORE_OP_IDLE;
	ask_go(counters, ask);
	sleep_on(&op->op);
}

static void give_back(struct counters *counters, struct hash128 transaction, enum refund_kind kind)
{
	struct ask *ask;
	bool local;

	if (foreign_is(counters, transaction)) {
		foreign_refund(counters, transaction, kind, kind == REFUND_ALWAYS);
		return;
	}
	local = is_local(counters, transaction);
	if (!local && kind != REFUND_ALWAYS) {
		foreign_end(counters, transaction, kind);
		return;
	}
	if (local || counters->state <= COUNTERS_REFUSED) {
		alone_refund(counters, transaction, kind);
		return;
	}
	ask = ask_about(counters, ASK_REFUND, NULL, transaction);
	ask->refund = kind;
	ask_go(counters, ask);
}

void counters_refund(struct counters *counters, struct hash128 transaction, struct clock_now now)
{
	counters->now = now;
	give_back(counters, transaction, REFUND_ALWAYS);
}

/* Comes with every message; Redis is asked only where something may be to give back: what this run
 * charged, or an earlier one had. */
void counters_abandon(struct counters *counters, struct hash128 transaction, struct clock_now now)
{
	const struct ledger *ledger = counters->own->ledger;
	const struct txn *txn = txn_find(ledger->txns, transaction);
	bool may_be_old = now.mono_ms - counters->began_mono_ms < TXN_IDLE_MS;

	counters->now = now;
	if (txn ? txn->groups && !txn->settled &&
				services_settles(&ledger->services, txn->service,
					store_clock(counters).wall_ms)
		: may_be_old)
		give_back(counters, transaction, REFUND_ABANDONED);
}

void ask_usage(struct counters *counters, struct store_usage *op, uint64_t deadline_mono_ms)
{
	struct own_ref ref =
		own_get(counters->own, &op->key, op->limit, NULL, 0, store_clock(counters).wall_ms);
	struct ask *ask = ask_new(counters, ASK_LOOK, &op->op, 1, 0);

	ask->deadline_mono_ms = deadline_mono_ms;
	if (ref.slot == TABLE_NONE || is_bad_key(counters, ref))
		ask->tries = MAX_TRIES;
	else
		ask_add(ask, ref);
	ask_go(counters, ask);
}

void counters_usage(struct counters *counters, struct store_usage *op, struct clock_now now)
{
	counters->now = now;
	op->op.state = STORE_OP_IDLE;
	ask_usage(counters, op, now.mono_ms + counters->options.timeout_ms);
	sleep_on(&op->op);
}

/* Sends those that were gathered, and begins a new command. */
static struct ask *send_resets(struct counters *counters, struct ask *ask)
{
	if (ask->counter_count)
		ask_go(counters, ask);
	else
		ask_free(&ask);
	return ask_new(counters, ASK_RESET, NULL, RESETS_A_COMMAND, 0);
}

static unsigned reset_in_redis(struct counters *counters, struct slice subject)
{
	struct counter_table *table = counters->own->ledger->counters;
	uint64_t wall_ms = store_clock(counters).wall_ms;
	struct ask *ask = ask_new(counters, ASK_RESET, NULL, RESETS_A_COMMAND, 0);
	struct counter_key key;
	unsigned held = 0;

	for (uint16_t i = 0; (i = table_next_series(table, i, &key)) != SERIES_NONE; i++) {
		struct own_ref ref;
		struct window window;

		key.subject = subject;
		ref = own_get(counters->own, &key, 0, NULL, 0, wall_ms);
		if (ref.slot == TABLE_NONE)
			continue;
		table_load(table, ref.slot, wall_ms, &window);
		held += window.total > 0;
		ask_add(ask, ref);
		if (ask->counter_count == RESETS_A_COMMAND)
			ask = send_resets(counters, ask);
	}
	ask = send_resets(counters, ask);
	ask_free(&ask);
	return held;
}

unsigned counters_reset(struct counters *counters, struct slice subject, struct clock_now now)
{
	counters->now = now;
	if (counters->state > COUNTERS_REFUSED)
		return reset_in_redis(counters, subject);
	counters->in_doubt = true;
	return own_reset(counters->own, subject, store_clock(counters));
}

void counters_forget(struct counters *counters, struct store_op *op)
{
	struct ask *ask = op->ticket;

	(void)counters;
	op->state = STORE_OP_IDLE;
	waiter_forget(op->waiter);
	if (!ask)
		return;
	ask->op = NULL;
	op->ticket = NULL;
	if (!list_is_empty(&ask->node)) /* it waits, and Redis has done nothing yet */
		ask_free(&ask);
}

/* ---- turns ---- */

void counters_run(struct counters *counters, struct clock_now now)
{
	struct list *node, *next;

	counters->now = now;
	for (node = counters->waiting.next; node != &counters->waiting; node = next) {
		struct ask *ask = LIST_ENTRY(node, struct ask, node);

		next = node->next;
		if (!ask->op || now.mono_ms < ask->deadline_mono_ms)
			continue;
		counters->health.overdue++;
		list_remove(&ask->node);
		ask_alone(counters, ask);
		ask_free(&ask);
	}
	upkeep_run(counters);
}

uint64_t counters_next(const struct counters *counters)
{
	uint64_t next = upkeep_next(counters);

	for (struct list *node = counters->waiting.next; node != &counters->waiting;
		node = node->next) {
		const struct ask *ask = LIST_ENTRY(node, struct ask, node);

		if (ask->op && ask->deadline_mono_ms < next)
			next = ask->deadline_mono_ms;
	}
	return next;
}

void counters_tick(struct counters *counters, struct clock_now now)
{
	counters->now = now;
	upkeep_tick(counters);
}

bool counters_are_ready(const struct counters *counters)
{
	return counters->state == COUNTERS_READY;
}

void counters_health(const struct counters *counters, struct counters_health *ret)
{
	const struct ledger *ledger = counters->own->ledger;

	*ret = counters->health;
	ret->ready = counters_are_ready(counters);
	ret->nodes = counters->nodes;
	ret->in_doubt = counters->in_doubt;
	ret->counters = ledger->counters->count;
	ret->transactions = ledger->txns->count;
	ret->evictions = ledger->counters->evictions;
	ret->uncounted = ledger->counters->no_room;
	ret->bytes = table_bytes(ledger->counters) + txn_table_bytes(ledger->txns) +
		     table_bytes(counters->own->given);
	ret->clock_offset_ms = counters->has_offset
				       ? counters->offset_ms + (int64_t)counters->now.mono_ms -
						 (int64_t)counters->now.wall_ms
				       : 0;
}
