/* SPDX-License-Identifier: ISC */
/*
 * Bans and live limits over several nodes and one real Redis: what one does the others see,
 * through outages, flushes, late messages and what strangers write.
 */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/store/redis_nodes.h"

TestSuite(redis_lists, .init = nodes_setup, .fini = nodes_teardown, .timeout = 60);

static struct node *a, *b, *c;

static void start_three(void)
{
	a = nodes_start();
	b = nodes_start();
	c = nodes_start();
	NODES_UNTIL(node_is_settled(a) && node_is_settled(b) && node_is_settled(c));
	NODES_UNTIL(redis_link_is_up(a->channel) && redis_link_is_up(b->channel) &&
		    redis_link_is_up(c->channel));
}

Test(redis_lists, a_ban_is_everywhere_within_moments)
{
	struct ban ban = node_ban("192.0.2.1", 60000);
	uint64_t begun, took;

	start_three();
	begun = nodes_mono_ms();
	lists_ban_put(a->lists, &ban, nodes_now());
	NODES_UNTIL(node_has(b, "192.0.2.1") && node_has(c, "192.0.2.1"));
	took = nodes_mono_ms() - begun;
	cr_assert(took < 200, "%d ms", (int)took);
	cr_assert(llabs((long long)node_has(b, "192.0.2.1")->until_wall_ms -
			  (long long)ban.until_wall_ms) < 100);
	cr_assert(node_has(b, "192.0.2.1")->times == 1);
	cr_assert_str_eq(node_has(b, "192.0.2.1")->reason, "too many bad recipients");
	cr_assert_str_eq(node_has(b, "192.0.2.1")->by, "auto");
	cr_assert_str_eq(node_has(b, "192.0.2.1")->node, "mx1");
	cr_assert(!node_has(b, "192.0.2.1")->manual);
	cr_assert(a->puts == 0, "its own it knows");
}

Test(redis_lists, a_new_node_reads_all)
{
	char network[32];

	a = nodes_start();
	for (int i = 0; i < 1234; i++) {
		snprintf(network, sizeof(network), "192.%d.%d.1", i / 250, i % 250);
		node_put(a, network, 60000);
	}
	NODES_UNTIL(node_is_settled(a));
	b = nodes_start();
	NODES_UNTIL(node_is_settled(b));
	cr_assert(b->count == 1234 && b->puts == 1234, "%d", (int)b->count);
	cr_assert(node_health(b).pages >= 5 && node_health(b).bad == 0);
}

Test(redis_lists, an_unban_is_everywhere)
{
	start_three();
	node_put(a, "192.0.2.1", 60000);
	NODES_UNTIL(node_has(b, "192.0.2.1") && node_has(c, "192.0.2.1"));
	node_remove(b, "192.0.2.1");
	NODES_UNTIL(!node_has(c, "192.0.2.1") && a->gones == 1);
	NODES_UNTIL(node_is_settled(b));
	cr_assert(node_health(a).members == 0 && node_health(b).members == 0);
}

/* Made before the unban, and sent after it. */
Test(redis_lists, a_late_message_does_not_revive_a_ban)
{
	struct clock_now before;
	struct ban ban = node_ban("192.0.2.1", 60000);

	start_three();
	before = nodes_now();
	node_put(a, "192.0.2.1", 60000);
	NODES_UNTIL(node_has(b, "192.0.2.1"));
	node_remove(b, "192.0.2.1");
	NODES_UNTIL(a->gones == 1 && node_is_settled(b));
	lists_ban_put(c->lists, &ban, before);
	NODES_UNTIL(c->gones == 2 || (c->gones == 1 && node_is_settled(c)));
	NODES_UNTIL(node_is_settled(c));
	cr_assert(node_health(c).members == 0 && node_health(b).members == 0);
	cr_assert_str_eq(redis_server_say(nodes.server, "ZCARD", "{reeve}:b", NULL), "0");
	/* A new one, though, counts. Clocks agree to some milliseconds. */
	before = nodes_now();
	NODES_UNTIL(nodes_now().wall_ms > before.wall_ms + 100);
	node_put(a, "192.0.2.1", 60000);
	NODES_UNTIL(node_has(c, "192.0.2.1") && node_has(b, "192.0.2.1"));
}

Test(redis_lists, of_two_bans_the_longer_counts)
{
	start_three();
	node_put(a, "192.0.2.1", 60000);
	NODES_UNTIL(node_has(b, "192.0.2.1"));
	node_put(b, "192.0.2.1", 30000);
	NODES_UNTIL(node_is_settled(b));
	NODES_UNTIL(node_has(b, "192.0.2.1")->until_wall_ms > nodes_now().wall_ms + 40000);
	node_put(b, "192.0.2.1", 90000);
	NODES_UNTIL(node_has(c, "192.0.2.1")->until_wall_ms > nodes_now().wall_ms + 70000);
}

Test(redis_lists, a_ban_by_hand_counts_more)
{
	struct ban ban = node_ban("192.0.2.1", 20000);

	start_three();
	node_put(a, "192.0.2.1", 60000);
	NODES_UNTIL(node_has(b, "192.0.2.1"));
	ban.manual = true;
	lists_ban_put(b->lists, &ban, nodes_now());
	NODES_UNTIL(node_has(c, "192.0.2.1") && node_has(c, "192.0.2.1")->manual);
	cr_assert(node_has(c, "192.0.2.1")->until_wall_ms < nodes_now().wall_ms + 30000);
	node_put(c, "192.0.2.1", 90000);
	NODES_UNTIL(node_is_settled(c));
	cr_assert(node_has(c, "192.0.2.1")->manual);
	ban.until_wall_ms = UINT64_MAX;
	lists_ban_put(a->lists, &ban, nodes_now());
	NODES_UNTIL(node_has(c, "192.0.2.1")->until_wall_ms == UINT64_MAX);
}

Test(redis_lists, bans_made_during_an_outage_come_after_it)
{
	start_three();
	node_put(a, "192.0.2.1", 60000);
	NODES_UNTIL(node_has(b, "192.0.2.1"));
	redis_server_kill(nodes.server);
	NODES_UNTIL(!redis_link_is_up(a->link) && !redis_link_is_up(b->link));
	node_put(a, "192.0.2.2", 60000);
	node_put(b, "192.0.2.3", 60000);
	node_remove(c, "192.0.2.1");
	cr_assert(node_has(b, "192.0.2.1"), "what is known stays");
	redis_server_again(nodes.server); /* and empty */
	NODES_UNTIL(node_has(c, "192.0.2.2") && node_has(a, "192.0.2.3"));
	NODES_UNTIL(node_is_settled(a) && node_is_settled(b) && node_is_settled(c));
	NODES_UNTIL(!node_has(b, "192.0.2.1"));
	cr_assert_str_eq(redis_server_say(nodes.server, "ZCARD", "{reeve}:b", NULL), "2");
}

/* Frozen, not dead: what was sent into it is done when it thaws, and done once. */
Test(redis_lists, through_a_freeze)
{
	start_three();
	redis_server_freeze(nodes.server);
	node_put(a, "192.0.2.1", 60000);
	NODES_UNTIL(!redis_link_is_up(a->link));
	node_put(a, "192.0.2.2", 60000);
	redis_server_thaw(nodes.server);
	NODES_UNTIL(node_has(b, "192.0.2.1") && node_has(b, "192.0.2.2"));
	NODES_UNTIL(node_is_settled(a));
	cr_assert_str_eq(redis_server_say(nodes.server, "ZCARD", "{reeve}:b", NULL), "2");
}

/* A flush under a living connection: everybody puts back what he has. */
Test(redis_lists, a_flush_loses_nothing)
{
	start_three();
	node_put(a, "192.0.2.1", 60000);
	node_put(b, "192.0.2.2", 60000);
	NODES_UNTIL(node_has(c, "192.0.2.1") && node_has(c, "192.0.2.2"));
	NODES_UNTIL(node_is_settled(a) && node_is_settled(b));
	redis_server_say(nodes.server, "FLUSHALL", NULL);
	node_put(a, "192.0.2.3", 60000); /* its hint shows that the list began anew */
	NODES_UNTIL(node_has(c, "192.0.2.3"));
	NODES_UNTIL(strcmp(redis_server_say(nodes.server, "ZCARD", "{reeve}:b", NULL), "3") == 0);
	cr_assert(c->gones == 0 && b->gones == 0);
	/* A node that comes now finds all three. */
	b = nodes_start();
	NODES_UNTIL(node_is_settled(b));
	cr_assert(b->count == 3);
}

/* While the channel is away it is asked once a second. */
Test(redis_lists, without_the_channel)
{
	start_three();
	redis_server_say(nodes.server, "CLIENT", "KILL", "TYPE", "pubsub", NULL);
	NODES_UNTIL(!redis_link_is_up(b->channel));
	node_put(a, "192.0.2.1", 60000);
	NODES_UNTIL(node_has(b, "192.0.2.1"));
}

Test(redis_lists, hints_of_strangers_do_no_harm)
{
	start_three();
	node_put(a, "192.0.2.1", 60000);
	NODES_UNTIL(node_has(b, "192.0.2.1"));
	redis_server_say(nodes.server, "PUBLISH", "{reeve}:hint", "", NULL);
	redis_server_say(nodes.server, "PUBLISH", "{reeve}:hint", "b", NULL);
	redis_server_say(
		nodes.server, "PUBLISH", "{reeve}:hint", "b 99999999999999999999999", NULL);
	redis_server_say(nodes.server, "PUBLISH", "{reeve}:hint", "+ 0.0.0.0/0 forever", NULL);
	redis_server_say(nodes.server, "PUBLISH", "{reeve}:hint", "b 1", NULL);
	node_put(a, "192.0.2.2", 60000);
	NODES_UNTIL(node_has(b, "192.0.2.2"));
	cr_assert(b->count == 2 && b->gones == 0 && node_health(b).bad == 0);
}

static void stranger(const char *number, const char *member, const char *value)
{
	redis_server_say(nodes.server, "HSET", "{reeve}:bf", member, value, NULL);
	redis_server_say(nodes.server, "ZADD", "{reeve}:bl", number, member, NULL);
	redis_server_say(nodes.server, "HSET", "{reeve}:bv", "v", number, NULL);
	redis_server_say(nodes.server, "PUBLISH", "{reeve}:hint", "b 0", NULL);
}

Test(redis_lists, entries_of_strangers_are_refused)
{
	static char huge[5000];

	memset(huge, 'x', sizeof(huge) - 1);
	start_three();
	node_put(a, "192.0.2.1", 60000);
	NODES_UNTIL(node_has(b, "192.0.2.1"));
	stranger("10", "0.0.0.0/0", "5 0 9000000000000 1 1 3:mx14:autowhy");
	stranger("11", "192.0.2.7/32", "nonsense");
	stranger("12", "192.0.2.8/32", "5 0 9000000000000 1 0 3:mx14:autowhy");
	stranger("13", "192.0.2.9/32", "5 2 9000000000000 1 1 3:mx14:autowhy");
	stranger("14", "192.0.2.10/32", "5 0 -7 1 1 3:mx14:autowhy");
	stranger("15", "192.0.2.11/32", "5 0 9000000000000 1 1 99:mx14:autowhy");
	stranger("16", "not an address", "5 0 9000000000000 1 1 3:mx14:autowhy");
	stranger("17", "192.0.2.12\n18\t192.0.2.13", "5 0 9000000000000 1 1 3:mx14:auto\033[2J");
	stranger("18", "192.0.2.14/32", huge);
	stranger("19", huge, "5 0 9000000000000 1 1 3:mx14:autowhy");
	stranger("20", "192.0.2.16", "5 0 9000000000000 1 1 3:mx14:autowhy");
	stranger("21", "192.0.2.15/32", "5 0 9000000000000 1 1 3:mx14:autowhy");
	NODES_UNTIL(node_has(b, "192.0.2.15"));
	cr_assert(b->count == 2 && b->absurd >= 1);
	cr_assert(node_health(b).bad >= 9, "%d", (int)node_health(b).bad);
	node_put(a, "192.0.2.2", 60000);
	NODES_UNTIL(node_has(b, "192.0.2.2"));
}

Test(redis_lists, a_key_of_another_kind_only_delays)
{
	start_three();
	redis_server_say(nodes.server, "DEL", "{reeve}:bf", NULL);
	redis_server_say(nodes.server, "SET", "{reeve}:bf", "mine", NULL);
	node_put(a, "192.0.2.1", 60000);
	for (int i = 0; i < 50; i++)
		nodes_turn();
	cr_assert(node_health(a).unsent == 1 && redis_link_is_up(a->link));
	redis_server_say(nodes.server, "DEL", "{reeve}:bf", NULL);
	NODES_UNTIL(node_has(b, "192.0.2.1"));
}

Test(redis_lists, scripts_that_were_flushed)
{
	start_three();
	node_put(a, "192.0.2.1", 60000);
	NODES_UNTIL(node_has(b, "192.0.2.1"));
	redis_server_say(nodes.server, "SCRIPT", "FLUSH", NULL);
	node_put(a, "192.0.2.2", 60000);
	NODES_UNTIL(node_has(b, "192.0.2.2"));
}

Test(redis_lists, the_list_is_bounded_and_those_by_hand_stay)
{
	char network[32];

	nodes.max_bans = 20;
	a = nodes_start();
	b = nodes_start();
	for (int i = 0; i < 30; i++) {
		struct ban ban;

		snprintf(network, sizeof(network), "192.0.2.%d", i);
		ban = node_ban(network, 60000 + (uint64_t)i * 1000);
		ban.manual = i < 5;
		lists_ban_put(a->lists, &ban, nodes_now());
	}
	NODES_UNTIL(node_is_settled(a));
	cr_assert_str_eq(redis_server_say(nodes.server, "ZCARD", "{reeve}:b", NULL), "20");
	NODES_UNTIL(node_is_settled(b) && node_has(b, "192.0.2.29"));
	cr_assert(node_has(b, "192.0.2.0") && node_has(b, "192.0.2.4"));
	cr_assert_str_eq(
		redis_server_say(nodes.server, "HEXISTS", "{reeve}:bf", "192.0.2.5", NULL), "0");
}

Test(redis_lists, every_key_has_an_end)
{
	start_three();
	node_put(a, "192.0.2.1", UINT64_MAX);
	node_remove(b, "192.0.2.2");
	NODES_UNTIL(node_is_settled(a) && node_is_settled(b));
	for (int i = 0; i < 5; i++) {
		static const char *const keys[] = {
			"{reeve}:b", "{reeve}:bl", "{reeve}:bf", "{reeve}:bv", "{reeve}:bt"};

		const char *ttl_ms = redis_server_say(nodes.server, "PTTL", keys[i], NULL);

		cr_assert(strtoll(ttl_ms, NULL, 10) > 1000, "%s", keys[i]);
	}
}

/* As the scripts would have put them, but faster. */
static void fill(unsigned count)
{
	char number[16];

	snprintf(number, sizeof(number), "%u", count);
	redis_server_say(nodes.server, "EVAL",
		"for i = 1, tonumber(ARGV[1]) do\n"
		"local member = string.format('10.%d.%d.%d/32', i / 65536, i / 256 % 256, i % 256)\n"
		"redis.call('HSET', KEYS[1], member, '5 0 9000000000000 1700000000000 1 '"
		" .. '3:mx14:autotoo many bad recipients')\n"
		"redis.call('ZADD', KEYS[2], i, member)\n"
		"redis.call('ZADD', KEYS[3], 9000000000000, member)\n"
		"end\n"
		"redis.call('HSET', KEYS[4], 'v', ARGV[1], 'e', '1')",
		"4", "{reeve}:bf", "{reeve}:bl", "{reeve}:b", "{reeve}:bv", number, NULL);
}

Test(redis_lists, a_hundred_thousand)
{
	uint64_t begun;
	long slow;

	fill(100000);
	redis_server_say(nodes.server, "CONFIG", "SET", "slowlog-log-slower-than", "10000", NULL);
	redis_server_say(nodes.server, "SLOWLOG", "RESET", NULL);
	a = nodes_start();
	begun = nodes_mono_ms();
	NODES_UNTIL(node_is_settled(a));
	cr_log_info("read in %d ms, %d pages", (int)(nodes_mono_ms() - begun),
		(int)node_health(a).pages);
	cr_assert(a->puts == 100000 && node_health(a).bad == 0);
	node_put(a, "192.0.2.1", 60000);
	node_remove(a, "10.0.0.1");
	NODES_UNTIL(node_is_settled(a));
	/* A page takes Redis about a millisecond. SLOWLOG goes by the wall clock: on a loaded
	 * machine some waited for the processor, but never most of them. */
	slow = strtol(redis_server_say(nodes.server, "SLOWLOG", "LEN", NULL), NULL, 10);
	cr_assert(slow <= (long)node_health(a).pages / 2, "%ld of %d took more than 10 ms", slow,
		(int)node_health(a).pages);
}

/* ---- live limits ---- */

static struct override limit(const char *rule, const char *subject, uint64_t number)
{
	struct override override = {.by = "root",
		.rates = {{number, 3600000}},
		.rate_count = 1,
		.since_wall_ms = nodes_now().wall_ms,
		.until_wall_ms = UINT64_MAX};

	snprintf(override.rule, sizeof(override.rule), "%s", rule);
	snprintf(override.subject, sizeof(override.subject), "%s", subject);
	return override;
}

static uint64_t limit_of(const struct node *node, const char *rule, const char *subject)
{
	const struct override *override = overrides_find(
		node->store.overrides, slice_of(rule), slice_of(subject), nodes_now().wall_ms);

	return override ? override->rates[0].limit : 0;
}

Test(redis_lists, a_live_limit_is_everywhere)
{
	struct override one = limit("hourly", "anna@example.com", 500);
	struct override odd = limit("hourly", "a b%/\xc3\xa9@example.com", 7);

	start_three();
	cr_assert(lists_override_put(a->lists, &one, nodes_now()));
	cr_assert(lists_override_put(a->lists, &odd, nodes_now()));
	cr_assert(limit_of(a, "hourly", "anna@example.com") == 500, "here at once");
	NODES_UNTIL(limit_of(c, "hourly", "anna@example.com") == 500);
	NODES_UNTIL(limit_of(b, "hourly", "a b%/\xc3\xa9@example.com") == 7);
	one.rates[0].limit = 100;
	cr_assert(lists_override_put(b->lists, &one, nodes_now()));
	NODES_UNTIL(limit_of(a, "hourly", "anna@example.com") == 100 &&
		    limit_of(c, "hourly", "anna@example.com") == 100);
	cr_assert(lists_override_remove(
		c->lists, SLICE("hourly"), SLICE("anna@example.com"), nodes_now()));
	cr_assert(!lists_override_remove(
		c->lists, SLICE("hourly"), SLICE("anna@example.com"), nodes_now()));
	NODES_UNTIL(!limit_of(a, "hourly", "anna@example.com") &&
		    !limit_of(b, "hourly", "anna@example.com"));
}

/* Facts of a stranger do not stand in the way of our own, nor of taking them off. */
Test(redis_lists, facts_without_an_end_are_overwritten)
{
	a = nodes_start();
	redis_server_say(
		nodes.server, "HSET", "{reeve}:bf", "192.0.2.1/32", "9999999999999 1 zzz x", NULL);
	redis_server_say(
		nodes.server, "HSET", "{reeve}:bf", "192.0.2.2/32", "9999999999999 1 zzz x", NULL);
	NODES_UNTIL(node_is_settled(a));
	node_put(a, "192.0.2.1", 60000);
	node_remove(a, "192.0.2.2");
	NODES_UNTIL(node_is_settled(a));
	cr_assert_str_eq(redis_server_say(nodes.server, "HLEN", "{reeve}:bf", NULL), "1");
}
