/* SPDX-License-Identifier: ISC */
/*
 * What is made of Redis' answers. One that comes after the op was decided here counts for nothing:
 * the counters are in doubt, and will be asserted. All others are booked, whether or not somebody
 * still waits, for Redis has done it.
 */
#include "daemon/store/redis/counters_parts.h"
#include "daemon/store/redis/packed.h"

#define OFFSET_KEPT_MS 5000

/* ---- reading ---- */

/* A script that has done what was asked answers with packed numbers in a string; whatever else it says
 * is an array of a word, the time, and more. */
struct numbers {
	const char *at;
	size_t count;
};

static int64_t signed_number(const struct numbers *numbers, size_t index)
{
	return index < numbers->count ? packed_get(numbers->at + PACKED_BYTES * index) : 0;
}

static uint64_t number(const struct numbers *numbers, size_t index)
{
	int64_t value = signed_number(numbers, index);

	return value > 0 ? (uint64_t)value : 0;
}

static uint64_t item_number(const struct redis_reply *reply, size_t index)
{
	uint64_t value;

	return redis_reply_u64(redis_reply_item(reply, index), &value) ? value : 0;
}

static bool says(const struct redis_reply *reply, const char *word)
{
	return slice_is(redis_reply_text(redis_reply_item(reply, 0)), word);
}

/* -1 is never. */
static uint64_t wait_of(const struct numbers *numbers, size_t index)
{
	int64_t value = signed_number(numbers, index);

	return value < 0 ? UINT64_MAX : (uint64_t)value;
}

/* An answer is never too early, only late by what it took to come: the largest of the last seconds
 * is the nearest. */
void note_time(struct counters *counters, uint64_t time_ms, bool surely)
{
	uint64_t now_ms = counters->now.mono_ms;
	int64_t offset_ms = (int64_t)time_ms - (int64_t)now_ms;

	if (time_ms == 0 || time_ms > MAX_NUMBER)
		return;
	if (!surely && counters->has_offset && offset_ms < counters->offset_ms &&
		now_ms - counters->offset_at_mono_ms < OFFSET_KEPT_MS)
		return;
	counters->has_offset = true;
	counters->offset_ms = offset_ms;
	counters->offset_at_mono_ms = now_ms;
}

/* ---- booking ---- */

static void book_differences(struct counters *counters, const struct ask *ask,
	const struct numbers *numbers, size_t first)
{
	for (size_t i = first, count = numbers->count; i + 2 < count; i += 3) {
		uint64_t which = number(numbers, i);

		if (which >= 1 && which <= ask->counter_count)
			own_book(counters->own, ask->refs[which - 1].ref, number(numbers, i + 1),
				signed_number(numbers, i + 2));
	}
}

static void set_version(
	struct counters *counters, struct hash128 transaction, const struct numbers *numbers)
{
	struct txn *txn = txn_find(counters->own->ledger->txns, transaction);

	if (txn && !txn->local)
		txn->version = (uint32_t)number(numbers, 1);
}

/* The ledger's counters as they were before, but with what Redis says. */
struct before {
	unsigned count;
	uint64_t dirty;
};

static struct before remember_counters(struct counters *counters, const struct ask *ask)
{
	const struct counter_table *table = counters->own->ledger->counters;
	struct before before = {ask->counter_count < STORE_MAX_CHARGES ? ask->counter_count : 0, 0};

	for (unsigned i = 0; i < before.count; i++) {
		struct own_ref ref = ask->refs[i].ref;

		if (!own_is_alive(counters->own, ref))
			continue;
		table_load(table, ref.slot, store_clock(counters).wall_ms, &counters->windows[i]);
		if (own_is_dirty(counters->own, ref))
			before.dirty |= UINT64_C(1) << i;
	}
	return before;
}

static void put_counters_back(
	struct counters *counters, const struct ask *ask, const struct before *before)
{
	struct counter_table *table = counters->own->ledger->counters;

	for (unsigned i = 0; i < before->count; i++) {
		struct own_ref ref = ask->refs[i].ref;

		if (!own_is_alive(counters->own, ref))
			continue;
		table_store(table, ref.slot, &counters->windows[i], store_clock(counters).wall_ms);
		if (!(before->dirty >> i & 1))
			own_unmark(counters->own, ref);
	}
}

/* Redis has settled it, or given it back: so do we, to know it if Redis should forget; but what the
 * counters hold is what Redis says. A transaction of very many counters is not followed. */
static void follow(struct counters *counters, const struct ask *ask, bool settled)
{
	struct ledger *ledger = counters->own->ledger;
	struct txn *txn = txn_find(ledger->txns, ask->transaction);
	struct ledger_settlement settlement = {.transaction = ask->transaction,
		.service = ask->request.service,
		.recipient_count = ask->recipient_count,
		.asked = ask->request.asked,
		.recipient = ask->request.recipient,
		.size_bytes = ask->size_bytes,
		.end_of_message = ask->end_of_message};
	struct before before;

	if (!txn)
		return;
	if (ask->counter_count >= STORE_MAX_CHARGES) {
		txn_remove(ledger->txns, txn);
		return;
	}
	before = remember_counters(counters, ask);
	txn->ended = txn->ended || ask->end_of_message;
	if (settled)
		ledger_settle(ledger, &settlement, store_clock(counters));
	else
		ledger_refund(ledger, ask->transaction, store_clock(counters));
	put_counters_back(counters, ask, &before);
}

/* ---- answers to each kind ---- */

/* How many values stand in the answer for each charge. */
static size_t values_of(const struct ask *ask)
{
	return ask->request.dry ? 7 : 5;
}

static void book_reserve(struct counters *counters, struct ask *ask, const struct numbers *numbers)
{
	struct ledger_booking bookings[STORE_MAX_CHARGES];
	struct counter_table *table = counters->own->ledger->counters;
	bool done[STORE_MAX_CHARGES] = {false};

	for (unsigned i = 0; i < ask->charge_count; i++) {
		struct store_charge *charge = &ask->charges[i];
		unsigned which = ask->counter_of[i];
		struct own_ref ref = ask->refs[which].ref;

		charge->outcome = (enum charge_outcome)number(numbers, 4 + 5 * i);
		bookings[i] =
			(struct ledger_booking){ref.slot, ref.birth, number(numbers, 8 + 5 * i)};
		if (charge->outcome != CHARGE_GRANTED && charge->outcome != CHARGE_OVER)
			continue;
		if (!done[which])
			own_book(counters->own, ref, bookings[i].bucket, (int64_t)charge->cost);
		done[which] = true;
		if (own_is_alive(counters->own, ref))
			table_set_limit(table, ref.slot, charge->limit);
	}
	if (!hash128_is_zero(ask->request.transaction))
		ledger_book(counters->own->ledger, &ask->request, ask->charges, bookings,
			ask->charge_count, store_clock(counters));
	set_version(counters, ask->transaction, numbers);
}

static void answer_reserve(
	struct counters *counters, struct ask *ask, const struct numbers *numbers)
{
	struct store_reserve *op = (struct store_reserve *)(void *)ask->op;
	uint64_t refused = number(numbers, 3);

	for (unsigned i = 0; op && i < ask->charge_count; i++) {
		struct store_charge *charge = &op->charges[ask->place_of[i]];
		size_t at = 4 + values_of(ask) * i;

		charge->outcome = (enum charge_outcome)number(numbers, at);
		charge->used = number(numbers, at + 1);
		charge->retry_ms = wait_of(numbers, at + 2);
		charge->warn = number(numbers, at + 3) == 1;
		charge->free_ms = ask->request.dry ? number(numbers, at + 5) : 0;
		charge->free_amount = ask->request.dry ? number(numbers, at + 6) : 0;
	}
	if (op)
		op->refused = refused ? ask->place_of[refused - 1] : -1;
	if (!refused && !ask->request.dry)
		book_reserve(counters, ask, numbers);
	ask_done(ask, false);
}

static void answer_settle(struct counters *counters, struct ask *ask, const struct numbers *numbers)
{
	struct store_settle *op = (struct store_settle *)(void *)ask->op;
	uint64_t refused = number(numbers, 4);
	bool unknown = number(numbers, 3) == 1;

	if (op) {
		op->unknown = unknown;
		op->refused = refused > 0;
		op->used = number(numbers, 5);
		op->limit = number(numbers, 6);
		op->retry_ms = wait_of(numbers, 7);
		op->refunded = number(numbers, 8);
		clear_refused(op);
		if (refused)
			name_refused(counters, ask->refs[refused - 1].ref, op);
	}
	if (!unknown && !ask->request.dry) {
		follow(counters, ask, !refused);
		book_differences(counters, ask, numbers, 9);
		set_version(counters, ask->transaction, numbers);
	}
	ask_done(ask, false);
}

static void answer_refund(struct counters *counters, struct ask *ask, const struct numbers *numbers)
{
	struct txn *txn = txn_find(counters->own->ledger->txns, ask->transaction);
	bool asserted_away = ask->give && (ask->repeats || !foreign_is_end(ask));

	foreign_ended(counters, ask);
	if (txn && (!ask->give || foreign_is_end(ask)) && number(numbers, 1) > ask->version) {
		follow(counters, ask, false);
		book_differences(counters, ask, numbers, 4);
		set_version(counters, ask->transaction, numbers);
	} else {
		book_differences(counters, ask, numbers, 4);
	}
	/* Where it is an answer that was lost once, the same command asserted without it. */
	for (unsigned i = 0; asserted_away && i < ask->counter_count; i++) {
		own_mark(counters->own, ask->refs[i].ref);
		counters->in_doubt = true;
	}
}

static void answer_look(const struct ask *ask, const struct numbers *numbers)
{
	struct store_usage *op = (struct store_usage *)(void *)ask->op;

	if (!op)
		return;
	op->used = number(numbers, 1);
	op->free_ms = number(numbers, 2);
	op->free_amount = number(numbers, 3);
}

/* Long enough, and each number within its bounds? */
static bool is_whole(const struct ask *ask, const struct numbers *numbers)
{
	size_t count = numbers->count;

	switch (ask->kind) {
	case ASK_RESERVE:
		if (count != 4 + values_of(ask) * ask->charge_count ||
			number(numbers, 3) > ask->charge_count)
			return false;
		for (unsigned i = 0; i < ask->charge_count; i++)
			if (number(numbers, 4 + values_of(ask) * i) > CHARGE_OVER)
				return false;
		return true;
	case ASK_SETTLE:
		return count >= 9 && (count - 9) % 3 == 0 &&
		       number(numbers, 4) <= ask->counter_count;
	case ASK_REFUND:
		return count >= 4 && (count - 4) % 3 == 0;
	case ASK_LOOK:
		return count == 1 + 3 * ask->counter_count;
	case ASK_RESET:
		return count >= 2 && count % 3 == 2;
	case ASK_ASSERT:
	case ASK_DROP:
		break;
	}
	return count >= 1;
}

static void answer_ok(struct counters *counters, struct ask *ask, const struct numbers *numbers)
{
	if (ask->alone)
		return; /* what it changed is asserted away */
	switch (ask->kind) {
	case ASK_RESERVE:
		answer_reserve(counters, ask, numbers);
		break;
	case ASK_SETTLE:
		answer_settle(counters, ask, numbers);
		break;
	case ASK_REFUND:
		answer_refund(counters, ask, numbers);
		break;
	case ASK_LOOK:
		answer_look(ask, numbers);
		ask_done(ask, false);
		break;
	case ASK_RESET:
		book_differences(counters, ask, numbers, 2);
		break;
	case ASK_ASSERT:
		counters->health.asserted += ask->counter_count;
		break;
	case ASK_DROP:
		break;
	}
}

/* ---- answers that are none ---- */

/* Redis has not done it, or has lost it: assertions are to be made again. */
static void not_done(struct counters *counters, struct ask *ask)
{
	for (unsigned i = 0; i < ask->counter_count; i++)
		if (ask->refs[i].asserted) {
			ask->refs[i].asserted = false;
			own_mark(counters->own, ask->refs[i].ref);
			counters->in_doubt = true;
		}
}

/* Once more, if it still matters. */
static void again(struct counters *counters, struct ask *ask)
{
	bool matters = ask->op || ask->kind == ASK_REFUND || ask->kind == ASK_RESET ||
		       (ask->kind == ASK_SETTLE && !ask->request.dry);

	if (matters && !ask->alone)
		ask_go(counters, ask);
	else
		ask_free(&ask);
}

/* Redis knows counters of this transaction that we do not: the same with all of them. */
static void ask_with_keys(
	struct counters *counters, struct ask *ask, const struct redis_reply *reply)
{
	unsigned room = (unsigned)redis_reply_count(reply) - 2;
	struct ask *wider = ask_new(counters, ask->kind, ask->op, room, 0);

	wider->deadline_mono_ms = ask->deadline_mono_ms;
	wider->tries = ask->tries;
	wider->transaction = ask->transaction;
	wider->request = ask->request;
	wider->recipient_count = ask->recipient_count;
	wider->size_bytes = ask->size_bytes;
	wider->end_of_message = ask->end_of_message;
	wider->refund = ask->refund;
	wider->give = ask->give;
	wider->repeats = ask->repeats;
	wider->since_mono_ms = ask->since_mono_ms;
	wider->settles = ask->settles;
	wider->version = ask->version;
	ask->op = NULL;
	for (unsigned i = 0; i < room; i++) {
		struct slice text = redis_reply_text(redis_reply_item(reply, i + 2));
		struct counter_key key;
		struct own_ref ref = {TABLE_NONE, 0};

		if (keys_parse_counter(&counters->keys, text, &key))
			ref = own_get(
				counters->own, &key, 0, NULL, 0, store_clock(counters).wall_ms);
		if (ref.slot == TABLE_NONE)
			wider->tries = MAX_TRIES;
		else
			ask_add(wider, ref);
	}
	ask_free(&ask);
	again(counters, wider);
}

/* Nobody can say any more whether another node has settled it: given back where it was used here a
 * moment ago; else it stands. */
static void lost_end(struct counters *counters, struct ask *ask)
{
	const struct txn *txn = txn_find(counters->own->ledger->txns, ask->transaction);
	bool is_here = txn && !txn->local;
	bool is_recent = is_here && (int64_t)counters->now.mono_ms - txn->used_ms < TXN_ENDED_MS;

	if (is_here)
		txn_is_local(counters, ask->transaction);
	if (is_recent)
		alone_refund(counters, ask->transaction, ask->refund);
	ask_give_up(counters, ask);
}

/* Redis has forgotten what this node knows of the transaction: it is ours to keep now, while the
 * counters are still Redis'. */
static void answer_lost(struct counters *counters, struct ask *ask)
{
	struct store_op *op = ask->op;
	uint64_t deadline_mono_ms = ask->deadline_mono_ms;

	if (foreign_is_end(ask)) {
		lost_end(counters, ask);
		return;
	}
	if (!ask->request.dry && !ask->give)
		txn_is_local(counters, ask->transaction);
	if (ask->kind != ASK_RESERVE || ask->request.dry) {
		ask_give_up(counters, ask);
		return;
	}
	ask->op = NULL;
	ask_free(&ask);
	if (op)
		ask_reserve(counters, (struct store_reserve *)(void *)op, deadline_mono_ms);
}

static void answer_stale(struct counters *counters, struct ask *ask)
{
	greet(counters);
	again(counters, ask);
}

static void answer_bad(struct counters *counters, struct ask *ask, const struct redis_reply *reply)
{
	uint64_t which = item_number(reply, 2);

	if (which >= 1 && which <= ask->counter_count)
		note_bad_key(counters, ask->refs[which - 1].ref);
	ask_give_up(counters, ask);
}

static void answer_word(struct counters *counters, struct ask *ask, const struct redis_reply *reply)
{
	not_done(counters, ask);
	note_time(counters, item_number(reply, 1), says(reply, "LATE"));
	if (says(reply, "STALE"))
		answer_stale(counters, ask);
	else if (says(reply, "LATE"))
		again(counters, ask);
	else if (says(reply, "LOST"))
		answer_lost(counters, ask);
	else if (says(reply, "KEYS") && redis_reply_count(reply) > 2)
		ask_with_keys(counters, ask, reply);
	else if (says(reply, "BAD"))
		answer_bad(counters, ask, reply);
	else
		ask_give_up(counters, ask);
}

static void answer_numbers(struct counters *counters, struct ask *ask, struct slice text)
{
	struct numbers numbers = {text.data, text.len / PACKED_BYTES};

	if (text.len % PACKED_BYTES || !is_whole(ask, &numbers)) {
		not_done(counters, ask);
		ask_give_up(counters, ask);
		return;
	}
	note_time(counters, number(&numbers, 0), false);
	answer_ok(counters, ask, &numbers);
	ask_free(&ask);
}

static void answer_none(struct counters *counters, struct ask *ask)
{
	not_done(counters, ask);
	for (unsigned i = 0; i < ask->counter_count; i++)
		own_mark(counters->own, ask->refs[i].ref);
	counters->in_doubt = true;
	if (!foreign_keep(counters, ask))
		ask_give_up(counters, ask);
}

static void answer_error(
	struct counters *counters, struct ask *ask, const struct redis_reply *reply)
{
	not_done(counters, ask);
	if (redis_reply_error(reply) == REDIS_ERROR_NOSCRIPT) {
		ask->as_text = true;
		again(counters, ask);
		return;
	}
	if (ask->kind == ASK_ASSERT)
		counters->assert_at_mono_ms = counters->now.mono_ms + ASSERT_AGAIN_MS;
	if (!foreign_keep(counters, ask))
		ask_give_up(counters, ask);
}

void answer_came(struct redis_call *call, const struct redis_reply *reply)
{
	struct ask *ask = LIST_ENTRY(call, struct ask, call);
	struct counters *counters = ask->counters;
	enum ask_kind kind = ask->kind;

	counters->now = counters->port->now(counters->port);
	for (unsigned i = 0; i < ask->counter_count; i++)
		own_answered(counters->own, ask->refs[i].ref);
	counters->asserts_out -= kind == ASK_ASSERT;
	if (kind == ASK_DROP)
		drop_answered(counters, ask, reply);
	else if (!reply)
		answer_none(counters, ask);
	else if (redis_reply_type(reply) == REDIS_TYPE_ERROR)
		answer_error(counters, ask, reply);
	else if (redis_reply_type(reply) == REDIS_TYPE_STRING)
		answer_numbers(counters, ask, redis_reply_text(reply));
	else
		answer_word(counters, ask, reply);
	counters_go_on(counters);
}

void answer_overdue(struct redis_call *call)
{
	struct ask *ask = LIST_ENTRY(call, struct ask, call);
	struct counters *counters = ask->counters;

	counters->now = counters->port->now(counters->port);
	if (!ask->op)
		return;
	counters->health.overdue++;
	ask_alone(counters, ask);
}
