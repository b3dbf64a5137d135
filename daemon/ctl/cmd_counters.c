/* SPDX-License-Identifier: ISC */
/*
 * `usage`, `top`, `reset`: counters as they stand.
 */
#include <sysexits.h>

#include "daemon/ctl/client.h"
#include "daemon/ctl/show.h"
#include "daemon/ctl/table.h"

#define REQUEST_BYTES 4096

static void print_counters(struct ctl *ctl, const struct json_value *answer, const char *none)
{
	static const char *const headings[] = {"rule", "subject", "used", ""};
	const struct json_value *counter = json_get_array(answer, "counters");
	struct show_table table;

	show_table_begin(&table, ctl, 4, headings);
	for (; counter; counter = counter->next)
		show_table_row(&table, (const char *const[]){show_member(ctl, counter, "rule"),
					       show_member(ctl, counter, "subject"),
					       show_used(ctl, counter), show_free(ctl, counter)});
	show_table_end(&table, none);
}

/* One subject to a command. NULL: told. */
static const struct json_value *ask_subject(struct ctl *ctl, const struct ctl_command *command,
	const char *name, int argc, char **argv, int *ret_exit)
{
	char memory[REQUEST_BYTES];
	struct buf request;

	if (argc != 2) {
		*ret_exit = ctl_misuse(command, argc < 2 ? "a subject is missing" : "one subject");
		return NULL;
	}
	buf_init_fixed(&request, memory, sizeof(memory));
	ctl_request_begin(&request, name);
	if (!ctl_request_add(&request, "subject", slice_of(argv[1])) || request.overflow) {
		*ret_exit = ctl_misuse(command, "that is no subject");
		return NULL;
	}
	ctl_request_end(&request);
	return client_ask(ctl, &request, ret_exit);
}

static int run_usage(struct ctl *ctl, int argc, char **argv)
{
	int code = EX_OK;
	const struct json_value *answer = ask_subject(ctl, &ctl_usage, "usage", argc, argv, &code);

	if (!answer || ctl->json)
		return code;
	print_counters(ctl, answer, "nothing is used");
	if (json_get_bool(answer, "more"))
		fprintf(ctl->out, "(and more)\n");
	return EX_OK;
}

static int run_reset(struct ctl *ctl, int argc, char **argv)
{
	int code = EX_OK;
	const struct json_value *answer = ask_subject(ctl, &ctl_reset, "reset", argc, argv, &code);

	if (!answer || ctl->json)
		return code;
	fprintf(ctl->out, "%llu counters emptied\n",
		(unsigned long long)json_get_u64(answer, "emptied"));
	return EX_OK;
}

static int run_top(struct ctl *ctl, int argc, char **argv)
{
	bool missing_by, missing_number;
	const char *by = ctl_take_option(&argc, argv, "by", &missing_by);
	const char *number = ctl_take_option(&argc, argv, "number", &missing_number);
	const struct json_value *answer;
	char memory[REQUEST_BYTES];
	struct buf request;
	int code = EX_OK;

	if (missing_by || missing_number || argc > 1)
		return ctl_misuse(&ctl_top, "no such argument");
	buf_init_fixed(&request, memory, sizeof(memory));
	ctl_request_begin(&request, "top");
	if ((by && !ctl_request_add(&request, "by", slice_of(by))) ||
		(number && !ctl_request_add(&request, "number", slice_of(number))) ||
		request.overflow)
		return ctl_misuse(&ctl_top, "no such argument");
	ctl_request_end(&request);
	answer = client_ask(ctl, &request, &code);
	if (!answer || ctl->json)
		return code;
	print_counters(ctl, answer, "no counter holds anything");
	return EX_OK;
}

const struct ctl_command ctl_usage = {
	.name = "usage",
	.usage = "SUBJECT",
	.brief = "what somebody has used of their limits",
	.help = "SUBJECT is a login, an address, a domain, an account, or a client's address; its counters\n"
		"of all rules are shown, and when a part of what is used will be free again.\n",
	.run = run_usage,
};

const struct ctl_command ctl_top = {
	.name = "top",
	.usage = "[--by share|used] [--number N]",
	.brief = "the fullest counters",
	.help = "Shows the counters that are nearest to their limits (--by share, the default) or hold\n"
		"most (--by used); 20 of them, or N (at most 1000).\n",
	.run = run_top,
};

const struct ctl_command ctl_reset = {
	.name = "reset",
	.usage = "SUBJECT",
	.brief = "empty somebody's counters",
	.help = "Empties the counters of SUBJECT in all rules and windows, so that they can send again.\n"
		"Messages under way are still settled. The change is logged with your uid.\n",
	.run = run_reset,
};
