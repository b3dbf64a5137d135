/* SPDX-License-Identifier: ISC */
/*
 * One question, from its op to its end: sent, or waiting for another answer, or decided here.
 */
#include <string.h>

#include "common/alloc.h"
#include "daemon/store/redis/counters_parts.h"

/* Redis' time as far as it is known; in tests, the one that was handed in. */
struct clock_now store_clock(const struct counters *counters)
{
	struct clock_now now = counters->now;

	if (counters->has_offset && !counters->options.given_time)
		now.wall_ms = (uint64_t)((int64_t)now.mono_ms + counters->offset_ms);
	return now;
}

/* ---- one question ---- */

/* Most are small, and their memory serves again. */
static struct ask *ask_room(struct counters *counters, size_t bytes)
{
	bool small = bytes <= SPARE_BYTES;
	struct list *node = small ? list_pop(&counters->spare) : NULL;
	struct ask *ask;

	counters->spare_count -= node != NULL;
	ask = node ? LIST_ENTRY(node, struct ask, node) : mem_alloc(small ? SPARE_BYTES : bytes);
	memset(ask, 0, sizeof(*ask));
	ask->may_be_spare = small;
	return ask;
}

struct ask *ask_new(struct counters *counters, enum ask_kind kind, struct store_op *op,
	unsigned counter_room, unsigned charge_room)
{
	size_t places = 2 * charge_room * sizeof(uint16_t);
	size_t bytes = sizeof(struct ask) + counter_room * sizeof(struct ask_counter) +
		       charge_room * sizeof(struct store_charge) + places;
	struct ask *ask = ask_room(counters, bytes);

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
	if (!(*ask)->may_be_spare || (*ask)->counters->spare_count == SPARE_ASKS) {
		mem_free(ask);
		return;
	}
	list_append(&(*ask)->counters->spare, &(*ask)->node);
	(*ask)->counters->spare_count++;
	*ask = NULL;
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

void ask_give_up(struct counters *counters, struct ask *ask)
{
	if (ask->kind == ASK_REFUND && !ask->give)
		alone_refund(counters, ask->transaction, ask->refund);
	foreign_ended(counters, ask);
	if (ask->kind == ASK_RESET)
		alone_reset(counters, ask);
	ask_alone(counters, ask);
	ask_free(&ask);
}

static void cannot_go(struct counters *counters, struct ask *ask)
{
	if (!foreign_keep(counters, ask))
		ask_give_up(counters, ask);
}

/* A counter of it has left the table while it waited: Redis would charge another one. */
static bool has_left(const struct counters *counters, const struct ask *ask)
{
	for (unsigned i = 0; i < ask->counter_count; i++)
		if (!own_is_alive(counters->own, ask->refs[i].ref))
			return true;
	return false;
}

/* From its op anew, which knows the keys. */
static void begin_again(struct counters *counters, struct ask *ask)
{
	struct store_op *op = ask->op;
	uint64_t deadline_mono_ms = ask->deadline_mono_ms;
	bool looks = ask->kind == ASK_LOOK;

	ask->op = NULL;
	ask_free(&ask);
	if (looks)
		ask_usage(counters, (struct store_usage *)(void *)op, deadline_mono_ms);
	else
		ask_reserve(counters, (struct store_reserve *)(void *)op, deadline_mono_ms);
}

void ask_go(struct counters *counters, struct ask *ask)
{
	uint64_t now_ms = counters->now.mono_ms;
	bool late = now_ms >= ask->deadline_mono_ms;
	bool by_keys = ask->op && (ask->kind == ASK_RESERVE || ask->kind == ASK_LOOK);

	if (counters->state <= COUNTERS_REFUSED || (late && ask->op) || ask->tries >= MAX_TRIES) {
		cannot_go(counters, ask);
	} else if (must_wait(counters, ask)) {
		list_append(&counters->waiting, &ask->node);
	} else if (by_keys && has_left(counters, ask)) {
		begin_again(counters, ask);
	} else if (!command_send(counters, ask,
			   late ? counters->options.timeout_ms : ask->deadline_mono_ms - now_ms)) {
		cannot_go(counters, ask);
	}
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
