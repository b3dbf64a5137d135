/* SPDX-License-Identifier: ISC */
/*
 * Queues and driver: waits, wakes, deadlines, bugs of rules, cancelling at every point.
 */
#include <criterion/criterion.h>

#include "tests/unit/engine/fixture.h"

TestSuite(pipeline, .fini = fixture_stop);

Test(pipeline, answers_only_from_run)
{
	struct asked *asked;

	fixture_start("  - {name: a, check: look}", NULL);
	asked = submit("RCPT", 0);
	cr_assert(pipeline_has_ready(fixture.pipeline));
	cr_assert(pipeline_under_way(fixture.pipeline) == 1);
	run();
	is(reply_of(asked), "DUNNO");
	cr_assert(pipeline_under_way(fixture.pipeline) == 0);
	cr_assert(script("a", NULL)->asked == 1 && script("a", NULL)->stepped == 1);
}

Test(pipeline, waits_until_woken_and_steps_again)
{
	struct asked *asked;

	fixture_start("  - {name: a, check: look}\n  - {name: b, check: look}", NULL);
	script("a", "wait wait bad:0:nxdomain");
	asked = ask("RCPT");
	is(reply_of(asked), "(pending)");
	run();
	cr_assert(script("a", NULL)->stepped == 1, "not asked again without a wake");
	wake("a");
	cr_assert(!asked->done, "a wake only marks");
	run();
	is(reply_of(asked), "(pending)");
	wake("a");
	run();
	is(reply_of(asked), "550 5.7.27 s@example.net refused");
	cr_assert(script("b", NULL)->asked == 1, "all questions are asked together");
	cr_assert(script("b", NULL)->stepped == 0, "a refusal ends the run");
	has(last_decision(), "action=reject rule=a reason=nxdomain");
}

Test(pipeline, waking_twice_or_from_inside_is_harmless)
{
	struct asked *asked;

	fixture_start("  - {name: a, check: look}", NULL);
	script("a", "spin spin wait next");
	asked = ask("RCPT");
	is(reply_of(asked), "(pending)");
	cr_assert(script("a", NULL)->stepped == 3);
	waiter_wake(script("a", NULL)->waiter);
	waiter_wake(script("a", NULL)->waiter);
	run();
	is(reply_of(asked), "DUNNO");
	cr_assert(script("a", NULL)->stepped == 4);
}

/* deadline 3 s less store.timeout 300 ms less 200 ms. */
Test(pipeline, last_call_at_the_look_deadline)
{
	struct asked *asked;

	fixture_start("  - {name: a, check: look}\n  - {name: b, check: look}\n"
		      "  - {name: c, check: count}",
		      NULL);
	script("a", "wait");
	script("b", "wait");
	asked = ask("RCPT");
	pass_ms(2499);
	is(reply_of(asked), "(pending)");
	cr_assert(script("a", NULL)->finals == 0);
	pass_ms(1);
	is(reply_of(asked), "DUNNO");
	cr_assert(script("a", NULL)->finals == 1 && script("b", NULL)->finals == 1);
	cr_assert(fixture.store.reserves == 1, "the batch is sent all the same");
	has(last_decision(), "unknown=a:unknown,b:unknown");
	cr_assert(pipeline_expire(fixture.pipeline, fixture.now) == 0);
}

Test(pipeline, on_error_decides_at_the_last_call)
{
	struct asked *first, *second;

	fixture_start("  - {name: a, check: look, on_error: defer}", NULL);
	script("a", "wait");
	first = ask("RCPT");
	pass_ms(2500);
	is(reply_of(first), "451 4.3.0 temporary failure, try again later");
	script("a", "wait unknown:1:odd");
	second = ask("RCPT");
	wake("a");
	run();
	is(reply_of(second), "451 4.4.3 cannot look");
	has(last_decision(), "reason=odd");
	is(fixture.bans_said, "");
}

Test(pipeline, expire_tells_the_next_deadline)
{
	struct asked *first;
	uint64_t start = 1000000;

	fixture_start("  - {name: a, check: look}", NULL);
	script("a", "wait");
	cr_assert(pipeline_expire(fixture.pipeline, fixture.now) == 0);
	first = ask("RCPT");
	cr_assert(pipeline_expire(fixture.pipeline, fixture.now) == start + 2500);
	fixture.now.mono_ms += 100;
	script("a", NULL)->expected = false;
	ask("RCPT");
	cr_assert(pipeline_expire(fixture.pipeline, fixture.now) == start + 2500);
	fixture.now.mono_ms = start + 2500;
	cr_assert(pipeline_expire(fixture.pipeline, fixture.now) == start + 2600);
	run();
	cr_assert(first->done && !fixture.asked[1].done);
}

Test(pipeline, a_rule_that_waits_for_nothing_is_our_bug)
{
	struct pipeline_counts counts;

	fixture_start("  - {name: a, check: look, on_error: defer}\n  - {name: c, check: count}", NULL);
	script("a", "idle");
	is(answer("RCPT"), "DUNNO");
	has(fixture.log_text, "error event=wait_for_nothing rule=a\n");
	pipeline_counts(fixture.pipeline, &counts);
	cr_assert(counts.step_overruns == 1);
	cr_assert(fixture.store.reserves == 0);
}

Test(pipeline, waiting_on_after_the_answer_came_is_seen_too)
{
	struct asked *asked;

	fixture_start("  - {name: a, check: look}", NULL);
	script("a", "wait idle");
	asked = ask("RCPT");
	wake("a");
	run();
	is(reply_of(asked), "DUNNO");
	has(fixture.log_text, "event=wait_for_nothing");
}

/* What another rule asked at the start is no excuse once it has come. */
Test(pipeline, a_question_of_another_rule_counts_while_it_is_out)
{
	struct asked *asked;
	struct waiter *waiter;

	fixture_start("  - {name: a, check: look}", NULL);
	script("a", "wait idle idle");
	asked = ask("RCPT");
	waiter = script("a", NULL)->waiter;
	waiter_expect(waiter);
	wake("a");
	run();
	is(reply_of(asked), "(pending)");
	waiter_forget(waiter);
	waiter_wake(waiter);
	run();
	is(reply_of(asked), "DUNNO");
}

Test(pipeline, a_rule_without_end_is_our_bug)
{
	fixture_start("  - {name: a, check: look}", NULL);
	script("a", "spin");
	is(answer("RCPT"), "DUNNO");
	has(fixture.log_text, "error event=step_overrun rule=a\n");
	cr_assert(script("a", NULL)->stepped == PIPELINE_MAX_STEPS - 1, "the first step asks all");
}

Test(pipeline, requests_end_under_the_rules_they_began_with)
{
	struct asked *old;

	fixture_start("  - {name: a, check: look}", NULL);
	script("a", "wait bad");
	old = ask("RCPT");
	fixture_reload("  - {name: b, check: look, reply: \"550 5.7.1 new\"}", NULL);
	script("b", "bad");
	is(answer("RCPT instance=2.2"), "550 5.7.1 new");
	wake("a");
	run();
	is(reply_of(old), "550 5.7.27 s@example.net refused");
}

Test(pipeline, another_message_on_the_connection_abandons_the_former)
{
	struct hash128 first;

	fixture_start("  - {name: c, check: count}", NULL);
	ask("RCPT instance=1.1");
	first = fixture.peers[0].transaction;
	ask("RCPT instance=1.1 recipient=other@example.com");
	ask("EHLO");
	cr_assert(fixture.store.abandons == 0);
	ask("RCPT instance=2.2");
	cr_assert(fixture.store.abandons == 1);
	cr_assert(hash128_equal(fixture.store.last_abandon, first));
	submit("RCPT instance=3.3", 1);
	run();
	cr_assert(fixture.store.abandons == 1, "another policy connection says nothing");
}

Test(pipeline, a_message_that_charged_nothing_is_not_abandoned)
{
	fixture_start("  - {name: a, check: look}\n  - {name: c, check: count}", NULL);
	script("a", "bad");
	ask("RCPT instance=1.1");
	script("a", "next");
	ask("RCPT instance=2.2");
	cr_assert(fixture.store.abandons == 0, "the store was never asked about it");
	ask("RCPT instance=3.3");
	cr_assert(fixture.store.abandons == 1);
}

/* ---- cancelling ---- */

static const char cancel_rules[] = "  - {name: a, check: look}\n  - {name: c, check: count}";

Test(pipeline, cancel_before_it_ran)
{
	struct asked *asked;

	fixture_start(cancel_rules, NULL);
	asked = submit("RCPT", 0);
	cancel(asked);
	cancel(asked);
	run();
	cr_assert(!asked->done && script("a", NULL)->asked == 0);
}

Test(pipeline, cancel_while_a_rule_waits)
{
	struct asked *asked;

	fixture_start(cancel_rules, NULL);
	script("a", "wait");
	asked = ask("RCPT");
	cancel(asked);
	arena_reset(&asked->arena);
	cr_assert(script("a", NULL)->cancelled == 1);
	pass_ms(5000);
	cr_assert(!asked->done);
}

Test(pipeline, cancel_after_the_wake)
{
	struct asked *asked;

	fixture_start(cancel_rules, NULL);
	script("a", "wait");
	asked = ask("RCPT");
	wake("a");
	cancel(asked);
	arena_release(&asked->arena);
	run();
	cr_assert(!asked->done && script("a", NULL)->stepped == 1);
}

Test(pipeline, cancel_while_the_store_has_the_batch)
{
	struct asked *asked;

	fixture_start(cancel_rules, NULL);
	fixture.store.pending = true;
	asked = ask("RCPT");
	is(reply_of(asked), "(pending)");
	cancel(asked);
	arena_release(&asked->arena);
	cr_assert(fixture.store.forgets == 1);
	fake_store_answer(&fixture.store);
	pass_ms(5000);
	cr_assert(!asked->done);
}

Test(pipeline, cancel_while_the_store_settles)
{
	struct asked *asked;

	fixture_start(cancel_rules, NULL);
	fixture.store.pending = true;
	asked = ask("DATA recipient_count=1");
	cr_assert(fixture.store.settles == 1);
	cancel(asked);
	arena_release(&asked->arena);
	cr_assert(fixture.store.forgets == 1);
	pass_ms(5000);
	cr_assert(!asked->done);
}

Test(pipeline, cancel_after_the_store_answered)
{
	struct asked *asked;

	fixture_start(cancel_rules, NULL);
	fixture.store.pending = true;
	asked = ask("RCPT");
	fake_store_answer(&fixture.store);
	cancel(asked);
	arena_release(&asked->arena);
	run();
	cr_assert(fixture.store.forgets == 0 && !asked->done);
}

Test(pipeline, cancel_one_of_many)
{
	struct asked *asked[3];

	fixture_start(cancel_rules, NULL);
	script("a", "wait wait wait next");
	for (unsigned i = 0; i < 3; i++) {
		script("a", NULL)->expected = false;
		asked[i] = ask("RCPT");
	}
	cancel(asked[1]);
	script("a", NULL)->expected = false;
	pass_ms(2500);
	cr_assert(asked[0]->done && !asked[1]->done && asked[2]->done);
}
