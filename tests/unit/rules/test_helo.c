/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>

#include "tests/unit/rules/fixture.h"

Test(rule_helo, names_in_any_spelling)
{
	fixture_start("rules: [{ name: ehlo-names, check: helo, names: [ylmf-pc, .dyn.example, \"*[*]*\"] }]\n");
	cr_expect_str_eq(answer("EHLO helo_name=ylmf-pc"), "bad name");
	cr_expect_str_eq(reply(), "521 5.7.1 EHLO name refused");
	cr_expect_str_eq(answer("EHLO helo_name=YLMF-PC."), "bad name");
	cr_expect_str_eq(answer("EHLO helo_name=a.dyn.example"), "bad name");
	cr_expect_str_eq(answer("EHLO helo_name=dyn.example"), "next");
	cr_expect_str_eq(answer("EHLO helo_name=mx.example.org"), "next");
	cr_expect_str_eq(answer("CONNECT"), "next");
	cr_expect_not(rule_waits());
	cr_expect_not(rule_exempts());
	cr_expect_str_eq(answer("EHLO helo_name=ylmf-pc client_address=10.0.0.1"), "bad name");
	cr_expect(rule_exempts(), "local");
	fixture_stop();
}

Test(rule_helo, a_refused_name_sticks_to_the_connection)
{
	struct smtp_connection *connection;

	fixture_start("rules: [{ name: ehlo-names, check: helo, names: [ylmf-pc] }]\n");
	cr_expect_str_eq(answer("EHLO helo_name=nice client_port=77"), "next");
	connection = connections_get(fixture.connections, fixture.request.ids.connection,
				     fixture.now.mono_ms);
	connection->helo_rule = fixture.rule->name_hash;
	cr_expect_str_eq(answer("RCPT helo_name=nice client_port=77 recipient=a@b.example"),
			 "bad refused_before");
	cr_expect_str_eq(answer("RCPT client_port=77 recipient=a@b.example"), "bad refused_before");
	cr_expect_str_eq(answer("RCPT client_port=78 recipient=a@b.example"), "next");
	connection->helo_rule ^= 1;
	cr_expect_str_eq(answer("RCPT client_port=77 recipient=a@b.example"), "next", "another rule's");
	cr_expect(fixture.rule->ops->flags & RULE_STICKS);
	fixture_stop();
}
