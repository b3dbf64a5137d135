/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/rules/tenant.h"

static void add_recipients(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		char text[128];

		snprintf(text, sizeof(text), "RCPT instance=1.2.3 client_port=9 recipient=r%u@remote.example", i);
		ask_about(text);
		transaction_add_recipient(transactions_get(fixture.transactions, fixture.request.ids.transaction,
							   fixture.now.mono_ms),
					  fixture.request.recipient_hash);
	}
}

Test(rule_recipients, counts_distinct_ones_at_rcpt_and_accepted_ones_later)
{
	fixture_start("rules: [{ name: per-message, check: recipients, limit: 3 }]\n");
	add_recipients(3);
	cr_expect_str_eq(answer("RCPT instance=1.2.3 client_port=9 recipient=r1@remote.example"), "next",
			 "asked again");
	cr_expect_str_eq(answer("RCPT instance=1.2.3 client_port=9 recipient=r3@remote.example"), "bad too_many");
	cr_expect_str_eq(reply(), "452 4.5.3 too many recipients in one message");
	cr_expect_str_eq(answer("RCPT instance=1.2.4 client_port=9 recipient=r3@remote.example"), "next");
	cr_expect_str_eq(answer("DATA instance=1.2.3 client_port=9 recipient_count=3"), "next");
	cr_expect_str_eq(answer("DATA instance=1.2.3 client_port=9 recipient_count=4"), "bad too_many");
	cr_expect_str_eq(reply(), "550 5.5.3 too many recipients in one message");
	cr_expect_str_eq(answer("END-OF-MESSAGE recipient_count=4"), "bad too_many");
	cr_expect_str_eq(answer("VRFY recipient=x@remote.example"), "next");
	cr_expect_str_eq(answer("MAIL sender=x@remote.example"), "next");
	cr_expect(fixture.rule->ops->flags & RULE_NEVER_STRIKES);
	fixture_stop();
}

Test(rule_recipients, a_code_in_the_reply_holds_for_the_answers_of_its_class)
{
	static const char *const four = "RCPT instance=1.2.3 client_port=9 recipient=r3@remote.example";

	fixture_start("rules: [{ name: m, check: recipients, limit: 3, reply: \"451 4.5.9 too many\" }]\n");
	add_recipients(3);
	cr_expect_str_eq(answer(four), "bad too_many");
	cr_expect_str_eq(reply(), "451 4.5.9 too many");
	cr_expect_str_eq(answer("DATA recipient_count=4"), "bad too_many");
	cr_expect_str_eq(reply(), "550 5.5.3 too many");
	fixture_stop();
	fixture_start("rules: [{ name: m, check: recipients, limit: 3, action: defer, "
		      "reply: \"451 4.5.9 too many\" }]\n");
	cr_expect_str_eq(answer("DATA recipient_count=4"), "bad too_many");
	cr_expect_str_eq(reply(), "451 4.5.9 too many", "with an action it is for all");
	fixture_stop();
	cr_expect_str_eq(fixture_errors("rules: [{ name: m, check: recipients, limit: 3, action: reject, "
					"reply: \"452 4.5.3 too many\" }]\n"),
			 "f:1:72: 'reply': the code of a rejection must be 500 to 599, but not 521\n");
	cr_expect_str_eq(fixture_errors("rules: [{ name: m, check: recipients, limit: 3, "
					"reply: \"250 2.0.0 fine\" }]\n"),
			 "f:1:56: 'reply': the code of a deferral must be 400 to 499, but not 421\n");
}

Test(rule_recipients, first_match_wins)
{
	fixture_start(SITE "rules: [{ name: m, check: recipients, limits: ["
			   "{ login: [\"boss@acme.example\"], limit: unlimited }, "
			   "{ authenticated: yes, limit: 5 }, { limit: 2 }] }]\n");
	cr_expect_str_eq(answer("DATA recipient_count=3"), "bad too_many");
	cr_expect_str_eq(answer("DATA recipient_count=5 sasl_username=bob"), "next");
	cr_expect_str_eq(answer("DATA recipient_count=6 sasl_username=bob"), "bad too_many");
	cr_expect_str_eq(answer("DATA recipient_count=6000 sasl_username=boss"), "next");
	fixture_stop();
	cr_expect(strstr(fixture_errors("rules: [{ name: m, check: recipients }]\n"), "needs 'limits' or 'limit'"));
	cr_expect(strstr(fixture_errors("rules: [{ name: m, check: recipients, limit: 200/1h }]\n"), "whole number"));
}
