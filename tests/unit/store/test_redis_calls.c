/* SPDX-License-Identifier: ISC */
/*
 * Calls without a socket: order, deadlines, the row of overdue ones, forgetting at any time.
 */
#include "daemon/store/redis/calls.h"

#include <criterion/criterion.h>

struct one {
	struct redis_call call;
	unsigned answered, overdue, number;
};

static struct calls calls;
static unsigned counter;

static void on_answered(struct redis_call *call, const struct redis_reply *reply)
{
	struct one *one = LIST_ENTRY(call, struct one, call);

	(void)reply;
	one->answered++;
	one->number = ++counter;
}

static void on_overdue(struct redis_call *call)
{
	LIST_ENTRY(call, struct one, call)->overdue++;
}

static void add(struct one *one, uint64_t deadline_mono_ms)
{
	one->call.answered = on_answered;
	one->call.overdue = on_overdue;
	calls_add(&calls, &one->call, deadline_mono_ms);
}

static void begin(void)
{
	calls_init(&calls);
	counter = 0;
}

static void end(void)
{
	calls_end(&calls);
	cr_assert(calls.count == 0);
}

TestSuite(redis_calls, .init = begin, .fini = end);

Test(redis_calls, answered_in_order_due_by_deadline)
{
	struct one ones[4] = {0};

	cr_assert(!calls_answer(&calls, NULL, 1));
	cr_assert(calls_next(&calls) == 0);
	add(&ones[0], 500);
	add(&ones[1], 300);
	add(&ones[2], 700);
	add(&ones[3], 300);
	cr_assert(calls_next(&calls) == 300);
	calls_expire(&calls, 299);
	cr_assert(calls.overdue == 0);
	calls_expire(&calls, 300);
	cr_assert(ones[1].overdue == 1 && ones[3].overdue == 1 && ones[0].overdue == 0);
	cr_assert(calls_next(&calls) == 500 && calls.count == 4);
	for (int i = 0; i < 4; i++)
		cr_assert(calls_answer(&calls, NULL, 400));
	for (unsigned i = 0; i < 4; i++)
		cr_assert(ones[i].answered == 1 && ones[i].number == i + 1);
	cr_assert(calls_next(&calls) == 0 && calls.count == 0);
	calls_expire(&calls, 10000);
	cr_assert(ones[0].overdue == 0 && ones[1].overdue == 1);
}

Test(redis_calls, a_reply_in_time_ends_the_row)
{
	struct one ones[5] = {0};

	add(&ones[0], 100);
	add(&ones[1], 100);
	calls_expire(&calls, 100);
	cr_assert(calls.overdue_row == 2);
	cr_assert(calls_answer(&calls, NULL, 150)); /* late */
	cr_assert(calls_answer(&calls, NULL, 150));
	cr_assert(calls.overdue_row == 2);
	add(&ones[2], 400);
	cr_assert(calls_answer(&calls, NULL, 200));
	cr_assert(calls.overdue_row == 0 && calls.overdue == 2);
}

Test(redis_calls, forgotten_before_and_after_it_is_overdue)
{
	struct one before = {0}, early = {0}, late = {0}, after = {0};

	add(&before, 100);
	add(&early, 100);
	add(&late, 100);
	add(&after, 200);
	early.call.writes = true;
	calls_forget(&calls, &early.call);
	cr_assert(!redis_call_is_out(&early.call) && calls.count == 4);
	calls_expire(&calls, 100);
	cr_assert(calls.overdue == 3, "nobody is told of the forgotten one, but it counts");
	calls_forget(&calls, &late.call);
	calls_forget(&calls, &late.call);
	cr_assert(calls_answer(&calls, NULL, 150));
	cr_assert(before.answered == 1);
	cr_assert(calls_oldest_writes(&calls), "its stand-in is as it was");
	cr_assert(calls_answer(&calls, NULL, 150) && calls_answer(&calls, NULL, 150));
	cr_assert(calls_answer(&calls, NULL, 150) && after.answered == 1);
	cr_assert(early.answered == 0 && late.answered == 0 && late.overdue == 1);
}

Test(redis_calls, a_forgotten_one_may_be_sent_again)
{
	struct one one = {0};

	add(&one, 100);
	calls_forget(&calls, &one.call);
	add(&one, 200);
	cr_assert(calls_answer(&calls, NULL, 50) && one.answered == 0);
	cr_assert(calls_answer(&calls, NULL, 50) && one.answered == 1);
}
