/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>

#include "tests/unit/rules/fixture.h"

#define DOMAINS "site: { domains: [example.com, test.example], addresses: [192.0.2.1], " \
		"privileged_networks: [203.0.113.0/24], origin: example.com }\n"

Test(rule_local_sender, by_default_only_who_has_logged_in)
{
	fixture_start(DOMAINS "rules: [{ name: local-sender, check: local_sender }]\n");
	cr_expect_str_eq(answer("MAIL sender=Alice@EXAMPLE.com."), "bad not_allowed");
	cr_expect_str_eq(reply(), "553 5.7.1 Alice@EXAMPLE.com.: authentication required to send from example.com");
	cr_expect_str_eq(answer("RCPT sender=root recipient=a@example.com"), "bad not_allowed",
			 "a bare name is completed");
	cr_expect_str_eq(answer("MAIL sender=a@[192.0.2.1]"), "bad not_allowed");
	cr_expect_str_eq(answer("MAIL sender=a@[192.0.2.2]"), "next");
	cr_expect_str_eq(answer("MAIL sender=a@other.example"), "next");
	cr_expect_str_eq(answer("MAIL sender=a@sub.example.com"), "next");
	cr_expect_str_eq(answer("MAIL sender=alice@example.com sasl_username=x"), "next");
	cr_expect_str_eq(answer("MAIL sender=alice@example.com client_address=203.0.113.1"), "bad not_allowed");
	cr_expect_not(rule_exempts());
	cr_expect_str_eq(answer("MAIL sender="), "next");
	cr_expect(rule_exempts());
	cr_expect_str_eq(answer("MAIL sender=root@example.com client_address=127.0.0.1"), "bad not_allowed");
	cr_expect(rule_exempts(), "cron mail of the host itself");
	ask_about("EHLO helo_name=x");
	cr_expect(rule_waits());
	fixture_stop();
}

/* What a reader sees counts, not where Postfix would deliver it. */
Test(rule_local_sender, routes_that_show_our_domains)
{
	fixture_start(DOMAINS "rules: [{ name: local-sender, check: local_sender }]\n");
	cr_expect_str_eq(answer("MAIL sender=evil.example!ceo@example.com"), "bad not_allowed");
	cr_expect_str_eq(answer("MAIL sender=ceo%evil.example@Example.com."), "bad not_allowed");
	cr_expect_str_eq(answer("MAIL sender=evil..example!ceo@example.com"), "bad not_allowed",
			 "it leads nowhere, but shows the same");
	cr_expect_str_eq(answer("MAIL sender=[192.0.2!ceo@example.com"), "bad not_allowed");
	cr_expect_str_eq(answer("MAIL sender=evil.example!ceo@[192.0.2.1]"), "bad not_allowed");
	cr_expect_str_eq(answer("MAIL sender=evil.example!ceo@example.com@"), "bad not_allowed");
	cr_expect_str_eq(answer("MAIL sender=example.com!ceo@evil.example"), "next");
	cr_expect_str_eq(answer("MAIL sender=evil.example!ceo@sub.example.com"), "next");
	cr_expect_str_eq(answer("MAIL sender=evil.example!ceo@example.com sasl_username=x"), "next");
	fixture_stop();
	fixture_start(DOMAINS "rules: [{ name: local-sender, check: local_sender, subdomains: yes }]\n");
	cr_expect_str_eq(answer("MAIL sender=evil.example!ceo@sub.example.com"), "bad not_allowed");
	cr_expect_str_eq(answer("MAIL sender=ceo%evil.example@sub.example.com"), "bad not_allowed");
	cr_expect_str_eq(answer("MAIL sender=evil.example!ceo@example.com"), "bad not_allowed");
	cr_expect_str_eq(answer("MAIL sender=sub.example.com!ceo@example.com"), "bad not_allowed");
	cr_expect_str_eq(answer("MAIL sender=sub.example.com!ceo@evil.example"), "next");
	fixture_stop();
}

Test(rule_local_sender, other_answers_to_who_may)
{
	fixture_start(DOMAINS "rules: [{ name: a, check: local_sender, allow: privileged, subdomains: yes }]\n");
	cr_expect_str_eq(answer("MAIL sender=alice@example.com client_address=203.0.113.1"), "next");
	cr_expect_str_eq(answer("MAIL sender=alice@example.com"), "bad not_allowed");
	cr_expect_str_eq(answer("MAIL sender=alice@a.b.example.com"), "bad not_allowed");
	cr_expect_str_eq(answer("MAIL sender=alice@notexample.com"), "next");
	cr_expect_str_eq(answer("MAIL sender=alice@example.com sasl_username=x"), "next");
	fixture_stop();
	fixture_start(DOMAINS "rules: [{ name: a, check: local_sender, allow: anyone }]\n");
	cr_expect_str_eq(answer("MAIL sender=alice@example.com"), "next");
	fixture_stop();
	cr_expect(strstr(fixture_errors("rules: [{ name: a, check: local_sender, allow: anybody }]\n"), "anyone"));
}
