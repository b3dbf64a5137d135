/* SPDX-License-Identifier: ISC */
/*
 * The batch: all counters of a request in one round trip, after the looking
 * rules. At RCPT it reserves; at DATA and END-OF-MESSAGE the store settles from what the
 * transaction stored, and only a message that nobody asked about at RCPT is
 * charged as a whole. Enforced rules whose action refuses are gates, all
 * others ride along and are charged whatever their limit says.
 */
#include "daemon/engine/ticket.h"

static const char *const what_words[] = {
	[COUNT_RECIPIENTS] = "recipients",
	[COUNT_MESSAGES] = "messages",
	[COUNT_BYTES] = "bytes",
};

static bool is_whole_message(const struct request *request)
{
	return request->state == POLICY_STATE_DATA ||
	       request->state == POLICY_STATE_END_OF_MESSAGE;
}

void charge_collect(struct ticket *ticket, unsigned index)
{
	const struct rule *rule = &ticket->ruleset->rules[index];
	struct rule_charges *charges = &ticket->charges;
	struct request *request = &ticket->request;
	unsigned first = charges->count, left_out = charges->left_out;
	bool gate = rule->mode == CONFIG_ENFORCE && rule->refuses;

	if (!charges->items) {
		charges->overrides = ticket->pipeline->services.store->overrides;
		charges->items = arena_alloc(request->arena,
					     STORE_MAX_CHARGES * sizeof(*charges->items));
		charges->recipients = is_whole_message(request) ? request->recipient_count : 1;
	}
	rule->ops->charge(rule, request, charges);
	if (!ticket->explain)
		ticket->pipeline->counts.windows_left_out += charges->left_out - left_out;
	ticket->trace[index].kind = charges->count > first ? TRACE_CHARGED : TRACE_CLEAR;
	for (unsigned i = first; i < charges->count; i++) {
		charges->items[i].gate = gate;
		charges->items[i].rule_index = (uint16_t)index;
	}
}

struct counters {
	struct slice rule;
	enum counter_what what;
	uint64_t window_ms, used, limit, retry_ms;
};

static struct slice text_of(struct ticket *ticket, const struct buf *text)
{
	return arena_dup(ticket->request.arena, buf_slice(text));
}

/* What {used}, {limit}, {count}, {window} and {retry} stand for. */
static void fill_counters(struct ticket *ticket, const struct counters *from,
			  struct reply_vars *vars)
{
	char memory[64];
	struct buf text;

	buf_init_fixed(&text, memory, sizeof(memory));
	buf_add_u64(&text, from->used);
	vars->value[REPLY_VAR_USED] = text_of(ticket, &text);
	buf_reset(&text);
	buf_add_u64(&text, from->limit);
	vars->value[REPLY_VAR_LIMIT] = text_of(ticket, &text);
	buf_reset(&text);
	units_format_window(&text, from->window_ms);
	vars->value[REPLY_VAR_WINDOW] = text_of(ticket, &text);
	buf_reset(&text);
	if (from->limit == 0) {
		buf_add(&text, SLICE("a while"));
	} else if (from->retry_ms == UINT64_MAX) {
		buf_add(&text, SLICE("a smaller message"));
	} else {
		units_format_duration(&text, from->retry_ms);
	}
	vars->value[REPLY_VAR_RETRY] = text_of(ticket, &text);
	vars->value[REPLY_VAR_COUNT] = slice_of(what_words[from->what]);
}

/* A limit was reached; true: it refuses. */
static bool apply_over(struct ticket *ticket, unsigned index, const struct counters *counters)
{
	struct rule_finding finding = { .reason = "over_limit" };

	ticket->trace[index].kind = TRACE_OVER;
	ticket->has_findings = true;
	if (counters->limit == 0 && ticket->ruleset->rules[index].ops->reply_count > 1)
		finding.reply = 1;
	fill_counters(ticket, counters, &finding.vars);
	return look_apply(ticket, index, &finding);
}

static enum ticket_phase after_charging(const struct ticket *ticket)
{
	return ticket->explain ? TICKET_REST : TICKET_FINISH;
}

/* How many of the charges the answer depends on. */
static unsigned batch_of(const struct ticket *ticket)
{
	return ticket->explain ? explain_batch(ticket) : ticket->charges.count;
}

/* The charges are not made: the message is settled instead, or none that could be known again. */
static void drop_charges(struct ticket *ticket)
{
	if (ticket->explain)
		explain_end(ticket);
	else
		ticket->charges.count = 0;
}

/* design.md section 8: local decisions are the store's own business; what comes back as failed is
 * answered as the postmaster said. */
static void apply_failure(struct ticket *ticket)
{
	ticket->pipeline->counts.store_failures += !ticket->explain;
	ticket->phase = after_charging(ticket);
	if (ticket->ruleset->config->store.on_failure != 2 ||
	    ticket->ruleset->config->mode != CONFIG_ENFORCE)
		return;
	ticket->verdict = (struct verdict){
		.kind = VERDICT_DEFER,
		.reply = ticket->ruleset->store_failed,
		.reason = "store_failed",
	};
}

/* Is the op answered? False: sleep on. An op that overstays the request's deadline has failed. */
bool charge_is_over(struct ticket *ticket, struct store_op *op, struct clock_now now)
{
	if (op->state == STORE_OP_DONE)
		return true;
	if (now.mono_ms < ticket->answer_by_mono_ms)
		return false;
	store_forget(ticket->pipeline->services.store, op);
	op->state = STORE_OP_DONE;
	op->failed = true;
	return true;
}

static void apply_settle_refusal(struct ticket *ticket)
{
	const struct store_settle *settle = &ticket->settle;
	int index = ruleset_find(ticket->ruleset, settle->refused_key.rule);
	struct counters counters = {
		.what = settle->refused_key.what,
		.window_ms = settle->refused_key.window_ms,
		.used = settle->used,
		.limit = settle->limit,
		.retry_ms = settle->retry_ms,
	};

	/* The rule may have gone, or have turned to monitor, with a reload since RCPT: then nothing
	 * stands in the way of the message any more. */
	if (index >= 0)
		(void)apply_over(ticket, (unsigned)index, &counters);
}

static void submit_settle(struct ticket *ticket, struct clock_now now)
{
	const struct request *request = &ticket->request;

	ticket->settle = (struct store_settle){
		.op.waiter = &ticket->waiter,
		.transaction = request->ids.transaction,
		.service = request->ids.service,
		.recipient_count = request->recipient_count,
		.asked = request->recipients_before,
		.recipient = request->recipient_count == 1 ? request->recipient_hash : 0,
		.size_bytes = request->size_bytes,
		.end_of_message = request->state == POLICY_STATE_END_OF_MESSAGE,
		.dry = ticket->explain != NULL,
	};
	ticket->peer->has_charged = true;
	store_settle(ticket->pipeline->services.store, &ticket->settle, now);
}

enum ticket_turn charge_settle(struct ticket *ticket, struct clock_now now)
{
	const struct request *request = &ticket->request;
	struct store_settle *settle = &ticket->settle;

	ticket->phase = TICKET_RESERVE;
	if (!is_whole_message(request) || !ticket->ruleset->counts ||
	    verdict_refuses(ticket->verdict.kind))
		return TICKET_GO_ON;
	if (hash128_is_zero(request->ids.transaction)) {
		drop_charges(ticket); /* no message to charge: a repeat would count again */
		return TICKET_GO_ON;
	}
	if (settle->op.state == STORE_OP_IDLE)
		submit_settle(ticket, now);
	if (!charge_is_over(ticket, &settle->op, now)) {
		ticket->phase = TICKET_SETTLE;
		return TICKET_SLEEP;
	}
	if (settle->op.failed) {
		apply_failure(ticket);
		return TICKET_GO_ON;
	}
	if (settle->refused)
		apply_settle_refusal(ticket);
	/* Unknown to the store though this node was asked at RCPT: all its recipients were free. */
	if (!settle->unknown || request->recipients_before > 0)
		drop_charges(ticket);
	if (!settle->unknown && ticket->explain)
		explain_settles(ticket);
	return TICKET_GO_ON;
}

void charge_submit(struct ticket *ticket, struct store_reserve *op, unsigned first, unsigned end,
		   struct clock_now now)
{
	const struct request *request = &ticket->request;

	*op = (struct store_reserve){
		.op.waiter = &ticket->waiter,
		.transaction = request->ids.transaction,
		.service = request->ids.service,
		.recipient = is_whole_message(request) ? 0 : request->recipient_hash,
		.asked = request->recipients_with,
		.dry = ticket->explain != NULL,
		.charges = ticket->charges.items + first,
		.count = end - first,
	};
	ticket->peer->has_charged = true;
	store_reserve(ticket->pipeline->services.store, op, now);
}

static void log_warning(struct ticket *ticket, const struct store_charge *charge)
{
	struct pipeline *pipeline = ticket->pipeline;
	struct buf *line = &pipeline->log_line;

	if (!log_wants(pipeline->services.log, LOG_LEVEL_WARNING))
		return;
	buf_reset(line);
	logline_text(line, "event", "limit_warning");
	logline_slice(line, "rule", charge->key.rule);
	logline_slice(line, "subject", charge->key.subject);
	logline_u64(line, "used", charge->used);
	logline_u64(line, "limit", charge->limit);
	logline_text(line, "count", what_words[charge->key.what]);
	logline_u64(line, "window_s", charge->key.window_ms / 1000);
	pipeline->services.log->write(pipeline->services.log, LOG_LEVEL_WARNING, buf_slice(line));
}

/* The longest of the refusing limits: coming back sooner would only be refused by another. */
static uint64_t longest_retry(const struct store_reserve *reserve)
{
	uint64_t longest = 0;

	for (unsigned i = 0; i < reserve->count; i++) {
		const struct store_charge *charge = &reserve->charges[i];

		if (charge->gate && charge->outcome == CHARGE_OVER && charge->retry_ms > longest)
			longest = charge->retry_ms;
	}
	return longest;
}

void charge_apply(struct ticket *ticket, const struct store_reserve *reserve)
{
	for (unsigned i = 0; i < reserve->count; i++) {
		const struct store_charge *charge = &reserve->charges[i];
		struct counters counters = {
			.what = charge->key.what,
			.window_ms = charge->key.window_ms,
			.used = charge->used,
			.limit = charge->limit,
			.retry_ms = charge->gate ? longest_retry(reserve) : charge->retry_ms,
		};

		if (charge->warn)
			log_warning(ticket, charge);
		if (charge->outcome != CHARGE_OVER ||
		    !apply_over(ticket, charge->rule_index, &counters))
			continue;
		if (!ticket->explain)
			return;
		explain_end(ticket);
	}
}

enum ticket_turn charge_reserve(struct ticket *ticket, struct clock_now now)
{
	struct store_reserve *reserve = &ticket->reserve;
	unsigned count = batch_of(ticket);

	if (count == 0 || verdict_refuses(ticket->verdict.kind)) {
		ticket->phase = after_charging(ticket);
		return TICKET_GO_ON;
	}
	if (reserve->op.state == STORE_OP_IDLE)
		charge_submit(ticket, reserve, 0, count, now);
	if (!charge_is_over(ticket, &reserve->op, now))
		return TICKET_SLEEP;
	if (ticket->explain)
		explain_asked(ticket, count);
	ticket->phase = after_charging(ticket);
	if (reserve->op.failed)
		apply_failure(ticket);
	else
		charge_apply(ticket, reserve);
	return TICKET_GO_ON;
}

void charge_cancel(struct ticket *ticket)
{
	struct store *store = ticket->pipeline->services.store;

	store_forget(store, &ticket->reserve.op);
	store_forget(store, &ticket->settle.op);
	if (ticket->explain)
		explain_cancel(ticket);
}
