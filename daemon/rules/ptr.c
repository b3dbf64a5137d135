/* SPDX-License-Identifier: ISC */
/*
 * check: ptr. Has the client address a PTR record? Postfix has looked already: a
 * reverse_client_name proves that one is there, but its `unknown` may also mean trouble with the
 * DNS (postfix.md a9), so this rule asks for itself and takes only a definite "no" for an answer.
 * Existence is all that is asked for: the name's owner chooses it, so it allows nothing.
 * `confirm: yes` asks besides whether one of up to five names leads back to the client.
 */
#include "daemon/dns/dns.h"
#include "daemon/rules/table.h"

#define MAX_NAMES 5

enum { MISSING_PASS, MISSING_REJECT, MISSING_MARK };

static const char *const missing_words[] = { "pass", "reject", "mark", NULL };

struct options {
	int on_missing;
	bool confirm;
};

static const struct config_key keys[] = {
	{ .name = "on_missing", .type = CONFIG_TYPE_WORD,
	  .offset = offsetof(struct options, on_missing), .fallback = "mark", .words = missing_words },
	{ .name = "confirm", .type = CONFIG_TYPE_BOOL, .offset = offsetof(struct options, confirm),
	  .fallback = "no" },
};

static const struct config_check check = {
	.name = "ptr",
	.keys = keys,
	.key_count = sizeof(keys) / sizeof(keys[0]),
	.options_bytes = sizeof(struct options),
};

enum { NONE_REJECT, NONE_MARK, UNCONFIRMED_REJECT, UNCONFIRMED_MARK, ON_ERROR };

static const struct rule_reply replies[] = {
	[NONE_REJECT] = { REPLY_REJECT, 550, "5.7.25", "{client}: client address has no PTR record",
			  false },
	[NONE_MARK] = { REPLY_MARK, 0, "", "X-Reeve-PTR: none", false },
	[UNCONFIRMED_REJECT] = { REPLY_REJECT, 550, "5.7.25",
				 "{client}: no PTR record of the client address leads back to it",
				 false },
	[UNCONFIRMED_MARK] = { REPLY_MARK, 0, "", "X-Reeve-PTR: unconfirmed", false },
	[ON_ERROR] = { REPLY_DEFER, 451, "4.4.3",
		       "{client}: client address cannot be looked up now, try again later", true },
};

struct state {
	struct dns_query ptr;
	struct dns_query names[MAX_NAMES];  /* A or AAAA of the PTR's names */
};

static void configure(struct rule *rule, const struct site *site, struct config_errors *errors)
{
	const struct options *options = rule->config->options;

	(void)site;
	(void)errors;
	if (rule->action != CONFIG_ACTION_DEFAULT)
		return;
	if (options->on_missing == MISSING_REJECT)
		rule->action = CONFIG_ACTION_REJECT;
	else if (options->on_missing == MISSING_MARK)
		rule->action = CONFIG_ACTION_MARK;
}

/* What Postfix says about the client that needs no question. */
static bool is_proven(const struct options *options, const struct request *request)
{
	const struct slice *attr = request->in->attr;
	struct slice name = options->confirm ? attr[POLICY_CLIENT_NAME]
					     : attr[POLICY_REVERSE_CLIENT_NAME];

	return options->on_missing == MISSING_PASS || (name.len && !slice_is(name, "unknown"));
}

static void ask_first(const struct rule *rule, const struct rule_ask *ask)
{
	struct state *state = ask->state;

	if (!is_proven(rule->config->options, ask->request))
		dns_ask_ptr(ask->dns, &state->ptr, &ask->request->client, ask->waiter);
}

static void cancel(void *data)
{
	struct state *state = data;

	dns_cancel(&state->ptr);
	for (unsigned i = 0; i < MAX_NAMES; i++)
		dns_cancel(&state->names[i]);
}

static enum rule_result bad(const struct rule *rule, const struct rule_ask *ask, bool has_ptr)
{
	bool mark = rule->action == CONFIG_ACTION_MARK;

	if (has_ptr)
		return rule_bad(ask, mark ? UNCONFIRMED_MARK : UNCONFIRMED_REJECT, "unconfirmed");
	return rule_bad(ask, mark ? NONE_MARK : NONE_REJECT, "no_ptr");
}

/* Letters, digits, `-` and `_` in labels, and not all digits in the last: anything else cannot
 * have an address. */
static bool is_host_name(struct slice name)
{
	size_t label = 0;
	bool digits = true;

	for (size_t i = 0; i < name.len; i++) {
		char byte = name.data[i];

		if (byte == '.') {
			if (label == 0)
				return false;
			label = 0;
			digits = true;
			continue;
		}
		if (!((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '-' ||
		      byte == '_' || (byte >= '0' && byte <= '9')) ||
		    ++label > 63)
			return false;
		digits = digits && byte >= '0' && byte <= '9';
	}
	return label > 0 && !digits && name.len < DNS_NAME_BYTES - 2;
}

enum confirmed { CONFIRMED_YES, CONFIRMED_PENDING, CONFIRMED_UNKNOWN, CONFIRMED_NO };

static enum confirmed leads_back(const struct rule_ask *ask, struct dns_query *query,
				 struct slice name)
{
	const struct ip *client = &ask->request->client;
	const struct dns_answer *answer;

	if (!is_host_name(name))
		return CONFIRMED_NO;
	answer = dns_ask(ask->dns, query, ip_is_v4(client) ? DNS_A : DNS_AAAA, name, ask->waiter);
	rule_note(ask, ip_is_v4(client) ? "A" : "AAAA", name, dns_word(answer));
	if (!answer)
		return CONFIRMED_PENDING;
	if (answer->status == DNS_UNKNOWN || answer->status == DNS_DEAD)
		return CONFIRMED_UNKNOWN;
	for (unsigned i = 0; answer->status == DNS_FOUND && i < answer->count; i++)
		if (ip_equal(&answer->records[i].ip, client))
			return CONFIRMED_YES;
	return CONFIRMED_NO;
}

static enum rule_result confirm(const struct rule *rule, const struct rule_ask *ask,
				const struct dns_answer *ptr)
{
	struct state *state = ask->state;
	enum confirmed best = CONFIRMED_NO;

	for (unsigned i = 0; i < ptr->count && i < MAX_NAMES; i++) {
		enum confirmed one = leads_back(ask, &state->names[i], ptr->records[i].name);

		best = one < best ? one : best;
	}
	switch (best) {
	case CONFIRMED_YES:
		return RULE_NEXT;
	case CONFIRMED_PENDING:
		return ask->final ? rule_unknown(ask, ON_ERROR, "dns_timeout") : RULE_WAIT;
	case CONFIRMED_UNKNOWN:
		return rule_unknown(ask, ON_ERROR, "dns_error");
	case CONFIRMED_NO:
		break;
	}
	return bad(rule, ask, true);
}

static enum rule_result step(const struct rule *rule, const struct rule_ask *ask)
{
	const struct options *options = rule->config->options;
	struct state *state = ask->state;
	const struct dns_answer *ptr;

	if (is_proven(options, ask->request)) {
		rule_note(ask, "Postfix has found a name:",
			  ask->request->in->attr[POLICY_REVERSE_CLIENT_NAME], NULL);
		return RULE_NEXT;
	}
	ptr = dns_ask_ptr(ask->dns, &state->ptr, &ask->request->client, ask->waiter);
	rule_note(ask, "PTR", ask->request->in->attr[POLICY_CLIENT_ADDRESS], dns_word(ptr));
	if (!ptr)
		return ask->final ? rule_unknown(ask, ON_ERROR, "dns_timeout") : RULE_WAIT;
	switch (ptr->status) {
	case DNS_FOUND:
		return options->confirm ? confirm(rule, ask, ptr) : RULE_NEXT;
	case DNS_NXDOMAIN:
	case DNS_NODATA:
		return bad(rule, ask, false);
	case DNS_UNKNOWN:
		return rule_unknown(ask, ON_ERROR, "dns_error");
	case DNS_DEAD:
		break;
	}
	return RULE_NEXT;
}

const struct rule_ops rule_ptr = {
	.check = &check,
	.needs = FACT_CLIENT,
	.exempt = EXEMPT_AUTHENTICATED | EXEMPT_LOCAL,
	.state_bytes = sizeof(struct state),
	.replies = replies,
	.reply_count = sizeof(replies) / sizeof(replies[0]),
	.configure = configure,
	.ask = ask_first,
	.step = step,
	.cancel = cancel,
};
