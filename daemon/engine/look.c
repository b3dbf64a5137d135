/* SPDX-License-Identifier: ISC */
/*
 * The looking rules, in list order. Which of them apply is worked out when
 * their turn comes; what they ask the DNS is asked for all of them at the
 * start, so that a request waits for the slowest answer and not for the sum.
 */
#include "daemon/engine/ticket.h"

/* Does any of the maps hold? */
static bool any_holds(struct match *const *matches, size_t count, const struct request *request)
{
	for (size_t i = 0; i < count; i++) {
		if (match_holds(matches[i], request))
			return true;
	}
	return false;
}

/* TRACE_SKIPPED stands for "it applies". */
static enum rule_trace_kind judge_conditions(const struct rule *rule, const struct request *request)
{
	if (rule->config->until_wall_ms && request->now.wall_ms >= rule->config->until_wall_ms)
		return TRACE_UNMATCHED;
	if (rule->match_count && !any_holds(rule->match, rule->match_count, request))
		return TRACE_UNMATCHED;
	if (rule->except_count && any_holds(rule->except, rule->except_count, request))
		return TRACE_EXEMPT;
	return TRACE_SKIPPED;
}

static struct rule_ask make_ask(struct ticket *ticket, struct rule_finding *finding)
{
	return (struct rule_ask){
		.request = &ticket->request,
		.dns = ticket->pipeline->services.dns,
		.bans = ticket->pipeline->services.bans,
		.waiter = &ticket->waiter,
		.finding = finding,
	};
}

/* At `disconnect_at` strikes the connection is over, whatever it asks. */
static bool connection_is_over(struct ticket *ticket)
{
	const struct config_bans *bans = &ticket->ruleset->config->bans;
	const struct request *request = &ticket->request;

	if (bans->mode != CONFIG_ENFORCE || bans->disconnect_at == 0 ||
	    request->connection_strikes < bans->disconnect_at)
		return false;
	if (ticket->ruleset->config->mode != CONFIG_ENFORCE)
		return false;
	ticket->verdict = (struct verdict){
		.kind = VERDICT_DISCONNECT,
		.reply = ticket->ruleset->disconnect,
		.reason = "too_many_errors",
	};
	return true;
}

/* The answer is clear: false for an explained request, which goes on. */
static bool ends_here(struct ticket *ticket)
{
	if (ticket->explain) {
		explain_end(ticket);
		return false;
	}
	ticket->phase = TICKET_FINISH;
	return true;
}

/* Nothing but the charges so far can refuse any more. */
static bool passes_here(struct ticket *ticket)
{
	if (ticket->explain) {
		explain_pass(ticket);
		return false;
	}
	ticket->phase = TICKET_SETTLE;
	return true;
}

static void *new_state(struct ticket *ticket, struct applying *at)
{
	struct rule_state *state = arena_zalloc(ticket->request.arena,
						sizeof(*state) + at->rule->ops->state_bytes);

	state->rule = at->rule;
	state->next = ticket->states;
	ticket->states = at->state = state;
	return state->bytes;
}

/* Made when it is first handed out. */
static inline void *state_of(struct ticket *ticket, struct applying *at)
{
	if (at->state)
		return at->state->bytes;
	return at->rule->ops->state_bytes ? new_state(ticket, at) : NULL;
}

static void ask(struct ticket *ticket, struct applying *at)
{
	struct rule_ask ask = make_ask(ticket, NULL);

	ask.state = state_of(ticket, at);
	at->rule->ops->ask(at->rule, &ask);
}

/* Of the rules that the situation leaves, those whose conditions hold. */
static void add_left(struct ticket *ticket, const struct plan *plan)
{
	const struct plan_rule *left = plan->left, *end = left + plan->left_count;
	struct applying *at = ticket->applying;

	for (; left < end; left++) {
		const struct rule *rule = left->rule;
		enum rule_trace_kind kind =
			rule->conditional ? judge_conditions(rule, &ticket->request) : TRACE_SKIPPED;

		if (kind != TRACE_SKIPPED) {
			ticket->trace[left->index].kind = (uint8_t)kind;
			continue;
		}
		*at = (struct applying){ .rule = rule, .index = left->index };
		if (rule->ops->ask)
			ask(ticket, at);
		at++;
	}
	ticket->applying_count = (unsigned)(at - ticket->applying);
}

void look_ask_all(struct ticket *ticket)
{
	struct pipeline *pipeline = ticket->pipeline;
	size_t trace_bytes = ticket->ruleset->count * sizeof(*ticket->trace);
	const struct plan *plan;

	if (connection_is_over(ticket) && ends_here(ticket)) {
		memset(ticket->trace, 0, trace_bytes);
		return;
	}
	plan = plans_get(
		&pipeline->plans, ticket->ruleset, ticket->ruleset_number, &ticket->request);
	memcpy(ticket->trace, plan->trace, trace_bytes);
	for (unsigned i = 0; ticket->explain && i < ticket->ruleset->count; i++)
		explain_judged(ticket, i);
	add_left(ticket, plan);
	ticket->phase = TICKET_LOOK;
}

static enum verdict_kind verdict_of(enum reply_kind kind)
{
	switch (kind) {
	case REPLY_REJECT:
		return VERDICT_REJECT;
	case REPLY_DEFER:
		return VERDICT_DEFER;
	case REPLY_DISCONNECT:
	case REPLY_DISCONNECT_TEMPORARY:
		return VERDICT_DISCONNECT;
	case REPLY_HOLD:
		return VERDICT_HOLD;
	case REPLY_DISCARD:
		return VERDICT_DISCARD;
	case REPLY_MARK:
		return VERDICT_MARK;
	case REPLY_NONE:
		return VERDICT_DUNNO;
	}
	return VERDICT_DUNNO;
}

/* Of what does not refuse, one goes out: discard before hold before mark. */
static int weight(enum verdict_kind kind)
{
	return kind == VERDICT_DISCARD ? 3 : kind == VERDICT_HOLD ? 2 : kind == VERDICT_MARK ? 1 : 0;
}

/* Postfix drops these where there is no message to act on (postfix.md c10 to c12). */
static bool can_be_given(const struct ticket *ticket, const struct rule *rule,
			 enum verdict_kind kind)
{
	const struct request *request = &ticket->request;
	enum policy_state state = request->state;
	const struct transaction *transaction;

	if (kind == VERDICT_MARK) {
		if (state != POLICY_STATE_RCPT && state != POLICY_STATE_DATA)
			return false;
		transaction = transactions_peek(ticket->pipeline->services.transactions,
						request->ids.transaction, request->now.mono_ms);
		return !transaction || transaction_is_first(transaction, rule->name_hash);
	}
	return state == POLICY_STATE_MAIL || state == POLICY_STATE_RCPT ||
	       state == POLICY_STATE_DATA || state == POLICY_STATE_END_OF_MESSAGE;
}

static const struct reply_template *reply_for(const struct ticket *ticket, const struct rule *rule,
					      const struct rule_finding *finding)
{
	const struct reply_template *plain = rule->plain[finding->reply];

	return plain && !ticket->request.authenticated ? plain : rule->replies[finding->reply];
}

static void decide(struct ticket *ticket, const struct rule *rule, enum verdict_kind kind,
		   const struct reply_template *reply, const struct rule_finding *finding,
		   bool from_data)
{
	ticket->verdict = (struct verdict){
		.kind = kind,
		.rule = rule,
		.reply = reply,
		.reason = finding->reason,
		.vars = finding->vars,
		.from_data = from_data,
	};
	finish_fill_vars(&ticket->request, rule, &ticket->verdict.vars);
}

bool look_apply(struct ticket *ticket, unsigned index, const struct rule_finding *finding)
{
	const struct rule *rule = &ticket->ruleset->rules[index];
	const struct reply_template *reply = reply_for(ticket, rule, finding);
	enum verdict_kind kind = verdict_of(reply ? reply_template_kind(reply) : REPLY_NONE);

	ticket->trace[index].reason = finding->reason;
	ticket->trace[index].reply = (uint8_t)finding->reply;
	if (ticket->explain)
		explain_found(ticket, index, kind, reply, finding);
	if (rule->mode != CONFIG_ENFORCE || explain_has_ended(ticket))
		return false;
	if (verdict_refuses(kind)) {
		decide(ticket, rule, kind, reply, finding, true);
		return true;
	}
	if (weight(kind) > weight(ticket->verdict.kind) && can_be_given(ticket, rule, kind))
		decide(ticket, rule, kind, reply, finding, true);
	return false;
}

/* The rule could not find out; true: its on_error refuses. */
static bool apply_unknown(struct ticket *ticket, unsigned index,
			  const struct rule_finding *finding)
{
	const struct rule *rule = &ticket->ruleset->rules[index];
	const struct reply_template *reply = rule->error;

	ticket->trace[index].reason = finding->reason ? finding->reason : "unknown";
	if (rule->config->on_error != CONFIG_DEFER)
		return false;
	if (finding->reply < rule->ops->reply_count && rule->ops->replies[finding->reply].on_error)
		reply = rule->replies[finding->reply];
	if (ticket->explain)
		explain_found(ticket, index, VERDICT_DEFER, reply, finding);
	if (rule->mode != CONFIG_ENFORCE || explain_has_ended(ticket))
		return false;
	decide(ticket, rule, VERDICT_DEFER, reply, finding, false);
	ticket->verdict.reason = ticket->trace[index].reason;
	return true;
}

enum after { AFTER_NEXT, AFTER_WAIT, AFTER_PASS, AFTER_REFUSED };

static enum after apply(struct ticket *ticket, unsigned index, enum rule_result result,
			const struct rule_finding *finding)
{
	const struct rule *rule = &ticket->ruleset->rules[index];

	ticket->has_findings = true;
	if (result == RULE_UNKNOWN) {
		ticket->pipeline->counts.errors += !ticket->explain;
		ticket->trace[index].kind = TRACE_UNKNOWN;
		return apply_unknown(ticket, index, finding) ? AFTER_REFUSED : AFTER_NEXT;
	}
	ticket->trace[index].kind = TRACE_BAD;
	if (look_apply(ticket, index, finding))
		return AFTER_REFUSED;
	/* `pass` ends the looking and skips the rate rules below it. */
	return rule->action == CONFIG_ACTION_PASS && rule->mode == CONFIG_ENFORCE ? AFTER_PASS
										  : AFTER_NEXT;
}

/* Nothing to say, though perhaps for a reason that is counted. */
static void apply_next(struct ticket *ticket, unsigned index, struct rule_finding *finding)
{
	ticket->trace[index].kind = TRACE_CLEAR;
	if (!finding->reason)
		return;
	ticket->trace[index].reason = finding->reason;
	if (!ticket->explain && strcmp(finding->reason, "unmapped") == 0)
		ticket->pipeline->counts.unmapped_logins++;
	finding->reason = NULL;
}

static enum after step(struct ticket *ticket, const struct applying *at, struct rule_ask *ask)
{
	struct rule_finding *finding = ask->finding;
	enum rule_result result = at->rule->ops->step(at->rule, ask);
	enum after after;

	if (ticket->explain)
		explain_stepped(ticket, at->index);
	if (result == RULE_WAIT && !ask->final)
		return AFTER_WAIT;
	if (result == RULE_NEXT) {
		apply_next(ticket, at->index, finding);
		return AFTER_NEXT;
	}
	after = apply(ticket, at->index, result == RULE_WAIT ? RULE_UNKNOWN : result, finding);
	*finding = (struct rule_finding){ 0 }; /* the next rule's */
	return after;
}

static void set_ask(struct ticket *ticket, struct rule_ask *ask, struct applying *at)
{
	ask->state = state_of(ticket, at);
	if (ticket->explain)
		ask->notes = explain_notes(ticket);
}

enum ticket_turn look_run(struct ticket *ticket, struct clock_now now)
{
	struct rule_finding finding = { 0 };
	struct rule_ask ask = make_ask(ticket, &finding);
	struct applying *at = &ticket->applying[ticket->index];

	ask.final = now.mono_ms >= ticket->look_until_mono_ms;
	for (; ticket->index < ticket->applying_count; ticket->index++, at++) {
		if (ticket->explain)
			explain_turn(ticket, at->index);
		if (at->rule->ops->flags & RULE_COUNTS) {
			charge_collect(ticket, at->index);
			continue;
		}
		set_ask(ticket, &ask, at);
		switch (step(ticket, at, &ask)) {
		case AFTER_WAIT:
			return ticket->waiter.expected || ticket->ready ? TICKET_SLEEP
									: TICKET_STUCK;
		case AFTER_REFUSED:
			if (ends_here(ticket))
				return TICKET_GO_ON;
			break;
		case AFTER_PASS:
			if (passes_here(ticket))
				return TICKET_GO_ON;
			break;
		case AFTER_NEXT:
			break;
		}
	}
	ticket->phase = TICKET_SETTLE;
	return TICKET_GO_ON;
}

void look_cancel(struct ticket *ticket)
{
	struct rule_state *state = ticket->states;

	ticket->states = NULL;
	for (; state; state = state->next)
		if (state->rule->ops->cancel)
			state->rule->ops->cancel(state->bytes);
}
