/* SPDX-License-Identifier: ISC */
/*
 * `watch`: decisions as they happen, one a line; and `metrics`.
 */
#include <string.h>
#include <sysexits.h>

#include "common/policy_proto.h"
#include "config/errors.h"
#include "daemon/ctl/client.h"
#include "daemon/ctl/show.h"
#include "daemon/ctl/table.h"

#define REQUEST_BYTES 16384
#define LINE_ARENA_BYTES 16384

static void print_pair(
	struct ctl *ctl, const char *label, const struct json_value *line, const char *key)
{
	if (json_get(line, key))
		fprintf(ctl->out, "%s%s", label, show_or_dash(ctl, line, key));
}

static void print_line(struct ctl *ctl, const struct json_value *line)
{
	const struct json_value *found = json_get_array(line, "found");
	const char *time = show_member(ctl, line, "time");
	bool quiet = slice_is(json_get_text(line, "action"), "dunno");

	fprintf(ctl->out, "%.8s %s ", strlen(time) > 19 ? time + 11 : time,
		show_member(ctl, line, "state"));
	if (ctl->colours && !quiet)
		fputs("\033[1m", ctl->out);
	fputs(show_member(ctl, line, "answer"), ctl->out);
	if (ctl->colours && !quiet)
		fputs("\033[0m", ctl->out);
	print_pair(ctl, " rule=", line, "rule");
	print_pair(ctl, " reason=", line, "reason");
	print_pair(ctl, " client=", line, "client");
	print_pair(ctl, " login=", line, "login");
	print_pair(ctl, " sender=", line, "sender");
	print_pair(ctl, " recipient=", line, "recipient");
	for (; found; found = found->next)
		fprintf(ctl->out, " %s=%s:%s", json_get_bool(found, "monitor") ? "monitor" : "also",
			show_member(ctl, found, "rule"), show_or_dash(ctl, found, "reason"));
	fputc('\n', ctl->out);
}

/* Each line has its own memory, or a day of watching would fill the machine. */
static bool each(void *arg, const struct json_value *value, struct slice line)
{
	struct ctl *ctl = arg;
	struct ctl mine = *ctl;

	if (ctl->json) {
		fprintf(ctl->out, "%.*s\n", SLICE_ARG(line));
	} else {
		arena_init(&mine.arena, LINE_ARENA_BYTES);
		print_line(&mine, value);
		arena_release(&mine.arena);
	}
	return fflush(ctl->out) == 0;
}

static int run_watch(struct ctl *ctl, int argc, char **argv)
{
	bool refused = ctl_take_flag(&argc, argv, "refused");
	char memory[REQUEST_BYTES], field[80];
	struct slice name, value;
	struct buf request;

	buf_init_fixed(&request, memory, sizeof(memory));
	ctl_request_begin(&request, "watch");
	if (refused && !ctl_request_add(&request, "refused", SLICE("yes")))
		return EX_SOFTWARE;
	for (int i = 1; i < argc; i++) {
		if (!slice_split(slice_of(argv[i]), '=', &name, &value) ||
			policy_attr_of(name) == POLICY_ATTR_COUNT)
			return ctl_misuse(&ctl_watch,
				"'%s' is no NAME=VALUE of the policy protocol",
				config_quote(slice_of(argv[i])).text);
		snprintf(field, sizeof(field), "attr.%.*s", SLICE_ARG(name));
		if (!ctl_request_add(&request, field, value))
			return ctl_misuse(&ctl_watch, "a value that cannot be sent");
	}
	ctl_request_end(&request);
	if (request.overflow)
		return ctl_misuse(&ctl_watch, "too many of them");
	return client_stream(ctl, &request, each, ctl);
}

static int run_metrics(struct ctl *ctl, int argc, char **argv)
{
	const struct json_value *answer;
	struct slice text;
	int code = EX_OK;

	(void)argv;
	if (argc > 1)
		return ctl_misuse(&ctl_metrics, "no arguments expected");
	answer = client_ask_plain(ctl, "metrics", &code);
	if (!answer || ctl->json)
		return code;
	text = json_get_text(answer, "metrics");
	fwrite(text.data, 1, text.len, ctl->out);
	return EX_OK;
}

const struct ctl_command ctl_watch = {
	.name = "watch",
	.usage = "[--refused] [NAME=VALUE...]",
	.brief = "decisions as they happen",
	.help = "Prints each decision until you stop it: time, state, answer, rule and reason, who sent to\n"
		"whom, and what other rules found. --refused leaves out what was let pass; NAME=VALUE\n"
		"(sasl_username=bob@example.com, say) all but requests with this attribute. Who reads too\n"
		"slowly is dropped; answers to Postfix never wait for it. With --json one object a line.\n",
	.run = run_watch,
};

const struct ctl_command ctl_metrics = {
	.name = "metrics",
	.usage = "",
	.brief = "all metrics, as Prometheus reads them",
	.help = "Prints what `metrics:` in the configuration offers by HTTP. reeved(8) lists the names.\n",
	.run = run_metrics,
};
