/* SPDX-License-Identifier: ISC */
/*
 * check: sender_login. Does the login own the sender? What `owners` and `logins` of the site give
 * a login is its own in every scope; `domain` and `account` let it use all of its domain, or of
 * the domains of its account, besides. A login that cannot be judged passes and is counted
 * (reason "unmapped"): refusing it would punish the user for a gap in the configuration. Such is
 * one without a known account, unless it is a whole address and the scope does not ask for
 * accounts.
 */
#include "daemon/rules/table.h"

enum { SCOPE_ACCOUNT, SCOPE_DOMAIN, SCOPE_ADDRESS };

static const char *const scope_words[] = { "account", "domain", "address", NULL };

struct options {
	int scope;
};

static const struct config_key keys[] = {
	{ .name = "scope", .type = CONFIG_TYPE_WORD, .offset = offsetof(struct options, scope),
	  .fallback = "account", .words = scope_words },
};

static const struct config_check check = {
	.name = "sender_login",
	.keys = keys,
	.key_count = sizeof(keys) / sizeof(keys[0]),
	.options_bytes = sizeof(struct options),
};

static const struct rule_reply replies[] = {
	{ REPLY_REJECT, 553, "5.7.1", "{sender}: not owned by {login}", false },
};

static bool is_in_scope(int scope, const struct request *request, struct slice account)
{
	if (request->sender.kind != MAIL_ADDRESS_DOMAIN)
		return false;
	if (scope == SCOPE_DOMAIN)
		return slice_equal(request->sender.domain, request->login.domain);
	return scope == SCOPE_ACCOUNT &&
	       slice_equal(site_domain_account(request->site, request->sender.domain), account);
}

static bool can_be_judged(int scope, const struct mail_address *login, struct slice account)
{
	if (account.len)
		return true;
	return scope != SCOPE_ACCOUNT && login->kind == MAIL_ADDRESS_DOMAIN &&
	       memchr(login->raw.data, '@', login->raw.len);
}

static enum rule_result step(const struct rule *rule, const struct rule_ask *ask)
{
	const struct options *options = rule->config->options;
	const struct request *request = ask->request;
	enum mail_address_kind kind = request->sender.kind;
	struct slice account;

	/* A sender whose domain cannot be read is unknown, never bad. */
	if (!request->authenticated || kind == MAIL_ADDRESS_NONE || kind == MAIL_ADDRESS_NULL ||
	    kind == MAIL_ADDRESS_UNKNOWN)
		return RULE_NEXT;
	if (site_login_owns(request->site, &request->login, &request->sender)) {
		rule_note(ask, "owner", request->login.subject, "owns the sender");
		return RULE_NEXT;
	}
	account = site_login_account(request->site, &request->login);
	rule_note(ask, "account of the login:", account.len ? account : SLICE("none"), NULL);
	if (!can_be_judged(options->scope, &request->login, account)) {
		ask->finding->reason = "unmapped";
		return RULE_NEXT;
	}
	if (is_in_scope(options->scope, request, account))
		return RULE_NEXT;
	return rule_bad(ask, 0, "not_owned");
}

const struct rule_ops rule_sender_login = {
	.check = &check,
	.needs = FACT_SENDER | FACT_LOGIN,
	.exempt = EXEMPT_UNAUTHENTICATED | EXEMPT_NULL_SENDER,
	.replies = replies,
	.reply_count = sizeof(replies) / sizeof(replies[0]),
	.step = step,
};
