/* SPDX-License-Identifier: ISC */
/*
 * The end of a message that Redis granted this node: only Redis knows whether another node has settled
 * it, so it is asked, also later and again, and until it has said so the charge stands.
 */
#include "tests/unit/store/redis_fake.h"

#define OTHERS_FIRST_MS 3000

TestSuite(redis_ends, .init = fake_setup, .fini = fake_teardown);

static struct fake_op op;
static struct store_charge gate;

static void granted(void)
{
	gate = fake_gate("hourly", "anna", 100);
	fake_ready();
	fake_granted(gate, 1, 2);
}

static void over(void)
{
	counters_abandon(fake.counters, fake_id(1), fake.now);
}

/* Everything that comes within so long is answered, and none of it is this question. */
static void nothing_asked(uint64_t ms)
{
	fake_pass(ms);
	for (; fake_out(); fake_say("OK T"))
		cr_assert(!fake_is("refund"));
}

static void back(void)
{
	fake_ready();
	fake_pass(OTHERS_FIRST_MS);
	fake_until("refund");
}

Test(redis_ends, without_redis_it_stands_until_redis_is_asked)
{
	granted();
	fake_down();
	over();
	cr_assert(fake_holds(gate) == 2);
	back();
	cr_assert(fake_number(1) == 2 && fake_number(2) == 1 && fake_number(4) == 1);
	fake_say("OK T 3 1 2 1 28333333 -2");
	cr_assert(fake_holds(gate) == 0);
	nothing_asked(5000);
}

Test(redis_ends, what_another_node_settled_stands)
{
	granted();
	fake_down();
	over();
	back();
	fake_say("OK T 3 1 0");
	cr_assert(fake_holds(gate) == 2);
	nothing_asked(5000);
	cr_assert(fake_holds(gate) == 2);
}

/* Not answered, or refused: the same number again, and what it took is asserted once more. */
Test(redis_ends, an_answer_that_is_lost)
{
	granted();
	over();
	cr_assert(fake_is("refund") && fake_number(4) == 1);
	fake_down();
	cr_assert(fake_holds(gate) == 2);
	back();
	cr_assert(fake_number(4) == 1);
	fake_say_error("OOM command not allowed when used memory > 'maxmemory'.");
	cr_assert(fake_holds(gate) == 2);
	fake_pass(1000);
	fake_until("refund");
	cr_assert(fake_number(4) == 1);
	fake_say("OK T 3 1 0 1 28333333 -2");
	cr_assert(fake_holds(gate) == 0);
	fake_turn();
	fake_until("assert");
	cr_assert_str_eq(fake_asserts(1), "");
}

Test(redis_ends, an_answer_at_once_needs_no_assertion)
{
	granted();
	over();
	fake_say("OK T 3 1 2 1 28333333 -2");
	fake_turn();
	cr_assert(fake_holds(gate) == 0 && !fake_is("assert"));
}

Test(redis_ends, it_is_asked_once)
{
	granted();
	fake_down();
	over();
	over();
	fake_pass(TXN_UNSETTLED_MS);
	counters_tick(fake.counters, fake.now);
	cr_assert(fake_holds(gate) == 2);
	back();
	fake_say("OK T 3 1 2 1 28333333 -2");
	nothing_asked(5000);
}

Test(redis_ends, ten_idle_minutes_without_redis_are_asked_about)
{
	granted();
	fake_down();
	fake_pass(TXN_UNSETTLED_MS);
	counters_tick(fake.counters, fake.now);
	cr_assert(fake_holds(gate) == 2);
	back();
	cr_assert(fake_number(2) == 2);
	fake_say("OK T 3 1 0");
	cr_assert(fake_holds(gate) == 2);
}

/* Postfix asks again in the same message, while Redis is away: it goes on here, and ends here. */
Test(redis_ends, used_again_without_redis)
{
	granted();
	fake_down();
	over();
	fake_reserve(&op, 1, 9, gate);
	cr_assert(fake_holds(gate) == 3);
	fake_ready();
	nothing_asked(OTHERS_FIRST_MS);
	nothing_asked(5000);
	over();
	cr_assert(fake_holds(gate) == 0);
}

/* The same while the question is out. */
Test(redis_ends, used_again_while_it_is_asked)
{
	granted();
	over();
	fake_reserve(&op, 1, 9, gate);
	fake_pass(300);
	cr_assert(fake_is_local(&op));
	fake_down();
	fake_ready();
	nothing_asked(OTHERS_FIRST_MS);
	cr_assert(fake_holds(gate) == 3);
}

Test(redis_ends, redis_has_forgotten_what_was_used_a_moment_ago)
{
	granted();
	over();
	fake_say("LOST T");
	cr_assert(fake_holds(gate) == 0);
	nothing_asked(5000);
}

Test(redis_ends, redis_has_forgotten_what_was_used_long_ago)
{
	granted();
	fake_down();
	over();
	fake_pass(TXN_ENDED_MS);
	back();
	fake_say("LOST T");
	cr_assert(fake_holds(gate) == 2);
	over();
	nothing_asked(5000);
}

/* Redis has forgotten it, and it went on here meanwhile. */
Test(redis_ends, forgotten_and_used_again)
{
	granted();
	over();
	fake_reserve(&op, 1, 9, gate);
	fake_pass(300);
	fake_say("LOST T");
	cr_assert(fake_holds(gate) == 3);
}

Test(redis_ends, no_answer_for_a_quarter_of_an_hour)
{
	granted();
	fake_down();
	over();
	fake_pass(TXN_IDLE_MS);
	back(); /* a last time */
	fake_say_error("ERR");
	nothing_asked(1000);
	nothing_asked(5000);
	cr_assert(fake_holds(gate) == 2);
}

Test(redis_ends, no_room_for_the_question)
{
	granted();
	fake_down();
	for (uint64_t i = 100; i < 100 + 4096; i++)
		counters_refund(fake.counters, fake_id(i), fake.now);
	over();
	cr_assert(fake_holds(gate) == 2);
	fake_ready();
	fake_pass(OTHERS_FIRST_MS);
	for (; fake_out(); fake_say("OK T 0 0 0"))
		cr_assert(!fake_is("refund") || fake_number(1) == 0);
	cr_assert(fake_holds(gate) == 2);
	over(); /* there is room again */
	cr_assert(fake_is("refund") && fake_number(1) == 2);
}
