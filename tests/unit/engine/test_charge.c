/* SPDX-License-Identifier: ISC */
/*
 * The batch: what goes to the store and when, gates and soft limits, settling, and a store that
 * fails or is late.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/engine/fixture.h"

TestSuite(charge, .fini = fixture_stop);

static const char two_rules[] = "  - {name: a, check: count}\n  - {name: b, check: count}";

Test(charge, one_batch_for_all_rules)
{
	const struct store_reserve *reserve = &fixture.store.last_reserve;

	fixture_start("  - {name: gate, check: count}\n"
		      "  - {name: watch, check: count, mode: monitor}\n"
		      "  - {name: marks, check: count, action: mark, reply: \"X-Much: yes\"}",
		      NULL);
	script("gate", NULL)->charges = 2;
	is(answer("RCPT"), "DUNNO");
	cr_assert(fixture.store.reserves == 1 && reserve->count == 4);
	cr_assert(!hash128_is_zero(reserve->transaction) && reserve->recipient && reserve->asked == 1);
	cr_assert(fixture.store.last_charges[0].gate && fixture.store.last_charges[1].gate);
	cr_assert(!fixture.store.last_charges[2].gate, "monitored");
	cr_assert(!fixture.store.last_charges[3].gate, "does not refuse");
	cr_assert(fixture.store.last_charges[0].cost == 1);
	has(last_decision(), " counters=gate/1h:0/10,gate/1d:0/10,watch/1h:0/10,marks/1h:0/10 ");
	ask("RCPT recipient=b@example.com");
	cr_assert(reserve->asked == 2);
}

Test(charge, no_counter_no_store)
{
	fixture_start("  - {name: a, check: count}\n  - {name: b, check: look}", NULL);
	script("a", NULL)->charges = 0;
	ask("RCPT");
	ask("EHLO");
	ask("MAIL");
	ask("VRFY");
	cr_assert(fixture.store.reserves == 0 && fixture.store.settles == 0);
	fixture_reload("  - {name: b, check: look}", NULL);
	ask("DATA recipient_count=1");
	cr_assert(fixture.store.settles == 0, "nothing counts, so nothing was charged");
}

Test(charge, a_refusal_drops_the_batch)
{
	fixture_start("  - {name: a, check: count}\n  - {name: b, check: look}", NULL);
	script("b", "bad");
	is(answer("RCPT"), "550 5.7.27 s@example.net refused");
	cr_assert(script("a", NULL)->asked == 1 && fixture.store.reserves == 0);
	has_not(last_decision(), "counters=");
}

Test(charge, what_does_not_refuse_is_charged)
{
	fixture_start("  - {name: a, check: count}\n  - {name: b, check: look, action: hold}", NULL);
	script("b", "bad");
	is(answer("RCPT"), "HOLD s@example.net refused");
	cr_assert(fixture.store.reserves == 1);
}

/* The first refusing gate in list order answers; the longest wait is told. */
Test(charge, gates)
{
	fixture_start(two_rules, NULL);
	fixture.store.used = 10;
	fixture.store.outcomes[0] = CHARGE_OVER;
	fixture.store.outcomes[1] = CHARGE_OVER;
	fixture.store.retry_ms[0] = 60000;
	fixture.store.retry_ms[1] = 7200000;
	is(answer("RCPT sasl_username=alice"),
	   "450 4.7.1 10 of 10 recipients in 1h; again in 2 h");
	is(fixture.asked[0].rule, "a");
	has(last_decision(), "action=defer rule=a reason=over_limit");
	has_not(last_decision(), "also=b");
}

Test(charge, strangers_do_not_see_counters)
{
	fixture_start(two_rules, NULL);
	fixture.store.outcomes[1] = CHARGE_OVER;
	is(answer("RCPT"), "450 4.7.1 too much mail for now, try again later");
	is(fixture.asked[0].rule, "b");
}

Test(charge, a_message_that_never_fits_is_told_so)
{
	fixture_start(two_rules, NULL);
	fixture.store.outcomes[0] = CHARGE_OVER;
	fixture.store.retry_ms[0] = UINT64_MAX;
	is(answer("RCPT sasl_username=alice"),
	   "450 4.7.1 0 of 10 recipients in 1h; again in a smaller message");
}

Test(charge, soft_limits_never_refuse)
{
	fixture_start("  - {name: watch, check: count, mode: monitor}\n"
		      "  - {name: marks, check: count, action: mark, reply: \"X-Used: {used}\"}\n"
		      "  - {name: holds, check: count, action: hold, reply: \"over {limit}\"}",
		      NULL);
	fixture.store.used = 11;
	fixture.store.outcomes[0] = CHARGE_OVER;
	fixture.store.outcomes[1] = CHARGE_OVER;
	is(answer("RCPT"), "PREPEND X-Used: 11");
	has(last_decision(), " monitor=watch:over_limit");
	is(answer("RCPT recipient=2@example.com"), "DUNNO");
	has(last_decision(), " also=marks:over_limit");
	fixture.store.outcomes[2] = CHARGE_OVER;
	is(answer("RCPT instance=2"), "HOLD over 10");
}

Test(charge, limits_never_strike)
{
	fixture_start("  - {name: a, check: count, action: reject}",
		      "bans: {mode: enforce, disconnect_at: 1, on_disconnect: yes}");
	fixture.store.outcomes[0] = CHARGE_OVER;
	for (unsigned i = 0; i < 3; i++)
		is(answer("RCPT"), "550 5.7.1 too much mail");
	is(fixture.bans_said, "");
}

Test(charge, warnings_are_logged)
{
	fixture_start(two_rules, NULL);
	fixture.store.warn = true;
	fixture.store.used = 8;
	is(answer("RCPT"), "DUNNO");
	has(fixture.log_text, "warning event=limit_warning rule=a subject=subject used=8 limit=10 "
			      "count=recipients window_s=3600\n");
	has(fixture.log_text, "event=limit_warning rule=b ");
}

/* ---- settling ---- */

Test(charge, data_settles_and_charges_nothing_again)
{
	const struct store_settle *settle = &fixture.store.last_settle;

	fixture_start(two_rules, NULL);
	ask("RCPT");
	ask("RCPT recipient=2@example.com");
	fixture.store.settle_known = true;
	fixture.store.settle_refunded = 1;
	is(answer("DATA recipient_count=1 recipient=r@example.com"), "DUNNO");
	cr_assert(fixture.store.settles == 1 && fixture.store.reserves == 2);
	cr_assert(settle->recipient_count == 1 && settle->asked == 2 && !settle->end_of_message);
	cr_assert(hash128_equal(settle->transaction, fixture.store.last_reserve.transaction));
	cr_assert(settle->service == fixture.store.last_reserve.service);
	has(last_decision(), " refunded=1 ");
	is(answer("END-OF-MESSAGE recipient_count=1 size=5000"), "DUNNO");
	cr_assert(settle->end_of_message && settle->size_bytes == 5000);
	cr_assert(settle->recipient == 0, "Postfix did not say which");
}

/* Where one recipient remains, which one it is decides whose counter keeps the charge. */
Test(charge, settling_names_a_single_recipient)
{
	uint64_t recipient;

	fixture_start(two_rules, NULL);
	ask("RCPT");
	recipient = fixture.store.last_reserve.recipient;
	fixture.store.settle_known = true;
	ask("DATA recipient_count=1 recipient=R@example.com");
	cr_assert(fixture.store.last_settle.recipient == recipient);
}

Test(charge, a_message_nobody_asked_about_is_charged_whole)
{
	fixture_start(two_rules, NULL);
	is(answer("DATA recipient_count=3"), "DUNNO");
	cr_assert(fixture.store.settles == 1 && fixture.store.reserves == 1);
	cr_assert(fixture.store.last_charges[0].cost == 3);
	cr_assert(fixture.store.last_reserve.recipient == 0);
	cr_assert(script("a", NULL)->seen_recipients == 3);
}

Test(charge, recipients_that_were_free_stay_free)
{
	fixture_start(two_rules, NULL);
	script("a", NULL)->charges = 0;
	script("b", NULL)->charges = 0;
	ask("RCPT");
	script("a", NULL)->charges = 1;
	is(answer("DATA recipient_count=1"), "DUNNO");
	cr_assert(fixture.store.settles == 1 && fixture.store.reserves == 0);
}

Test(charge, without_an_instance_a_message_is_not_charged_whole)
{
	fixture_start(two_rules, NULL);
	is(answer("DATA instance=- recipient_count=3"), "DUNNO");
	cr_assert(fixture.store.settles == 0 && fixture.store.reserves == 0);
	is(answer("RCPT instance=-"), "DUNNO");
	cr_assert(fixture.store.reserves == 1);
	cr_assert(hash128_is_zero(fixture.store.last_reserve.transaction));
}

Test(charge, a_raise_that_does_not_fit_is_refused_by_its_rule)
{
	fixture_start(two_rules, NULL);
	ask("RCPT");
	fixture.store.settle_refused = "b";
	fixture.store.used = 10;
	fixture.store.retry_ms[0] = 60000;
	is(answer("DATA recipient_count=9 sasl_username=alice"),
	   "450 4.7.1 10 of 10 recipients in 1h; again in 1 min");
	is(fixture.asked[1].rule, "b");
	cr_assert(fixture.store.reserves == 1);
}

/* With a reload since RCPT the rule that refuses may be gone, or only watch. */
Test(charge, a_raise_refused_by_a_rule_that_is_gone_passes)
{
	fixture_start(two_rules, NULL);
	ask("RCPT");
	fixture.store.settle_refused = "b";
	fixture_reload("  - {name: a, check: count}", NULL);
	is(answer("DATA recipient_count=9"), "DUNNO");
	fixture_reload("  - {name: a, check: count}\n  - {name: b, check: count, mode: monitor}", NULL);
	is(answer("DATA recipient_count=9"), "DUNNO");
	has(last_decision(), " monitor=b:over_limit");
}

Test(charge, a_refusal_at_data_refunds_the_message)
{
	fixture_start("  - {name: a, check: count}\n  - {name: b, check: look}", NULL);
	ask("RCPT");
	script("b", "bad");
	is(answer("RCPT recipient=2@example.com"), "550 5.7.27 s@example.net refused");
	cr_assert(fixture.store.refunds == 0, "one recipient refused is not the message");
	is(answer("DATA recipient_count=1"), "550 5.7.27 s@example.net refused");
	cr_assert(fixture.store.refunds == 1);
	cr_assert(hash128_equal(fixture.store.last_refund, fixture.store.last_reserve.transaction));
	is(answer("END-OF-MESSAGE recipient_count=1"), "550 5.7.27 s@example.net refused");
	cr_assert(fixture.store.refunds == 2);
	is(answer("MAIL"), "550 5.7.27 s@example.net refused");
	cr_assert(fixture.store.refunds == 2);
}

/* ---- a store that is late, or fails ---- */

Test(charge, the_store_answers_later)
{
	struct asked *asked;

	fixture_start(two_rules, NULL);
	fixture.store.pending = true;
	fixture.store.outcomes[1] = CHARGE_OVER;
	asked = ask("RCPT");
	is(reply_of(asked), "(pending)");
	pass_ms(2600);
	is(reply_of(asked), "(pending)");
	cr_assert(fixture.store.reserves == 1, "asked once");
	fake_store_answer(&fixture.store);
	cr_assert(!asked->done, "a wake only marks");
	run();
	is(reply_of(asked), "450 4.7.1 too much mail for now, try again later");
}

Test(charge, settle_and_reserve_both_late)
{
	struct asked *asked;

	fixture_start(two_rules, NULL);
	fixture.store.pending = true;
	asked = ask("DATA recipient_count=3");
	fake_store_answer(&fixture.store);
	run();
	cr_assert(!asked->done && fixture.store.reserves == 1);
	fake_store_answer(&fixture.store);
	run();
	is(reply_of(asked), "DUNNO");
}

static void overstays(const char *on_failure, const char *expected)
{
	struct asked *asked;
	char top[100];
	struct pipeline_counts counts;

	snprintf(top, sizeof(top), "store: {url: \"embedded:\", on_failure: %s}", on_failure);
	fixture_start(two_rules, top);
	fixture.store.pending = true;
	asked = ask("RCPT");
	pass_ms(2999);
	is(reply_of(asked), "(pending)");
	pass_ms(1);
	is(reply_of(asked), expected);
	cr_assert(fixture.store.forgets == 1);
	pipeline_counts(fixture.pipeline, &counts);
	cr_assert(counts.store_failures == 1);
	has_not(last_decision(), "counters=");
}

Test(charge, a_store_over_the_deadline_passes)
{
	overstays("pass", "DUNNO");
}

Test(charge, a_store_over_the_deadline_defers)
{
	overstays("defer", "451 4.3.0 temporary failure, try again later");
	has(last_decision(), "action=defer reason=store_failed");
}

static void fails(const char *on_failure, const char *mode, const char *at_rcpt)
{
	char top[100];

	snprintf(top, sizeof(top), "mode: %s\nstore: {url: \"embedded:\", on_failure: %s}", mode, on_failure);
	fixture_start(two_rules, top);
	fixture.store.failed = true;
	is(answer("RCPT"), at_rcpt);
	is(answer("DATA recipient_count=1"), at_rcpt);
	cr_assert(fixture.store.settles == 1 && fixture.store.reserves == 1);
}

Test(charge, a_store_that_fails)
{
	fails("local", "enforce", "DUNNO");
}

Test(charge, a_store_that_fails_defers_where_told)
{
	fails("defer", "enforce", "451 4.3.0 temporary failure, try again later");
}

Test(charge, a_store_that_fails_never_defers_in_monitor_mode)
{
	fails("defer", "monitor", "DUNNO");
}
