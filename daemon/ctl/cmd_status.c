/* SPDX-License-Identifier: ISC */
/*
 * `status`: one line a thing, in the order in which a postmaster asks.
 */
#include <sysexits.h>

#include "common/units.h"
#include "daemon/ctl/client.h"
#include "daemon/ctl/show.h"
#include "daemon/ctl/table.h"

static unsigned long long number(const struct json_value *value, const char *key)
{
	return (unsigned long long)json_get_u64(value, key);
}

static void print_uptime(struct ctl *ctl, const struct json_value *answer)
{
	struct slice started = json_get_text(answer, "started");
	char memory[64];
	struct buf text;

	buf_init_fixed(&text, memory, sizeof(memory));
	units_format_duration(&text, json_get_u64(answer, "uptime_ms"));
	fprintf(ctl->out, "%-12s reeved %s, pid %llu, up %s (since %s)\n", "daemon",
		show_member(ctl, answer, "version"), number(answer, "pid"),
		show_text(ctl, buf_slice(&text)), show_text(ctl, started));
}

static void print_lines(struct ctl *ctl, const char *label, const struct json_value *line)
{
	for (; line; line = line->next)
		fprintf(ctl->out, "%-12s %s\n", label, show_text(ctl, line->text));
}

static void print_config(struct ctl *ctl, const struct json_value *config)
{
	const struct json_value *in_force = json_get(config, "in_force");
	const struct json_value *failed = json_get(config, "failed");

	fprintf(ctl->out, "%-12s %s, generation %llu, in force since %s\n", "config",
		show_member(ctl, config, "file"), number(config, "generation"),
		show_member(ctl, in_force, "time"));
	print_lines(ctl, "  warning", json_get_array(in_force, "warnings"));
	for (const struct json_value *setting = json_get_array(in_force, "restart_needed"); setting;
		setting = setting->next)
		fprintf(ctl->out, "%-12s '%s' has changed and needs a restart\n", "  warning",
			show_text(ctl, setting->text));
	if (!failed)
		return;
	fprintf(ctl->out,
		"%-12s the reload of %s failed, the configuration before it is in force\n",
		"  ERROR", show_member(ctl, failed, "time"));
	print_lines(ctl, "  error", json_get_array(failed, "errors"));
}

static void print_redis(struct ctl *ctl, const struct json_value *store)
{
	bool asked = json_get_bool(store, "asked");
	struct slice trouble = json_get_text(store, "trouble");

	fprintf(ctl->out, "%-12s %s %s; node %s, %llu in all; %llu decisions by this one alone\n",
		"  redis", asked ? "decides:" : "AWAY:", show_member(ctl, store, "address"),
		show_member(ctl, store, "node"), number(store, "nodes"), number(store, "local"));
	if (trouble.len)
		fprintf(ctl->out, "%-12s %s: %s\n", "  ERROR", show_text(ctl, trouble),
			show_member(ctl, store, "why"));
}

static void print_store(struct ctl *ctl, const struct json_value *store)
{
	struct slice where = json_get_text(store, "folder");
	struct slice url = json_get_text(store, "url");

	if (url.len)
		where = url;
	fprintf(ctl->out, "%-12s %s%s%s, %llu of %llu counters, %llu transactions", "store",
		show_member(ctl, store, "kind"), where.len ? " " : "", show_text(ctl, where),
		number(store, "counters"), number(store, "max_counters"),
		number(store, "transactions"));
	fprintf(ctl->out, ", %llu MiB\n", (number(store, "bytes") + 1048575) / 1048576);
	if (url.len)
		print_redis(ctl, store);
	if (json_get_bool(store, "failing"))
		fprintf(ctl->out, "%-12s the disk fails: %s; answers go on from memory\n",
			"  ERROR", show_member(ctl, store, "why"));
}

static void print_maillog(struct ctl *ctl, const struct json_value *maillog)
{
	struct slice source = json_get_text(maillog, "source");

	if (slice_is(source, "off"))
		fprintf(ctl->out, "%-12s off: wrong commands and failed logins are not seen\n",
			"maillog");
	else
		fprintf(ctl->out, "%-12s %s, %llu lines, %llu connections, %llu failed logins\n",
			"maillog", show_text(ctl, source), number(maillog, "lines"),
			number(maillog, "connections"), number(maillog, "logins"));
	if (json_get_text(maillog, "why").len)
		fprintf(ctl->out, "%-12s it cannot be read: %s\n", "  ERROR",
			show_member(ctl, maillog, "why"));
}

static void print_services(struct ctl *ctl, const struct json_value *answer)
{
	const struct json_value *bans = json_get(answer, "bans"),
				*server = json_get(answer, "server");

	fprintf(ctl->out, "%-12s %s, %llu on the list%s\n", "bans", show_member(ctl, bans, "mode"),
		number(bans, "count"),
		json_get_bool(bans, "storm") ? "; STORM: automatic bans have stopped" : "");
	print_maillog(ctl, json_get(answer, "maillog"));
	fprintf(ctl->out, "%-12s %s\n", "dns",
		json_get_bool(json_get(answer, "dns"), "dead")
			? "DEAD: no resolver answers; rules pass what they cannot look up"
			: "answers");
	fprintf(ctl->out, "%-12s %llu of %llu connections, %llu requests under way%s\n", "server",
		number(server, "connections"), number(server, "max_connections"),
		number(server, "under_way"),
		json_get_bool(server, "full") ? "; FULL: raise max_connections" : "");
}

static void print_decisions(struct ctl *ctl, const struct json_value *decisions)
{
	static const char *const words[] = {"dunno", "reject", "defer", "disconnect", "hold",
		"discard", "mark", "unknown", "store_failures", "bugs", "log_lines_dropped"};

	fprintf(ctl->out, "%-12s %llu requests", "decisions", number(decisions, "requests"));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (number(decisions, words[i]))
			fprintf(ctl->out, ", %llu %s", number(decisions, words[i]), words[i]);
	}
	fputc('\n', ctl->out);
}

static void print_rules(struct ctl *ctl, const struct json_value *rule)
{
	const char *label = "rules";

	for (; rule; rule = rule->next) {
		fprintf(ctl->out, "%-12s %-20s %-16s %s\n", label, show_member(ctl, rule, "name"),
			show_member(ctl, rule, "check"), show_member(ctl, rule, "mode"));
		label = "";
	}
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	const struct json_value *answer;
	int code = EX_OK;

	(void)argv;
	if (argc > 1)
		return ctl_misuse(&ctl_status, "no arguments expected");
	answer = client_ask_plain(ctl, "status", &code);
	if (!answer || ctl->json)
		return code;
	print_uptime(ctl, answer);
	print_lines(ctl, "FAULT", json_get_array(answer, "faults"));
	fprintf(ctl->out, "%-12s %s\n", "mode", show_member(ctl, answer, "mode"));
	print_config(ctl, json_get(answer, "config"));
	print_store(ctl, json_get(answer, "store"));
	print_services(ctl, answer);
	print_decisions(ctl, json_get(answer, "decisions"));
	print_rules(ctl, json_get_array(answer, "rules"));
	return EX_OK;
}

const struct ctl_command ctl_status = {
	.name = "status",
	.usage = "",
	.brief = "how the daemon is",
	.help = "Prints version, uptime and mode, the configuration in force and what became of the last\n"
		"reload, the state of store, bans, DNS and connections, decisions since the start, and the\n"
		"rules. Exits 0 if the daemon answers, else 69.\n",
	.run = run,
};
