/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/rules/fixture.h"

#define RULE \
	"site: { domains: [example.com], addresses: [192.0.2.1], privileged_networks: [203.0.113.0/24] }\n" \
	"rules: [{ name: sender-domain, check: sender_domain, on_error: defer }]\n"
#define FROM(domain) "MAIL sender=a@" domain

Test(rule_sender_domain, what_is_local_or_a_literal_is_not_looked_up)
{
	fixture_start(RULE);
	cr_expect_str_eq(answer(FROM("EXAMPLE.com.")), "next");
	cr_expect_str_eq(answer(FROM("[198.51.100.1]")), "next");
	cr_expect_str_eq(answer("MAIL sender="), "next");
	cr_expect(rule_exempts());
	cr_expect_eq(fake_dns_asked(fixture.fake), 0);
	ask_about("MAIL sender=a@nowhere.example client_address=203.0.113.1");
	cr_expect(rule_exempts());
	ask_about("MAIL sender=a@nowhere.example client_address=192.0.2.1");
	cr_expect(rule_exempts());
	ask_about("MAIL sender=a@nowhere.example sasl_username=x");
	cr_expect_not(rule_exempts(), "our own users are told of their mistakes");
	fixture_stop();
}

Test(rule_sender_domain, an_mx_that_can_be_reached_is_good)
{
	fixture_start(RULE);
	dns_has("MX", "good.example", "10 mx1.good.example,20 mx2.good.example");
	dns_has("A", "mx1.good.example", "198.51.100.25");
	dns_is_silent("A", "mx2.good.example");
	cr_expect_str_eq(answer(FROM("good.example")), "next", "one is enough");
	cr_expect_eq(fixture.now.mono_ms, 1000020, "and the other is not waited for");
	cr_expect_str_eq(answer(FROM("good.example")), "next");
	dns_has("MX", "six.example", "10 mx.six.example");
	dns_has("A", "mx.six.example", NULL);
	dns_has("AAAA", "mx.six.example", "2001:db8::25");
	cr_expect_str_eq(answer(FROM("six.example")), "next");
	dns_has("MX", "half.example", "10 gone.half.example,20 mx.half.example");
	dns_has("A", "mx.half.example", "127.0.0.1,198.51.100.25");
	cr_expect_str_eq(answer(FROM("half.example")), "next");
	cr_expect_eq(fake_dns_asked_for(fixture.fake, DNS_AAAA, SLICE("mx.half.example")), 0);
	fixture_stop();
}

Test(rule_sender_domain, without_mx_the_address_counts)
{
	fixture_start(RULE);
	dns_has("MX", "a.example", NULL);
	dns_has("A", "a.example", "198.51.100.25");
	cr_expect_str_eq(answer(FROM("a.example")), "next");
	dns_has("MX", "b.example", NULL);
	dns_has("A", "b.example", NULL);
	dns_has("AAAA", "b.example", "2001:db8::1");
	cr_expect_str_eq(answer(FROM("b.example")), "next");
	dns_has("MX", "c.example", NULL);
	dns_has("A", "c.example", NULL);
	dns_has("AAAA", "c.example", NULL);
	cr_expect_str_eq(answer(FROM("c.example")), "bad no_records");
	dns_has("MX", "d.example", NULL);
	dns_has("A", "d.example", "127.0.0.1");
	cr_expect_str_eq(answer(FROM("d.example")), "bad bad_address");
	fixture_stop();
}

Test(rule_sender_domain, what_does_not_exist_is_bad)
{
	fixture_start(RULE);
	cr_expect_str_eq(answer(FROM("NoWhere.example")), "bad nxdomain");
	cr_expect_str_eq(reply(), "550 5.1.8 nowhere.example: sender domain not found");
	cr_expect_str_eq(answer("RCPT sender=a@nowhere.example recipient=b@example.com sasl_username=x"),
			 "bad nxdomain");
	dns_has("MX", "null.example", "0 .");
	cr_expect_str_eq(answer(FROM("null.example")), "bad null_mx");
	cr_expect_str_eq(reply(), "550 5.7.27 null.example: sender domain accepts no mail (null MX)");
	dns_has("MX", "odd.example", "0 .,10 mx.good.example");
	dns_has("A", "mx.good.example", "198.51.100.25");
	cr_expect_str_eq(answer(FROM("odd.example")), "next", "not null: there is another");
	cr_expect_str_eq(answer(FROM("[example]")), "bad bad_literal");
	fixture_stop();
}

Test(rule_sender_domain, hosts_that_nobody_can_reach_are_none)
{
	static const char *const bad4[] = { "0.1.2.3", "127.1.2.3", "169.254.7.7", "224.0.0.1", "255.255.255.255" };
	static const char *const good4[] = { "1.0.0.0", "126.255.255.255", "128.0.0.1", "169.253.0.1",
					     "169.255.0.1", "223.255.255.255", "10.0.0.1", "192.168.1.1" };
	static const char *const bad6[] = { "::", "::1", "fe80::1", "febf::1", "ff02::1" };
	static const char *const good6[] = { "2001:db8::1", "fe7f::1", "fec0::1", "fd00::1" };
	char name[64], request[96];

	fixture_start(RULE);
	for (unsigned i = 0; i < 5 + 8 + 5 + 4; i++) {
		bool v4 = i < 13, bad = i < 5 || (i >= 13 && i < 18);
		const char *ip = i < 5 ? bad4[i] : i < 13 ? good4[i - 5] : i < 18 ? bad6[i - 13] : good6[i - 18];

		snprintf(name, sizeof(name), "d%u.example", i);
		snprintf(request, sizeof(request), "MAIL sender=a@%s", name);
		dns_has("MX", name, "10 mx.example");
		dns_has("A", "mx.example", v4 ? ip : NULL);
		dns_has("AAAA", "mx.example", v4 ? NULL : ip);
		cr_expect_str_eq(answer(request), bad ? "bad bad_address" : "next", "%s", ip);
		fixture.now.mono_ms += 100000; /* out of the cache */
		dns_set_now(fixture.dns, fixture.now);
	}
	dns_has("MX", "none.example", "10 no1.example,20 no2.example");
	cr_expect_str_eq(answer(FROM("none.example")), "bad mx_without_address");
	cr_expect_str_eq(reply(), "550 5.1.8 none.example: sender domain not found");
	fixture_stop();
}

Test(rule_sender_domain, a_host_that_could_not_be_looked_up_is_not_bad)
{
	fixture_start(RULE);
	dns_has("MX", "x.example", "10 bad.example,20 lost.example");
	dns_has("A", "bad.example", "127.0.0.1");
	dns_fails("A", "lost.example");
	dns_has("AAAA", "lost.example", NULL);
	cr_expect_str_eq(answer(FROM("x.example")), "unknown dns_error");
	cr_expect_str_eq(reply(), "451 4.4.3 x.example: sender domain cannot be looked up now, try again later");
	dns_has("MX", "y.example", "10 lost.example");
	dns_has("AAAA", "lost.example", "2001:db8::1");
	fixture.now.mono_ms += 100000;
	dns_set_now(fixture.dns, fixture.now);
	cr_expect_str_eq(answer(FROM("y.example")), "next");
	fixture_stop();
}

Test(rule_sender_domain, trouble_is_unknown_and_none_of_our_users_is_held_for_it)
{
	fixture_start(RULE);
	dns_fails("MX", "broken.example");
	cr_expect_str_eq(answer(FROM("broken.example")), "unknown dns_error");
	cr_expect_str_eq(answer(FROM("broken.example") " sasl_username=x"), "next");
	dns_is_silent("MX", "slow.example");
	cr_expect_str_eq(answer_in_a_hurry(FROM("slow.example")), "unknown dns_timeout");
	cr_expect_str_eq(answer_in_a_hurry(FROM("slow.example") " sasl_username=x"), "next");
	dns_has("MX", "slow2.example", "10 slow.example");
	dns_is_silent("A", "slow.example");
	cr_expect_str_eq(answer(FROM("slow2.example")), "unknown dns_error");
	cr_expect_str_eq(answer(FROM("b\xff.example")), "unknown unreadable");
	fixture_stop();
}

Test(rule_sender_domain, a_dead_resolver_holds_nobodys_mail)
{
	struct dns_health health;
	char request[64];

	fixture_start(RULE);
	fake_dns_set_silent(fixture.fake, true);
	for (unsigned i = 0; i < 200; i++) {
		snprintf(request, sizeof(request), "MAIL sender=a@d%u.example", i);
		if (strcmp(answer(request), "next") == 0)
			break;
	}
	dns_health(fixture.dns, &health);
	cr_expect(health.dead);
	cr_expect_str_eq(answer(FROM("another.example")), "next");
	fixture_stop();
}

Test(rule_sender_domain, ten_hosts_are_looked_at_the_best_first)
{
	char mx[512] = "", name[32];

	fixture_start(RULE);
	for (unsigned i = 0; i < 12; i++) {
		size_t len = strlen(mx);

		snprintf(mx + len, sizeof(mx) - len, "%s%u h%u.example", i ? "," : "", 100 - i, i);
		snprintf(name, sizeof(name), "h%u.example", i);
		dns_has("A", name, i < 2 ? "198.51.100.1" : "127.0.0.1");
		dns_has("AAAA", name, NULL);
	}
	dns_has("MX", "many.example", mx);
	cr_expect_str_eq(answer(FROM("many.example")), "bad bad_address");
	cr_expect_eq(fake_dns_asked_for(fixture.fake, DNS_A, SLICE("h0.example")), 0);
	cr_expect_eq(fake_dns_asked_for(fixture.fake, DNS_A, SLICE("h2.example")), 1);
	cr_expect_eq(fake_dns_asked(fixture.fake), 21);
	fixture_stop();
}
