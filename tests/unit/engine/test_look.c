/* SPDX-License-Identifier: ISC */
/*
 * One answer out of many: who applies, who decides, what is collected, what monitor mode and
 * `pass` do.
 */
#include <criterion/criterion.h>

#include "tests/unit/engine/fixture.h"

TestSuite(look, .fini = fixture_stop);

Test(look, the_first_refusal_in_list_order_ends_the_run)
{
	fixture_start("  - {name: a, check: look}\n  - {name: b, check: look}\n"
		      "  - {name: c, check: look}",
		      NULL);
	script("b", "bad:5");
	script("c", "bad:0");
	is(answer("RCPT"), "452 4.5.3 later");
	is(fixture.asked[0].rule, "b");
	cr_assert(script("a", NULL)->stepped == 1 && script("c", NULL)->stepped == 0);
}

Test(look, nothing_said_is_dunno_and_never_ok)
{
	fixture_start("  - {name: a, check: look}", NULL);
	is(answer("CONNECT"), "DUNNO");
	is(answer("EHLO"), "DUNNO");
	is(answer("VRFY"), "DUNNO");
	is(answer("ETRN"), "DUNNO");
	is(answer("NOVELTY"), "DUNNO");
	cr_assert(script("a", NULL)->stepped == 4, "a state that is not known has no rules");
}

Test(look, who_is_exempt_is_not_asked)
{
	start_one("guard", "bad", "site: {local_networks: [10.0.0.0/8], privileged_networks: [172.16.0.0/12]}");
	is(answer("RCPT sasl_username=alice"), "DUNNO");
	is(answer("RCPT client_address=10.0.0.1"), "DUNNO");
	is(answer("RCPT client_address=172.16.0.1"), "DUNNO");
	is(answer("RCPT client_address=127.0.0.1"), "DUNNO");
	is(answer("RCPT sender="), "DUNNO");
	is(answer("EHLO"), "DUNNO");
	cr_assert(script("a", NULL)->stepped == 0);
	is(answer("MAIL"), REFUSED);
	is(answer("RCPT"), REFUSED);
}

Test(look, default_exemptions_can_be_dropped_but_for_the_null_sender)
{
	fixture_start("  - {name: a, check: guard, default_exemptions: no}", NULL);
	script("a", "bad");
	is(answer("RCPT sasl_username=alice"), REFUSED);
	is(answer("RCPT client_address=127.0.0.1"), REFUSED);
	is(answer("RCPT sender="), "DUNNO");
}

Test(look, match_and_except)
{
	fixture_start("  - {name: a, check: look, match: {server_port: [25]}, except: {helo: [good]}}",
		      NULL);
	script("a", "bad");
	is(answer("EHLO helo_name=h"), REFUSED);
	is(answer("EHLO helo_name=good"), "DUNNO");
	is(answer("EHLO helo_name=h server_port=587"), "DUNNO");
	is(answer("CONNECT"), "DUNNO");
}

Test(look, until)
{
	fixture_start("  - {name: a, check: look, until: 2023-11-14}\n"
		      "  - {name: b, check: look, until: 2023-11-13}",
		      NULL);
	script("a", "bad:0");
	script("b", "bad:5");
	is(answer("RCPT"), REFUSED);
	pass_ms(24 * 3600 * 1000);
	is(answer("RCPT"), "DUNNO");
	cr_assert(script("b", NULL)->stepped == 0);
}

Test(look, monitor_only_watches)
{
	fixture_start("  - {name: a, check: look, mode: monitor}\n"
		      "  - {name: b, check: look, mode: monitor, on_error: defer}\n"
		      "  - {name: p, check: look, mode: monitor, action: pass}\n"
		      "  - {name: m, check: look, mode: monitor}\n"
		      "  - {name: c, check: count}",
		      "bans: {mode: enforce, disconnect_at: 1}");
	script("a", "bad:0:nxdomain");
	script("b", "unknown:1");
	script("p", "bad");
	script("m", "bad:3");
	is(answer("RCPT"), "DUNNO");
	is(answer("RCPT recipient=b@example.com"), "DUNNO");
	has(last_decision(), "action=dunno client=");
	has(last_decision(), " monitor=a:nxdomain,p,m unknown=b:unknown");
	cr_assert(fixture.store.reserves == 2, "a monitored pass ends nothing");
	is(fixture.bans_said, "");
}

Test(look, of_what_does_not_refuse_the_weightiest_goes_out)
{
	fixture_start("  - {name: m1, check: look, action: mark, reply: \"X-One: {rule}\"}\n"
		      "  - {name: m2, check: look, action: mark, reply: \"X-Two: {rule}\"}\n"
		      "  - {name: h1, check: look, action: hold, reply: \"first\"}\n"
		      "  - {name: h2, check: look, action: hold, reply: \"second\"}\n"
		      "  - {name: d, check: look, action: discard, reply: \"gone\"}\n"
		      "  - {name: w, check: look, action: warn}\n"
		      "  - {name: r, check: look}",
		      NULL);
	script("m1", "next next bad");
	script("m2", "next bad");
	script("w", "bad");
	is(answer("RCPT instance=1"), "DUNNO");
	has(last_decision(), " also=w");
	is(answer("RCPT instance=2"), "PREPEND X-Two: m2");
	is(answer("RCPT instance=3"), "PREPEND X-One: m1");
	has(last_decision(), " also=m2,w");
	script("h1", "bad");
	script("h2", "bad");
	is(answer("RCPT instance=4"), "HOLD first");
	script("d", "bad");
	is(answer("RCPT instance=5"), "DISCARD gone");
	has(last_decision(), " also=m1,m2,h1,h2,w");
	script("r", "bad");
	is(answer("RCPT instance=6"), REFUSED);
}

/* Each mark once a message: the second has its turn with the next recipient. */
Test(look, marks_once_a_message)
{
	fixture_start("  - {name: a, check: look, action: mark, reply: \"X-One: 1\"}\n"
		      "  - {name: b, check: look, action: mark, reply: \"X-Two: 2\"}",
		      NULL);
	script("a", "bad");
	script("b", "bad");
	is(answer("RCPT"), "PREPEND X-One: 1");
	is(answer("RCPT recipient=2@example.com"), "PREPEND X-Two: 2");
	is(answer("RCPT recipient=3@example.com"), "DUNNO");
	is(answer("DATA recipient_count=3"), "DUNNO");
	is(answer("RCPT instance=2.2"), "PREPEND X-One: 1");
	is(answer("DATA instance=3.3 recipient_count=1"), "PREPEND X-One: 1");
}

Test(look, marks_only_where_postfix_takes_them)
{
	fixture_start("  - {name: a, check: look, action: mark, reply: \"X-One: 1\"}", NULL);
	script("a", "bad");
	is(answer("CONNECT"), "DUNNO");
	is(answer("EHLO"), "DUNNO");
	is(answer("MAIL"), "DUNNO");
	is(answer("END-OF-MESSAGE recipient_count=1"), "DUNNO");
	is(answer("VRFY"), "DUNNO");
	is(answer("RCPT"), "PREPEND X-One: 1");
}

Test(look, hold_needs_a_message)
{
	fixture_start("  - {name: a, check: look, action: hold, reply: \"look\"}", NULL);
	script("a", "bad");
	is(answer("CONNECT"), "DUNNO");
	is(answer("EHLO"), "DUNNO");
	is(answer("VRFY"), "DUNNO");
	is(answer("MAIL"), "HOLD look");
	is(answer("RCPT"), "HOLD look");
	is(answer("END-OF-MESSAGE recipient_count=1"), "HOLD look");
}

Test(look, pass_ends_the_looking_and_skips_the_counting_below)
{
	fixture_start("  - {name: above, check: count}\n"
		      "  - {name: p, check: look, action: pass}\n"
		      "  - {name: r, check: look}\n"
		      "  - {name: below, check: count}",
		      NULL);
	script("p", "bad");
	script("r", "bad");
	is(answer("RCPT"), "DUNNO");
	cr_assert(script("r", NULL)->stepped == 0);
	cr_assert(fixture.store.last_reserve.count == 1);
	cr_assert(slice_is(fixture.store.last_charges[0].key.rule, "above"));
	has(last_decision(), " also=p");
}

Test(look, an_error_passes_or_defers_as_the_rule_says)
{
	fixture_start("  - {name: a, check: look}\n  - {name: b, check: look, on_error: defer}\n"
		      "  - {name: c, check: look, on_error: defer, action: reject}",
		      "bans: {mode: enforce, disconnect_at: 1}");
	script("a", "unknown:1");
	is(answer("RCPT"), "DUNNO");
	script("b", "unknown:0");
	is(answer("RCPT"), "451 4.3.0 temporary failure, try again later");
	script("b", "next");
	script("c", "unknown:1");
	is(answer("RCPT"), "451 4.4.3 cannot look");
	is(answer("RCPT"), "451 4.4.3 cannot look");
	is(fixture.bans_said, "");
}

Test(look, variables_of_the_request)
{
	fixture_start("  - {name: a, check: look, reply: \"550 5.7.1 {client} {sender} {domain} {recipient} {login} {helo} {rule}\"}",
		      NULL);
	script("a", "bad");
	is(answer("RCPT sasl_username=al helo_name=h~x"),
	   "550 5.7.1 198.51.100.7 s@example.net example.net r@example.com al h?x a");
}

Test(look, a_login_that_has_no_account_is_counted)
{
	struct pipeline_counts counts;

	start_one("look", "next:unmapped next unknown", NULL);
	ask("RCPT");
	ask("RCPT");
	ask("RCPT");
	pipeline_counts(fixture.pipeline, &counts);
	cr_assert(counts.requests == 3 && counts.verdicts[VERDICT_DUNNO] == 3);
	cr_assert(counts.unmapped_logins == 1 && counts.errors == 1);
}
