/* SPDX-License-Identifier: ISC */
/*
 * One line for each decision: what was asked, what was answered, by which
 * rule and why, what other rules would have done, the counters, the time
 * taken. Keys are stable; the manual lists them (reeved.8).
 */
#include "daemon/engine/ticket.h"

static bool wanted(const struct ticket *ticket)
{
	const struct config_log *log = &ticket->ruleset->config->log;

	if (!log_wants(ticket->pipeline->services.log, LOG_LEVEL_INFO))
		return false;
	return log->decisions == 0 ||
	       (log->decisions == 1 && verdict_refuses(ticket->verdict.kind));
}

/* "rule:reason,rule:reason" of the rules that `pick` chooses. */
static void add_rules(struct buf *line, const char *key, const struct ticket *ticket,
		      bool (*pick)(const struct ticket *, unsigned))
{
	bool first = true;

	for (unsigned i = 0; i < ticket->ruleset->count; i++) {
		if (!pick(ticket, i))
			continue;
		buf_add(line, first ? slice_of(key) : SLICE(","));
		first = false;
		buf_add(line, ticket->ruleset->rules[i].name);
		if (ticket->trace[i].reason) {
			buf_add_char(line, ':');
			buf_add(line, slice_of(ticket->trace[i].reason));
		}
	}
}

static bool found_something(const struct rule_trace *trace)
{
	return trace->kind == TRACE_BAD || trace->kind == TRACE_OVER;
}

static bool is_monitored(const struct ticket *ticket, unsigned index)
{
	return ticket->ruleset->rules[index].mode == CONFIG_MONITOR &&
	       found_something(&ticket->trace[index]);
}

/* Enforced, and yet not the answer: warn, a second mark, or an earlier rule spoke. */
static bool is_beside(const struct ticket *ticket, unsigned index)
{
	return ticket->ruleset->rules[index].mode == CONFIG_ENFORCE &&
	       found_something(&ticket->trace[index]) &&
	       ticket->verdict.rule != &ticket->ruleset->rules[index];
}

static bool is_unknown(const struct ticket *ticket, unsigned index)
{
	return ticket->trace[index].kind == TRACE_UNKNOWN;
}

/* "1h" and the like. Few windows are in use, and each stands in many lines. */
static struct slice window_text(struct pipeline *pipeline, uint64_t window_ms)
{
	struct window_text *known = &pipeline->windows[hash64_mix(0, window_ms) % PIPELINE_WINDOWS];

	if (known->window_ms != window_ms || known->len == 0) {
		struct buf text;

		buf_init_fixed(&text, known->text, sizeof(known->text));
		units_format_window(&text, window_ms);
		known->len = text.len;
		known->window_ms = window_ms;
	}
	return slice_make(known->text, known->len);
}

static void add_counter(struct buf *line, struct pipeline *pipeline,
			const struct store_charge *charge)
{
	struct slice window = window_text(pipeline, charge->key.window_ms);
	char *at;

	if (!buf_reserve(line, charge->key.rule.len + window.len + 4 + 2 * BUF_U64_DIGITS))
		return;
	at = logline_put(line->data + line->len, charge->key.rule);
	*at++ = '/';
	at = logline_put(at, window);
	*at++ = ':';
	at = buf_put_u64(at, charge->used);
	*at++ = '/';
	at = buf_put_u64(at, charge->limit);
	line->len = (size_t)(at - line->data);
}

static void add_counters(struct buf *line, const struct ticket *ticket)
{
	const struct store_reserve *reserve = &ticket->reserve;

	if (reserve->op.state != STORE_OP_DONE || reserve->op.failed || reserve->count == 0)
		return;
	buf_add(line, SLICE(" counters="));
	for (unsigned i = 0; i < reserve->count; i++) {
		if (i)
			buf_add_char(line, ',');
		add_counter(line, ticket->pipeline, &reserve->charges[i]);
	}
}

static char *put_verdict(char *at, const struct ticket *ticket)
{
	const struct verdict *verdict = &ticket->verdict;
	char memory[REPLY_BYTES];
	struct buf text;

	at = logline_put(at, SLICE(" action="));
	at = logline_put(at, slice_of(verdict_name(verdict->kind)));
	if (verdict->rule)
		at = logline_put_value(logline_put(at, SLICE(" rule=")), verdict->rule->name);
	if (verdict->reason)
		at = logline_put_value(logline_put(at, SLICE(" reason=")),
				       slice_of(verdict->reason));
	if (verdict->kind == VERDICT_DUNNO)
		return at;
	buf_init_fixed(&text, memory, sizeof(memory));
	reply_write_text(&text, verdict->reply, &verdict->vars);
	return logline_put_value(logline_put(at, SLICE(" reply=")), buf_slice(&text));
}

/* A value that Postfix left empty is left out. */
static inline char *put_attribute(char *at, struct slice key, struct slice value)
{
	return value.len ? logline_put_value(logline_put(at, key), value) : at;
}

/* Of whom: the same in all requests that a memo serves. */
static char *put_lasting(char *at, const struct request *request)
{
	const struct slice *attr = request->in->attr;

	at = put_attribute(at, SLICE(" client="), attr[POLICY_CLIENT_ADDRESS]);
	at = put_attribute(at, SLICE(" client_name="), attr[POLICY_CLIENT_NAME]);
	at = put_attribute(at, SLICE(" helo="), attr[POLICY_HELO_NAME]);
	if (request->facts & FACT_SENDER)
		at = put_attribute(at, SLICE(" sender="),
				   request->sender.kind == MAIL_ADDRESS_NULL ? SLICE("<>")
									     : request->sender.raw);
	return at;
}

/* Most policy connections tell of the same client and sender several times in a row, and escaping costs more than a copy. */
static char *put_remembered(char *at, const struct request *request)
{
	struct slice text = request_memo_log_text(request->memo);
	char *end;

	if (text.len)
		return logline_put(at, text);
	end = put_lasting(at, request);
	request_memo_keep_log_text(request->memo, slice_make(at, (size_t)(end - at)));
	return end;
}

static char *put_request(char *at, const struct ticket *ticket)
{
	const struct request *request = &ticket->request;
	const struct slice *attr = request->in->attr;

	at = request->memo ? put_remembered(at, request) : put_lasting(at, request);
	at = put_attribute(at, SLICE(" recipient="), attr[POLICY_RECIPIENT]);
	if (request->recipient_count)
		at = buf_put_u64(logline_put(at, SLICE(" recipients=")), request->recipient_count);
	at = put_attribute(at, SLICE(" login="), attr[POLICY_SASL_USERNAME]);
	at = put_attribute(at, SLICE(" queue_id="), attr[POLICY_QUEUE_ID]);
	at = put_attribute(at, SLICE(" instance="), attr[POLICY_INSTANCE]);
	return put_attribute(at, SLICE(" context="), attr[POLICY_POLICY_CONTEXT]);
}

/* What a line surely has room for: state and action, and 12 values (rule, reason, reply, 9 of the request), each with its key. */
#define HEAD_BYTES (64 + 12 * (LOGLINE_ROOM + sizeof(" client_name=")) + BUF_U64_DIGITS)
_Static_assert(HEAD_BYTES <= PIPELINE_LOG_LINE_BYTES, "what is put without asking fits");

static void add_head(struct buf *line, const struct ticket *ticket)
{
	char *at;

	if (!buf_reserve(line, HEAD_BYTES))
		return;
	at = logline_put(line->data, SLICE("event=decision state="));
	at = logline_put(at, slice_of(policy_state_name(ticket->request.state)));
	at = put_verdict(at, ticket);
	at = put_request(at, ticket);
	line->len = (size_t)(at - line->data);
}

static inline void add_number(struct buf *line, struct slice key, uint64_t number)
{
	if (!buf_reserve(line, key.len + BUF_U64_DIGITS))
		return;
	line->len = (size_t)(buf_put_u64(logline_put(line->data + line->len, key), number) -
			     line->data);
}

void decision_log(struct ticket *ticket, struct clock_now now)
{
	struct pipeline_services *services = &ticket->pipeline->services;
	struct buf *line = &ticket->pipeline->log_line;

	(void)now;
	if (!wanted(ticket))
		return;
	buf_reset(line);
	add_head(line, ticket);
	if (ticket->has_findings) {
		add_rules(line, " monitor=", ticket, is_monitored);
		add_rules(line, " also=", ticket, is_beside);
		add_rules(line, " unknown=", ticket, is_unknown);
	}
	add_counters(line, ticket);
	if (ticket->settle.refunded)
		add_number(line, SLICE(" refunded="), ticket->settle.refunded);
	add_number(line, SLICE(" time_us="), ticket->took_ns / 1000);
	services->log->write(services->log, LOG_LEVEL_INFO, buf_slice(line));
}

void decision_tell(struct ticket *ticket)
{
	const struct store_reserve *reserve = &ticket->reserve;
	bool counted = reserve->op.state == STORE_OP_DONE && !reserve->op.failed;
	const struct decision_view view = {
		.request = &ticket->request,
		.ruleset = ticket->ruleset,
		.verdict = &ticket->verdict,
		.trace = ticket->trace,
		.has_findings = ticket->has_findings,
		.charges = reserve->charges,
		.charge_count = counted ? reserve->count : 0,
		.reply = buf_slice(&ticket->reply),
		.took_ns = ticket->took_ns,
	};

	ticket->pipeline->observer->decided(ticket->pipeline->observer, &view);
}
