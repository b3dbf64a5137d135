/* SPDX-License-Identifier: ISC */
/*
 * check: address_literal. A recipient at an address instead of a domain (`user@[192.0.2.1]`) is
 * taken only if the address is one of ours (`site.addresses`) or in `accept`, which holds
 * addresses, literals as they stand in mail, and networks. Loopback is nobody's address in
 * particular and has to be listed like any other.
 */
#include "common/alloc.h"
#include "daemon/rules/table.h"

struct options {
	struct config_strings accept;
};

static const struct config_key keys[] = {
	{ .name = "accept", .type = CONFIG_TYPE_STRINGS,
	  .offset = offsetof(struct options, accept) },
};

static const struct config_check check = {
	.name = "address_literal",
	.keys = keys,
	.key_count = sizeof(keys) / sizeof(keys[0]),
	.options_bytes = sizeof(struct options),
};

static const struct rule_reply replies[] = {
	{ REPLY_REJECT, 550, "5.1.2", "{recipient}: mail to this address literal is not accepted",
	  false },
};

/* Takes off what a literal has around its address. */
static struct slice bare_address(struct slice text)
{
	if (text.len > 2 && text.data[0] == '[' && text.data[text.len - 1] == ']')
		text = slice_make(text.data + 1, text.len - 2);
	if (text.len > 5 && slice_equal_fold(slice_first(text, 5), SLICE("IPv6:")))
		text = slice_from(text, 5);
	return text;
}

static void configure(struct rule *rule, const struct site *site, struct config_errors *errors)
{
	const struct options *options = rule->config->options;
	struct cidr_set *accept = cidr_set_new();

	(void)site;
	for (size_t i = 0; i < options->accept.count; i++) {
		struct slice text = options->accept.items[i];
		struct cidr network;
		const char *why = NULL;

		if (cidr_parse(bare_address(text), &network, &why))
			cidr_set_add(accept, &network);
		else
			config_error(errors, options->accept.pos[i], "'accept' has '%s': %s",
				     config_quote(text).text, why);
	}
	cidr_set_seal(accept);
	rule->data = accept;
}

static void release(void *data)
{
	struct cidr_set *accept = data;

	cidr_set_free(&accept);
}

static enum rule_result step(const struct rule *rule, const struct rule_ask *ask)
{
	const struct mail_address *recipient = &ask->request->recipient;

	if (recipient->kind == MAIL_ADDRESS_BAD_LITERAL)
		return rule_bad(ask, 0, "malformed");
	if (recipient->kind != MAIL_ADDRESS_LITERAL) {
		rule_note(ask, "recipient", recipient->raw, "no address literal");
		return RULE_NEXT;
	}
	if (site_ip_is_listed(ask->request->site, &recipient->ip) ||
	    cidr_set_contains(rule->data, &recipient->ip))
		return RULE_NEXT;
	return rule_bad(ask, 0, "not_ours");
}

const struct rule_ops rule_address_literal = {
	.check = &check,
	.needs = FACT_RECIPIENT,
	.exempt = EXEMPT_AUTHENTICATED | EXEMPT_PRIVILEGED,
	.flags = RULE_PER_RECIPIENT,
	.replies = replies,
	.reply_count = sizeof(replies) / sizeof(replies[0]),
	.configure = configure,
	.release = release,
	.step = step,
};
