/* SPDX-License-Identifier: ISC */
/*
 * What the node's side of counting does by itself: greeting, the beat and the lease of its name,
 * asserting what is in doubt, ending what others left. On a fake link and a fake clock.
 */
#include "tests/unit/store/redis_fake.h"

#include <stdio.h>

TestSuite(redis_upkeep, .init = fake_setup, .fini = fake_teardown);

static struct fake_op op;

/* ---- who we are ---- */

Test(redis_upkeep, a_greeting_without_answer_is_waited_for_once)
{
	struct store_charge gate = fake_gate("hourly", "anna", 10);

	fake_up();
	fake_reserve(&op, 1, 7, gate);
	cr_assert(op.reserve.op.state == STORE_OP_PENDING);
	fake_pass(300);
	cr_assert(op.woken == 1 && fake_is_local(&op));
	fake_reserve(&op, 2, 8, gate);
	cr_assert(fake_is_local(&op), "nobody else waits for it");
	fake_say("OK T 3 _ 0");
	cr_assert(counters_are_ready(fake.counters));
}

Test(redis_upkeep, a_greeting_that_is_refused_is_tried_again)
{
	fake_up();
	fake_reserve(&op, 1, 7, fake_gate("hourly", "anna", 10));
	fake_say_error("OOM command not allowed when used memory > 'maxmemory'.");
	cr_assert(op.woken == 1 && fake_is_local(&op) && fake_out() == 0);
	cr_assert(counters_next(fake.counters) == fake.now.mono_ms + 250);
	fake_pass(250);
	cr_assert(fake_is("hello"));
	fake_say("OK T 3 _ 0");
	cr_assert(counters_are_ready(fake.counters));
}

Test(redis_upkeep, a_greeting_that_is_not_known_is_sent_whole)
{
	fake_up();
	fake_say_error("NOSCRIPT No matching script. Please use EVAL.");
	cr_assert(fake_is("load"), "all of them, again");
	while (fake_is("load"))
		fake_say_text("0000000000000000000000000000000000000000");
	cr_assert(fake_is("hello") && fake_command(0)->as_text);
	fake_say("OK T 3 _ 0");
	cr_assert(counters_are_ready(fake.counters));
}

/* Whatever it says, it is asked four times a second and not without end. */
Test(redis_upkeep, a_redis_that_never_lets_us_begin)
{
	static const char *const answers[] = {"STALE", "WHAT", "17", "~"};

	fake_up();
	for (unsigned i = 0; i < 20; i++) {
		unsigned rounds = 0;

		for (; fake_out(); rounds++) {
			if (fake_is("load"))
				fake_say_error("NOSCRIPT no");
			else if (i % 5 == 4)
				fake_say_error("NOSCRIPT no");
			else
				fake_say(answers[i % 5]);
			cr_assert(rounds < 2 * SCRIPTS + 4, "it goes round and round");
		}
		cr_assert(!counters_are_ready(fake.counters));
		fake_pass(249);
		cr_assert(fake_out() == 0);
		fake_pass(1);
	}
}

static void beat(const char *words)
{
	fake_pass(1000);
	while (fake_out())
		fake_say("OK T");
	counters_tick(fake.counters, fake.now);
	cr_assert(fake_is("hello") && slice_is(fake_arg(2), "beat"));
	fake_say(words);
}

/* A lease that grows is renewed by somebody; one that runs out was left by an earlier run. */
Test(redis_upkeep, a_name_that_is_taken)
{
	fake_up();
	fake_say("OK T 3 feedfacefeedface 4000");
	cr_assert(counters_are_ready(fake.counters) && fake.taken_names == 0);
	beat("OK T 3 feedfacefeedface 3000");
	beat("OK T 3 feedfacefeedface 2000");
	cr_assert(fake.taken_names == 0);
	beat("OK T 3 feedfacefeedface 5000");
	cr_assert(fake.taken_names == 1);
}

Test(redis_upkeep, a_name_that_an_earlier_run_held)
{
	fake_up();
	fake_say("OK T 3 feedfacefeedface 4000");
	beat("OK T 3 feedfacefeedface 3000");
	beat("OK T 3 _ 0");
	beat("OK T 3 deadbeefdeadbeef 5000");
	beat("OK T 3 deadbeefdeadbeef 4000");
	cr_assert(fake.taken_names == 0);
}

/* A key without an end is nobody's lease: it stays as it is for ever. */
Test(redis_upkeep, a_name_that_is_no_lease)
{
	fake_up();
	fake_say("OK T 3 feedfacefeedface -1");
	for (int i = 0; i < 5; i++)
		beat("OK T 3 feedfacefeedface -1");
	cr_assert(fake.taken_names == 0);
}

Test(redis_upkeep, a_beat_that_finds_us_forgotten)
{
	fake_ready();
	beat("STALE");
	cr_assert(fake_is("hello") && slice_is(fake_arg(2), "hello"));
	fake_say("OK T 3 _ 0");
	cr_assert(counters_are_ready(fake.counters) && fake_health().greetings == 2);
}

Test(redis_upkeep, services_of_others_are_learned)
{
	struct store_charge gate = fake_gate("hourly", "anna", 10);

	fake.options.settle = LEDGER_SETTLE_AUTO;
	counters_free(&fake.counters);
	fake.counters = counters_new(&fake.options, &fake.port);
	fake_turn();
	fake_up();
	fake_say("OK T 3 _ 0 nonsense '1;2 @25 #1699999999000,0 @26 x");
	fake_granted(gate, 1, 2);
	counters_abandon(fake.counters, fake_id(1), fake.now);
	cr_assert(fake_is("refund"), "service 25 settles");
}

/* ---- what is in doubt ---- */

Test(redis_upkeep, many_in_doubt_are_asserted_a_few_at_a_time)
{
	char subject[16];
	unsigned asserted = 0;

	for (unsigned i = 0; i < 500; i++) {
		snprintf(subject, sizeof(subject), "s%u", i);
		fake_reserve(&op, i + 1, 7, fake_gate("hourly", subject, 10));
	}
	fake_ready();
	fake_turn();
	for (unsigned rounds = 0; asserted < 500; rounds++) {
		unsigned asserts = 0;

		cr_assert(rounds < 200);
		for (unsigned i = 0; fake_command(i); i++)
			asserts += strcmp(fake_command(i)->name, "assert") == 0;
		cr_assert(asserts <= 4);
		while (fake_out()) {
			bool is_assert = fake_is("assert");

			fake_say("OK T");
			asserted += is_assert ? 16 : 0;
		}
		fake_turn();
	}
	cr_assert(fake_health().asserted == 500);
	fake_turn();
	cr_assert(fake_health().in_doubt == 0);
}

/* ---- transactions whose node is gone ---- */

#define OTHERS_FIRST_MS 3000
#define SEEK_MS (4 * 60 * 1000)

Test(redis_upkeep, seeks_what_others_left)
{
	fake_ready();
	fake_pass(SEEK_MS - 1);
	cr_assert(!fake_is("seek"));
	fake_pass(1);
	cr_assert(fake_is("seek") && slice_is(fake_key(2), "{reeve}:x"));
	cr_assert(slice_is(fake_arg(4), "0"));
	fake_say("OK T '4711 {reeve}:x:00000000000000010000000000000002 {reeve}:x:short "
		 "{other}:x:00000000000000010000000000000002");
	cr_assert(fake_out() == 1 && fake_is("refund") && fake_number(2) == 2);
	fake_say("OK T 1 1 1");
	cr_assert(counters_next(fake.counters) == fake.now.mono_ms + 5);
	fake_pass(5);
	cr_assert(fake_is("seek") && slice_is(fake_arg(4), "4711"));
	fake_say("OK T 0");
	fake_pass(1000);
	cr_assert(!fake_is("seek"), "that was all");
	fake_pass(SEEK_MS);
	cr_assert(fake_is("seek"));
	fake_down(); /* from the beginning, another time */
	fake_ready();
	fake_pass(SEEK_MS);
	while (!fake_is("seek"))
		fake_say("OK T");
	cr_assert(slice_is(fake_arg(4), "0"));
	fake_say("OK T ______________________________________________");
	fake.refuses = true;
	fake_pass(SEEK_MS);
	fake.refuses = false;
	cr_assert(counters_next(fake.counters) > fake.now.mono_ms);
}

/* ---- giving back what others charged ---- */

/* Redis names the counters of transaction 5, which this node has never seen. */
static void give_back_as(int64_t number)
{
	fake_until("refund");
	cr_assert(fake_number(2) == 0 && fake_number(4) == number, "%d", (int)fake_number(4));
	if (fake_number(0) == 0)
		fake_say("KEYS T {reeve}:c:hourly:r:3600000:anna");
	cr_assert(fake_is("refund") && fake_number(0) == 1 && fake_number(4) == number);
}

static void holds(const char *values)
{
	fake_turn();
	fake_until("assert");
	cr_assert_str_eq(fake_asserts(1), values);
	fake_say("OK T");
}

/* Who charged it may have given it back without Redis, and must say so before us. */
static void others_are_first(void)
{
	fake_pass(OTHERS_FIRST_MS - 1);
	for (; fake_out(); fake_say("OK T"))
		cr_assert(!fake_is("refund"), "too early");
	fake_pass(1);
}

Test(redis_upkeep, gives_back_what_others_charged)
{
	fake_ready();
	counters_refund(fake.counters, fake_id(5), fake.now);
	give_back_as(1);
	fake_say("OK T 3 1 2 1 28333333 -2");
	holds("28333333=-2");
	counters_refund(fake.counters, fake_id(6), fake.now);
	give_back_as(2);
}

/* The answer is lost, and Redis may have done it: the same again, until it says what it took. */
Test(redis_upkeep, gives_it_back_once_whatever_becomes_of_the_answer)
{
	fake_ready();
	counters_refund(fake.counters, fake_id(5), fake.now);
	give_back_as(1);
	fake_down();
	fake_pass(5000);
	fake_ready();
	others_are_first();
	give_back_as(1);
	fake_say_error("OOM command not allowed when used memory > 'maxmemory'.");
	while (fake_out())
		fake_say("OK T");
	fake_turn();
	cr_assert(!fake_is("refund"), "not at once");
	fake_pass(999);
	cr_assert(!fake_is("refund"));
	fake_pass(1);
	give_back_as(1);
	fake_say("OK T 3 1 0 1 28333333 -2");
	holds("28333333=-2");
	fake_pass(5000);
	cr_assert(!fake_is("refund"), "that was it");
}

Test(redis_upkeep, what_cannot_be_given_back_yet_is_kept_for_a_while)
{
	for (uint64_t i = 1; i <= 5000; i++)
		counters_refund(fake.counters, fake_id(i), fake.now);
	fake_pass(1000);
	fake_up();
	fake_say("OK T 3 _ 0");
	others_are_first();
	for (unsigned rounds = 0, count = 0; count < 4096; rounds++) {
		cr_assert(rounds < 10000, "%u", count);
		if (!fake_out())
			fake_turn();
		count += fake_is("refund");
		if (fake_out())
			fake_say("OK T 0 0 0");
	}
	fake_turn();
	cr_assert(!fake_is("refund"), "no more than so many");
	fake_down();
	counters_refund(fake.counters, fake_id(1), fake.now);
	fake_ready();
	fake.refuses = true;
	fake_pass(OTHERS_FIRST_MS);
	fake.refuses = false;
	fake_down();
	fake_pass(TXN_IDLE_MS);
	fake_ready();
	fake_pass(OTHERS_FIRST_MS);
	fake_until("refund"); /* it is tried a last time */
	fake_say_error("ERR");
	fake_pass(1000);
	cr_assert(!fake_is("refund"), "Redis has forgotten that transaction by now");
}
