/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>

#include "tests/unit/rules/fixture.h"

Test(rule_address_literal, ours_and_no_other)
{
	fixture_start("site: { addresses: [192.0.2.1, \"2001:db8::1\"] }\n"
		      "rules: [{ name: literals, check: address_literal, "
		      "accept: [\"[192.0.2.7]\", 192.0.2.8, \"[IPv6:2001:db8::7]\", 192.0.2.64/26] }]\n");
	cr_expect_str_eq(answer("RCPT recipient=a@[192.0.2.1]"), "next");
	cr_expect_str_eq(answer("RCPT recipient=a@[IPv6:2001:DB8::1]"), "next");
	cr_expect_str_eq(answer("RCPT recipient=a@[IPv6:::ffff:192.0.2.1]"), "next");
	cr_expect_str_eq(answer("RCPT recipient=a@[192.0.2.7]"), "next");
	cr_expect_str_eq(answer("RCPT recipient=a@[192.0.2.8]"), "next");
	cr_expect_str_eq(answer("RCPT recipient=a@[IPv6:2001:db8::7]"), "next");
	cr_expect_str_eq(answer("RCPT recipient=a@[192.0.2.100]"), "next");
	cr_expect_str_eq(answer("RCPT recipient=a@[192.0.2.9]"), "bad not_ours");
	cr_expect_str_eq(reply(), "550 5.1.2 a@[192.0.2.9]: mail to this address literal is not accepted");
	cr_expect_str_eq(answer("RCPT recipient=a@[127.0.0.1]"), "bad not_ours");
	cr_expect_str_eq(answer("RCPT recipient=a@[example]"), "bad malformed");
	cr_expect_str_eq(answer("RCPT recipient=a@example.com"), "next");
	cr_expect(fixture.rule->ops->flags & RULE_PER_RECIPIENT);
	cr_expect_str_eq(answer("RCPT recipient=a@[192.0.2.9] sasl_username=a"), "bad not_ours");
	cr_expect(rule_exempts());
	ask_about("DATA recipient_count=2");
	cr_expect(rule_waits());
	fixture_stop();
	cr_expect_str_eq(fixture_errors("rules: [{ name: a, check: address_literal, accept: [example.com] }]\n"),
			 "f:1:53: 'accept' has 'example.com': no IP address or network\n");
}
