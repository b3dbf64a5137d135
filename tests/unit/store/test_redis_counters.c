/* SPDX-License-Identifier: ISC */
/*
 * The node's side of counting, with every answer that Redis may give, at any time, or not give: on a
 * fake link and a fake clock.
 */
#include <stdio.h>

#include "tests/unit/store/redis_fake.h"

TestSuite(redis_counters, .init = fake_setup, .fini = fake_teardown);

static struct fake_op op, other, third;

/* ---- all well ---- */

Test(redis_counters, asks_and_is_answered)
{
	struct store_charge gate = fake_gate("hourly", "anna@example.com", 10);

	fake_ready();
	fake_reserve(&op, 1, 7, gate);
	cr_assert(op.reserve.op.state == STORE_OP_PENDING && op.waiter.expected == 1);
	cr_assert(fake_out() == 1 && fake_is("reserve") && !fake_command(0)->as_text);
	cr_assert(slice_is(fake_key(3), "{reeve}:c:hourly:r:3600000:anna@example.com"));
	cr_assert(fake_number(0) == 1 && fake_number(3) == 0);
	fake_grant(1, 4);
	cr_assert(op.woken == 1 && op.waiter.expected == 0);
	cr_assert(op.reserve.refused == -1 && op.charges[0].outcome == CHARGE_GRANTED);
	cr_assert(op.charges[0].used == 4 && fake_holds(gate) == 1, "its own part");
	fake_reserve(&op, 1, 8, gate);
	cr_assert(fake_number(3) == 1, "it must know what we know");
	fake_say("OK T 1 1 1 3 10 60000 0 28333333");
	cr_assert(op.reserve.refused == 0 && op.charges[0].outcome == CHARGE_OVER);
	cr_assert(op.charges[0].retry_ms == 60000 && fake_holds(gate) == 1);
	cr_assert(fake_health().local == 0 && fake_health().nodes == 3);
}

Test(redis_counters, greets_with_all_in_doubt_and_asserts_it)
{
	struct store_charge gate = fake_gate("hourly", "anna", 10);

	fake_ready();
	fake_granted(gate, 1, 3);
	fake_down();
	fake_ready();
	fake_turn();
	cr_assert(fake_is("assert") && fake_out() == 1);
	fake_say("OK T");
	cr_assert(fake_health().asserted == 1);
	fake_turn();
	cr_assert(fake_health().in_doubt == 0);
}

Test(redis_counters, an_assertion_says_all_that_is_held)
{
	struct store_charge gate = fake_gate("hourly", "anna", 10);

	fake_ready();
	fake_granted(gate, 1, 2);
	fake_pass(60000);
	fake_granted(gate, 2, 3);
	fake_down();
	fake_ready();
	fake_turn();
	cr_assert(fake_is("assert") && fake_number(0) == 1 && fake_number(1) == 60000);
	cr_assert_str_eq(fake_asserts(1), "28333333=2 28333334=3");
}

/* ---- no answer in time ---- */

Test(redis_counters, away_it_is_decided_within_the_call)
{
	struct store_charge gate = fake_gate("hourly", "anna", 3);

	fake_reserve(&op, 1, 7, gate);
	cr_assert(fake_is_local(&op) && op.waiter.expected == 0 && op.charges[0].used == 1);
	cr_assert(fake_health().local == 1 && fake_health().overdue == 0);
}

/* Three nodes, a limit of ten: four of them are ours. */
Test(redis_counters, alone_a_node_has_its_share)
{
	struct store_charge gate = fake_gate("hourly", "anna", 10);

	fake_ready();
	fake_down();
	for (uint64_t i = 1; i <= 4; i++) {
		fake_reserve(&op, i, i, gate);
		cr_assert(fake_is_local(&op) && op.reserve.refused == -1);
	}
	fake_reserve(&op, 5, 5, gate);
	cr_assert(fake_is_local(&op) && op.reserve.refused == 0);
	fake_reserve(&op, 4, 4, gate);
	cr_assert(op.reserve.refused == -1 && fake_holds(gate) == 4, "a repeat");
}

Test(redis_counters, overdue_and_then_late)
{
	struct store_charge gate = fake_gate("hourly", "anna", 10);

	fake_ready();
	fake_reserve(&op, 1, 7, gate);
	fake_pass(299);
	cr_assert(op.woken == 0);
	fake_pass(1);
	cr_assert(op.woken == 1 && fake_is_local(&op) && op.reserve.refused == -1);
	cr_assert(fake_health().overdue == 1 && fake_holds(gate) == 1);
	cr_assert(fake_out() == 2, "nothing is asserted while that command may still change it");
	fake_grant(1, 1);
	cr_assert(op.woken == 1 && fake_holds(gate) == 1, "the answer is late: it is not booked");
	cr_assert(fake_is("unlink"), "Redis forgets the transaction, which is ours now");
	fake_say("1");
	fake_turn();
	cr_assert(fake_is("assert") && strcmp(fake_asserts(1), "28333333=1") == 0);
	fake_say("OK T");
	/* Settled here, and asserted again. */
	fake_settle(&op, 1, 0);
	cr_assert(op.settle.op.state == STORE_OP_DONE && op.settle.refunded == 1);
	fake_turn();
	cr_assert(
		fake_is("assert") && strcmp(fake_asserts(1), "") == 0, "nothing is held any more");
}

Test(redis_counters, the_connection_ends_first)
{
	struct store_charge gate = fake_gate("hourly", "anna", 10);

	fake_ready();
	fake_reserve(&op, 1, 7, gate);
	fake_down();
	cr_assert(op.woken == 1 && fake_is_local(&op) && fake_holds(gate) == 1);
	fake_ready();
	fake_reserve(&other, 1, 7, gate);
	cr_assert(other.reserve.op.state == STORE_OP_DONE && fake_holds(gate) == 1,
		"known here, whoever asks");
	fake_turn();
	cr_assert(fake_is("assert") && strcmp(fake_asserts(1), "28333333=1") == 0);
	cr_assert(fake_out() == 2 && strcmp(fake_command(1)->name, "unlink") == 0);
}

Test(redis_counters, one_more_of_a_local_transaction_is_charged_in_redis)
{
	struct store_charge gate = fake_gate("hourly", "anna", 10);

	fake_reserve(&op, 1, 7, gate);
	fake_ready();
	fake_reserve(&op, 1, 8, gate);
	cr_assert(fake_is("reserve") && fake_number(3) == -1, "without transaction");
	cr_assert_str_eq(fake_asserts(1), "28333333=1", "what we hold goes before it");
	fake_grant(0, 2);
	cr_assert(op.woken == 1 && fake_holds(gate) == 2);
	fake_settle(&op, 1, 1);
	cr_assert(op.settle.op.state == STORE_OP_DONE && op.settle.refunded == 1);
	cr_assert(fake_holds(gate) == 1);
}

Test(redis_counters, nobody_waits_for_what_cannot_be_sent)
{
	struct store_charge gate = fake_gate("hourly", "anna", 10);

	fake_ready();
	fake.refuses = true;
	fake_reserve(&op, 1, 7, gate);
	cr_assert(fake_is_local(&op) && op.waiter.expected == 0);
	fake_usage(&op, gate);
	cr_assert(op.usage.op.state == STORE_OP_DONE && op.usage.used == 1);
	fake_turn(); /* the assertion is refused, too, and waits */
	cr_assert(counters_next(fake.counters) == fake.now.mono_ms + 1000);
	fake.refuses = false;
	fake_pass(1000);
	cr_assert(fake_is("unlink") || fake_is("assert"));
}

Test(redis_counters, a_forgotten_op_is_not_woken)
{
	struct store_charge gate = fake_gate("hourly", "anna", 10);

	fake_ready();
	fake_reserve(&op, 1, 7, gate);
	counters_forget(fake.counters, &op.reserve.op);
	cr_assert(op.waiter.expected == 0);
	fake_pass(300);
	fake_grant(1, 1);
	cr_assert(op.woken == 0 && fake_holds(gate) == 1, "but Redis has counted it");
	fake_down();
	fake_up();
	fake_reserve(&op, 2, 8, gate); /* waits for the greeting */
	cr_assert(op.reserve.op.state == STORE_OP_PENDING);
	counters_forget(fake.counters, &op.reserve.op);
	fake_say("OK T 3 _ 0");
	cr_assert(op.woken == 0 && !fake_is("reserve") && fake_holds(gate) == 1);
}

/* A counter in doubt that a command is about: what else is asked of it waits for the answer. */
Test(redis_counters, in_doubt_and_in_flight_waits)
{
	struct store_charge gate = fake_gate("hourly", "anna", 10);

	fake_ready();
	fake_reserve(&op, 1, 7, gate);
	fake_pass(300); /* overdue: in doubt from now on */
	fake_reserve(&other, 2, 8, gate);
	cr_assert(other.reserve.op.state == STORE_OP_PENDING);
	cr_assert(fake_out() == 2, "the first one, and the transaction that is to be forgotten");
	fake_reserve(&third, 3, 9, fake_gate("hourly", "bert", 10));
	cr_assert(fake_out() == 3, "others do not wait");
	fake_grant(1, 1);
	fake_say("1");
	cr_assert(fake_is("reserve"));
	fake_grant(1, 1);
	cr_assert(third.woken == 1);
	cr_assert(fake_is("reserve") && strcmp(fake_asserts(1), "28333333=1") == 0,
		"what we hold goes before it");
	fake_grant(1, 2);
	cr_assert(other.woken == 1 && other.charges[0].used == 2 && fake_holds(gate) == 2);
}

Test(redis_counters, what_waits_too_long_is_decided_here)
{
	struct store_charge gate = fake_gate("hourly", "anna", 10);

	fake_ready();
	fake_reserve(&op, 1, 7, gate);
	fake_pass(300);
	fake_reserve(&other, 2, 8, gate);
	cr_assert(counters_next(fake.counters) == fake.now.mono_ms + 300);
	fake_pass(300);
	cr_assert(other.woken == 1 && fake_is_local(&other) && fake_holds(gate) == 2);
	fake_grant(1, 1);
	fake_until("assert");
	cr_assert_str_eq(fake_asserts(1), "28333333=2");
}

/* ---- answers that are none ---- */

Test(redis_counters, a_script_that_is_not_known_is_sent_whole)
{
	struct store_charge gate = fake_gate("hourly", "anna", 10);

	fake_ready();
	fake_reserve(&op, 1, 7, gate);
	fake_say_error("NOSCRIPT No matching script. Please use EVAL.");
	cr_assert(op.woken == 0 && fake_is("reserve") && fake_command(0)->as_text);
	fake_grant(1, 1);
	cr_assert(op.woken == 1 && fake_holds(gate) == 1);
}

Test(redis_counters, one_that_is_never_known_is_given_up)
{
	fake_ready();
	fake_reserve(&op, 1, 7, fake_gate("hourly", "anna", 10));
	for (int i = 0; i < 4; i++)
		fake_say_error("NOSCRIPT No matching script. Please use EVAL.");
	cr_assert(op.woken == 1 && fake_is_local(&op));
}

Test(redis_counters, a_fence_that_is_gone)
{
	struct store_charge gate = fake_gate("hourly", "anna", 10);
	char fence[48];

	fake_ready();
	fake_granted(gate, 1, 2);
	fake_reserve(&op, 1, 8, gate);
	fake_say("STALE");
	cr_assert(!counters_are_ready(fake.counters) && op.woken == 0);
	cr_assert(fake_out() == 1 && fake_is("hello") && slice_is(fake_arg(2), "hello"));
	snprintf(fence, sizeof(fence), "%.*s", SLICE_ARG(fake_arg(1)));
	cr_assert(strcmp(strchr(fence, '.'), ".2") == 0, "%s", fence);
	fake_say("OK T 3 _ 0");
	cr_assert(fake_is("reserve") && slice_is(fake_arg(1), fence));
	cr_assert(strcmp(fake_asserts(1), "28333333=2") == 0, "all is asserted");
	fake_grant(3, 3);
	cr_assert(op.woken == 1 && fake_holds(gate) == 3);
}

Test(redis_counters, a_clock_that_stepped)
{
	uint64_t ahead = 3600000;
	char words[64];

	fake_ready();
	fake_reserve(&op, 1, 7, fake_gate("hourly", "anna", 10));
	snprintf(words, sizeof(words), "LATE %llu", (unsigned long long)(fake.now.wall_ms + ahead));
	fake_say(words);
	cr_assert(op.woken == 0 && fake_is("reserve"));
	snprintf(
		words, sizeof(words), "%llu", (unsigned long long)(fake.now.wall_ms + ahead + 300));
	cr_assert(slice_is(fake_arg(2), words), "not after");
	cr_assert(fake_health().clock_offset_ms == (int64_t)ahead);
	fake_grant(1, 1);
	cr_assert(op.woken == 1);
	/* Back again: only a few seconds later, for an answer is never too early. */
	cr_assert(fake_health().clock_offset_ms == (int64_t)ahead);
	fake_pass(6000);
	fake_reserve(&op, 2, 7, fake_gate("hourly", "anna", 10));
	fake_grant(1, 1);
	cr_assert(fake_health().clock_offset_ms == 0);
}

/* Redis has lost a transaction: what this node knows of it counts, and it goes on here. */
Test(redis_counters, a_transaction_that_is_lost)
{
	struct store_charge gate = fake_gate("hourly", "anna", 10);

	fake_ready();
	fake_granted(gate, 1, 2);
	fake_reserve(&op, 1, 8, gate);
	fake_say("LOST T");
	cr_assert(op.woken == 0 && fake_is("reserve") && fake_number(3) == -1);
	fake_grant(0, 3);
	cr_assert(op.woken == 1 && fake_holds(gate) == 3);
	fake_settle(&op, 1, 1);
	cr_assert(op.settle.op.state == STORE_OP_DONE && op.settle.refunded == 2);
	cr_assert(fake_holds(gate) == 1);
}

Test(redis_counters, a_key_of_another_kind)
{
	struct store_charge gate = fake_gate("hourly", "anna", 10);

	fake_ready();
	fake_reserve(&op, 1, 7, gate);
	fake_say("BAD T 1");
	cr_assert(op.woken == 1 && fake_is_local(&op) && fake_holds(gate) == 1);
	cr_assert(fake.bad_keys == 1 && fake_health().bad_keys == 1);
	cr_assert_str_eq(fake.bad_key, "{reeve}:c:hourly:r:3600000:anna");
	fake_reserve(&op, 2, 8, gate);
	cr_assert(fake_is_local(&op), "at once, for the rest of its window");
	fake_usage(&op, gate);
	cr_assert(op.usage.op.state == STORE_OP_DONE && op.usage.used == 2);
	fake_turn();
	cr_assert(!fake_is("assert"), "nor is it written to");
	fake_pass(3600000);
	fake_say("OK T 3 _ 0"); /* drops, in fact: any answer will do */
	fake_reserve(&op, 3, 9, gate);
	cr_assert(op.reserve.op.state == STORE_OP_PENDING);
}

Test(redis_counters, errors_are_decided_here)
{
	static const char *const errors[] = {
		"OOM command not allowed when used memory > 'maxmemory'.",
		"WRONGTYPE Operation against a key holding the wrong kind of value",
		"NOREPLICAS Not enough good replicas to write.",
		"MISCONF Redis is configured to save RDB snapshots",
		"NOPERM this user has no permissions to run the 'evalsha' command",
		"ERR Error running script",
	};
	struct store_charge gate = fake_gate("hourly", "anna", 100);

	fake_ready();
	for (unsigned i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		fake_reserve(&op, i + 1, 7, gate);
		cr_assert(fake_is("reserve"));
		fake_say_error(errors[i]);
		cr_assert(op.woken == 1 && fake_is_local(&op) && op.reserve.refused == -1);
		cr_assert(fake_holds(gate) == i + 1);
	}
	fake_turn();
	cr_assert(fake_is("assert"));
	fake_say_error(errors[0]);
	while (fake_out())
		fake_say_error(errors[0]);
	fake_turn();
	cr_assert(!fake_is("assert"), "not again at once");
	cr_assert(counters_next(fake.counters) == fake.now.mono_ms + 1000);
	fake_pass(1000);
	cr_assert(fake_is("assert"));
	/* What waits for its answer is no work to be done, or the loop would spin. */
	fake_reserve(&op, 20, 7, gate);
	cr_assert(counters_next(fake.counters) > fake.now.mono_ms);
	fake_turn();
	cr_assert(counters_next(fake.counters) > fake.now.mono_ms);
}

/* Too short, of the wrong kind, out of range: none is believed, and none does harm. */
Test(redis_counters, answers_that_are_absurd)
{
	static const char *const answers[] = {
		"OK",
		"OK T",
		"OK T 1 1 0",
		"OK T 1 1 0 1 1 0 0",
		"OK T 1 1 2 1 1 0 0 5",
		"OK T 1 1 0 4 1 0 0 5",
		"WHAT",
		"17",
		"~",
		"KEYS T",
		"BAD T 99",
	};
	struct store_charge gate = fake_gate("hourly", "anna", 1000);

	fake_ready();
	for (unsigned i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		fake_reserve(&op, i + 1, 7, gate);
		while (!fake_is("reserve"))
			fake_say("OK T");
		fake_say(answers[i]);
		cr_assert(op.woken == 1 && fake_is_local(&op), "%s", answers[i]);
		cr_assert(op.reserve.refused == -1 && fake_holds(gate) == i + 1);
	}
	fake_reserve(&op, 100, 7, gate);
	while (!fake_is("reserve"))
		fake_say("OK T");
	fake_say("OK T 1 1 0 1 18446744073709551615 -5 7 18446744073709551615");
	cr_assert(op.woken == 1);
	fake_turn();
}

Test(redis_counters, differences_that_are_absurd)
{
	struct store_charge gate = fake_gate("hourly", "anna", 10);

	fake_ready();
	fake_granted(gate, 1, 2);
	counters_refund(fake.counters, fake_id(1), fake.now);
	cr_assert(fake_is("refund"));
	fake_say("OK T 3 1 2 1 28333333 -9223372036854775808 7 1 1 1 0 9223372036854775807 "
		 "0 0 0 1 28333333 -2");
	cr_assert(fake_holds(gate) == 0);
	cr_assert(fake_health().local == 0);
}

/* ---- settling, giving back ---- */

Test(redis_counters, settles)
{
	struct store_charge gate = fake_gate("hourly", "anna", 10);

	fake_ready();
	fake_granted(gate, 1, 3);
	fake_settle(&op, 1, 2);
	cr_assert(fake_is("settle") && fake_number(1) == 3);
	fake_say("OK T 4 1 0 0 0 0 0 1 1 28333333 -1");
	cr_assert(op.woken == 1 && !op.settle.refused && op.settle.refunded == 1);
	cr_assert(fake_holds(gate) == 2);
	fake_settle(&op, 1, 20);
	fake_say("OK T 5 1 0 1 9 10 60000 2 1 28333333 -2");
	cr_assert(op.settle.refused && op.settle.used == 9 && op.settle.limit == 10);
	cr_assert_str_eq(op.settle.refused_rule, "hourly");
	cr_assert(slice_is(op.settle.refused_key.subject, "anna") && fake_holds(gate) == 0);
	fake_settle(&op, 99, 1);
	fake_say("OK T 0 0 1 0 0 0 0 0");
	cr_assert(op.settle.unknown);
}

/* If Redis forgets it then, its recipients are charged anew. */
Test(redis_counters, a_settlement_that_is_refused_gives_all_back_here_too)
{
	struct store_charge gate = fake_gate("hourly", "anna", 10);

	fake_ready();
	fake_granted(gate, 1, 1);
	fake_settle(&op, 1, 5);
	fake_say("OK T 2 1 0 1 8 10 60000 1 1 28333333 -1");
	cr_assert(op.settle.refused && fake_holds(gate) == 0);
	fake_reserve(&op, 1, 1, gate);
	cr_assert(fake_is("reserve") && fake_number(3) == 2);
	fake_say("LOST T");
	cr_assert(op.woken == 0, "it was given back");
	fake_until("reserve");
	cr_assert(fake_number(3) == -1, "without the transaction, which is ours now");
	fake_grant(0, 9);
	cr_assert(op.woken == 1 && op.charges[0].outcome == CHARGE_GRANTED);
	cr_assert_eq(fake_holds(gate), 1);
}

/* Another node charged it, too, or an earlier run of this one. */
Test(redis_counters, settles_what_others_charged)
{
	struct store_charge anna = fake_gate("hourly", "anna", 10);
	struct store_charge bert = fake_gate("daily", "bert", 10);

	fake_ready();
	fake_granted(anna, 1, 1);
	fake_settle(&op, 1, 1);
	fake_say("KEYS T {reeve}:c:hourly:r:3600000:anna {reeve}:c:daily:r:3600000:bert");
	cr_assert(op.woken == 0 && fake_is("settle") && fake_number(0) == 2);
	fake_say("OK T 4 2 0 0 0 0 0 2 2 28333333 -2");
	cr_assert(op.woken == 1 && op.settle.refunded == 2);
	cr_assert(fake_holds(anna) == 1 && fake_holds(bert) == 0);
	/* What was given back of others' is held against them: asserted, it is below nothing. */
	fake_down();
	fake_ready();
	fake_usage(&op, bert);
	cr_assert(fake_is("look") && strcmp(fake_asserts(1), "28333333=-2") == 0);
	fake_say("OK T 0 0 0");
	cr_assert(op.usage.used == 0);
}

Test(redis_counters, keys_of_strangers_are_not_followed)
{
	fake_ready();
	fake_settle(&op, 1, 1);
	fake_say("KEYS T {other}:c:hourly:r:3600000:anna {reeve}:c:hourly:q:3600000:anna");
	cr_assert(op.woken == 1 && op.settle.unknown, "decided here, where nothing is known");
	for (int i = 0; i < 5; i++) { /* a Redis that never has enough */
		fake_settle(&op, 2, 1);
		while (fake_is("settle"))
			fake_say("KEYS T {reeve}:c:hourly:r:3600000:anna");
		cr_assert(op.woken == 1);
	}
}

Test(redis_counters, settling_without_an_answer)
{
	struct store_charge gate = fake_gate("hourly", "anna", 10);

	fake_ready();
	fake_granted(gate, 1, 3);
	fake_settle(&op, 1, 1);
	fake_pass(300);
	cr_assert(op.woken == 1 && op.settle.refunded == 2 && fake_holds(gate) == 1);
	fake_say("OK T 4 1 0 0 0 0 0 2 1 28333333 -2");
	cr_assert(fake_holds(gate) == 1, "once");
	fake_until("assert");
	cr_assert_str_eq(fake_asserts(1), "28333333=1");
}

Test(redis_counters, giving_back_without_an_answer)
{
	struct store_charge gate = fake_gate("hourly", "anna", 10);

	fake_ready();
	fake_granted(gate, 1, 3);
	counters_refund(fake.counters, fake_id(1), fake.now);
	fake_down();
	cr_assert(fake_holds(gate) == 0);
	fake_ready();
	fake_until("assert");
	cr_assert_str_eq(fake_asserts(1), "");
}

Test(redis_counters, a_refund_that_is_refused)
{
	struct store_charge gate = fake_gate("hourly", "anna", 10);

	fake_ready();
	fake_granted(gate, 1, 3);
	counters_refund(fake.counters, fake_id(1), fake.now);
	fake_say_error("OOM command not allowed when used memory > 'maxmemory'.");
	cr_assert(fake_holds(gate) == 0);
	fake_turn();
	cr_assert(fake_is("assert"));
}

Test(redis_counters, the_next_transaction_ends_the_one_before)
{
	struct store_charge gate = fake_gate("hourly", "anna", 10);

	fake_ready();
	fake_granted(gate, 1, 2);
	counters_abandon(fake.counters, fake_id(1), fake.now);
	cr_assert(fake_is("refund") && fake_number(2) == 1);
	fake_say("OK T 3 1 2 1 28333333 -2");
	cr_assert(fake_holds(gate) == 0);
	fake_pass(TXN_IDLE_MS);
	while (fake_out())
		fake_say("OK T 3 1 0");
	counters_abandon(fake.counters, fake_id(99), fake.now);
	cr_assert(!fake_is("refund"), "nothing can be left of an earlier run");
}

Test(redis_counters, ten_idle_minutes_end_it)
{
	struct store_charge gate = fake_gate("hourly", "anna", 10);

	fake_ready();
	fake_granted(gate, 1, 2);
	fake_pass(TXN_UNSETTLED_MS);
	while (fake_out())
		fake_say("OK T 0");
	counters_tick(fake.counters, fake.now);
	while (!fake_is("refund"))
		fake_say("OK T 3 _ 0");
	cr_assert(fake_number(2) == 2);
	fake_say("OK T 3 1 2 1 28333333 -2");
	cr_assert(fake_holds(gate) == 0);
}

Test(redis_counters, ten_idle_minutes_without_redis)
{
	struct store_charge gate = fake_gate("hourly", "anna", 10);

	fake_reserve(&op, 1, 7, gate);
	fake_pass(TXN_UNSETTLED_MS);
	counters_tick(fake.counters, fake.now);
	cr_assert(fake_holds(gate) == 0);
	cr_assert(fake_health().transactions == 1, "remembered a little longer");
	fake_pass(TXN_IDLE_MS);
	counters_tick(fake.counters, fake.now);
	cr_assert(fake_health().transactions == 0);
}

/* ---- looking, resetting, not counting ---- */

Test(redis_counters, looks)
{
	struct store_charge gate = fake_gate("hourly", "anna", 10);

	fake_ready();
	fake_usage(&op, gate);
	cr_assert(fake_is("look"));
	fake_say("OK T 8 60000 3");
	cr_assert(op.woken == 1 && op.usage.used == 8 && op.usage.free_ms == 60000);
	fake_usage(&op, gate);
	fake_pass(300);
	cr_assert(op.woken == 1 && op.usage.used == 0 && !op.usage.op.failed);
	fake_say("OK T 8 60000 3");
	cr_assert(op.usage.used == 0 && fake_health().local == 0, "a look decides nothing");
}

static void know(const char *rule)
{
	struct store_charge gate = fake_gate(rule, "", 1);

	gate.key.subject = SLICE_EMPTY;
	counters_know(fake.counters, &gate.key);
}

/* So many at once that no answer is too large. */
Test(redis_counters, resets_in_small_pieces)
{
	char rule[16];

	fake_ready();
	for (int i = 0; i < 40; i++) {
		snprintf(rule, sizeof(rule), "rule%d", i);
		know(rule);
	}
	fake_granted(fake_gate("rule0", "anna", 10), 1, 2);
	cr_assert(counters_reset(fake.counters, SLICE("anna"), fake.now) == 1);
	cr_assert(fake_out() == 3 && fake_is("reset") && fake_number(0) == 16);
	fake_say("OK T 1 1 28333333 -5");
	cr_assert(fake_holds(fake_gate("rule0", "anna", 10)) == 0);
	cr_assert(fake_is("reset") && fake_number(0) == 16);
	fake_say("OK T 0");
	cr_assert(fake_is("reset") && fake_number(0) == 8);
	fake_say("OK T 0");
}

Test(redis_counters, a_reset_that_redis_does_not_take_holds_here)
{
	struct store_charge gate = fake_gate("hourly", "anna", 3);

	fake_ready();
	fake_granted(gate, 1, 2);
	cr_assert(counters_reset(fake.counters, SLICE("anna"), fake.now) == 1);
	fake_say_error("OOM command not allowed when used memory > 'maxmemory'.");
	cr_assert(fake_holds(gate) == 0);
	fake_granted(gate, 2, 2);
	cr_assert(counters_reset(fake.counters, SLICE("anna"), fake.now) == 1);
	fake_down();
	cr_assert(fake_holds(gate) == 0);
	fake_reserve(&op, 3, 1, gate);
	cr_assert(counters_reset(fake.counters, SLICE("anna"), fake.now) == 1);
	cr_assert(fake_holds(gate) == 0);
}

Test(redis_counters, where_failing_is_wanted)
{
	struct store_charge gate = fake_gate("hourly", "anna", 10);

	fake.options.fail = true;
	counters_free(&fake.counters);
	fake.counters = counters_new(&fake.options, &fake.port);
	fake_turn();
	fake_reserve(&op, 1, 7, gate);
	cr_assert(op.reserve.op.state == STORE_OP_DONE && op.reserve.op.failed);
	fake_usage(&op, gate);
	cr_assert(!op.usage.op.failed && op.usage.used == 0);
	fake_ready();
	fake_reserve(&op, 1, 7, gate);
	fake_pass(300);
	cr_assert(op.woken == 1 && op.reserve.op.failed && fake_holds(gate) == 0);
	fake_grant(1, 1);
	cr_assert(fake_holds(gate) == 1, "Redis has counted it");
}

/* ---- bounds ---- */

/* While it waited for the greeting, its counter left for others: it is asked with the right name. */
Test(redis_counters, a_counter_that_left_meanwhile)
{
	struct store_charge gate = fake_gate("hourly", "anna", 10);
	char subject[16];

	fake_ready();
	fake_down();
	fake_up();
	fake_reserve(&op, 1, 7, gate);
	fake_usage(&other, gate);
	cr_assert(op.reserve.op.state == STORE_OP_PENDING);
	for (unsigned i = 0; i < 20000; i++) {
		snprintf(subject, sizeof(subject), "s%u", i);
		fake_usage(&third, fake_gate("hourly", subject, 10));
		counters_forget(fake.counters, &third.usage.op);
	}
	cr_assert(fake_health().evictions > 10000);
	fake_say("OK T 3 _ 0");
	cr_assert(fake_is("reserve"));
	cr_assert(slice_is(fake_key(3), "{reeve}:c:hourly:r:3600000:anna"));
	fake_grant(1, 1);
	cr_assert(op.woken == 1 && op.charges[0].used == 1);
	cr_assert(fake_is("look"));
	cr_assert(slice_is(fake_key(2), "{reeve}:c:hourly:r:3600000:anna"));
	fake_say("OK T 1 60000 1");
	cr_assert(other.woken == 1 && other.usage.used == 1);
}

/* ---- the end ---- */

Test(redis_counters, ends_with_calls_out_and_ops_that_wait)
{
	struct store_charge gate = fake_gate("hourly", "anna", 10);

	fake_ready();
	fake_reserve(&op, 1, 7, gate);
	fake_pass(300);
	fake_reserve(&other, 2, 8, gate); /* waits for the first */
	fake_settle(&third, 3, 1);
	counters_refund(fake.counters, fake_id(1), fake.now);
	fake_down();
	cr_assert(op.woken == 1 && other.woken == 1 && third.woken == 1);
}
