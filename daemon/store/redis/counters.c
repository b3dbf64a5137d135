/* SPDX-License-Identifier: ISC */
/*
 * What is asked of the counters, and which way each question takes: to Redis, into the queue, or to
 * a decision of our own.
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

struct counters *counters_new(const struct counters_options *options, struct counters_port *port)
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

/* Redis' time as far as it is known; in tests, the one that was handed in. */
struct clock_now store_clock(const struct counters *counters)
{
	struct clock_now now = counters->now;

	if (counters->has_offset && !counters->options.given_time)
		now.wall_ms = (uint64_t)((int64_t)now.mono_ms + counters->offset_ms);
	return now;
}

/* ---- one question ---- */

struct ask *ask_new(struct counters *counters, enum ask_kind kind, struct store_op *op,
	unsigned counter_room, unsigned charge_room)
{
	size_t places = 2 * charge_room * sizeof(uint16_t);
	size_t bytes = sizeof(struct ask) + counter_room * sizeof(struct ask_counter) +
		       charge_room * sizeof(struct store_charge) + places;
	struct ask *ask = mem_alloc(bytes);

	memset(ask, 0, sizeof(*ask));
	ask->charges = (struct store_charge *)(void *)(ask + 1);
	ask->refs = (struct ask_counter *)(void *)(ask->charges + charge_room);
	ask->counter_of = (uint16_t *)(void *)(ask->refs + counter_room);
	ask->place_of = ask->counter_of + charge_room;
	ask->call.answered = answer_came;
	ask->call.overdue = answer_overdue;
	ask->call.writes = kind != ASK_LOOK;
	ask->counters = counters;
	ask->kind = kind;
	ask->op = op;
	ask->deadline_mono_ms = counters->now.mono_ms + counters->options.timeout_ms;
	list_init(&ask->node);
	if (op)
		op->ticket = ask;
	return ask;
}

void ask_free(struct ask **ask)
{
	if ((*ask)->op)
		(*ask)->op->ticket = NULL;
	list_remove(&(*ask)->node);
	mem_free(&(*ask)->drops);
	mem_free(ask);
}

unsigned ask_add(struct ask *ask, struct own_ref ref)
{
	for (unsigned i = 0; i < ask->counter_count; i++)
		if (ask->refs[i].ref.slot == ref.slot)
			return i;
	ask->refs[ask->counter_count] = (struct ask_counter){ref, false};
	return ask->counter_count++;
}

/* An op that is not PENDING yet is answered within its own call: nobody sleeps. */
void op_done(struct store_op *op, bool failed)
{
	bool sleeps = op->state == STORE_OP_PENDING;

	op->ticket = NULL;
	op->failed = failed;
	op->state = STORE_OP_DONE;
	if (!sleeps)
		return;
	waiter_forget(op->waiter);
	waiter_wake(op->waiter);
}

void ask_done(struct ask *ask, bool failed)
{
	struct store_op *op = ask->op;

	ask->op = NULL;
	if (op)
		op_done(op, failed);
}

static void decide_alone(struct counters *counters, struct ask *ask)
{
	if (ask->kind == ASK_RESERVE)
		alone_reserve(counters, (struct store_reserve *)(void *)ask->op, ask->sent);
	else if (ask->kind == ASK_SETTLE)
		alone_settle(counters, (struct store_settle *)(void *)ask->op);
	else
		alone_usage(counters, (struct store_usage *)(void *)ask->op);
}

/* A settlement of what only others know: whatever Redis makes of it is still booked. */
static bool changed_nothing(const struct ask *ask)
{
	return ask->kind == ASK_SETTLE &&
	       ((const struct store_settle *)(const void *)ask->op)->unknown;
}

void ask_alone(struct counters *counters, struct ask *ask)
{
	bool looks = ask->kind == ASK_LOOK || ask->request.dry;
	bool fails = counters->options.fail && !looks;

	if (!ask->op)
		return;
	if (!fails) {
		decide_alone(counters, ask);
		ask->alone = !looks && !changed_nothing(ask);
		for (unsigned i = 0; !looks && ask->sent && i < ask->counter_count; i++)
			own_mark(counters->own, ask->refs[i].ref);
		counters->in_doubt = true;
	}
	counters->health.local += !looks;
	ask_done(ask, fails);
}

/* Is a counter in doubt that another command may still change? Its answer comes first. */
static bool must_wait(const struct counters *counters, const struct ask *ask)
{
	if (counters->state != COUNTERS_READY)
		return true;
	for (unsigned i = 0; i < ask->counter_count; i++)
		if (own_is_dirty(counters->own, ask->refs[i].ref) &&
			own_in_flight(counters->own, ask->refs[i].ref))
			return true;
	return false;
}

static void cannot_go(struct counters *counters, struct ask *ask)
{
	if (foreign_keep(counters, ask))
		return;
	if (ask->kind == ASK_REFUND && !ask->give)
		alone_refund(counters, ask->transaction, ask->refund);
	ask_alone(counters, ask);
	ask_free(&ask);
}

void ask_go(struct counters *counters, struct ask *ask)
{
	uint64_t now_ms = counters->now.mono_ms;
	bool late = now_ms >= ask->deadline_mono_ms;

	if (counters->state <= COUNTERS_REFUSED || (late && ask->op) || ask->tries >= MAX_TRIES) {
		cannot_go(counters, ask);
	} else if (must_wait(counters, ask)) {
		list_append(&counters->waiting, &ask->node);
	} else if (!command_send(counters, ask,
			   late ? counters->options.timeout_ms : ask->deadline_mono_ms - now_ms)) {
		cannot_go(counters, ask);
	}
}

/* An op that was not answered at once sleeps. */
static void sleep_on(struct store_op *op)
{
	if (op->state == STORE_OP_DONE)
		return;
	op->state = STORE_OP_PENDING;
	waiter_expect(op->waiter);
}

void counters_go_on(struct counters *counters)
{
	struct list again;
	struct list *node;

	if (list_is_empty(&counters->waiting))
		return;
	list_init(&again);
	while ((node = list_pop(&counters->waiting)) != NULL)
		list_append(&again, node);
	while ((node = list_pop(&again)) != NULL)
		ask_go(counters, LIST_ENTRY(node, struct ask, node));
}

/* ---- what is asked ---- */

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

	if (foreign_is(counters, transaction)) {
		foreign_refund(counters, transaction, kind, kind == REFUND_ALWAYS);
		return;
	}
	if (is_local(counters, transaction) || counters->state <= COUNTERS_REFUSED) {
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

void counters_usage(struct counters *counters, struct store_usage *op, struct clock_now now)
{
	struct own_ref ref;
	struct ask *ask;

	counters->now = now;
	ref = own_get(counters->own, &op->key, op->limit, NULL, 0, store_clock(counters).wall_ms);
	ask = ask_new(counters, ASK_LOOK, &op->op, 1, 0);
	if (ref.slot == TABLE_NONE || is_bad_key(counters, ref))
		ask->tries = MAX_TRIES;
	else
		ask_add(ask, ref);
	op->op.state = STORE_OP_IDLE;
	ask_go(counters, ask);
	sleep_on(&op->op);
}

static unsigned reset_in_redis(struct counters *counters, struct slice subject)
{
	struct counter_table *table = counters->own->ledger->counters;
	uint64_t wall_ms = store_clock(counters).wall_ms;
	struct ask *ask = ask_new(counters, ASK_RESET, NULL, SERIES_MAX, 0);
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
	}
	if (ask->counter_count)
		ask_go(counters, ask);
	else
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
