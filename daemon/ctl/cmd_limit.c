/* SPDX-License-Identifier: ISC */
/*
 * `limit set|unset|list`: limits that hold at once, without a reload.
 */
#include <string.h>
#include <sysexits.h>

#include "daemon/ctl/client.h"
#include "daemon/ctl/show.h"
#include "daemon/ctl/table.h"

#define REQUEST_BYTES 4096

static const char *limits_of(struct ctl *ctl, const struct json_value *override)
{
	const struct json_value *limit = json_get_array(override, "limits");
	char memory[256];
	struct buf out;

	if (json_get_bool(override, "unlimited"))
		return "unlimited";
	buf_init_fixed(&out, memory, sizeof(memory));
	for (; limit; limit = limit->next) {
		buf_add_u64(&out, json_get_u64(limit, "limit"));
		buf_add_char(&out, '/');
		buf_add(&out, slice_of(show_window(ctl, json_get_u64(limit, "window_ms"))));
		if (limit->next)
			buf_add(&out, SLICE(","));
	}
	return show_text(ctl, buf_slice(&out));
}

static int run_set(struct ctl *ctl, int argc, char **argv)
{
	static const char *const names[] = {"rule", "subject", "limit"};
	const struct json_value *answer;
	char memory[REQUEST_BYTES];
	struct buf request;
	bool missing;
	const char *duration = ctl_take_option(&argc, argv, "for", &missing);
	bool fine = argc == 4 && !missing;
	int code = EX_OK;

	buf_init_fixed(&request, memory, sizeof(memory));
	ctl_request_begin(&request, "limit.set");
	for (int i = 0; fine && i < 3; i++)
		fine = ctl_request_add(&request, names[i], slice_of(argv[i + 1]));
	if (fine && duration)
		fine = ctl_request_add(&request, "for", slice_of(duration));
	ctl_request_end(&request);
	if (!fine || request.overflow)
		return ctl_misuse(&ctl_limit_set, "a rule, a subject and a limit are wanted");
	answer = client_ask(ctl, &request, &code);
	if (!answer || ctl->json)
		return code;
	fprintf(ctl->out, "%s: %s has %s", show_member(ctl, answer, "rule"),
		show_member(ctl, answer, "subject"), limits_of(ctl, answer));
	if (json_get_text(answer, "until").len)
		fprintf(ctl->out, " until %s", show_member(ctl, answer, "until"));
	fputc('\n', ctl->out);
	client_warn_unkept(ctl, answer);
	return EX_OK;
}

static int run_unset(struct ctl *ctl, int argc, char **argv)
{
	const struct json_value *answer;
	char memory[REQUEST_BYTES];
	struct buf request;
	int code = EX_OK;

	buf_init_fixed(&request, memory, sizeof(memory));
	ctl_request_begin(&request, "limit.unset");
	if (argc != 3 || !ctl_request_add(&request, "rule", slice_of(argv[1])) ||
		!ctl_request_add(&request, "subject", slice_of(argv[2])) || request.overflow)
		return ctl_misuse(&ctl_limit_unset, "a rule and a subject are wanted");
	ctl_request_end(&request);
	answer = client_ask(ctl, &request, &code);
	if (!answer)
		return code;
	if (!ctl->json)
		fprintf(ctl->out, "the configuration's limit holds again\n");
	client_warn_unkept(ctl, answer);
	return EX_OK;
}

static int run_list(struct ctl *ctl, int argc, char **argv)
{
	static const char *const headings[] = {"rule", "subject", "limit", "until", "since", "by"};
	const struct json_value *answer, *limit;
	struct show_table table;
	int code = EX_OK;

	(void)argv;
	if (argc > 1)
		return ctl_misuse(&ctl_limit_list, "no arguments expected");
	answer = client_ask_plain(ctl, "limit.list", &code);
	if (!answer || ctl->json)
		return code;
	show_table_begin(&table, ctl, 6, headings);
	for (limit = json_get_array(answer, "limits"); limit; limit = limit->next)
		show_table_row(&table,
			(const char *const[]){show_member(ctl, limit, "rule"),
				show_member(ctl, limit, "subject"), limits_of(ctl, limit),
				show_or_dash(ctl, limit, "until"), show_member(ctl, limit, "since"),
				show_member(ctl, limit, "by")});
	show_table_end(&table, "no live limits");
	return EX_OK;
}

const struct ctl_command ctl_limit_set = {
	.name = "limit set",
	.usage = "RULE SUBJECT LIMIT[,LIMIT...] [--for TIME]",
	.brief = "give somebody another limit, at once",
	.help = "In RULE (a rule with check: rate), SUBJECT has LIMIT instead of what the configuration\n"
		"says, from the next request on, until it is unset or TIME is over. What they have used\n"
		"stays counted. LIMIT is like 500/1h or 500/1h,2000/1d, or unlimited; SUBJECT as the rule\n"
		"counts it, or @example.com for each subject of that domain. Restarts and reloads keep it.\n"
		"\n"
		"  reevectl limit set hourly newsletter@example.com 5000/1h --for 2h\n",
	.run = run_set,
};

const struct ctl_command ctl_limit_unset = {
	.name = "limit unset",
	.usage = "RULE SUBJECT",
	.brief = "take such a limit back",
	.help = "The configuration's limit holds again.\n",
	.run = run_unset,
};

const struct ctl_command ctl_limit_list = {
	.name = "limit list",
	.usage = "",
	.brief = "the limits that were set so",
	.help = "Lists live limits: whose, how much, until when, and who set them.\n",
	.run = run_list,
};
