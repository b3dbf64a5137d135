/* SPDX-License-Identifier: ISC */
/*
 * check: helo. The name of HELO or EHLO against a list of patterns. A finding holds for the SMTP
 * connection: Postfix lets a client that was refused at EHLO go on (postfix.md c15), and its
 * helo_name is then empty. So this rule does not wait for a name: where none is there it asks
 * what the connection remembers.
 */
#include "daemon/mail/pattern.h"
#include "daemon/rules/table.h"

struct options {
	struct config_strings names;
};

static const struct config_key keys[] = {
	{ .name = "names", .type = CONFIG_TYPE_STRINGS, .offset = offsetof(struct options, names) },
};

static const struct config_check check = {
	.name = "helo",
	.keys = keys,
	.key_count = sizeof(keys) / sizeof(keys[0]),
	.options_bytes = sizeof(struct options),
};

static const struct rule_reply replies[] = {
	{ REPLY_DISCONNECT, 521, "5.7.1", "EHLO name refused", false },
};

static void configure(struct rule *rule, const struct site *site, struct config_errors *errors)
{
	const struct options *options = rule->config->options;

	rule->data = pattern_set_new(&options->names, PATTERN_NAME, site, errors);
}

static void release(void *data)
{
	struct pattern_set *names = data;

	pattern_set_free(&names);
}

static enum rule_result step(const struct rule *rule, const struct rule_ask *ask)
{
	const struct request *request = ask->request;

	rule_note(ask, "name", request->helo.len ? request->helo : SLICE("(none yet)"), NULL);
	if (request->connection_helo_rule == rule->name_hash)
		return rule_bad(ask, 0, "refused_before");
	if (request->helo.len && pattern_set_match_name(rule->data, request->helo))
		return rule_bad(ask, 0, "name");
	return RULE_NEXT;
}

const struct rule_ops rule_helo = {
	.check = &check,
	.exempt = EXEMPT_LOCAL | EXEMPT_PRIVILEGED,
	.flags = RULE_STICKS,
	.replies = replies,
	.reply_count = sizeof(replies) / sizeof(replies[0]),
	.configure = configure,
	.release = release,
	.step = step,
};
