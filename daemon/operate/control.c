/* SPDX-License-Identifier: ISC */
/*
 * From bytes to a command and back. The socket's mode keeps strangers out; the kernel's word on
 * who is at the other end is asked all the same, because a mode can be changed by hand.
 */
#include "daemon/operate/control.h"

#include <stdarg.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/alloc.h"
#include "daemon/operate/control_call.h"
#include "daemon/operate/control_watch.h"
#include "daemon/operate/http.h"
#include "daemon/operate/metrics.h"

#define MAX_CALLS 32
#define ROOTS_CALLS 4 /* more: the daemon's group cannot keep root out */
#define BACKLOG_BYTES (256 << 10)
#define DEADLINE_MS 10000
#define MAX_SCRAPES 16
#define MAX_ARGS_BYTES 512 /* in the log */
#define MAX_FOR_MS (UINT64_C(3650) * 24 * 3600 * 1000)

struct control {
	struct operate operate;
	struct endpoint *endpoint;
	struct list waiting, ready, watchers;
	struct endpoint *scrape; /* the metrics by HTTP */
	struct metrics *metrics;
	struct pipeline_observer observer;
};

static void answer_metrics(struct control_call *call, const struct ctl_request *request);

static const struct control_command metrics_commands[] = {
	{"metrics", false, answer_metrics},
	{0},
};

static const struct control_command *const tables[] = {
	control_status_commands,
	control_reload_commands,
	control_explain_commands,
	control_counter_commands,
	control_limit_commands,
	control_ban_commands,
	control_watch_commands,
	metrics_commands,
};

static const struct control_command *find_command(struct slice name)
{
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		for (const struct control_command *command = tables[i]; command->name; command++) {
			if (slice_is(name, command->name))
				return command;
		}
	}
	return NULL;
}

static bool may_ask(const struct endpoint_peer *who)
{
	return who->is_unix && (who->uid == 0 || who->uid == geteuid() || who->in_group);
}

static void keep_args(struct control_call *call, const struct ctl_request *request)
{
	buf_init(&call->args, MAX_ARGS_BYTES);
	for (unsigned i = 0; i < request->count; i++) {
		if (i)
			buf_add_char(&call->args, ' ');
		buf_add(&call->args, request->fields[i].name);
		buf_add_char(&call->args, '=');
		buf_add(&call->args, request->fields[i].value);
	}
}

/* Of a command that changes something, when it is known what became of it. `why` may be NULL. */
static void log_result(const struct control_call *call, const char *result, const char *why)
{
	struct log_sink *sink = log_sink(call->operate->log);
	char memory[2048];
	struct buf line;

	if (!call->command || !call->command->changes)
		return;
	buf_init_fixed(&line, memory, sizeof(memory));
	logline_text(&line, "event", "control");
	logline_text(&line, "command", call->command->name);
	if (call->args.len)
		logline_slice(&line, "args", buf_slice(&call->args));
	logline_u64(&line, "uid", call->who.uid);
	logline_u64(&line, "pid", (uint64_t)call->who.pid);
	logline_text(&line, "result", result);
	if (why)
		logline_text(&line, "why", why);
	sink->write(sink, LOG_LEVEL_NOTICE, buf_slice(&line));
}

static void free_call(struct control_call *call)
{
	endpoint_set_data(call->peer, NULL);
	list_remove(&call->node);
	buf_release(&call->out);
	buf_release(&call->args);
	free(call);
}

struct json *control_answer(struct control_call *call)
{
	ctl_answer_begin(&call->json, &call->out);
	return &call->json;
}

static void send_out(struct control_call *call)
{
	struct endpoint_call *peer = call->peer;
	struct buf out = call->out;

	call->out = (struct buf){0};
	free_call(call);
	endpoint_answer(peer, buf_slice(&out));
	buf_release(&out);
}

void control_send(struct control_call *call)
{
	ctl_answer_end(&call->json);
	if (call->out.overflow) {
		control_refuse(call, EX_SOFTWARE, "", "the answer is longer than %zu bytes",
			CTL_ANSWER_BYTES);
		return;
	}
	log_result(call, "done", NULL);
	send_out(call);
}

void control_refuse(
	struct control_call *call, int exit_code, const char *advice, const char *format, ...)
{
	char error[512];
	va_list args;

	va_start(args, format);
	vsnprintf(error, sizeof(error), format, args);
	va_end(args);
	log_result(call, "refused", error);
	buf_reset(&call->out);
	ctl_answer_error(&call->out, exit_code, slice_of(error), slice_of(advice));
	send_out(call);
}

bool control_read_end(struct control_call *call, const struct ctl_request *request,
	uint64_t now_wall_ms, uint64_t *ret_until_wall_ms)
{
	struct slice text;
	uint64_t for_ms;
	const char *why;

	*ret_until_wall_ms = UINT64_MAX;
	if (!ctl_request_find(request, "for", &text))
		return true;
	why = units_parse_duration(text, &for_ms);
	if (!why && (for_ms < 1000 || for_ms > MAX_FOR_MS))
		why = "is between 1 s and 10 years";
	if (why) {
		control_refuse(call, EX_DATAERR, "without one it holds until it is taken back",
			"the duration %s", why);
		return false;
	}
	*ret_until_wall_ms = now_wall_ms + for_ms;
	return true;
}

void control_resume(struct control_call *call)
{
	list_remove(&call->node);
	list_append(&call->control->ready, &call->node);
}

bool control_stream(struct control_call *call, struct slice lines)
{
	if (endpoint_send(call->peer, lines))
		return true;
	free_call(call);
	return false;
}

/* What becomes ready meanwhile has its turn in the next one. */
void control_run(struct control *control)
{
	struct list now, *node;

	if (!control || list_is_empty(&control->ready))
		return;
	list_init(&now);
	while ((node = list_pop(&control->ready)) != NULL)
		list_append(&now, node);
	while ((node = list_pop(&now)) != NULL) {
		struct control_call *call = LIST_ENTRY(node, struct control_call, node);

		list_append(&control->waiting, node);
		call->resume(call);
	}
}

void control_health(const struct control *control, struct endpoint_health *ret)
{
	endpoint_health(control->endpoint, ret);
}

struct list *control_watchers(struct control *control)
{
	return &control->watchers;
}

struct list *control_waiting(struct control *control)
{
	return &control->waiting;
}

static void run_command(struct control_call *call, const struct ctl_request *request)
{
	call->command = find_command(request->command);
	if (!call->command) {
		control_refuse(call, EX_UNAVAILABLE, "use a reevectl of the daemon's version",
			"reeved " REEVE_VERSION " has no command '%s'",
			config_quote(request->command).text);
		return;
	}
	if (call->command->changes)
		keep_args(call, request);
	call->command->run(call, request);
}

static void refuse_peer(struct control_call *call)
{
	struct log_sink *sink = log_sink(call->operate->log);
	char memory[256];
	struct buf line;

	buf_init_fixed(&line, memory, sizeof(memory));
	logline_text(&line, "event", "control_refused");
	logline_u64(&line, "uid", call->who.uid);
	logline_u64(&line, "pid", (uint64_t)call->who.pid);
	sink->write(sink, LOG_LEVEL_WARNING, buf_slice(&line));
	control_refuse(call, EX_NOPERM, "run it as root, or join the daemon's group",
		"uid %lu may not use the control socket", (unsigned long)call->who.uid);
}

static bool take(void *arg, struct endpoint_call *peer, struct slice bytes)
{
	struct control *control = arg;
	struct ctl_request request;
	struct control_call *call;
	const char *why;
	enum ctl_feed feed = ctl_request_parse(bytes, &request, &why);

	if (feed == CTL_MORE)
		return false;
	call = mem_zalloc(sizeof(*call));
	call->control = control;
	call->operate = &control->operate;
	call->peer = peer;
	call->who = endpoint_peer(peer, getegid());
	list_init(&call->node);
	buf_init(&call->out, CTL_ANSWER_BYTES);
	endpoint_set_data(peer, call);
	if (!may_ask(&call->who))
		refuse_peer(call);
	else if (feed == CTL_BAD)
		control_refuse(call, EX_PROTOCOL, "", "%s", why);
	else
		run_command(call, &request);
	return true;
}

static void gone(void *arg, struct endpoint_call *peer)
{
	struct control_call *call = endpoint_data(peer);

	(void)arg;
	if (!call)
		return;
	log_result(call, "unknown", "who asked has left before the answer");
	if (call->cancel)
		call->cancel(call);
	free_call(call);
}

static void decided(struct pipeline_observer *observer, const struct decision_view *view)
{
	struct control *control = LIST_ENTRY(observer, struct control, observer);

	metrics_note(control->metrics, view);
	if (!list_is_empty(&control->watchers))
		watch_note(&control->watchers, view);
}

static void write_metrics(const struct control *control, struct buf *out)
{
	buf_init(out, METRICS_BYTES);
	metrics_write(control->metrics, &control->operate, out);
}

static bool scrape(void *arg, struct endpoint_call *peer, struct slice bytes)
{
	enum http_request request = http_read(bytes);
	struct buf body, answer;

	if (request == HTTP_MORE)
		return false;
	write_metrics(arg, &body);
	buf_init(&answer, METRICS_BYTES + HTTP_REQUEST_BYTES);
	http_write(&answer, request, buf_slice(&body));
	endpoint_answer(peer, buf_slice(&answer));
	buf_release(&answer);
	buf_release(&body);
	return true;
}

static void answer_metrics(struct control_call *call, const struct ctl_request *request)
{
	struct json *json = control_answer(call);
	struct buf text;

	(void)request;
	write_metrics(call->control, &text);
	json_slice(json, "metrics", buf_slice(&text));
	buf_release(&text);
	control_send(call);
}

struct control *control_new(const struct operate *operate)
{
	struct control *control = mem_zalloc(sizeof(*control));
	const struct endpoint_handler handler = {
		.max_calls = MAX_CALLS,
		.reserved_calls = ROOTS_CALLS,
		.reserved_uid = 0,
		.request_bytes = CTL_REQUEST_BYTES + 1,
		.backlog_bytes = BACKLOG_BYTES,
		.deadline_ms = DEADLINE_MS,
		.take = take,
		.gone = gone,
		.arg = control,
	};
	const struct endpoint_handler scraped = {
		.max_calls = MAX_SCRAPES,
		.request_bytes = HTTP_REQUEST_BYTES + 1,
		.backlog_bytes = METRICS_BYTES,
		.deadline_ms = DEADLINE_MS,
		.take = scrape,
		.arg = control,
	};

	control->operate = *operate;
	list_init(&control->waiting);
	list_init(&control->ready);
	list_init(&control->watchers);
	control->metrics = metrics_new();
	control->observer.decided = decided;
	control->endpoint = endpoint_new(operate->loop, &handler);
	control->scrape = endpoint_new(operate->loop, &scraped);
	return control;
}

static bool listen_at(
	struct endpoint *endpoint, const struct config_address *address, char why[static 512])
{
	char *path;
	bool fine;

	if (!address->is_unix)
		return endpoint_listen_inet(endpoint, &address->ip, address->port, why);
	path = mem_dup(address->path);
	fine = endpoint_listen_unix(endpoint, path, 0660, why);
	free(path);
	return fine;
}

void control_listen(struct control *control, const struct config *config)
{
	struct log_sink *sink = log_sink(control->operate.log);
	char why[512];

	if (!listen_at(control->endpoint, &config->control, why))
		log_event(sink, LOG_LEVEL_ERROR, "control_failed", "why", slice_of(why));
	if (config->has_metrics && !listen_at(control->scrape, &config->metrics, why))
		log_event(sink, LOG_LEVEL_ERROR, "metrics_failed", "why", slice_of(why));
	pipeline_set_observer(control->operate.pipeline, &control->observer);
}

uint64_t control_expire(struct control *control, struct clock_now now)
{
	uint64_t next = endpoint_expire(control->endpoint, now);
	uint64_t scrape = endpoint_expire(control->scrape, now);

	if (next == 0 || (scrape && scrape < next))
		next = scrape;
	return list_is_empty(&control->ready) ? next : now.mono_ms;
}

void control_close(struct control *control)
{
	if (!control)
		return;
	if (control->operate.pipeline)
		pipeline_set_observer(control->operate.pipeline, NULL);
	endpoint_close(control->endpoint);
	endpoint_close(control->scrape);
}

void control_free(struct control **control)
{
	if (!*control)
		return;
	endpoint_free(&(*control)->endpoint);
	endpoint_free(&(*control)->scrape);
	metrics_free(&(*control)->metrics);
	mem_free(control);
}
