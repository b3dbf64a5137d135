/* SPDX-License-Identifier: ISC */
/*
 * Strikes of two nodes added up by a real Redis; and every answer that it may give, on a fake link.
 */
#include "daemon/store/redis/tallies.h"

#include "tests/unit/store/redis_fake.h"
#include "tests/unit/store/redis_nodes.h"

#define HOUR_MS UINT64_C(3600000)
#define WALL_MS UINT64_C(1700000000000)

TestSuite(redis_tallies, .init = nodes_setup, .fini = nodes_teardown);

static struct {
	struct store store[2];
	struct store_watcher watcher;
	struct tallies *tallies[2];
	struct clock_now now;
	unsigned answers, unknown;
	struct store_strikes asked;
	struct store_totals totals;
} t;

static void on_struck(struct store_watcher *watcher, const struct store_strikes *asked,
	const struct store_totals *totals)
{
	(void)watcher;
	t.answers++;
	t.unknown += totals == NULL;
	t.asked = *asked;
	if (totals)
		t.totals = *totals;
}

static void begin(void)
{
	t.now.wall_ms = WALL_MS;
	t.watcher.struck = on_struck;
	for (unsigned i = 0; i < 2; i++) {
		struct node *node = nodes_start();

		t.store[i].watcher = &t.watcher;
		t.tallies[i] = tallies_new(&(struct tallies_options){
			.prefix = SLICE("reeve"),
			.timeout_ms = 5000,
			.given_time = true,
			.store = &t.store[i],
			.port = &node->port,
			.scripts = nodes.scripts,
		});
		NODES_UNTIL(redis_link_is_up(node->link));
		tallies_up(t.tallies[i]);
	}
}

static void end(void)
{
	for (unsigned i = 0; i < 2; i++) {
		nodes_stop(&nodes.node[i]);
		tallies_free(&t.tallies[i]);
	}
}

static struct store_strikes of(uint32_t strikes, uint32_t sent)
{
	return (struct store_strikes){
		.of = 'a',
		.key.bytes = {1, 2, 3},
		.more = {strikes, 0, sent, 0, 0},
		.window_ms = {HOUR_MS, HOUR_MS, HOUR_MS, HOUR_MS, 2 * HOUR_MS},
		.good_login_ms = 24 * HOUR_MS,
		.event = 1,
		.generation = 7,
		.reason = "why",
	};
}

static void add(unsigned node, const struct store_strikes *strikes)
{
	unsigned before = t.answers;

	cr_assert(tallies_add(t.tallies[node], strikes, t.now));
	NODES_UNTIL(strikes->event == 0 || t.answers > before);
}

Test(redis_tallies, nodes_add_up)
{
	struct store_strikes first = of(3, 10), second = of(2, 5);

	begin();
	add(0, &first);
	cr_assert_eq(t.totals.count[0], 3);
	add(1, &second);
	cr_assert_eq(t.totals.count[0], 5);
	cr_assert_eq(t.totals.count[2], 15);
	cr_assert_not(t.totals.good_login);
	cr_assert_eq(t.asked.generation, 7);
	cr_assert_str_eq(t.asked.reason, "why");
	second.key.bytes[0] = 9;
	add(1, &second);
	cr_assert_eq(t.totals.count[0], 2, "another address");
	second.of = 'l';
	add(0, &second);
	cr_assert_eq(t.totals.count[0], 2, "no address at all");
	end();
}

Test(redis_tallies, windows_end)
{
	struct store_strikes strikes = of(3, 0), none = of(0, 0);

	begin();
	strikes.more[4] = 1;
	add(0, &strikes);
	t.now.wall_ms += HOUR_MS / 2;
	add(1, &strikes);
	cr_assert_eq(t.totals.count[0], 6);
	t.now.wall_ms += HOUR_MS / 2;
	add(1, &none);
	cr_assert_eq(t.totals.count[0], 3, "never what is older than the window");
	cr_assert_eq(t.totals.count[4], 2);
	t.now.wall_ms += HOUR_MS;
	add(0, &none);
	cr_assert_eq(t.totals.count[0], 0);
	cr_assert_eq(t.totals.count[4], 1);
	t.now.wall_ms += 2 * HOUR_MS;
	add(0, &none);
	cr_assert_str_eq(
		redis_server_say(nodes.server, "KEYS", "*sa:*", NULL), "", "nothing is left");
	end();
}

Test(redis_tallies, a_ban_uses_them_up)
{
	struct store_strikes strikes = of(3, 10), forget = of(0, 0), one = of(1, 0);

	begin();
	strikes.more[4] = 2;
	add(0, &strikes);
	forget.forget = true;
	forget.event = 0;
	add(1, &forget);
	add(1, &one);
	cr_assert_eq(t.totals.count[0], 1);
	cr_assert_eq(t.totals.count[2], 10, "what it sent, it sent");
	cr_assert_eq(t.totals.count[4], 0);
	cr_assert_eq(t.answers, 2);
	end();
}

Test(redis_tallies, good_logins_are_known_for_their_time)
{
	struct store_strikes good = of(0, 0), one = of(1, 0);

	begin();
	good.good_login = true;
	good.event = 0;
	add(0, &good);
	add(0, &one);
	cr_assert(t.totals.good_login);
	t.now.wall_ms += 24 * HOUR_MS - 1;
	add(1, &one);
	cr_assert(t.totals.good_login);
	t.now.wall_ms += 1;
	add(1, &one);
	cr_assert_not(t.totals.good_login);
	end();
}

Test(redis_tallies, no_answer_is_told_too)
{
	struct store_strikes one = of(1, 0);

	begin();
	add(0, &one);
	redis_server_say(nodes.server, "SCRIPT", "FLUSH", NULL);
	add(0, &one);
	cr_assert_eq(t.unknown, 0, "sent whole");
	cr_assert_eq(t.totals.count[0], 2);
	t.answers = 0;
	redis_server_say(nodes.server, "FLUSHALL", NULL);
	redis_server_say(
		nodes.server, "SET", "{reeve}:sa:01020300000000000000000000000000", "odd", NULL);
	add(0, &one);
	cr_assert_eq(t.unknown, 1, "a key that holds something else");
	for (unsigned i = 0; i < TALLIES_OUT; i++)
		cr_assert(tallies_add(t.tallies[1], &one, t.now));
	cr_assert_not(tallies_add(t.tallies[1], &one, t.now), "enough is under way");
	NODES_UNTIL(t.answers == 1 + TALLIES_OUT);
	end();
	cr_assert_eq(t.answers, 1 + TALLIES_OUT);
}

/* ---- on a fake link ---- */

static void begin_fake(void)
{
	fake_link_setup();
	fake.is_up = true;
	t.now = fake.now;
	t.watcher.struck = on_struck;
	t.store[0].watcher = &t.watcher;
	t.tallies[0] = tallies_new(&(struct tallies_options){
		.prefix = SLICE("reeve"),
		.timeout_ms = 300,
		.store = &t.store[0],
		.port = &fake.port,
		.scripts = fake.scripts,
	});
	tallies_up(t.tallies[0]);
	fake_loads();
}

static void end_fake(void)
{
	fake_link_down();
	tallies_free(&t.tallies[0]);
	scripts_free(&fake.scripts);
}

TestSuite(redis_strikes, .init = begin_fake, .fini = end_fake);

static bool strike(int event)
{
	struct store_strikes strikes = of(1, 1);

	strikes.event = event;
	return tallies_add(t.tallies[0], &strikes, t.now);
}

Test(redis_strikes, totals_are_told)
{
	cr_assert(strike(1) && fake_is("strike"));
	cr_assert(slice_is(fake_key(1), "{reeve}:sa:01020300000000000000000000000000"));
	fake_pass(300); /* late is no harm: nobody waits */
	fake_say("OK T 1 5 0 7 0 0");
	cr_assert(t.answers == 1 && t.unknown == 0 && t.totals.good_login);
	cr_assert(t.totals.count[0] == 5 && t.totals.count[2] == 7 && t.asked.generation == 7);
	cr_assert(strike(0));
	fake_say("OK T 1 5 0 7 0 0");
	cr_assert(t.answers == 1, "nobody asked");
}

Test(redis_strikes, what_is_no_answer)
{
	static const char *const answers[] = {
		"OK",
		"OK T 1 5 0 7 0",
		"OK T x 5 0 7 0 0",
		"OK T 1 5 0 -7 0 0",
		"OK T 1 4294967296 0 7 0 0",
		"NO T 1 5 0 7 0 0",
	};
	unsigned count = sizeof(answers) / sizeof(answers[0]);

	for (unsigned i = 0; i < count; i++) {
		cr_assert(strike(1));
		fake_say(answers[i]);
		cr_assert(t.answers == i + 1 && t.unknown == i + 1, "%s", answers[i]);
	}
	cr_assert(strike(1));
	fake_say_error("OOM command not allowed when used memory > 'maxmemory'.");
	cr_assert(strike(1));
	fake_link_down();
	cr_assert(t.answers == count + 2 && t.unknown == count + 2);
	cr_assert(!strike(1), "away");
}

Test(redis_strikes, a_script_that_is_not_known_is_sent_whole_once)
{
	cr_assert(strike(1) && !fake_command(0)->as_text);
	fake_say_error("NOSCRIPT No matching script. Please use EVAL.");
	cr_assert(t.answers == 0 && fake_is("strike") && fake_command(0)->as_text);
	fake_say_error("NOSCRIPT No matching script. Please use EVAL.");
	cr_assert(t.answers == 1 && t.unknown == 1 && fake_out() == 0);
}

Test(redis_strikes, so_many_at_once)
{
	for (unsigned i = 0; i < TALLIES_OUT; i++)
		cr_assert(strike(1));
	cr_assert(!strike(1));
	fake_say("OK T 1 5 0 7 0 0");
	cr_assert(strike(1), "one is done");
}
