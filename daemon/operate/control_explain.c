/* SPDX-License-Identifier: ISC */
/*
 * `explain`: fields `attr.NAME` are the attributes of a policy request. They are copied, because
 * the answer may have to wait for the DNS.
 */
#include <sysexits.h>

#include "common/alloc.h"
#include "daemon/engine/explain.h"
#include "daemon/operate/control_call.h"

#define ARENA_BYTES 32768

struct explain_state {
	struct control_call *call;
	struct arena arena;
	struct policy_request request;
	struct ticket *ticket;
};

static const char *const found_words[] = {
	[TRACE_SKIPPED] = "skipped",
	[TRACE_WAITS] = "waits",
	[TRACE_UNMATCHED] = "no match",
	[TRACE_EXEMPT] = "exempt",
	[TRACE_CLEAR] = "clear",
	[TRACE_BAD] = "bad",
	[TRACE_UNKNOWN] = "unknown",
	[TRACE_CHARGED] = "counted",
	[TRACE_OVER] = "over",
};

static const char *const what_words[] = {
	[COUNT_RECIPIENTS] = "recipients",
	[COUNT_MESSAGES] = "messages",
	[COUNT_BYTES] = "bytes",
};

static const char *const mode_words[] = {
	[CONFIG_ENFORCE] = "enforce", [CONFIG_MONITOR] = "monitor", [CONFIG_OFF] = "off"};

struct word {
	unsigned bit;
	const char *text;
};

static void add_words(struct json *json, const char *key, unsigned bits, const struct word *words)
{
	if (!bits)
		return;
	json_array(json, key);
	for (; words->text; words++) {
		if (bits & words->bit)
			json_text(json, NULL, words->text);
	}
	json_end_array(json);
}

static void add_looked_at(struct json *json, const struct request *request, unsigned needs)
{
	static const struct {
		unsigned fact;
		enum policy_attr attr;
	} facts[] = {
		{FACT_CLIENT, POLICY_CLIENT_ADDRESS},
		{FACT_HELO, POLICY_HELO_NAME},
		{FACT_LOGIN, POLICY_SASL_USERNAME},
		{FACT_SENDER, POLICY_SENDER},
		{FACT_RECIPIENT, POLICY_RECIPIENT},
	};

	json_object(json, "looked_at");
	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
		if (needs & facts[i].fact & request->facts)
			json_slice(json, policy_attr_name(facts[i].attr),
				request->in->attr[facts[i].attr]);
	}
	json_end_object(json);
}

static void add_notes(struct json *json, struct slice notes)
{
	struct slice line;

	json_array(json, "notes");
	while (slice_split(notes, '\n', &line, &notes))
		json_slice(json, NULL, line);
	json_end_array(json);
}

/* `used` is without this request. */
static void add_charge(struct json *json, const struct store_charge *charge)
{
	static const char *const outcomes[] = {
		[CHARGE_NONE] = "not asked",
		[CHARGE_GRANTED] = "fits",
		[CHARGE_ALREADY] = "counted before",
		[CHARGE_OVER] = "over",
	};
	bool with_this = charge->outcome == CHARGE_GRANTED ||
			 (charge->outcome == CHARGE_OVER && !charge->gate);
	uint64_t used = with_this && charge->used >= charge->cost ? charge->used - charge->cost
								  : charge->used;

	json_object(json, NULL);
	json_slice(json, "subject", charge->key.subject);
	json_text(json, "count", what_words[charge->key.what]);
	json_u64(json, "window_ms", charge->key.window_ms);
	json_u64(json, "used", used);
	json_u64(json, "limit", charge->limit);
	json_u64(json, "cost", charge->cost);
	json_text(json, "outcome", outcomes[charge->outcome]);
	if (charge->outcome == CHARGE_OVER && charge->retry_ms != UINT64_MAX)
		json_u64(json, "retry_ms", charge->retry_ms);
	if (charge->free_amount) {
		json_u64(json, "free_ms", charge->free_ms);
		json_u64(json, "free_amount", charge->free_amount);
	}
	json_end_object(json);
}

static void add_charges(struct json *json, const struct explanation *explanation, unsigned index)
{
	json_array(json, "counters");
	for (unsigned i = 0; i < explanation->charge_count; i++) {
		if (explanation->charges[i].rule_index == index)
			add_charge(json, &explanation->charges[i]);
	}
	json_end_array(json);
}

static void add_rule(struct json *json, const struct explanation *explanation, unsigned index)
{
	static const struct word facts[] = {{FACT_CLIENT, "client"}, {FACT_HELO, "helo"},
		{FACT_LOGIN, "login"}, {FACT_SENDER, "sender"}, {FACT_RECIPIENT, "recipient"},
		{0, NULL}};
	static const struct word exempt[] = {{EXEMPT_AUTHENTICATED, "authenticated"},
		{EXEMPT_UNAUTHENTICATED, "not authenticated"}, {EXEMPT_LOCAL, "local client"},
		{EXEMPT_PRIVILEGED, "privileged client"}, {EXEMPT_OWN, "own address"},
		{EXEMPT_NULL_SENDER, "null sender"}, {0, NULL}};
	const struct explained_rule *rule = &explanation->rules[index];

	json_object(json, NULL);
	json_slice(json, "name", rule->rule->name);
	json_text(json, "check", rule->rule->ops->check->name);
	json_text(json, "mode", mode_words[rule->rule->mode]);
	json_text(json, "found", found_words[rule->kind]);
	json_bool(json, "after", rule->after);
	if (rule->reason)
		json_text(json, "reason", rule->reason);
	if (rule->would != VERDICT_DUNNO)
		json_text(json, "would", verdict_name(rule->would));
	if (rule->reply.len)
		json_slice(json, "reply", rule->reply);
	if (rule->kind == TRACE_WAITS)
		add_words(json, "waits_for", rule->missing, facts);
	if (rule->kind == TRACE_EXEMPT)
		add_words(json, "exempt", rule->exempt, exempt);
	add_looked_at(json, explanation->request, rule->rule->needs);
	add_notes(json, rule->notes);
	if (rule->rule->ops->flags & RULE_COUNTS)
		add_charges(json, explanation, index);
	json_end_object(json);
}

static void add_answer(struct json *json, const struct explanation *explanation)
{
	const struct verdict *verdict = explanation->verdict;
	struct slice answer = explanation->reply;

	if (slice_starts_with(answer, SLICE("action=")))
		answer = slice_from(answer, 7);
	while (slice_ends_with(answer, SLICE("\n")))
		answer = slice_first(answer, answer.len - 1);
	json_text(json, "state", policy_state_name(explanation->request->state));
	json_slice(json, "answer", answer);
	json_text(json, "action", verdict_name(verdict->kind));
	if (verdict->rule)
		json_slice(json, "rule", verdict->rule->name);
	if (verdict->reason)
		json_text(json, "reason", verdict->reason);
	json_bool(json, "strikes", explanation->strikes);
	json_bool(json, "settles", explanation->settles);
	json_bool(json, "store_failed", explanation->store_failed);
	json_u64(json, "connection_strikes", explanation->request->connection_strikes);
}

static void free_state(struct control_call *call)
{
	struct explain_state *state = call->state;

	call->state = NULL;
	arena_release(&state->arena);
	free(state);
}

static void explained(void *arg, const struct explanation *explanation)
{
	struct explain_state *state = arg;
	struct control_call *call = state->call;
	struct json *json = control_answer(call);

	state->ticket = NULL;
	add_answer(json, explanation);
	json_array(json, "rules");
	for (unsigned i = 0; i < explanation->ruleset->count; i++)
		add_rule(json, explanation, i);
	json_end_array(json);
	free_state(call);
	control_send(call);
}

static void cancel(struct control_call *call)
{
	struct explain_state *state = call->state;

	pipeline_cancel(call->operate->pipeline, &state->ticket);
	free_state(call);
}

static void set(struct explain_state *state, enum policy_attr attr, struct slice value)
{
	struct policy_request *request = &state->request;

	if (attr == POLICY_ATTR_COUNT || request->present & UINT64_C(1) << attr)
		return;
	request->attr[attr] = arena_dup(&state->arena, value);
	request->present |= UINT64_C(1) << attr;
}

static void read_request(struct explain_state *state, const struct ctl_request *from)
{
	for (unsigned i = 0; i < POLICY_ATTR_COUNT; i++)
		state->request.attr[i] = SLICE_EMPTY;
	for (unsigned i = 0; i < from->count; i++) {
		const struct ctl_field *field = &from->fields[i];

		if (slice_starts_with(field->name, SLICE("attr.")))
			set(state, policy_attr_of(slice_from(field->name, 5)), field->value);
	}
	set(state, POLICY_REQUEST, SLICE("smtpd_access_policy"));
	set(state, POLICY_PROTOCOL_STATE, SLICE("RCPT"));
	state->request.state = policy_state_of(state->request.attr[POLICY_PROTOCOL_STATE]);
}

static void explain(struct control_call *call, const struct ctl_request *request)
{
	struct explain_state *state = mem_zalloc(sizeof(*state));

	state->call = call;
	arena_init(&state->arena, ARENA_BYTES);
	read_request(state, request);
	call->state = state;
	if (state->request.state == POLICY_STATE_UNKNOWN) {
		free_state(call);
		control_refuse(call, EX_DATAERR,
			"CONNECT, EHLO, MAIL, RCPT, DATA, END-OF-MESSAGE, VRFY or ETRN",
			"no such protocol_state");
		return;
	}
	call->cancel = cancel;
	list_append(control_waiting(call->control), &call->node);
	state->ticket = pipeline_explain(call->operate->pipeline, &state->request, &state->arena,
		loop_now(call->operate->loop), explained, state);
}

const struct control_command control_explain_commands[] = {
	{"explain", false, explain},
	{0},
};
