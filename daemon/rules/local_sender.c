/* SPDX-License-Identifier: ISC */
/*
 * check: local_sender. Who may use an address of a local domain as sender? Without it strangers
 * write to our users in our users' names. Own literals are local; `subdomains: yes` adds
 * the names below local domains. A route (evil.example!user@example.com) shows one of our domains to
 * whoever reads the message, wherever it leads. The host's own mail (cron) comes from loopback or an own
 * address and is left alone.
 */
#include "daemon/rules/table.h"

enum { ALLOW_ANYONE, ALLOW_AUTHENTICATED, ALLOW_PRIVILEGED };

static const char *const allow_words[] = { "anyone", "authenticated", "privileged", NULL };

struct options {
	int allow;
	bool subdomains;
};

static const struct config_key keys[] = {
	{ .name = "allow", .type = CONFIG_TYPE_WORD, .offset = offsetof(struct options, allow),
	  .fallback = "authenticated", .words = allow_words },
	{ .name = "subdomains", .type = CONFIG_TYPE_BOOL,
	  .offset = offsetof(struct options, subdomains), .fallback = "no" },
};

static const struct config_check check = {
	.name = "local_sender",
	.keys = keys,
	.key_count = sizeof(keys) / sizeof(keys[0]),
	.options_bytes = sizeof(struct options),
};

static const struct rule_reply replies[] = {
	{ REPLY_REJECT, 553, "5.7.1", "{sender}: authentication required to send from {domain}",
	  false },
};

static bool is_local(const struct request *request, bool subdomains)
{
	const struct mail_address *sender = &request->sender;

	if (sender->shown_local)
		return true;
	return subdomains && sender->kind == MAIL_ADDRESS_DOMAIN &&
	       site_domain_is_below_local(request->site, sender->domain);
}

static enum rule_result step(const struct rule *rule, const struct rule_ask *ask)
{
	const struct options *options = rule->config->options;
	const struct request *request = ask->request;

	if (options->allow == ALLOW_ANYONE || request->authenticated)
		return RULE_NEXT;
	if (options->allow == ALLOW_PRIVILEGED && request->client_privileged)
		return RULE_NEXT;
	if (!is_local(request, options->subdomains)) {
		rule_note(ask, "domain", request->sender.domain, "not ours");
		return RULE_NEXT;
	}
	rule_note(ask, "domain", request->sender.domain, "ours");
	return rule_bad(ask, 0, "not_allowed");
}

const struct rule_ops rule_local_sender = {
	.check = &check,
	.needs = FACT_SENDER | FACT_LOGIN,
	.exempt = EXEMPT_OWN | EXEMPT_NULL_SENDER,
	.replies = replies,
	.reply_count = sizeof(replies) / sizeof(replies[0]),
	.step = step,
};
