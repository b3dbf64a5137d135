/* SPDX-License-Identifier: ISC */
/*
 * `watch`: each decision as one line of JSON, for those who watch, as it happens. A line is built
 * only when somebody watches, and once for all of them. Who reads too slowly is dropped.
 */
#include <sysexits.h>

#include "common/alloc.h"
#include "daemon/operate/control_watch.h"

#define MAX_FILTERS 8
#define LINE_BYTES 131072
/* A client that sends long nonsense neither hides from those who watch nor makes them too slow. */
#define TEXT_BYTES 512

struct filter {
	enum policy_attr attr;
	struct slice value; /* in the arena */
};

struct watch_state {
	struct arena arena;
	struct filter filters[MAX_FILTERS];
	unsigned count;
	bool refused_only;
};

static void free_state(struct control_call *call)
{
	struct watch_state *state = call->state;

	arena_release(&state->arena);
	mem_free(&call->state);
}

static bool add_filters(struct watch_state *state, const struct ctl_request *request)
{
	for (unsigned i = 0; i < request->count; i++) {
		const struct ctl_field *field = &request->fields[i];
		enum policy_attr attr;

		if (!slice_starts_with(field->name, SLICE("attr.")))
			continue;
		attr = policy_attr_of(slice_from(field->name, 5));
		if (attr == POLICY_ATTR_COUNT || state->count == MAX_FILTERS)
			return false;
		state->filters[state->count++] =
			(struct filter){attr, arena_dup(&state->arena, field->value)};
	}
	return true;
}

static void watch(struct control_call *call, const struct ctl_request *request)
{
	struct watch_state *state = mem_zalloc(sizeof(*state));

	call->state = state;
	arena_init(&state->arena, 512);
	state->refused_only = slice_is(ctl_request_get(request, "refused"), "yes");
	if (!add_filters(state, request)) {
		free_state(call);
		control_refuse(
			call, EX_DATAERR, "", "no such attribute, or more than %d", MAX_FILTERS);
		return;
	}
	call->cancel = free_state;
	list_append(control_watchers(call->control), &call->node);
	(void)!watch_send(call, SLICE("{\"ok\":true,\"stream\":\"decisions\"}\n"));
}

/* The state goes with the call. */
bool watch_send(struct control_call *call, struct slice line)
{
	struct watch_state *state = call->state;
	void *memory = state;

	if (control_stream(call, line))
		return true;
	arena_release(&state->arena);
	free(memory);
	return false;
}

static bool is_refusal(enum verdict_kind kind)
{
	return kind == VERDICT_REJECT || kind == VERDICT_DEFER || kind == VERDICT_DISCONNECT;
}

static bool wants(const struct control_call *call, const struct decision_view *view)
{
	const struct watch_state *state = call->state;

	if (state->refused_only && !is_refusal(view->verdict->kind))
		return false;
	for (unsigned i = 0; i < state->count; i++) {
		if (!slice_equal_fold(view->request->in->attr[state->filters[i].attr],
			    state->filters[i].value))
			return false;
	}
	return true;
}

static void add_attribute(
	struct json *json, const char *key, const struct decision_view *view, enum policy_attr attr)
{
	struct slice text = view->request->in->attr[attr];

	if (text.len)
		json_slice(json, key, slice_first(text, TEXT_BYTES));
}

static void add_request(struct json *json, const struct decision_view *view)
{
	add_attribute(json, "client", view, POLICY_CLIENT_ADDRESS);
	add_attribute(json, "client_name", view, POLICY_CLIENT_NAME);
	add_attribute(json, "helo", view, POLICY_HELO_NAME);
	if (view->request->facts & FACT_SENDER)
		json_slice(json, "sender",
			slice_first(view->request->in->attr[POLICY_SENDER], TEXT_BYTES));
	add_attribute(json, "recipient", view, POLICY_RECIPIENT);
	if (view->request->recipient_count)
		json_u64(json, "recipients", view->request->recipient_count);
	add_attribute(json, "login", view, POLICY_SASL_USERNAME);
	add_attribute(json, "queue_id", view, POLICY_QUEUE_ID);
	add_attribute(json, "instance", view, POLICY_INSTANCE);
}

/* Rules that found something, and did not decide. */
static void add_findings(struct json *json, const struct decision_view *view)
{
	static const char *const words[] = {
		[TRACE_BAD] = "bad", [TRACE_UNKNOWN] = "unknown", [TRACE_OVER] = "over"};

	json_array(json, "found");
	for (unsigned i = 0; view->has_findings && i < view->ruleset->count; i++) {
		const struct rule_trace *trace = &view->trace[i];

		if ((trace->kind != TRACE_BAD && trace->kind != TRACE_UNKNOWN &&
			    trace->kind != TRACE_OVER) ||
			view->verdict->rule == &view->ruleset->rules[i])
			continue;
		json_object(json, NULL);
		json_slice(json, "rule", view->ruleset->rules[i].name);
		json_text(json, "found", words[trace->kind]);
		if (trace->reason)
			json_text(json, "reason", trace->reason);
		json_bool(json, "monitor", view->ruleset->rules[i].mode == CONFIG_MONITOR);
		json_end_object(json);
	}
	json_end_array(json);
}

static void add_counters(struct json *json, const struct decision_view *view)
{
	json_array(json, "counters");
	for (unsigned i = 0; i < view->charge_count; i++) {
		const struct store_charge *charge = &view->charges[i];

		json_object(json, NULL);
		json_slice(json, "rule", charge->key.rule);
		json_slice(json, "subject", charge->key.subject);
		json_u64(json, "window_ms", charge->key.window_ms);
		json_u64(json, "used", charge->used);
		json_u64(json, "limit", charge->limit);
		json_end_object(json);
	}
	json_end_array(json);
}

static void write_line(struct buf *out, const struct decision_view *view)
{
	struct slice answer = view->reply;
	struct json json;

	if (slice_starts_with(answer, SLICE("action=")))
		answer = slice_from(answer, 7);
	while (slice_ends_with(answer, SLICE("\n")))
		answer = slice_first(answer, answer.len - 1);
	json_init(&json, out);
	json_object(&json, NULL);
	json_time(&json, "time", view->request->now.wall_ms);
	json_text(&json, "state", policy_state_name(view->request->state));
	json_text(&json, "action", verdict_name(view->verdict->kind));
	json_slice(&json, "answer", answer);
	if (view->verdict->rule)
		json_slice(&json, "rule", view->verdict->rule->name);
	if (view->verdict->reason)
		json_text(&json, "reason", view->verdict->reason);
	add_request(&json, view);
	add_findings(&json, view);
	add_counters(&json, view);
	json_u64(&json, "time_us", view->took_ns / 1000);
	json_end_object(&json);
	buf_add_char(out, '\n');
}

void watch_note(struct list *watchers, const struct decision_view *view)
{
	struct list *node, *next;
	struct buf line;

	buf_init(&line, LINE_BYTES);
	for (node = watchers->next; node != watchers; node = next) {
		struct control_call *call = LIST_ENTRY(node, struct control_call, node);

		next = node->next;
		if (!wants(call, view))
			continue;
		if (line.len == 0)
			write_line(&line, view);
		if (!line.overflow)
			(void)!watch_send(call, buf_slice(&line));
	}
	buf_release(&line);
}

const struct control_command control_watch_commands[] = {
	{"watch", false, watch},
	{0},
};
