/* SPDX-License-Identifier: ISC */
/*
 * The conditions of rules and limits.
 */
#include "tests/unit/config/support.h"

#include "common/alloc.h"
#include "common/policy_proto.h"
#include "tests/unit/config/checks.h"

static bool has(const struct cidr_set *set, const char *text)
{
	struct ip ip;

	cr_assert(ip_parse(slice_of(text), &ip));
	return cidr_set_contains(set, &ip);
}

Test(config_conditions, every_condition_is_read)
{
	struct config *config = load_text(
		"rules:\n  - name: a\n    check: ban\n    match:\n"
		"      { authenticated: yes, login: [\"@example.com\"], client: [192.0.2.0/24, \"!192.0.2.9\"],\n"
		"        client_name: [mx.example.com], client_local: no, client_privileged: yes, sender: [\"a@b.example\"],\n"
		"        sender_local: no, recipient: [\"@c.example\"], recipient_local: yes, helo: [x], context: submission,\n"
		"        server_port: [25, 587], state: [RCPT, HELO, END-OF-MESSAGE], tls: no, size: \">10MiB\" }\n"
		"    except: { size: \"< 1KiB\" }\n");
	const struct config_conditions *match;

	cr_assert_eq(config->rules[0].match.count, 1);
	match = &config->rules[0].match.items[0];
	cr_expect_eq(match->authenticated, CONFIG_YES);
	cr_expect_eq(match->client_local, CONFIG_NO);
	cr_expect_eq(match->client_privileged, CONFIG_YES);
	cr_expect_eq(match->sender_local, CONFIG_NO);
	cr_expect_eq(match->recipient_local, CONFIG_YES);
	cr_expect_eq(match->tls, CONFIG_NO);
	cr_expect(is(match->login.items[0], "@example.com"));
	cr_expect(is(match->client_name.items[0], "mx.example.com"));
	cr_expect(is(match->sender.items[0], "a@b.example"));
	cr_expect(is(match->recipient.items[0], "@c.example"));
	cr_expect(is(match->helo.items[0], "x"));
	cr_expect(is(match->context.items[0], "submission"));
	cr_expect_eq(match->server_port.count, 2);
	cr_expect(has(match->client, "192.0.2.9"));
	cr_expect(has(match->client_not, "192.0.2.9"));
	cr_expect_not(has(match->client_not, "192.0.2.8"));
	cr_expect_eq(match->states, 1u << POLICY_STATE_RCPT | 1u << POLICY_STATE_EHLO |
					    1u << POLICY_STATE_END_OF_MESSAGE);
	cr_expect_eq(match->size.bytes, 10 * 1024 * 1024);
	cr_expect_eq(match->size.compare, 1);
	cr_expect(match->uses_login);
	cr_expect_eq(config->rules[0].except.items[0].size.compare, -1);
	cr_expect_eq(config->rules[0].except.items[0].size.bytes, 1024);
	cr_expect_not(config->rules[0].except.items[0].uses_login);
	config_unref(&config);
}

Test(config_conditions, conditions_may_be_several_maps_or_none)
{
	struct config *config = load_text(
		"rules:\n"
		"  - { name: a, check: ban, match: [{ tls: yes }, { login: x }] }\n"
		"  - { name: b, check: ban, match: {}, except: {} }\n"
		"  - { name: c, check: ban, match: [], except: }\n"
		"  - { name: d, check: ban, match: { login: [], client: [], tls: yes } }\n");

	cr_expect_eq(config->rules[0].match.count, 2);
	cr_expect_eq(config->rules[0].match.items[1].login.count, 1);
	cr_expect_eq(config->rules[1].match.count, 0);
	cr_expect_eq(config->rules[1].except.count, 0);
	cr_expect_eq(config->rules[2].match.count, 0);
	cr_expect_eq(config->rules[3].match.count, 1);
	cr_expect_null(config->rules[3].match.items[0].client);
	config_unref(&config);
}

/* An empty list of exceptions must not turn into "everybody". */
Test(config_conditions, a_hollow_condition_never_holds)
{
	static const char text[] =
		"lists: { bulk: [] }\nrules:\n  - name: a\n    check: rate\n    per: login\n"
		"    limits: [{ login: [\"list:bulk\"], limit: unlimited }, { limit: 10/1h }]\n";
	struct config *config = load_text(text);
	const struct config_limits *limits = &OPTIONS(config, 0, rate_options)->limits;
	char *lines = messages_of(text, NULL);

	cr_expect_str_eq(lines, "f:6:23: warning: 'login' has no entries, so this never holds\n");
	cr_assert_eq(limits->count, 2);
	cr_assert_not_null(limits->items[0].when.client);
	cr_expect_eq(cidr_set_count(limits->items[0].when.client), 0);
	cr_expect_null(limits->items[1].when.client);
	mem_free(&lines);
	config_unref(&config);
}
