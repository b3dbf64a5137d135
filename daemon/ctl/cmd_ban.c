/* SPDX-License-Identifier: ISC */
/*
 * `ban list|show|add|remove`.
 */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "common/units.h"
#include "daemon/ctl/client.h"
#include "daemon/ctl/show.h"
#include "daemon/ctl/table.h"

#define REQUEST_BYTES 4096

static void begin_table(struct show_table *table, struct ctl *ctl)
{
	static const char *const headings[] = {
		"network", "until", "since", "times", "by", "reason"};

	show_table_begin(table, ctl, 6, headings);
}

static void add_rows(struct show_table *table, struct ctl *ctl, const struct json_value *answer)
{
	const struct json_value *ban = json_get_array(answer, "bans");

	for (; ban; ban = ban->next)
		show_table_row(table,
			(const char *const[]){show_member(ctl, ban, "network"),
				json_get(ban, "until") ? show_member(ctl, ban, "until")
						       : "for ever",
				show_member(ctl, ban, "since"),
				show_number(ctl, json_get_u64(ban, "times")),
				show_member(ctl, ban, "by"), show_member(ctl, ban, "reason")});
}

static const char *show_ago(struct ctl *ctl, uint64_t ms)
{
	return ms < 1000 ? "now" : show_duration(ctl, ms);
}

/* Who is hit though he sent good mail: better known now than when the telephone rings. */
static void print_hits(struct ctl *ctl, const struct json_value *answer)
{
	static const char *const headings[] = {"network", "connections", "last, before"};
	const struct json_value *hit = json_get_array(answer, "hits");
	uint64_t total = json_get_u64(answer, "hits_total");
	struct show_table table;

	if (!hit)
		return;
	fprintf(ctl->out, "\nIn the last hour good mail came from %s of those it hits:\n",
		show_number(ctl, total));
	show_table_begin(&table, ctl, 3, headings);
	for (; hit; hit = hit->next)
		show_table_row(&table, (const char *const[]){show_member(ctl, hit, "network"),
					       show_number(ctl, json_get_u64(hit, "connections")),
					       show_ago(ctl, json_get_u64(hit, "passed_ms"))});
	show_table_end(&table, "");
}

/* With --json each page is a line of its own. */
static int run_list(struct ctl *ctl, int argc, char **argv)
{
	const struct json_value *answer;
	char memory[REQUEST_BYTES];
	struct show_table table;
	struct buf request;
	uint64_t next = 0;
	int code = EX_OK;

	(void)argv;
	if (argc > 1)
		return ctl_misuse(&ctl_ban_list, "no arguments expected");
	begin_table(&table, ctl);
	do {
		buf_init_fixed(&request, memory, sizeof(memory));
		ctl_request_begin(&request, "ban.list");
		if (!ctl_request_add(&request, "from", slice_of(show_number(ctl, next))))
			break;
		ctl_request_end(&request);
		answer = client_ask(ctl, &request, &code);
		if (!answer)
			break;
		add_rows(&table, ctl, answer);
		next = json_get_u64(answer, "next");
	} while (next);
	if (code == EX_OK && !ctl->json)
		show_table_end(&table, "nobody is banned");
	else
		show_table_drop(&table);
	return code;
}

static bool begin(struct buf *request, char memory[static REQUEST_BYTES], const char *command,
	int argc, char **argv)
{
	buf_init_fixed(request, memory, REQUEST_BYTES);
	ctl_request_begin(request, command);
	return argc == 2 && ctl_request_add(request, "network", slice_of(argv[1])) &&
	       !request->overflow;
}

static int print_bans(struct ctl *ctl, const struct buf *request, const char *none)
{
	struct show_table table;
	int code = EX_OK;
	const struct json_value *answer = client_ask(ctl, request, &code);

	if (!answer || ctl->json)
		return code;
	begin_table(&table, ctl);
	add_rows(&table, ctl, answer);
	show_table_end(&table, none);
	print_hits(ctl, answer);
	client_warn_unkept(ctl, answer);
	return EX_OK;
}

static int run_show(struct ctl *ctl, int argc, char **argv)
{
	char memory[REQUEST_BYTES];
	struct buf request;

	if (!begin(&request, memory, "ban.show", argc, argv))
		return ctl_misuse(&ctl_ban_show, "an address or a network is wanted");
	ctl_request_end(&request);
	return print_bans(ctl, &request, "not banned");
}

static int run_add(struct ctl *ctl, int argc, char **argv)
{
	bool force = ctl_take_flag(&argc, argv, "force"), missing_for, missing_reason;
	const char *duration = ctl_take_option(&argc, argv, "for", &missing_for);
	const char *reason = ctl_take_option(&argc, argv, "reason", &missing_reason);
	char memory[REQUEST_BYTES];
	struct buf request;

	if (!begin(&request, memory, "ban.add", argc, argv) || missing_for || missing_reason)
		return ctl_misuse(&ctl_ban_add, "an address or a network is wanted");
	if ((duration && !ctl_request_add(&request, "for", slice_of(duration))) ||
		(reason && !ctl_request_add(&request, "reason", slice_of(reason))) ||
		(force && !ctl_request_add(&request, "force", SLICE("yes"))))
		return ctl_misuse(&ctl_ban_add, "a value that cannot be sent");
	ctl_request_end(&request);
	if (request.overflow)
		return ctl_misuse(&ctl_ban_add, "the reason is too long");
	return print_bans(ctl, &request, "not banned");
}

static int run_remove(struct ctl *ctl, int argc, char **argv)
{
	const struct json_value *answer;
	char memory[REQUEST_BYTES];
	struct buf request;
	int code = EX_OK;

	if (!begin(&request, memory, "ban.remove", argc, argv))
		return ctl_misuse(&ctl_ban_remove, "an address or a network is wanted");
	ctl_request_end(&request);
	answer = client_ask(ctl, &request, &code);
	if (!answer)
		return code;
	if (!ctl->json)
		fprintf(ctl->out, "%s is off the list\n", show_text(ctl, slice_of(argv[1])));
	client_warn_unkept(ctl, answer);
	return EX_OK;
}

const struct ctl_command ctl_ban_list = {
	.name = "ban list",
	.usage = "",
	.brief = "who is banned",
	.help = "Lists the bans that hold now: network, until when, since when, how many in a row, who made\n"
		"it, and why. With --json a thousand bans a line.\n",
	.run = run_list,
};

const struct ctl_command ctl_ban_show = {
	.name = "ban show",
	.usage = "ADDRESS|NETWORK",
	.brief = "the bans that hit an address or network",
	.help = "Lists the bans that cover ADDRESS, or overlap NETWORK.\n",
	.run = run_show,
};

const struct ctl_command ctl_ban_add = {
	.name = "ban add",
	.usage = "ADDRESS|NETWORK [--for TIME] [--reason TEXT] [--force]",
	.brief = "ban an address or network",
	.help = "Refuses all mail from there with 521, for TIME (90s, 15m, 1h, 7d) or until it is removed.\n"
		"What hits local or privileged networks, own addresses, bans.never, or a host that asks\n"
		"Reeve is refused without --force. At most a /16 of IPv4, a /32 of IPv6.\n",
	.run = run_add,
};

const struct ctl_command ctl_ban_remove = {
	.name = "ban remove",
	.usage = "ADDRESS|NETWORK",
	.brief = "take a ban back",
	.help = "Takes exactly that network off the list; an IPv6 client is usually banned with its /64\n"
		"(`ban show ADDRESS` says how).\n",
	.run = run_remove,
};
