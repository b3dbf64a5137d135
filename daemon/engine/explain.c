/* SPDX-License-Identifier: ISC */
/*
 * What an explained ticket carries besides, and where it goes on when a real one would end. The
 * other files of the engine call in here at the few places where the two differ.
 */
#include "daemon/engine/explain.h"

#include "daemon/engine/ticket.h"

#define NOTES_BYTES 1024

struct explain {
	struct explained_rule *rules;
	pipeline_explained_fn done;
	void *arg;
	struct pipeline_peer peer;
	struct buf notes; /* of the rule whose step runs */
	bool ended;       /* the answer is clear */
	bool passed;      /* the looking has ended; only `batch` charges can still refuse */
	unsigned batch;
	unsigned asked; /* charges that were in the deciding batch */
	bool settles, strikes;
	struct store_reserve rest; /* the other ones */
};

bool explain_has_ended(const struct ticket *ticket)
{
	const struct explain *explain = ticket->explain;

	return explain && (explain->ended || (explain->passed && ticket->phase == TICKET_LOOK));
}

void explain_end(struct ticket *ticket)
{
	ticket->explain->ended = true;
}

void explain_pass(struct ticket *ticket)
{
	struct explain *explain = ticket->explain;

	if (explain_has_ended(ticket))
		return;
	explain->passed = true;
	explain->batch = ticket->charges.count;
}

unsigned explain_batch(const struct ticket *ticket)
{
	const struct explain *explain = ticket->explain;

	if (explain->ended)
		return 0;
	return explain->passed ? explain->batch : ticket->charges.count;
}

struct buf *explain_notes(struct ticket *ticket)
{
	buf_reset(&ticket->explain->notes);
	return &ticket->explain->notes;
}

void explain_stepped(struct ticket *ticket, unsigned index)
{
	struct explained_rule *rule = &ticket->explain->rules[index];

	rule->notes = arena_dup(ticket->request.arena, buf_slice(&ticket->explain->notes));
}

void explain_judged(struct ticket *ticket, unsigned index)
{
	const struct rule *rule = &ticket->ruleset->rules[index];
	const struct request *request = &ticket->request;
	struct explained_rule *explained = &ticket->explain->rules[index];

	explained->rule = rule;
	if (rule->states & (1U << request->state))
		explained->missing = rule->needs & ~request->facts;
	explained->exempt = rule->exempt & request->exempt;
}

void explain_turn(struct ticket *ticket, unsigned index)
{
	ticket->explain->rules[index].after = explain_has_ended(ticket);
}

void explain_found(struct ticket *ticket, unsigned index, enum verdict_kind kind,
	const struct reply_template *reply, const struct rule_finding *finding)
{
	struct explained_rule *explained = &ticket->explain->rules[index];
	struct reply_vars vars = finding->vars;
	char memory[REPLY_BYTES];
	struct buf text;

	explained->would = kind;
	if (kind == VERDICT_DUNNO || !reply)
		return;
	finish_fill_vars(&ticket->request, explained->rule, &vars);
	buf_init_fixed(&text, memory, sizeof(memory));
	reply_write_text(&text, reply, &vars);
	explained->reply = arena_dup(ticket->request.arena, buf_slice(&text));
}

void explain_asked(struct ticket *ticket, unsigned count)
{
	ticket->explain->asked = count;
}

void explain_settles(struct ticket *ticket)
{
	ticket->explain->settles = true;
}

void explain_strikes(struct ticket *ticket)
{
	ticket->explain->strikes = true;
}

/* Counters that had no part in the answer: how full they are, and what they would have said. */
enum ticket_turn explain_rest(struct ticket *ticket, struct clock_now now)
{
	struct explain *explain = ticket->explain;
	struct store_reserve *rest = &explain->rest;

	explain_end(ticket);
	if (ticket->charges.count <= explain->asked) {
		ticket->phase = TICKET_FINISH;
		return TICKET_GO_ON;
	}
	if (rest->op.state == STORE_OP_IDLE)
		charge_submit(ticket, rest, explain->asked, ticket->charges.count, now);
	if (!charge_is_over(ticket, &rest->op, now))
		return TICKET_SLEEP;
	ticket->phase = TICKET_FINISH;
	if (!rest->op.failed)
		charge_apply(ticket, rest);
	return TICKET_GO_ON;
}

void explain_cancel(struct ticket *ticket)
{
	store_forget(ticket->pipeline->services.store, &ticket->explain->rest.op);
}

void explain_done(struct ticket *ticket)
{
	struct explain *explain = ticket->explain;
	struct explanation explanation = {
		.request = &ticket->request,
		.ruleset = ticket->ruleset,
		.verdict = &ticket->verdict,
		.reply = buf_slice(&ticket->reply),
		.rules = explain->rules,
		.charges = ticket->charges.items,
		.charge_count = ticket->charges.count,
		.settles = explain->settles,
		.store_failed = ticket->reserve.op.failed || ticket->settle.op.failed ||
				explain->rest.op.failed,
		.strikes = explain->strikes,
	};

	for (unsigned i = 0; i < ticket->ruleset->count; i++) {
		explain->rules[i].kind = (enum rule_trace_kind)ticket->trace[i].kind;
		explain->rules[i].reason = ticket->trace[i].reason;
	}
	for (unsigned i = explain->asked; i < ticket->charges.count && !explain->settles; i++)
		explain->rules[ticket->charges.items[i].rule_index].after = true;
	explain->done(explain->arg, &explanation);
}

struct ticket *pipeline_explain(struct pipeline *pipeline, const struct policy_request *in,
	struct arena *arena, struct clock_now now, pipeline_explained_fn done, void *arg)
{
	struct explain *explain = arena_zalloc(arena, sizeof(*explain));
	unsigned count = pipeline->ruleset->count;

	explain->done = done;
	explain->arg = arg;
	explain->rules = arena_zalloc(arena, (count + 1) * sizeof(*explain->rules));
	buf_init_fixed(&explain->notes, arena_alloc(arena, NOTES_BYTES), NOTES_BYTES);
	return ticket_new(pipeline, in, arena, &explain->peer, explain, now);
}
