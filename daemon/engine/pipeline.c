/* SPDX-License-Identifier: ISC */
/*
 * The queues and the driver. A request is in `ready` or in `waiting`; a wake moves it from the
 * one to the other and does nothing else, so a service may wake whenever it likes, also from inside a
 * call of ours. pipeline_run() is the one place where rules run; its depth is always one.
 *
 * A ticket that is cancelled is unlinked from everything at once: rules' states
 * (DNS), the store's op, the queue. What others still do for it goes to their own tables.
 */
#include "daemon/engine/ticket.h"

#include <assert.h>

#include "common/alloc.h"

#define REPLY_BUFFER_BYTES (REPLY_BYTES + 16)
#define SPARE_FOR_ANSWER_MS 200     /* between the looking rules' last call, the store's time-out and the deadline */
#define MIN_LOOK_MS 50

static void ticket_wake(struct waiter *waiter)
{
	struct ticket *ticket = LIST_ENTRY(waiter, struct ticket, waiter);

	if (ticket->ready)
		return;
	ticket->ready = true;
	list_remove(&ticket->node);
	list_append(&ticket->pipeline->ready, &ticket->node);
}

struct pipeline *pipeline_new(const struct pipeline_services *services)
{
	struct pipeline *pipeline = mem_zalloc(sizeof(*pipeline));

	pipeline->services = *services;
	pipeline->tables = (struct request_tables){
		.connections = services->connections,
		.transactions = services->transactions,
		.key = services->hash_key,
	};
	list_init(&pipeline->ready);
	list_init(&pipeline->waiting);
	buf_init(&pipeline->log_line, PIPELINE_LOG_LINE_BYTES);
	return pipeline;
}

void pipeline_free(struct pipeline **pipeline)
{
	struct pipeline *old = *pipeline;

	if (!old)
		return;
	assert(old->under_way == 0);
	ruleset_unref(&old->ruleset);
	buf_release(&old->log_line);
	plans_release(&old->plans);
	mem_free(pipeline);
}

void pipeline_set_ruleset(struct pipeline *pipeline, struct ruleset *ruleset)
{
	struct ruleset *old = pipeline->ruleset;

	pipeline->ruleset = ruleset_ref(ruleset);
	pipeline->tables.ruleset_number++;
	ruleset_unref(&old);
}

void pipeline_set_observer(struct pipeline *pipeline, struct pipeline_observer *observer)
{
	pipeline->observer = observer;
}

struct ruleset *pipeline_ruleset(const struct pipeline *pipeline)
{
	return pipeline->ruleset;
}

static void set_deadlines(struct ticket *ticket, struct clock_now now)
{
	const struct config *config = ticket->ruleset->config;
	uint64_t spare = config->store.timeout_ms + SPARE_FOR_ANSWER_MS;
	uint64_t look = config->deadline_ms > spare + MIN_LOOK_MS ? config->deadline_ms - spare
								   : MIN_LOOK_MS;

	ticket->look_until_mono_ms = now.mono_ms + look;
	ticket->answer_by_mono_ms = now.mono_ms + config->deadline_ms;
}

/* "When the same policy connection brings another instance", the former message is over. */
static void leave_former_transaction(struct ticket *ticket, struct clock_now now)
{
	struct pipeline_peer *peer = ticket->peer;
	struct hash128 id = ticket->request.ids.transaction;
	struct store *store = ticket->pipeline->services.store;

	if (hash128_is_zero(id) || hash128_equal(id, peer->transaction))
		return;
	if (peer->has_charged)
		store->ops->abandon(store, peer->transaction, now);
	peer->transaction = id;
	peer->has_charged = false;
}

struct ticket *ticket_new(struct pipeline *pipeline, const struct policy_request *in,
			  struct arena *arena, struct pipeline_peer *peer, struct explain *explain,
			  struct clock_now now)
{
	struct ticket *ticket = arena_alloc(arena, sizeof(*ticket));
	struct ruleset *ruleset = pipeline->ruleset;
	struct request_tables tables = pipeline->tables;

	memset(ticket, 0, offsetof(struct ticket, request));
	ticket->waiter.wake = ticket_wake;
	ticket->pipeline = pipeline;
	ticket->peer = peer;
	ticket->ruleset = ruleset_ref(ruleset);
	ticket->ruleset_number = tables.ruleset_number;
	ticket->explain = explain;
	tables.only_look = explain != NULL;
	tables.memo = peer->memo;
	ticket->started_ns = pipeline->services.clock_ns ? pipeline->services.clock_ns() : 0;
	set_deadlines(ticket, now);
	request_read(&ticket->request, in, ruleset, ruleset->site, arena, &tables, peer->id, now);
	ticket->trace = arena_alloc(arena, (ruleset->count + 1) * sizeof(*ticket->trace));
	ticket->applying = arena_alloc(arena, (ruleset->count + 1) * sizeof(*ticket->applying));
	buf_init_fixed(&ticket->reply, arena_alloc(arena, REPLY_BUFFER_BYTES), REPLY_BUFFER_BYTES);
	list_append(&pipeline->ready, &ticket->node);
	ticket->ready = true;
	pipeline->under_way++;
	return ticket;
}

struct ticket *pipeline_submit(struct pipeline *pipeline, const struct policy_request *in,
			       struct arena *arena, struct pipeline_peer *peer,
			       struct clock_now now, pipeline_done_fn done, void *arg)
{
	struct ticket *ticket = ticket_new(pipeline, in, arena, peer, NULL, now);

	ticket->done = done;
	ticket->arg = arg;
	leave_former_transaction(ticket, now);
	pipeline->counts.requests++;
	return ticket;
}

/* Unlinks it from everything; it is only memory of its arena then. */
static void ticket_end(struct ticket *ticket)
{
	look_cancel(ticket);
	charge_cancel(ticket);
	list_remove(&ticket->node);
	ticket->pipeline->under_way--;
}

void pipeline_cancel(struct pipeline *pipeline, struct ticket **ticket)
{
	struct ticket *old = *ticket;

	if (!old)
		return;
	assert(old->pipeline == pipeline);
	ticket_end(old);
	ruleset_unref(&old->ruleset);
	*ticket = NULL;
}

static void wait_for(struct ticket *ticket, uint64_t until_mono_ms)
{
	struct pipeline *pipeline = ticket->pipeline;

	ticket->wait_until_mono_ms = until_mono_ms;
	if (pipeline->next_deadline_mono_ms == 0 ||
	    until_mono_ms < pipeline->next_deadline_mono_ms)
		pipeline->next_deadline_mono_ms = until_mono_ms;
}

/* Our own bug (a rule that waits for nothing, a loop): never the postmaster's mail. */
static void give_up(struct ticket *ticket, const char *event)
{
	struct pipeline *pipeline = ticket->pipeline;
	struct slice name = SLICE("-");

	if (ticket->index < ticket->applying_count)
		name = ticket->applying[ticket->index].rule->name;
	pipeline->counts.step_overruns++;
	log_event(pipeline->services.log, LOG_LEVEL_ERROR, event, "rule", name);
	memset(&ticket->verdict, 0, sizeof(ticket->verdict));
	ticket->phase = TICKET_FINISH;
}

static enum ticket_turn run_phase(struct ticket *ticket, struct clock_now now)
{
	switch (ticket->phase) {
	case TICKET_BEGIN:
		look_ask_all(ticket);
		return TICKET_GO_ON;
	case TICKET_LOOK:
		return look_run(ticket, now);
	case TICKET_SETTLE:
		return charge_settle(ticket, now);
	case TICKET_RESERVE:
		return charge_reserve(ticket, now);
	case TICKET_REST:
		return explain_rest(ticket, now);
	case TICKET_FINISH:
		break;
	}
	return TICKET_GO_ON;
}

static void tell(struct ticket *ticket, struct clock_now now)
{
	struct pipeline *pipeline = ticket->pipeline;

	if (pipeline->services.clock_ns)
		ticket->took_ns = pipeline->services.clock_ns() - ticket->started_ns;
	decision_log(ticket, now);
	if (pipeline->observer)
		decision_tell(ticket);
}

/* Runs one ready ticket as far as it goes. */
static void run_ticket(struct ticket *ticket, struct clock_now now)
{
	struct ruleset *ruleset = ticket->ruleset; /* the verdict points into it until `done` returns */

	/* Put aside before it runs: a wake from inside a service then makes it ready again. */
	ticket->ready = false;
	list_append(&ticket->pipeline->waiting, &ticket->node);
	while (ticket->phase != TICKET_FINISH) {
		if (++ticket->steps > PIPELINE_MAX_STEPS) {
			give_up(ticket, "step_overrun");
			continue;
		}
		switch (run_phase(ticket, now)) {
		case TICKET_SLEEP:
			wait_for(ticket, ticket->phase == TICKET_LOOK ? ticket->look_until_mono_ms
								      : ticket->answer_by_mono_ms);
			return;
		case TICKET_STUCK:
			give_up(ticket, "wait_for_nothing");
			break;
		case TICKET_GO_ON:
			break;
		}
	}
	finish_run(ticket, now);
	if (!ticket->explain)
		tell(ticket, now);
	ticket_end(ticket);
	if (ticket->explain)
		explain_done(ticket);
	else
		ticket->done(ticket->arg, buf_slice(&ticket->reply), &ticket->verdict);
	ruleset_unref(&ruleset);
}

void pipeline_run(struct pipeline *pipeline, struct clock_now now)
{
	struct list *node;

	while ((node = list_pop(&pipeline->ready)) != NULL)
		run_ticket(LIST_ENTRY(node, struct ticket, node), now);
}

bool pipeline_has_ready(const struct pipeline *pipeline)
{
	return !list_is_empty(&pipeline->ready);
}

uint64_t pipeline_expire(struct pipeline *pipeline, struct clock_now now)
{
	struct list *node, *next;
	uint64_t earliest = 0;

	if (pipeline->next_deadline_mono_ms == 0 || now.mono_ms < pipeline->next_deadline_mono_ms)
		return pipeline->next_deadline_mono_ms;
	for (node = pipeline->waiting.next; node != &pipeline->waiting; node = next) {
		struct ticket *ticket = LIST_ENTRY(node, struct ticket, node);

		next = node->next;
		if (ticket->wait_until_mono_ms <= now.mono_ms)
			ticket_wake(&ticket->waiter);
		else if (earliest == 0 || ticket->wait_until_mono_ms < earliest)
			earliest = ticket->wait_until_mono_ms;
	}
	pipeline->next_deadline_mono_ms = earliest;
	return earliest;
}

size_t pipeline_under_way(const struct pipeline *pipeline)
{
	return pipeline->under_way;
}

void pipeline_counts(const struct pipeline *pipeline, struct pipeline_counts *ret)
{
	*ret = pipeline->counts;
}
