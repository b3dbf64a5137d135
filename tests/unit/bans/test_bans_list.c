/* SPDX-License-Identifier: ISC */
/*
 * Bans by hand, from the store, and what a reload or a full list does to them.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/bans/support.h"

Test(bans, by_hand)
{
	struct cidr one = network("198.51.100.7/32"), wide4 = network("198.50.0.0/15"),
		    wide6 = network("2001:d00::/24"), all = network("::/0"), half = network("198.51.0.0/16"),
		    local = network("10.0.0.0/16");
	const struct ban *ban;

	start(ENFORCE);
	cr_expect_eq(bans_add(f.bans, &wide4, 0, SLICE("me"), SLICE("x"), true, f.now), BANS_ADD_TOO_WIDE);
	cr_expect_eq(bans_add(f.bans, &wide6, 0, SLICE("me"), SLICE("x"), true, f.now), BANS_ADD_TOO_WIDE);
	cr_expect_eq(bans_add(f.bans, &all, 0, SLICE("me"), SLICE("x"), true, f.now), BANS_ADD_TOO_WIDE);
	cr_expect_eq(bans_add(f.bans, &local, 0, SLICE("me"), SLICE("x"), false, f.now), BANS_ADD_PROTECTED);
	cr_expect_eq(f.count, 0);
	cr_expect_eq(bans_add(f.bans, &half, UINT64_MAX, SLICE("alice"), SLICE("sp\nam\xff"), false, f.now),
		     BANS_ADDED);
	ban = find("198.51.77.1");
	cr_assert(ban);
	cr_expect(ban->manual);
	cr_expect_str_eq(ban->by, "alice");
	cr_expect_str_eq(ban->reason, "sp?am?");
	cr_expect_str_eq(last(BANS_BANNED)->why, "by_hand");
	strike("198.51.100.7", 50);
	cr_expect_eq(bans_count(f.bans), 1, "it is covered");
	cr_expect_eq(bans_add(f.bans, &half, f.now.wall_ms + HOUR_MS, SLICE("bob"), SLICE("less"), false, f.now),
		     BANS_ADDED);
	cr_expect_str_eq(last(BANS_EXTENDED)->ban.by, "bob");
	cr_expect_eq(bans_add(f.bans, &local, UINT64_MAX, SLICE("me"), SLICE("x"), true, f.now), BANS_ADDED);
	cr_expect(is_banned("10.0.5.5"));
	cr_expect_not(bans_remove(f.bans, &one, f.now));
	cr_expect(bans_remove(f.bans, &local, f.now));
	cr_expect_str_eq(last(BANS_REMOVED)->why, "removed");
	cr_expect_not(is_banned("10.0.5.5"));
	wait_ms(HOUR_MS);
	cr_expect_str_eq(last(BANS_REMOVED)->why, "expired");
	cr_expect_eq(bans_count(f.bans), 0);
	stop();
}

Test(bans, taking_a_ban_off_forgets_that_it_was_there)
{
	struct cidr one = network("198.51.100.7/32");

	start(ENFORCE);
	strike("198.51.100.7", 4);
	cr_expect(bans_remove(f.bans, &one, f.now));
	strike("198.51.100.7", 3);
	cr_expect_not(is_banned("198.51.100.7"));
	strike("198.51.100.7", 1);
	cr_expect_eq(find("198.51.100.7")->times, 1);
	stop();
}

Test(bans, when_full_the_soonest_to_end_leaves)
{
	start("bans: { mode: enforce, ban_at: 4/1h, max_entries: 3 }\n");
	cr_expect_eq(by_hand("203.0.113.9/32", f.now.wall_ms + SECOND_MS), BANS_ADDED);
	strike("198.51.100.1", 4);
	wait_ms(1);
	strike("198.51.100.2", 4);
	wait_ms(1);
	strike("198.51.100.3", 4);
	cr_expect_not(is_banned("198.51.100.1"));
	cr_expect(is_banned("198.51.100.2") && is_banned("198.51.100.3") && is_banned("203.0.113.9"));
	cr_expect_str_eq(f.events[f.count - 2].why, "full");
	cr_expect_eq(by_hand("203.0.113.10/32", UINT64_MAX), BANS_ADDED);
	cr_expect_eq(by_hand("203.0.113.11/32", UINT64_MAX), BANS_ADDED);
	cr_expect_eq(by_hand("203.0.113.12/32", UINT64_MAX), BANS_ADD_FULL);
	strike("198.51.100.4", 4);
	cr_expect_not(is_banned("198.51.100.4"));
	cr_expect_eq(bans_count(f.bans), 3);
	configure("bans: { mode: enforce, ban_at: 4/1h, max_entries: 1 }\n");
	cr_expect_eq(bans_count(f.bans), 3, "by hand stays");
	stop();
}

Test(bans, a_reload_ends_automatic_bans_of_what_is_now_protected)
{
	start(ENFORCE);
	strike("198.51.100.7", 4);
	strike("203.0.113.5", 4);
	cr_expect_eq(by_hand("198.51.100.9/32", UINT64_MAX), BANS_ADDED);
	configure(ENFORCE "site: { privileged_networks: [198.51.100.0/24] }\n");
	cr_expect_not(is_banned("198.51.100.7"));
	cr_expect_str_eq(last(BANS_REMOVED)->why, "protected");
	cr_expect(is_banned("203.0.113.5"));
	cr_expect(is_banned("198.51.100.9"));
	stop();
}

static bool restore(const char *text, uint64_t since, uint64_t until, bool manual, uint32_t times)
{
	struct ban ban = { .network = network(text), .since_wall_ms = since, .until_wall_ms = until,
			   .manual = manual, .times = times, .by = "auto", .node = "mx1", .reason = "r" };

	return bans_restore(f.bans, &ban, f.now);
}

Test(bans, restoring)
{
	struct ban odd = { .network = { address("198.51.100.7"), 120 }, .until_wall_ms = WALL_MS + 1 };

	start(ENFORCE);
	cr_expect(restore("198.51.100.1/32", WALL_MS - 1, WALL_MS + HOUR_MS, false, 3));
	cr_expect(is_banned("198.51.100.1"));
	cr_expect(restore("198.51.100.2/32", WALL_MS - 5 * HOUR_MS, WALL_MS - HOUR_MS, false, 3), "a former one");
	cr_expect_not(is_banned("198.51.100.2"));
	strike("198.51.100.2", 4);
	cr_expect_eq(find("198.51.100.2")->times, 4);
	cr_expect_eq(find("198.51.100.2")->until_wall_ms, WALL_MS + 8 * HOUR_MS);
	cr_expect(restore("198.51.100.3/32", WALL_MS, WALL_MS + 90 * DAY_MS, false, 1));
	cr_expect_eq(find("198.51.100.3")->until_wall_ms, WALL_MS + DAY_MS, "no longer than the longest");
	cr_expect(restore("198.51.0.0/16", WALL_MS, UINT64_MAX, true, 0));
	cr_expect_not(restore("198.51.100.4/32", WALL_MS - 9 * DAY_MS, WALL_MS - 3 * DAY_MS, false, 1), "too old");
	cr_expect_not(restore("198.51.100.4/32", WALL_MS - 9, WALL_MS - 3, true, 1), "over");
	cr_expect_not(restore("198.51.100.4/32", WALL_MS, UINT64_MAX, false, 1), "automatic for ever");
	cr_expect_not(restore("198.51.100.4/32", WALL_MS + 5, WALL_MS + 2, false, 1));
	cr_expect_not(restore("10.0.0.1/32", WALL_MS, WALL_MS + HOUR_MS, false, 1), "protected");
	cr_expect_not(restore("0.0.0.0/0", WALL_MS, WALL_MS + HOUR_MS, true, 1));
	cr_expect_not(bans_restore(f.bans, &odd, f.now), "host bits");
	odd.network = network("198.51.100.4/32");
	memset(odd.reason, 'x', sizeof(odd.reason));
	cr_expect_not(bans_restore(f.bans, &odd, f.now), "no end of text");
	odd.reason[0] = '\n';
	odd.reason[1] = '\0';
	cr_expect_not(bans_restore(f.bans, &odd, f.now), "control byte");
	odd.reason[0] = '\0';
	odd.network.bits = 200;
	cr_expect_not(bans_restore(f.bans, &odd, f.now));
	cr_expect_eq(how_many(BANS_BANNED), 1, "only the one that was made here");
	stop();
}

/* Another node took it off, and has told the store. */
Test(bans, forgetting_is_silent)
{
	struct cidr listed = network("198.51.100.1/32"), unknown = network("198.51.100.9/32");
	size_t before;

	start(ENFORCE);
	strike("198.51.100.1", 4);
	cr_expect(is_banned("198.51.100.1"));
	before = f.count;
	bans_forget(f.bans, &listed);
	bans_forget(f.bans, &unknown);
	cr_expect_not(is_banned("198.51.100.1"));
	cr_expect_eq(f.count, before, "no event");
	cr_expect_not(bans_remove(f.bans, &listed, f.now));
	strike("198.51.100.1", 4);
	cr_expect_eq(find("198.51.100.1")->times, 1, "it does not count toward the next");
	stop();
}

static void collect(void *arg, const struct ban *ban)
{
	uint64_t *sum = arg;

	*sum += ban->network.ip.bytes[15];
}

Test(bans, each_shows_the_live_ones)
{
	uint64_t sum = 0;

	start(ENFORCE);
	strike("198.51.100.1", 4);
	wait_ms(HOUR_MS);
	strike("198.51.100.2", 4);
	strike("198.51.100.4", 4);
	bans_each(f.bans, collect, &sum);
	cr_expect_eq(sum, 6);
	cr_expect_eq(bans_count(f.bans), 2);
	stop();
}
