/* SPDX-License-Identifier: ISC */
/*
 * `bans`, `postfix`, `notify` and `log`: the sections around the rules.
 */
#include "config/config_parts.h"

#define SECOND_MS UINT64_C(1000)
#define DAY_MS (24 * 3600 * SECOND_MS)
#define MAX_BANNER_BYTES 400

static const char *const mode_words[] = {"enforce", "monitor", "off", NULL};

struct raw_bans {
	const struct config_node *maillog;
};

#define IN_BANS(field) offsetof(struct config_bans, field)

static const struct config_key bans_keys[] = {
	{"mode", CONFIG_TYPE_WORD, IN_BANS(mode), "monitor", 0, 0, mode_words, 0},
	{"disconnect_at", CONFIG_TYPE_U64, IN_BANS(disconnect_at), "20", 0, 1000000, NULL, 0},
	{"on_disconnect", CONFIG_TYPE_BOOL, IN_BANS(on_disconnect), "no", 0, 0, NULL, 0},
	{"ban_at", CONFIG_TYPE_RATE, IN_BANS(ban_at), "40/1h", 0, 0, NULL, CONFIG_OR_OFF},
	{"min_bad_share", CONFIG_TYPE_PERCENT, IN_BANS(min_bad_share), "80%", 0, 0, NULL, 0},
	{"max_share", CONFIG_TYPE_PERCENT, IN_BANS(max_share), "5%", 0, 0, NULL, 0},
	{"auth_failures", CONFIG_TYPE_RATE, IN_BANS(auth_failures), "20/1h", 0, 0, NULL,
		CONFIG_OR_OFF},
	{"trust_login", CONFIG_TYPE_DURATION, IN_BANS(trust_login_ms), "1d", 0, 366 * DAY_MS, NULL,
		0},
	{"login_strikes", CONFIG_TYPE_RATE, IN_BANS(login_strikes), "100/1h", 0, 0, NULL,
		CONFIG_OR_OFF},
	{"duration", CONFIG_TYPE_DURATION, IN_BANS(duration_ms), "1h", SECOND_MS, 3660 * DAY_MS,
		NULL, 0},
	{"max_duration", CONFIG_TYPE_DURATION, IN_BANS(max_duration_ms), "1d", SECOND_MS,
		3660 * DAY_MS, NULL, 0},
	{"max_entries", CONFIG_TYPE_U64, IN_BANS(max_entries), "100000", 1, 10000000, NULL, 0},
	{"max_per_minute", CONFIG_TYPE_U64, IN_BANS(max_per_minute), "100", 1, 1000000, NULL, 0},
	{"ipv6_prefix", CONFIG_TYPE_U64, IN_BANS(ipv6_prefix), "64", 48, 128, NULL, 0},
	{"never", CONFIG_TYPE_NETWORKS, IN_BANS(never), NULL, 0, 0, NULL, 0},
	{"on_ban", CONFIG_TYPE_STRINGS, IN_BANS(on_ban), NULL, 0, 0, NULL, 0},
};

static const struct config_key raw_bans_keys[] = {
	{.name = "maillog", .type = CONFIG_TYPE_NODE, .offset = offsetof(struct raw_bans, maillog)},
};

/* A command is run without a shell: the program with its path, then its arguments. */
static void check_command(
	struct config_reader *reader, const char *name, const struct config_strings *command)
{
	if (command->count && command->items[0].data[0] != '/')
		config_error(reader->errors, command->pos[0],
			"'%s' needs a program with its absolute path first, not '%s'", name,
			config_quote(command->items[0]).text);
}

static void read_maillog(
	struct config_reader *reader, const struct config_node *node, struct slice *ret)
{
	struct slice journal = SLICE("journal:");
	bool is_journal = slice_equal(node->text, journal) || slice_is(node->text, "journal");
	bool good = slice_is(node->text, "off") || is_journal ||
		    (slice_starts_with(node->text, SLICE("file:/")) &&
			    node->text.len > strlen("file:/"));

	if (node->kind == CONFIG_SCALAR && good)
		*ret = is_journal ? journal : node->text;
	else
		config_need(reader, node, "maillog", "file:/path, journal or off");
}

void config_read_bans(
	struct config_reader *reader, const struct config_node *node, struct config_bans *bans)
{
	struct raw_bans raw = {0};

	bans->maillog = SLICE("off");
	if (node)
		bans->pos = node->pos;
	config_read_map2(reader, node, "bans", CONFIG_KEYS(bans_keys), bans,
		CONFIG_KEYS(raw_bans_keys), &raw);
	if (raw.maillog)
		read_maillog(reader, raw.maillog, &bans->maillog);
	check_command(reader, "on_ban", &bans->on_ban);
	if (bans->max_duration_ms < bans->duration_ms) {
		const struct config_node *at = config_map_get(node, "max_duration");

		if (!at)
			at = config_map_get(node, "duration");
		config_error(reader->errors, at ? at->pos : (struct config_pos){NULL, 0, 0},
			"'max_duration' is below 'duration'");
	}
}

/* ---- postfix */

struct raw_postfix {
	const struct config_node *banner, *greeter;
};

static const struct config_key postfix_keys[] = {
	{.name = "hide_clients",
		.type = CONFIG_TYPE_STRINGS,
		.offset = offsetof(struct config_postfix, hide_clients)},
};

static const struct config_key raw_postfix_keys[] = {
	{.name = "banner",
		.type = CONFIG_TYPE_NODE,
		.offset = offsetof(struct raw_postfix, banner)},
	{.name = "greeter",
		.type = CONFIG_TYPE_NODE,
		.offset = offsetof(struct raw_postfix, greeter),
		.flags = CONFIG_RESERVED},
};

/* It ends up in a line of main.cf and in SMTP's greeting. */
static bool is_banner(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] < ' ' || text.data[i] > '~')
			return false;
	return text.len > 0 && text.len <= MAX_BANNER_BYTES;
}

void config_read_postfix(struct config_reader *reader, const struct config_node *node,
	struct config_postfix *postfix)
{
	struct raw_postfix raw = {0};

	postfix->banner = SLICE("$myhostname ESMTP");
	config_read_map2(reader, node, "postfix", CONFIG_KEYS(postfix_keys), postfix,
		CONFIG_KEYS(raw_postfix_keys), &raw);
	if (raw.banner && raw.banner->kind == CONFIG_SCALAR && is_banner(raw.banner->text))
		postfix->banner = raw.banner->text;
	else if (raw.banner)
		config_need(reader, raw.banner, "banner",
			"a line of printable ASCII, like \"$myhostname ESMTP\"");
}

/* ---- notify */

static const struct config_key notify_keys[] = {
	{.name = "command",
		.type = CONFIG_TYPE_STRINGS,
		.offset = offsetof(struct config_notify, command)},
	{.name = "mail_to",
		.type = CONFIG_TYPE_STRINGS,
		.offset = offsetof(struct config_notify, mail_to)},
};

/* sendmail(1) gets it as an argument: nothing in it may look like an option or a second address. */
static bool is_mail_address(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] <= ' ' || text.data[i] > '~' || text.data[i] == ',')
			return false;
	return text.len > 0 && text.data[0] != '-';
}

void config_read_notify(
	struct config_reader *reader, const struct config_node *node, struct config_notify *notify)
{
	config_read_map(reader, node, "notify", CONFIG_KEYS(notify_keys), notify);
	check_command(reader, "command", &notify->command);
	for (size_t i = 0; i < notify->mail_to.count; i++)
		if (!is_mail_address(notify->mail_to.items[i]))
			config_error(reader->errors, notify->mail_to.pos[i],
				"'mail_to' needs mail addresses, like postmaster@example.com, not '%s'",
				config_quote(notify->mail_to.items[i]).text);
}

/* ---- log */

static const char *const to_words[] = {"stderr", "syslog", NULL};
static const char *const level_words[] = {"error", "warning", "notice", "info", "debug", NULL};
static const char *const decisions_words[] = {"all", "refusals", "none", NULL};

static const struct config_key log_keys[] = {
	{"to", CONFIG_TYPE_WORD, offsetof(struct config_log, to), "stderr", 0, 0, to_words, 0},
	{"level", CONFIG_TYPE_WORD, offsetof(struct config_log, level), "info", 0, 0, level_words,
		0},
	{"decisions", CONFIG_TYPE_WORD, offsetof(struct config_log, decisions), "all", 0, 0,
		decisions_words, 0},
};

void config_read_log(
	struct config_reader *reader, const struct config_node *node, struct config_log *log)
{
	config_read_map(reader, node, "log", CONFIG_KEYS(log_keys), log);
}
