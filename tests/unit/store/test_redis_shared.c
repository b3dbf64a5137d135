/* SPDX-License-Identifier: ISC */
/*
 * A shared list against every answer that Redis may give, at any time, or not give: on a fake link
 * and a fake clock.
 */
#include "daemon/store/redis/shared.h"

#include <stdio.h>

#include "tests/unit/store/redis_fake.h"

#define WALL FAKE_BEGINS_WALL_MS
#define LATER "1700009999999"
/* A member as others wrote it, 60 seconds ago. */
#define BAN(facts) "1699999940000^0^" LATER "^" facts

static struct shared *shared;
static struct redis_runner *runner;
static unsigned told, gones;
static uint64_t until_ms;
static char facts[64], gone[64];
static bool absurd;

static bool on_put(
	void *arg, struct slice member, struct slice what, uint64_t until_wall_ms, bool sticky)
{
	(void)arg, (void)member, (void)sticky;
	told++;
	until_ms = until_wall_ms;
	snprintf(facts, sizeof(facts), "%.*s", SLICE_ARG(what));
	return !absurd;
}

static void on_gone(void *arg, struct slice member)
{
	(void)arg;
	gones++;
	snprintf(gone, sizeof(gone), "%.*s", SLICE_ARG(member));
}

static const struct shared_events events = {on_put, on_gone};

static void begin(void)
{
	struct shared_options options = {
		.prefix = SLICE("reeve"),
		.word = 'b',
		.timeout_ms = 300,
		.max_members = 10,
		.keep_ms = 1000,
		.events = &events,
	};

	fake_link_setup();
	runner = redis_runner_new(fake.scripts, SCRIPT_LIST_PULL, SCRIPT_LIST_REMOVE);
	shared = shared_new(&options, &fake.port, runner);
	shared_channel(shared, true);
	shared_run(shared, fake.now);
}

static void down(void)
{
	fake_link_down();
	shared_down(shared, fake.now);
}

static void end(void)
{
	down();
	shared_free(&shared);
	redis_runner_free(&runner);
	scripts_free(&fake.scripts);
}

TestSuite(redis_shared, .init = begin, .fini = end);

static void turn(void)
{
	shared_run(shared, fake.now);
	shared_flush(shared);
}

static void pass(uint64_t ms)
{
	fake_pass(ms);
	turn();
}

/* The connection comes up; what was changed goes out, and then everything is asked for. */
static void up(void)
{
	fake.is_up = true;
	redis_runner_up(runner, &fake.port);
	shared_up(shared, fake.now);
	fake_loads();
	turn();
}

static void up_and_empty(void)
{
	up();
	cr_assert(fake_is("pull") && slice_is(fake_key(1), "{reeve}:bv"));
	fake_say("OK T 0 _ 0 0 _");
}

static struct shared_health health(void)
{
	struct shared_health now;

	shared_health(shared, &now);
	return now;
}

static void put(const char *member)
{
	shared_put(
		shared, slice_of(member), SLICE("why"), fake.now.wall_ms + 60000, false, fake.now);
	shared_flush(shared);
}

static void take_off(const char *member)
{
	shared_remove(shared, slice_of(member), fake.now);
	shared_flush(shared);
}

/* ---- what goes out ---- */

Test(redis_shared, changes_made_while_it_is_away_go_out_when_it_is_back)
{
	put("192.0.2.1");
	take_off("192.0.2.2");
	cr_assert(fake_out() == 0 && health().unsent == 2);
	fake.now.wall_ms +=
		5000; /* Redis' clock is five seconds ahead: known with the first answer */
	up();
	cr_assert(fake_is("put") && slice_is(fake_arg(1), "192.0.2.1"));
	cr_assert(slice_is(fake_arg(4), "1700000060000"), "by our clock, for want of another");
	fake_say("OK T");
	cr_assert(fake_is("remove") && slice_is(fake_arg(1), "192.0.2.2"));
	fake_say("OK T");
	cr_assert(health().unsent == 0 && health().members == 1);
}

Test(redis_shared, one_whose_answer_was_lost_goes_out_again)
{
	up_and_empty();
	put("192.0.2.1");
	cr_assert(fake_is("put"));
	down();
	cr_assert(health().unsent == 1);
	up();
	cr_assert(fake_is("put") && fake_out() == 2);
	fake_say("SAME T");
	cr_assert(health().unsent == 0);
}

Test(redis_shared, an_error_waits_a_second)
{
	up_and_empty();
	put("192.0.2.1");
	fake_say_error("OOM command not allowed when used memory > 'maxmemory'.");
	turn();
	cr_assert(fake_out() == 0 && shared_next(shared) == fake.now.mono_ms + 1000);
	put("192.0.2.2");
	cr_assert(fake_out() == 0);
	pass(1000);
	cr_assert(fake_out() == 2 && fake_is("put"));
}

Test(redis_shared, scripts_that_are_not_known_are_sent_whole)
{
	up();
	fake_say_error("NOSCRIPT No matching script. Please use EVAL.");
	turn();
	cr_assert(fake_is("pull") && fake_command(0)->as_text);
	fake_say("OK T 0 _ 0 0 _");
	put("192.0.2.1");
	cr_assert(!fake_command(0)->as_text);
	fake_say_error("NOSCRIPT No matching script. Please use EVAL.");
	turn();
	cr_assert(fake_is("put") && fake_command(0)->as_text);
	fake_say("OK T");
	take_off("192.0.2.1");
	fake_say_error("NOSCRIPT No matching script. Please use EVAL.");
	turn();
	cr_assert(fake_is("remove") && fake_command(0)->as_text);
	fake_say("OK T");
	cr_assert(health().members == 0);
}

Test(redis_shared, changed_again_while_it_is_out)
{
	up_and_empty();
	put("192.0.2.1");
	take_off("192.0.2.1");
	cr_assert(fake_out() == 1 && fake_is("put"));
	fake_say("OK T");
	cr_assert(health().unsent == 1, "the answer was to what it was before");
	turn();
	cr_assert(fake_is("remove"));
	put("192.0.2.1");
	fake_say_error("ERR what");
	pass(1000);
	cr_assert(fake_is("put"));
	fake_say("OK T");
	cr_assert(health().unsent == 0 && health().members == 1);
}

Test(redis_shared, what_others_decided_later_counts)
{
	up_and_empty();
	put("192.0.2.1");
	fake_say("GONE T");
	cr_assert(gones == 1 && health().members == 0);
	cr_assert_str_eq(gone, "192.0.2.1");
	put("192.0.2.2");
	fake_say("KEPT T 17 '" BAN("longer"));
	cr_assert(told == 1 && health().unsent == 0);
	cr_assert_str_eq(facts, "longer");
	put("192.0.2.3");
	fake_say("KEPT T 18 'nonsense");
	cr_assert(told == 1 && health().bad == 1 && health().unsent == 0);
}

Test(redis_shared, too_many_at_once_go_out_one_after_the_other)
{
	char address[32];

	up_and_empty();
	for (int i = 0; i < 100; i++) {
		snprintf(address, sizeof(address), "192.0.2.%d", i);
		put(address);
	}
	cr_assert(fake_out() == 64 && health().unsent == 100);
	while (fake_out()) {
		fake_say("OK T");
		turn();
	}
	cr_assert(health().unsent == 0 && health().members == 100);
}

/* Through an outage of any length, no more than is useful is kept. */
Test(redis_shared, what_is_kept_is_bounded)
{
	char address[32];

	for (int i = 0; i < 3000; i++) {
		snprintf(address, sizeof(address), "192.0.%d.%d", i / 250, i % 250);
		put(address);
	}
	cr_assert(health().members == 2 * 10 + 1000 && health().refused == 3000 - 1020);
	take_off("192.0.0.1");
	cr_assert(health().members == 1020, "what is there can be taken off");
	take_off("198.51.100.1");
	cr_assert(health().refused == 3000 - 1020 + 1);
}

Test(redis_shared, refused_by_the_link)
{
	up_and_empty();
	fake.refuses = true;
	put("192.0.2.1");
	shared_hint(shared, SLICE("b 99"));
	turn();
	fake.refuses = false;
	turn();
	cr_assert(fake_is("put") && fake_out() == 2);
}

/* ---- what comes in ---- */

Test(redis_shared, pages)
{
	up();
	fake_say("OK T 9 '1699 1 5 '4\t192.0.2.1\t" BAN("a") "\n5\t192.0.2.2\t" BAN("b"));
	cr_assert(told == 2 && !health().complete);
	cr_assert(fake_is("pull") && slice_is(fake_arg(1), "5"));
	fake_say("OK T 9 '1699 0 9 '9\t192.0.2.3\t" BAN("c"));
	cr_assert(told == 3 && health().complete && health().version == 9 && fake_out() == 0);
	shared_hint(shared, SLICE("b 9"));
	shared_hint(shared, SLICE("o 10"));
	shared_hint(shared, SLICE("nonsense"));
	turn();
	cr_assert(fake_out() == 0, "that was known, or is not about this list");
	shared_hint(shared, SLICE("b 10"));
	turn();
	cr_assert(fake_is("pull") && slice_is(fake_arg(1), "9"), "only what is new");
	fake_say("OK T 10 '1699 0 10 '10\t192.0.2.1\t");
	cr_assert(gones == 1 && health().members == 2 && health().version == 10);
}

Test(redis_shared, pages_that_are_absurd)
{
	static const char *const lines[] = {
		"x",
		"x\t192.0.2.1\t" BAN("a"),
		"12\t\t" BAN("a"),
		"13\t192.0.2.1\t?",
		"14\t192.0.2.1\t1^2^3^4",
		"15\t192.0.2.1\t1^0^x^a",
		"16\t192.0.2.1\t99999999999999999999^0^inf^a",
		"17\t192.0.2.1\t" BAN("\x01"),
		"18\t192.0^2.1\t" BAN("a"),
	};
	char words[256];

	up();
	fake_say("OK T x '1699 0 0 _");
	turn();
	cr_assert(health().bad == 1 && fake_out() == 0);
	pass(1000);
	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		shared_hint(shared, SLICE("b 99"));
		turn();
		cr_assert(fake_is("pull"));
		snprintf(words, sizeof(words), "OK T 20 '1699 0 20 '%s", lines[i]);
		fake_say(words);
		cr_assert(told == 0 && health().bad == 2 + i && health().members == 0, "%s",
			lines[i]);
	}
	shared_hint(shared, SLICE("b 99"));
	turn();
	fake_say_error("ERR what");
	turn();
	cr_assert(fake_out() == 0 && shared_next(shared) == fake.now.mono_ms + 1000);
}

Test(redis_shared, one_that_our_bans_refuse)
{
	absurd = true;
	up();
	fake_say("OK T 9 '1699 0 9 '9\t0.0.0.0/0\t" BAN("c"));
	cr_assert(told == 1 && health().bad == 1 && health().complete);
}

Test(redis_shared, more_than_there_may_be)
{
	char text[4096] = "OK T 40 '1699 0 40 '", line[128];

	for (int i = 1; i <= 40; i++) {
		snprintf(line, sizeof(line), "%d\t192.0.2.%d\t" BAN("c") "\n", i, i);
		strncat(text, line, sizeof(text) - strlen(text) - 1);
	}
	up();
	fake_say(text);
	cr_assert(told == 20 && health().members == 20 && health().refused == 20);
}

/* A flush, or a master that had not heard of it all: what we know goes there again. */
Test(redis_shared, a_list_that_went_back)
{
	up();
	fake_say("OK T 9 '1699 0 9 '8\t192.0.2.1\t" BAN("a") "\n9\t192.0.2.2\t" BAN("b"));
	shared_hint(shared, SLICE("b 1"));
	turn();
	fake_say(
		"OK T 1 '1700 0 1 _"); /* it began anew: all is read again, and what it lacks is told */
	cr_assert(fake_is("pull") && slice_is(fake_arg(1), "0"));
	fake_say("OK T 1 '1700 0 1 '1\t192.0.2.3\t" BAN("c"));
	cr_assert(told == 3 && gones == 0 && health().lost == 2);
	turn();
	cr_assert(fake_out() == 2 && fake_is("put"));
	fake_say("OK T");
	fake_say("OK T");
	cr_assert(health().members == 3 && health().unsent == 0);
}

/* Away for so long that removals may be forgotten: what is not there was removed. */
Test(redis_shared, away_for_an_hour)
{
	up();
	fake_say("OK T 9 '1699 0 9 '8\t192.0.2.1\t" BAN("a"));
	down();
	pass(3600000);
	up();
	fake_say("OK T 9 '1699 0 9 _");
	cr_assert(gones == 1 && health().members == 0 && health().lost == 0);
}

Test(redis_shared, away_for_a_minute)
{
	up();
	fake_say("OK T 9 '1699 0 9 '8\t192.0.2.1\t" BAN("a"));
	down();
	pass(60000);
	up();
	fake_say("OK T 9 '1699 0 9 _");
	cr_assert(gones == 0 && health().members == 1 && health().lost == 1);
}

Test(redis_shared, no_answer_at_all)
{
	up();
	down();
	up();
	cr_assert(fake_is("pull") && slice_is(fake_arg(1), "0"));
	fake_say("OK T 9 '1699 1 5 '5\t192.0.2.1\t" BAN("a"));
	down(); /* in the middle of it */
	up();
	cr_assert(fake_is("pull") && slice_is(fake_arg(1), "0"), "from the beginning");
	pass(300);
	cr_assert(fake_out() == 1, "one at a time");
	fake_say("OK T 9 '1699 0 9 '5\t192.0.2.1\t" BAN("a"));
	cr_assert(told == 1 && health().complete);
}

Test(redis_shared, without_the_channel_it_is_asked_each_second)
{
	up_and_empty();
	shared_channel(shared, false);
	for (unsigned i = 0; i < 5; i++) {
		turn();
		cr_assert(fake_out() == 1);
		fake_say("OK T 0 _ 0 0 _");
		cr_assert(fake_out() == 0);
		pass(1000);
	}
}

/* ---- clocks ---- */

Test(redis_shared, times_are_translated)
{
	up();
	fake_say("OK 1700000010000 9 '1699 0 9 '9\t192.0.2.1\t" BAN("a"));
	cr_assert(until_ms == WALL + 9999999 - 10000, "Redis is ten seconds ahead");
	put("192.0.2.2");
	cr_assert(slice_is(fake_arg(2), "1700000010000") && slice_is(fake_arg(4), "1700000070000"));
	fake_say("OK 1699999000000"); /* set back: a thousand seconds */
	put("192.0.2.3");
	cr_assert(slice_is(fake_arg(2), "1699999000000"));
	fake_say("OK 18446744073709551615");
	put("192.0.2.4");
	cr_assert(slice_is(fake_arg(2), "1699999000000"), "that is no time");
}

/* Nodes know Redis' clock to within what an answer takes. */
Test(redis_shared, what_is_changed_here_was_seen_here)
{
	up();
	fake_say("OK T 2 '1699 0 2 '1\t192.0.2.1\t1700000000400^0^" LATER "^a\n"
		 "2\t192.0.2.2\t1700000000400^0^" LATER "^a");
	take_off("192.0.2.1");
	cr_assert(slice_is(fake_arg(2), "1700000000401"), "it is later than what it takes off");
	fake_say("OK T");
	put("192.0.2.2");
	cr_assert(slice_is(fake_arg(2), "1700000000401"));
	fake_say("OK T");
}

Test(redis_shared, a_time_far_ahead_is_not_followed)
{
	up();
	fake_say("OK T 1 '1699 0 1 '1\t192.0.2.1\t1700003600000^0^" LATER "^a");
	take_off("192.0.2.1");
	cr_assert(slice_is(fake_arg(2), "1700000000000"));
}

static bool see(
	void *arg, struct slice member, struct slice what, uint64_t until_wall_ms, bool sticky)
{
	(void)arg, (void)member, (void)what, (void)sticky;
	until_ms = until_wall_ms;
	return true;
}

/* One that ended before our clock began is over, and not without end. */
Test(redis_shared, an_end_in_the_dim_past)
{
	up();
	fake_say("OK 1700000010000 9 '1699 0 9 '9\t192.0.2.1\t1699999940000^0^5^a");
	cr_assert(told == 0, "nobody is told");
	until_ms = 1;
	shared_each(shared, see, NULL);
	cr_assert(until_ms == 0, "%llu", (unsigned long long)until_ms);
}
