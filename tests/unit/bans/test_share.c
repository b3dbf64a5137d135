/* SPDX-License-Identifier: ISC */
/*
 * Strikes of several nodes: a share that keeps what it is asked, and answers when the test says so.
 */
#include <criterion/criterion.h>

#include "tests/unit/bans/support.h"

#define MAX_ASKED 64

static struct {
	struct bans_share share;
	struct store_strikes asked[MAX_ASKED];
	unsigned count;
	bool away;
} s;

static bool on_strike(
	struct bans_share *share, const struct store_strikes *strikes, struct clock_now now)
{
	(void)now;
	cr_assert_eq(share, &s.share);
	if (s.away)
		return false;
	cr_assert(s.count < MAX_ASKED);
	s.asked[s.count++] = *strikes;
	return true;
}

static void start_shared(const char *text)
{
	start(text);
	s.share.strike = on_strike;
	s.count = 0;
	s.away = false;
	bans_set_share(f.bans, &s.share);
}

/* What all nodes saw, in answer to a question. */
static void answer(unsigned index, uint64_t strikes, uint64_t sent, uint64_t bad)
{
	struct store_totals totals = {.count = {strikes, 0, sent, bad, 0}};

	bans_struck(f.bans, &s.asked[index], &totals, f.now);
}

static void recipients(const char *text, unsigned times, bool bad)
{
	struct ip ip = address(text);

	for (unsigned i = 0; i < times; i++)
		bans_note_recipient(f.bans, &ip, bad, f.now);
}

Test(share, the_node_that_hears_of_enough_bans)
{
	start_shared(ENFORCE);
	strike("198.51.100.1", 1);
	cr_assert_eq(s.count, 1);
	cr_expect_eq(s.asked[0].more[0], 1);
	cr_expect_eq(s.asked[0].window_ms[0], HOUR_MS);
	cr_expect_eq(s.asked[0].of, 'a');
	answer(0, 3, 0, 0);
	cr_expect_not(is_banned("198.51.100.1"));
	strike("198.51.100.1", 1);
	cr_expect_eq(s.asked[1].more[0], 1, "only what is new");
	answer(1, 4, 0, 0);
	cr_expect(is_banned("198.51.100.1"));
	cr_expect_str_eq(last(BANS_BANNED)->ban.reason, "ehlo-names");
	cr_expect_eq(last(BANS_BANNED)->count, 4);
	cr_assert_eq(s.count, 3);
	cr_expect(s.asked[2].forget && !s.asked[2].event, "what led to it is used up");
	stop();
}

Test(share, own_strikes_alone_are_no_judgement)
{
	start_shared(ENFORCE);
	strike("198.51.100.1", 9);
	cr_expect_not(is_banned("198.51.100.1"), "nothing was answered yet");
	cr_expect_eq(f.count, 0);
	answer(8, 9, 0, 0);
	cr_expect(is_banned("198.51.100.1"));
	stop();
}

Test(share, what_was_asked_before_a_ban_is_over_with_it)
{
	start_shared(ENFORCE);
	strike("198.51.100.1", 3);
	answer(0, 4, 0, 0);
	cr_expect_eq(find("198.51.100.1")->times, 1);
	answer(1, 5, 0, 0);
	answer(2, 6, 0, 0);
	cr_expect_eq(find("198.51.100.1")->times, 1);
	cr_expect_eq(f.count, 1);
	strike("198.51.100.1", 1);
	answer(4, 4, 0, 0);
	cr_expect_eq(find("198.51.100.1")->times, 2, "new ones count");
	stop();
}

Test(share, judges_alone_while_nobody_can_be_asked)
{
	start_shared(ENFORCE);
	s.away = true;
	strike("198.51.100.1", 3);
	cr_expect_not(is_banned("198.51.100.1"));
	strike("198.51.100.1", 1);
	cr_expect(is_banned("198.51.100.1"));
	strike("198.51.100.2", 2);
	s.away = false;
	strike("198.51.100.2", 1);
	cr_assert_eq(s.count, 1);
	cr_expect_eq(s.asked[0].more[0], 3, "those of the meantime too");
	bans_struck(f.bans, &s.asked[0], NULL, f.now);
	cr_expect_not(is_banned("198.51.100.2"));
	strike("198.51.100.2", 1);
	bans_struck(f.bans, &s.asked[1], NULL, f.now);
	cr_expect(is_banned("198.51.100.2"), "no answer: by what this node saw");
	stop();
}

Test(share, good_recipients_of_all_nodes_speak_for_it)
{
	start_shared(ENFORCE);
	recipients("198.51.100.1", 2, true);
	recipients("198.51.100.1", 1, false);
	cr_assert_eq(s.count, 0, "mail costs nothing");
	strike("198.51.100.1", 1);
	cr_expect_eq(s.asked[0].more[2], 3);
	cr_expect_eq(s.asked[0].more[3], 2);
	answer(0, 4, 100, 79);
	cr_expect_not(is_banned("198.51.100.1"));
	cr_expect_str_eq(last(BANS_SPARED)->why, "bad_share");
	strike("198.51.100.1", 1);
	cr_expect_eq(s.asked[1].more[2], 0);
	answer(1, 5, 100, 80);
	cr_expect(is_banned("198.51.100.1"));
	stop();
}

Test(share, what_is_older_than_the_window_is_not_told)
{
	start_shared(ENFORCE);
	recipients("198.51.100.1", 30, false);
	wait_ms(HOUR_MS - 60 * SECOND_MS);
	recipients("198.51.100.1", 2, false);
	wait_ms(30 * 60 * SECOND_MS);
	strike("198.51.100.1", 1);
	cr_assert_eq(s.count, 1);
	cr_expect_eq(s.asked[0].more[2], 2);
	stop();
}

Test(share, a_ban_of_another_node_uses_up_what_this_one_saw)
{
	struct ban ban = {.network = network("198.51.100.1/32"), .since_wall_ms = WALL_MS,
		.until_wall_ms = WALL_MS + HOUR_MS, .times = 1, .by = "auto", .node = "mx2",
		.reason = "r"};

	start_shared(ENFORCE);
	strike("198.51.100.1", 3);
	cr_expect(bans_restore(f.bans, &ban, f.now));
	answer(2, 4, 0, 0);
	cr_expect_eq(find("198.51.100.1")->times, 1);
	s.away = true;
	strike("198.51.100.1", 3);
	cr_expect_eq(f.count, 0, "three since then, not six");
	stop();
}

Test(share, bans_of_other_nodes_count_for_the_storm)
{
	struct ban ban = {.network = network("203.0.113.0/32"), .since_wall_ms = WALL_MS,
		.until_wall_ms = WALL_MS + HOUR_MS, .times = 1, .by = "auto", .node = "mx2",
		.reason = "r"};

	start_shared("bans: { mode: enforce, ban_at: 1/1h, max_per_minute: 10 }\n");
	for (unsigned i = 0; i < 10; i++) {
		ban.network.ip.bytes[15] = (uint8_t)i;
		cr_assert(bans_restore(f.bans, &ban, f.now));
	}
	cr_expect_not(bans_in_storm(f.bans), "this node does nothing yet");
	strike("198.51.100.1", 1);
	answer(0, 1, 0, 0);
	cr_expect_not(is_banned("198.51.100.1"));
	cr_expect(bans_in_storm(f.bans));
	stop();
}

Test(share, old_bans_of_other_nodes_are_no_storm)
{
	struct ban ban = {.network = network("203.0.113.0/32"), .since_wall_ms = WALL_MS - 61 * SECOND_MS,
		.until_wall_ms = WALL_MS + HOUR_MS, .times = 1, .by = "auto", .node = "mx2",
		.reason = "r"};

	start_shared("bans: { mode: enforce, ban_at: 1/1h, max_per_minute: 10 }\n");
	for (unsigned i = 0; i < 50; i++) {
		ban.network.ip.bytes[15] = (uint8_t)i;
		cr_assert(bans_restore(f.bans, &ban, f.now));
	}
	strike("198.51.100.1", 1);
	answer(0, 1, 0, 0);
	cr_expect(is_banned("198.51.100.1"));
	stop();
}

Test(share, a_ban_of_another_node_doubles_the_next)
{
	struct ban ban = {.network = network("198.51.100.1/32"), .since_wall_ms = WALL_MS - 3 * HOUR_MS,
		.until_wall_ms = WALL_MS - HOUR_MS, .times = 2, .by = "auto", .node = "mx2",
		.reason = "r"};

	start_shared(ENFORCE);
	cr_assert(bans_restore(f.bans, &ban, f.now));
	strike("198.51.100.1", 1);
	answer(0, 4, 0, 0);
	cr_expect_eq(find("198.51.100.1")->times, 3);
	stop();
}

Test(share, failed_and_good_logins)
{
	struct ip ip = address("198.51.100.1"), trusted = address("198.51.100.2");
	struct store_totals totals = {.count = {0, 0, 0, 0, 3}};

	start_shared("bans: { mode: enforce, auth_failures: 3/1h }\n");
	bans_auth_success(f.bans, &trusted, f.now);
	cr_expect_eq(s.count, 0, "there is no log that could show failures");
	configure("bans: { mode: enforce, auth_failures: 3/1h, maillog: \"file:/var/log/mail.log\" }\n");
	bans_auth_failure(f.bans, &ip, f.now);
	cr_expect_eq(s.asked[0].more[4], 1);
	bans_struck(f.bans, &s.asked[0], &totals, f.now);
	cr_expect_str_eq(last(BANS_BANNED)->why, "auth_failures");
	s.count = 0;
	bans_auth_success(f.bans, &trusted, f.now);
	bans_auth_success(f.bans, &trusted, f.now);
	cr_assert_eq(s.count, 1, "told once an hour");
	cr_expect(s.asked[0].good_login && !s.asked[0].event);
	cr_expect_eq(s.asked[0].good_login_ms, DAY_MS);
	wait_ms(HOUR_MS);
	bans_auth_success(f.bans, &trusted, f.now);
	cr_expect_eq(s.count, 2);
	s.count = 0;
	ip = address("198.51.100.3");
	bans_auth_failure(f.bans, &ip, f.now);
	totals.good_login = true;
	bans_struck(f.bans, &s.asked[0], &totals, f.now);
	cr_expect_str_eq(last(BANS_SPARED)->why, "good_login", "another node saw it log in");
	stop();
}

Test(share, logins)
{
	struct store_totals totals = {.count = {5, 0, 0, 0, 0}};

	start_shared("bans: { mode: enforce, login_strikes: 5/1h }\n");
	bans_strike_login(f.bans, SLICE("bob@example.com"), f.now);
	cr_assert_eq(s.count, 1);
	cr_expect_eq(s.asked[0].of, 'l');
	cr_expect_eq(f.count, 0);
	bans_struck(f.bans, &s.asked[0], &totals, f.now);
	cr_expect_str_eq(last(BANS_LOGIN_ALARM)->login, "bob@example.com");
	cr_expect_eq(last(BANS_LOGIN_ALARM)->count, 5);
	bans_struck(f.bans, &s.asked[0], &totals, f.now);
	cr_expect_eq(f.count, 1, "once a window");
	stop();
}
