/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/rules/fixture.h"

#define PTR "7.100.51.198.in-addr.arpa"
#define PTR_RULE(more) "rules: [{ name: ptr, check: ptr" more " }]\n"

Test(rule_ptr, a_name_that_postfix_found_is_proof)
{
	fixture_start(PTR_RULE(", on_missing: reject"));
	cr_expect_str_eq(answer("MAIL reverse_client_name=host.example"), "next");
	cr_expect_eq(fake_dns_asked(fixture.fake), 0);
	cr_expect_str_eq(answer("MAIL reverse_client_name=unknown"), "bad no_ptr");
	cr_expect_eq(fake_dns_asked(fixture.fake), 1);
	cr_expect_str_eq(reply(), "550 5.7.25 198.51.100.7: client address has no PTR record");
	cr_expect_not(rule_exempts());
	ask_about("MAIL sasl_username=x");
	cr_expect(rule_exempts());
	ask_about("MAIL client_address=10.1.1.1");
	cr_expect(rule_exempts());
	ask_about("CONNECT");
	cr_expect(rule_waits());
	fixture_stop();
}

Test(rule_ptr, any_name_will_do)
{
	static const char *const names[] = { "host.example", "127.0.0.1", "localhost", "a_b.example", "-" };

	for (unsigned i = 0; i < 5; i++) {
		fixture_start(PTR_RULE(", on_missing: reject"));
		dns_has("PTR", PTR, names[i]);
		cr_expect_str_eq(answer("MAIL"), "next", "%s", names[i]);
		fixture_stop();
	}
}

Test(rule_ptr, what_is_done_about_it)
{
	fixture_start(PTR_RULE(""));
	cr_expect_str_eq(answer("RCPT recipient=a@b.example"), "bad no_ptr");
	cr_expect_str_eq(reply(), "PREPEND X-Reeve-PTR: none", "the default is a mark");
	fixture_stop();
	fixture_start(PTR_RULE(", on_missing: pass"));
	cr_expect_str_eq(answer("MAIL"), "next");
	cr_expect_eq(fake_dns_asked(fixture.fake), 0);
	fixture_stop();
	fixture_start(PTR_RULE(", on_missing: mark, reply: \"X-My-PTR: missing\""));
	cr_expect_str_eq(answer("MAIL"), "bad no_ptr");
	cr_expect_str_eq(reply(), "PREPEND X-My-PTR: missing");
	fixture_stop();
	fixture_start(PTR_RULE(", action: defer"));
	cr_expect_str_eq(answer("MAIL"), "bad no_ptr");
	cr_expect_str_eq(reply(), "450 4.7.25 198.51.100.7: client address has no PTR record");
	fixture_stop();
	fixture_start(PTR_RULE(", on_missing: reject"));
	dns_has("PTR", PTR, NULL);
	cr_expect_str_eq(answer("MAIL"), "bad no_ptr");
	fixture_stop();
}

Test(rule_ptr, trouble_is_no_answer)
{
	fixture_start(PTR_RULE(", on_missing: reject"));
	dns_fails("PTR", PTR);
	cr_expect_str_eq(answer("MAIL"), "unknown dns_error");
	cr_expect_str_eq(reply(), "451 4.4.3 198.51.100.7: client address cannot be looked up now, try again later");
	cr_expect_eq(fixture.rule->config->on_error, CONFIG_PASS);
	fixture_stop();
	fixture_start(PTR_RULE(", on_missing: reject"));
	dns_is_silent("PTR", PTR);
	cr_expect_str_eq(answer_in_a_hurry("MAIL"), "unknown dns_timeout");
	fixture_stop();
}

Test(rule_ptr, confirmation)
{
	fixture_start(PTR_RULE(", on_missing: reject, confirm: yes"));
	cr_expect_str_eq(answer("MAIL client_name=host.example reverse_client_name=host.example"), "next");
	cr_expect_eq(fake_dns_asked(fixture.fake), 0);
	dns_has("PTR", PTR, "a.example,b.example");
	dns_has("A", "a.example", "198.51.100.8");
	dns_has("A", "b.example", "198.51.100.9,198.51.100.7");
	cr_expect_str_eq(answer("MAIL client_name=unknown reverse_client_name=a.example"), "next");
	fixture_stop();
	fixture_start(PTR_RULE(", on_missing: reject, confirm: yes"));
	dns_has("PTR", PTR, "a.example,127.0.0.1,b.example");
	dns_has("A", "a.example", "198.51.100.8");
	dns_has("A", "b.example", NULL);
	cr_expect_str_eq(answer("MAIL client_name=unknown reverse_client_name=a.example"), "bad unconfirmed");
	cr_expect_str_eq(reply(),
			 "550 5.7.25 198.51.100.7: no PTR record of the client address leads back to it");
	cr_expect_eq(fake_dns_asked_for(fixture.fake, DNS_A, SLICE("127.0.0.1")), 0);
	fixture_stop();
	fixture_start(PTR_RULE(", confirm: yes"));
	dns_has("PTR", PTR, "a.example,b.example");
	dns_has("A", "a.example", "198.51.100.8");
	dns_fails("A", "b.example");
	cr_expect_str_eq(answer("MAIL"), "unknown dns_error", "not all answers are definite");
	cr_expect_str_eq(answer("MAIL client_address=198.51.100.9"), "bad no_ptr");
	fixture_stop();
	fixture_start(PTR_RULE(", confirm: yes"));
	dns_has("PTR", PTR, "nowhere.example");
	cr_expect_str_eq(answer("MAIL"), "bad unconfirmed");
	cr_expect_str_eq(reply(), "PREPEND X-Reeve-PTR: unconfirmed");
	fixture_stop();
}

Test(rule_ptr, five_names_are_looked_at)
{
	char names[256] = "";

	fixture_start(PTR_RULE(", on_missing: reject, confirm: yes"));
	for (unsigned i = 0; i < 7; i++) {
		size_t len = strlen(names);

		snprintf(names + len, sizeof(names) - len, "%sh%u.example", i ? "," : "", i);
	}
	dns_has("PTR", PTR, names);
	dns_has("A", "h6.example", "198.51.100.7");
	cr_expect_str_eq(answer("MAIL"), "bad unconfirmed");
	cr_expect_eq(fake_dns_asked(fixture.fake), 6);
	fixture_stop();
}

Test(rule_ptr, ipv6)
{
	fixture_start(PTR_RULE(", on_missing: reject, confirm: yes"));
	dns_has("PTR", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", "a.example");
	dns_has("AAAA", "a.example", "2001:db8::1");
	cr_expect_str_eq(answer("MAIL client_address=2001:db8::1"), "next");
	cr_expect_str_eq(answer("MAIL client_address=2001:db8::2"), "bad no_ptr");
	fixture_stop();
}
