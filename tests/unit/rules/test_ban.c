/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>

#include "tests/unit/rules/fixture.h"

static void ban(const char *text, uint64_t until_wall_ms)
{
	struct cidr network = { 0 };
	const char *why = NULL;

	cr_assert(cidr_parse(slice_of(text), &network, &why));
	cr_assert_eq(bans_add(fixture.bans, &network, until_wall_ms, SLICE("me"), SLICE("a spammer"), true,
			      fixture.now),
		     BANS_ADDED);
}

Test(rule_ban, automatic_bans_may_come_again_and_those_by_hand_may_not)
{
	struct ip ip = { 0 };

	fixture_start("bans: { mode: enforce, ban_at: 3/1h }\n"
		      "site: { privileged_networks: [203.0.113.0/24] }\n"
		      "rules: [{ name: banned, check: ban }]\n");
	cr_expect_str_eq(answer("CONNECT"), "next");
	cr_assert(ip_parse(SLICE("198.51.100.7"), &ip));
	for (int i = 0; i < 3; i++)
		bans_strike(fixture.bans, &ip, SLICE("ehlo-names"), fixture.now);
	cr_expect_str_eq(answer("CONNECT"), "bad listed");
	cr_expect_str_eq(reply(), "421 4.7.1 198.51.100.7 is blocked until 2023-11-14T23:13:20Z (ehlo-names)");
	cr_expect_not(rule_exempts());
	ban("198.51.100.0/24", UINT64_MAX);
	cr_expect_str_eq(answer("CONNECT"), "bad listed");
	cr_expect_str_eq(reply(), "521 5.7.1 198.51.100.7 is blocked until further notice (a spammer)");
	cr_expect(rule_waits(), "an authenticated client is not to be blocked, so wait for MAIL");
	cr_expect_str_eq(answer("MAIL sasl_username=a@example.com"), "bad listed");
	cr_expect(rule_exempts());
	cr_expect(fixture.rule->ops->flags & RULE_NEVER_STRIKES);
	fixture_stop();
}

Test(rule_ban, a_code_in_the_reply_holds_for_bans_of_its_class)
{
	struct ip ip = { 0 };

	fixture_start("bans: { mode: enforce, ban_at: 1/1h }\n"
		      "rules: [{ name: banned, check: ban, reply: \"521 5.7.9 go away\" }]\n");
	cr_assert(ip_parse(SLICE("198.51.100.7"), &ip));
	bans_strike(fixture.bans, &ip, SLICE("ehlo-names"), fixture.now);
	cr_expect_str_eq(answer("CONNECT"), "bad listed");
	cr_expect_str_eq(reply(), "421 4.7.1 go away", "hit by mistake, a client comes again");
	ban("198.51.100.0/24", UINT64_MAX);
	cr_expect_str_eq(answer("CONNECT"), "bad listed");
	cr_expect_str_eq(reply(), "521 5.7.9 go away");
	fixture_stop();
}

Test(rule_ban, a_wider_ban_spares_what_is_never_banned)
{
	fixture_start("site: { privileged_networks: [203.0.113.0/24], local_networks: [] }\n"
		      "rules: [{ name: banned, check: ban }]\n");
	ban("203.0.0.0/16", UINT64_MAX);
	cr_expect_str_eq(answer("CONNECT client_address=203.0.113.9"), "next");
	cr_expect_str_eq(answer("CONNECT client_address=203.0.114.9"), "bad listed");
	ban("203.0.113.9/32", UINT64_MAX - 1);
	cr_expect_str_eq(answer("CONNECT client_address=203.0.113.9"), "next", "the wider one lasts longer");
	ban("203.0.0.0/16", FIXTURE_WALL_MS + 1000);
	cr_expect_str_eq(answer("CONNECT client_address=203.0.113.9"), "bad listed", "this one was forced");
	fixture_stop();
	fixture_start("site: { privileged_networks: [203.0.113.0/24] }\n"
		      "rules: [{ name: banned, check: ban, default_exemptions: no }]\n");
	ban("203.0.0.0/16", UINT64_MAX);
	cr_expect_str_eq(answer("CONNECT client_address=203.0.113.9"), "bad listed");
	fixture_stop();
}
