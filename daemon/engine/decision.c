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

static void add_attribute(struct buf *line, const char *key, const struct ticket *ticket,
			  enum policy_attr attr)
{
	struct slice value = ticket->request.in->attr[attr];

	if (value.len)
		logline_slice(line, key, value);
}

/* "rule:reason,rule:reason" of the rules that `pick` chooses. */
static void add_rules(struct buf *line, const char *key, const struct ticket *ticket,
		      bool (*pick)(const struct ticket *, unsigned))
{
	bool first = true;

	for (unsigned i = 0; i < ticket->ruleset->count; i++) {
		if (!pick(ticket, i))
			continue;
		if (first) {
			buf_add_char(line, ' ');
			buf_add(line, slice_of(key));
			buf_add_char(line, '=');
		} else {
			buf_add_char(line, ',');
		}
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

static void add_counters(struct buf *line, const struct ticket *ticket)
{
	const struct store_reserve *reserve = &ticket->reserve;

	if (reserve->op.state != STORE_OP_DONE || reserve->op.failed || reserve->count == 0)
		return;
	buf_add(line, SLICE(" counters="));
	for (unsigned i = 0; i < reserve->count; i++) {
		const struct store_charge *charge = &reserve->charges[i];

		if (i)
			buf_add_char(line, ',');
		buf_add(line, charge->key.rule);
		buf_add_char(line, '/');
		units_format_window(line, charge->key.window_ms);
		buf_add_char(line, ':');
		buf_add_u64(line, charge->used);
		buf_add_char(line, '/');
		buf_add_u64(line, charge->limit);
	}
}

static void add_verdict(struct buf *line, const struct ticket *ticket)
{
	const struct verdict *verdict = &ticket->verdict;
	char memory[REPLY_BYTES];
	struct buf text;

	logline_text(line, "action", verdict_name(verdict->kind));
	if (verdict->rule)
		logline_slice(line, "rule", verdict->rule->name);
	if (verdict->reason)
		logline_text(line, "reason", verdict->reason);
	if (verdict->kind == VERDICT_DUNNO)
		return;
	buf_init_fixed(&text, memory, sizeof(memory));
	reply_write_text(&text, verdict->reply, &verdict->vars);
	logline_slice(line, "reply", buf_slice(&text));
}

static void add_request(struct buf *line, const struct ticket *ticket)
{
	const struct request *request = &ticket->request;

	add_attribute(line, "client", ticket, POLICY_CLIENT_ADDRESS);
	add_attribute(line, "client_name", ticket, POLICY_CLIENT_NAME);
	add_attribute(line, "helo", ticket, POLICY_HELO_NAME);
	if (request->facts & FACT_SENDER)
		logline_slice(line, "sender",
			      request->sender.kind == MAIL_ADDRESS_NULL ? SLICE("<>")
									: request->sender.raw);
	add_attribute(line, "recipient", ticket, POLICY_RECIPIENT);
	if (request->recipient_count)
		logline_u64(line, "recipients", request->recipient_count);
	add_attribute(line, "login", ticket, POLICY_SASL_USERNAME);
	add_attribute(line, "queue_id", ticket, POLICY_QUEUE_ID);
	add_attribute(line, "instance", ticket, POLICY_INSTANCE);
	add_attribute(line, "context", ticket, POLICY_POLICY_CONTEXT);
}

void decision_log(struct ticket *ticket, struct clock_now now)
{
	struct pipeline_services *services = &ticket->pipeline->services;
	struct buf *line = &ticket->pipeline->log_line;
	uint64_t end_ns = services->clock_ns ? services->clock_ns() : 0;

	(void)now;
	if (!wanted(ticket))
		return;
	buf_reset(line);
	logline_text(line, "event", "decision");
	logline_text(line, "state", policy_state_name(ticket->request.state));
	add_verdict(line, ticket);
	add_request(line, ticket);
	add_rules(line, "monitor", ticket, is_monitored);
	add_rules(line, "also", ticket, is_beside);
	add_rules(line, "unknown", ticket, is_unknown);
	add_counters(line, ticket);
	if (ticket->settle.refunded)
		logline_u64(line, "refunded", ticket->settle.refunded);
	logline_u64(line, "time_us", (end_ns - ticket->started_ns) / 1000);
	services->log->write(services->log, LOG_LEVEL_INFO, buf_slice(line));
}
