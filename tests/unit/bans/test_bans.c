/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/bans/support.h"

Test(bans, so_many_strikes_in_the_window_ban)
{
	const struct ban *ban;

	start(ENFORCE "store: { node: mx1 }\n");
	strike("198.51.100.7", 3);
	cr_expect_not(is_banned("198.51.100.7"));
	strike("198.51.100.8", 1);
	strike("198.51.100.7", 1);
	ban = find("198.51.100.7");
	cr_assert(ban);
	cr_expect_str_eq(ban->reason, "ehlo-names");
	cr_expect_str_eq(ban->by, "auto");
	cr_expect_str_eq(ban->node, "mx1");
	cr_expect_eq(ban->times, 1);
	cr_expect_eq(ban->since_wall_ms, WALL_MS);
	cr_expect_eq(ban->until_wall_ms, WALL_MS + HOUR_MS);
	cr_expect_not(ban->manual);
	cr_expect_eq(last(BANS_BANNED)->count, 4);
	cr_expect_str_eq(last(BANS_BANNED)->why, "strikes");
	cr_expect_not(is_banned("198.51.100.8"));
	cr_expect_eq(bans_count(f.bans), 1);
	stop();
}

Test(bans, strikes_out_of_the_window_do_not)
{
	start(ENFORCE);
	for (unsigned i = 0; i < 20; i++) {
		strike("198.51.100.7", 1);
		wait_ms(HOUR_MS / 3 + SECOND_MS);
	}
	cr_expect_not(is_banned("198.51.100.7"));
	cr_expect_eq(f.count, 0);
	stop();
}

Test(bans, a_ban_ends_and_the_next_one_doubles_up_to_the_maximum)
{
	static const unsigned hours[] = { 1, 2, 4, 8, 16, 24, 24 };

	start(ENFORCE);
	for (unsigned i = 0; i < 7; i++) {
		const struct ban *ban;

		strike("198.51.100.7", 4);
		ban = find("198.51.100.7");
		cr_assert(ban);
		cr_expect_eq(ban->times, i + 1);
		cr_expect_eq(ban->until_wall_ms - f.now.wall_ms, hours[i] * HOUR_MS);
		wait_ms(hours[i] * HOUR_MS - 1);
		cr_expect(is_banned("198.51.100.7"));
		f.now.wall_ms++;
		cr_expect_not(is_banned("198.51.100.7"), "also before the tick");
		wait_ms(5 * SECOND_MS);
		cr_expect_eq(bans_count(f.bans), 0);
	}
	cr_expect_eq(how_many(BANS_REMOVED), 0);
	cr_expect_eq(how_many(BANS_ENDED), 7);
	cr_expect_str_eq(last(BANS_ENDED)->why, "expired");
	wait_ms(DAY_MS);
	cr_expect_str_eq(last(BANS_REMOVED)->why, "forgotten");
	cr_expect_eq(how_many(BANS_ENDED), 7);
	strike("198.51.100.7", 4);
	cr_expect_eq(find("198.51.100.7")->times, 1, "a day in peace: from the beginning");
	stop();
}

Test(bans, a_strike_while_it_lasts_makes_it_longer)
{
	start(ENFORCE);
	strike("198.51.100.7", 4);
	wait_ms(SECOND_MS);
	strike("198.51.100.7", 3);
	cr_expect_eq(find("198.51.100.7")->times, 1, "strikes begin anew");
	strike("198.51.100.7", 1);
	cr_expect_eq(last(BANS_EXTENDED)->ban.times, 2);
	cr_expect_eq(find("198.51.100.7")->since_wall_ms, WALL_MS);
	cr_expect_eq(find("198.51.100.7")->until_wall_ms, f.now.wall_ms + 2 * HOUR_MS);
	cr_expect_eq(bans_count(f.bans), 1);
	stop();
}

Test(bans, protected_addresses_are_never_banned)
{
	static const char *const texts[] = { "127.0.0.1", "::1", "10.1.2.3", "192.0.2.9", "203.0.113.5",
					     "198.51.100.200", "fe80::1", "::ffff:127.0.0.1" };

	start(ENFORCE "site: { privileged_networks: [192.0.2.0/24], addresses: [203.0.113.5] }\n");
	configure("bans: { mode: enforce, ban_at: 4/1h, never: [198.51.100.128/25], on_disconnect: yes }\n"
		  "site: { privileged_networks: [192.0.2.0/24], addresses: [203.0.113.5] }\n");
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct ip ip = address(texts[i]);

		cr_expect(bans_is_protected(f.bans, &ip), "%s", texts[i]);
		strike(texts[i], 50);
		bans_disconnected(f.bans, &ip, SLICE("x"), f.now);
		for (unsigned j = 0; j < 50; j++)
			bans_auth_failure(f.bans, &ip, f.now);
		cr_expect_not(is_banned(texts[i]), "%s", texts[i]);
	}
	cr_expect_eq(f.count, 0);
	stop();
}

Test(bans, a_network_that_holds_a_protected_address_is_not_banned_for_its_neighbour)
{
	start(ENFORCE "site: { addresses: [\"2001:db8:1:2::25\"] }\n");
	strike("2001:db8:1:2::26", 10);
	cr_expect_not(is_banned("2001:db8:1:2::26"));
	cr_expect_eq(f.count, 0);
	stop();
}

Test(bans, ipv6_counts_and_bans_by_its_prefix)
{
	char text[64];

	start(ENFORCE);
	for (unsigned i = 0; i < 4; i++) {
		snprintf(text, sizeof(text), "2001:db8:1:2::%x", i);
		strike(text, 1);
	}
	cr_expect(is_banned("2001:db8:1:2:ffff::1"));
	cr_expect_not(is_banned("2001:db8:1:3::1"));
	cr_expect_eq(last(BANS_BANNED)->ban.network.bits, 64);
	stop();
	start("bans: { mode: enforce, ban_at: 4/1h, ipv6_prefix: 128 }\n");
	strike("2001:db8:1:2::1", 4);
	cr_expect(is_banned("2001:db8:1:2::1"));
	cr_expect_not(is_banned("2001:db8:1:2::2"));
	stop();
}

Test(bans, eight_networks_of_a_48_ban_it)
{
	char text[64];

	start(ENFORCE);
	for (unsigned i = 0; i < 8; i++) {
		cr_expect_not(is_banned("2001:db8:1:ffff::1"));
		snprintf(text, sizeof(text), "2001:db8:1:%x::1", i);
		strike(text, 4);
	}
	cr_expect(is_banned("2001:db8:1:ffff::1"));
	cr_expect_not(is_banned("2001:db8:2::1"));
	cr_expect_eq(last(BANS_BANNED)->ban.network.bits, 48);
	cr_expect_eq(last(BANS_BANNED)->count, 8);
	strike("2001:db8:1:9::1", 8);
	cr_expect_eq(bans_count(f.bans), 9, "what is covered needs no ban of its own");
	stop();
	start(ENFORCE "site: { addresses: [\"2001:db8:1:ffff::25\"] }\n");
	for (unsigned i = 0; i < 9; i++) {
		snprintf(text, sizeof(text), "2001:db8:1:%x::1", i);
		strike(text, 4);
	}
	cr_expect_eq(bans_count(f.bans), 9);
	cr_expect_not(is_banned("2001:db8:1:fffe::1"), "our own address is in the /48");
	stop();
}

Test(bans, who_sends_mostly_good_mail_is_spared)
{
	struct ip ip = address("198.51.100.7");

	start(ENFORCE);
	for (unsigned i = 0; i < 20; i++)
		bans_note_recipient(f.bans, &ip, i < 4, f.now);
	strike("198.51.100.7", 10);
	cr_expect_not(is_banned("198.51.100.7"));
	cr_expect_str_eq(last(BANS_SPARED)->why, "bad_share");
	cr_expect_str_eq(last(BANS_SPARED)->ban.reason, "ehlo-names");
	cr_expect_eq(f.count, 1, "once an hour");
	wait_ms(30 * 60 * SECOND_MS);
	for (unsigned i = 0; i < 59; i++)
		bans_note_recipient(f.bans, &ip, true, f.now);
	strike("198.51.100.7", 1);
	cr_expect_eq(f.count, 1);
	bans_note_recipient(f.bans, &ip, true, f.now);
	strike("198.51.100.7", 1);
	cr_expect(is_banned("198.51.100.7"), "64 of 80 are bad");
	stop();
}

Test(bans, who_carries_much_of_the_traffic_is_spared)
{
	struct ip ip = address("198.51.100.7");

	start(ENFORCE);
	for (unsigned i = 0; i < 100; i++)
		bans_note_connection(f.bans, &ip, f.now);
	strike("198.51.100.7", 4);
	cr_expect(is_banned("198.51.100.7"), "below a thousand connections nobody can tell");
	stop();
	start(ENFORCE);
	for (unsigned i = 0; i < 1000; i++) {
		struct ip other = { .bytes = { [0] = 0x20, [5] = (uint8_t)(i >> 8), [6] = (uint8_t)i } };

		bans_note_connection(f.bans, i < 51 ? &ip : &other, f.now);
	}
	strike("198.51.100.7", 4);
	cr_expect_not(is_banned("198.51.100.7"));
	cr_expect_str_eq(last(BANS_SPARED)->why, "max_share");
	wait_ms(2 * HOUR_MS);
	strike("198.51.100.7", 4);
	cr_expect(is_banned("198.51.100.7"));
	stop();
}

Test(bans, monitor_only_tells)
{
	start("bans: { ban_at: 4/1h }\n");
	strike("198.51.100.7", 40);
	cr_expect_not(is_banned("198.51.100.7"));
	cr_expect_eq(bans_count(f.bans), 0);
	cr_expect_eq(last(BANS_WOULD_BAN)->count, 4);
	cr_expect_eq(f.count, 1, "once, as long as the ban would last");
	wait_ms(HOUR_MS + 1);
	strike("198.51.100.7", 4);
	cr_expect_eq(how_many(BANS_WOULD_BAN), 2);
	stop();
	start("mode: monitor\n" ENFORCE);
	strike("198.51.100.7", 4);
	cr_expect_eq(last(BANS_WOULD_BAN)->count, 4);
	cr_expect_not(is_banned("198.51.100.7"));
	stop();
}

Test(bans, off_is_off)
{
	struct ip ip = address("198.51.100.7");

	start("bans: { mode: off, on_disconnect: yes }\n");
	strike("198.51.100.7", 100);
	bans_disconnected(f.bans, &ip, SLICE("x"), f.now);
	for (unsigned i = 0; i < 200; i++) {
		bans_auth_failure(f.bans, &ip, f.now);
		bans_strike_login(f.bans, SLICE("a@example.com"), f.now);
	}
	cr_expect_eq(f.count, 0);
	stop();
	start("bans: { mode: enforce, ban_at: off, auth_failures: off, login_strikes: off }\n");
	strike("198.51.100.7", 100);
	bans_auth_failure(f.bans, &ip, f.now);
	bans_strike_login(f.bans, SLICE("a@example.com"), f.now);
	cr_expect_eq(f.count, 0);
	stop();
}

Test(bans, leaving_enforce_lets_automatic_bans_rest)
{
	start(ENFORCE);
	strike("198.51.100.7", 4);
	cr_expect_eq(by_hand("203.0.113.9/32", UINT64_MAX), BANS_ADDED);
	configure("bans: { mode: monitor }\n");
	cr_expect_not(is_banned("198.51.100.7"));
	cr_expect(is_banned("203.0.113.9"));
	configure(ENFORCE);
	cr_expect(is_banned("198.51.100.7"));
	stop();
}

Test(bans, one_bad_connection_is_enough_if_the_postmaster_says_so)
{
	struct ip ip = address("198.51.100.7");

	start(ENFORCE);
	bans_disconnected(f.bans, &ip, SLICE("too many errors"), f.now);
	cr_expect_eq(f.count, 0);
	configure("bans: { mode: enforce, on_disconnect: yes, disconnect_at: 20 }\n");
	bans_disconnected(f.bans, &ip, SLICE("too many errors"), f.now);
	cr_expect_str_eq(last(BANS_BANNED)->why, "disconnect");
	cr_expect_eq(last(BANS_BANNED)->count, 20);
	cr_expect_str_eq(find("198.51.100.7")->reason, "too many errors");
	stop();
}

Test(bans, failed_logins_ban_unless_somebody_there_knows_a_password)
{
	struct ip stranger = address("198.51.100.7"), gateway = address("198.51.100.8");

	start(ENFORCE);
	bans_auth_success(f.bans, &gateway, f.now);
	for (unsigned i = 0; i < 20; i++) {
		cr_expect_not(is_banned("198.51.100.7"));
		bans_auth_failure(f.bans, &stranger, f.now);
		bans_auth_failure(f.bans, &gateway, f.now);
	}
	cr_expect(is_banned("198.51.100.7"));
	cr_expect_str_eq(find("198.51.100.7")->reason, "failed logins");
	cr_expect_eq(how_many(BANS_BANNED), 1);
	cr_expect_str_eq(last(BANS_SPARED)->why, "good_login");
	cr_expect_not(is_banned("198.51.100.8"));
	wait_ms(DAY_MS);
	for (unsigned i = 0; i < 20; i++)
		bans_auth_failure(f.bans, &gateway, f.now);
	cr_expect(is_banned("198.51.100.8"), "trust lasts a day");
	cr_expect_str_eq(last(BANS_BANNED)->why, "auth_failures");
	stop();
}

Test(bans, strikes_of_a_login_alarm_once_a_window)
{
	start("bans: { login_strikes: 5/1h }\n");
	for (unsigned i = 0; i < 20; i++)
		bans_strike_login(f.bans, SLICE("alice@example.com"), f.now);
	for (unsigned i = 0; i < 4; i++)
		bans_strike_login(f.bans, SLICE("bob@example.com"), f.now);
	cr_expect_eq(f.count, 1);
	cr_expect_str_eq(last(BANS_LOGIN_ALARM)->login, "alice@example.com");
	cr_expect_eq(last(BANS_LOGIN_ALARM)->count, 5);
	wait_ms(HOUR_MS);
	for (unsigned i = 0; i < 5; i++)
		bans_strike_login(f.bans, SLICE("alice@example.com"), f.now);
	cr_expect_eq(f.count, 2);
	stop();
}

Test(bans, the_storm_brake_stops_automatic_bans_and_no_others)
{
	char text[64];

	start("bans: { mode: enforce, ban_at: 4/1h, max_per_minute: 10 }\n");
	for (unsigned i = 0; i < 30; i++) {
		snprintf(text, sizeof(text), "198.51.100.%u", i);
		strike(text, 4);
	}
	cr_expect_eq(how_many(BANS_BANNED), 10);
	cr_expect_eq(how_many(BANS_STORM_BEGIN), 1);
	cr_expect(bans_in_storm(f.bans));
	cr_expect_eq(by_hand("203.0.113.9/32", UINT64_MAX), BANS_ADDED);
	wait_ms(59 * SECOND_MS);
	cr_expect(bans_in_storm(f.bans));
	wait_ms(SECOND_MS);
	cr_expect_not(bans_in_storm(f.bans));
	cr_expect_eq(last(BANS_STORM_END)->count, 20);
	strike("198.51.100.200", 4);
	cr_expect(is_banned("198.51.100.200"));
	strike("198.51.100.29", 1);
	cr_expect(is_banned("198.51.100.29"), "its strikes were kept");
	stop();
}

Test(bans, before_it_is_configured_nothing_happens)
{
	struct ip ip = address("198.51.100.7");

	start(NULL);
	bans_note_connection(f.bans, &ip, f.now);
	bans_note_recipient(f.bans, &ip, true, f.now);
	strike("198.51.100.7", 100);
	bans_disconnected(f.bans, &ip, SLICE("x"), f.now);
	bans_auth_failure(f.bans, &ip, f.now);
	bans_auth_success(f.bans, &ip, f.now);
	bans_strike_login(f.bans, SLICE("a"), f.now);
	bans_tick(f.bans, f.now);
	cr_expect_not(is_banned("198.51.100.7"));
	cr_expect_eq(f.count, 0);
	stop();
}

struct hits {
	unsigned count;
	struct bans_hit last;
};

static void keep_hit(void *arg, const struct bans_hit *hit)
{
	struct hits *hits = arg;

	hits->count++;
	hits->last = *hit;
}

static struct hits hits_of(const char *text)
{
	struct hits hits = { .count = 0 };
	struct cidr wanted = network(text);

	bans_each_hit(f.bans, &wanted, f.now, keep_hit, &hits);
	return hits;
}

static void pass(const char *text)
{
	struct ip ip = address(text);

	bans_note_connection(f.bans, &ip, f.now);
	bans_note_passed(f.bans, &ip, f.now);
}

Test(bans, who_sent_good_mail_lately_would_be_hit)
{
	struct ip quiet = address("198.51.100.9");
	struct hits hits;

	start(ENFORCE);
	bans_note_connection(f.bans, &quiet, f.now);
	cr_expect_eq(hits_of("198.51.100.0/24").count, 0);
	pass("198.51.100.7");
	pass("198.51.101.7");
	pass("2001:db8:1:2::7");
	wait_ms(60 * SECOND_MS);
	pass("198.51.100.7");
	wait_ms(60 * SECOND_MS);
	hits = hits_of("198.51.100.0/24");
	cr_expect_eq(hits.count, 1);
	cr_expect_eq(hits.last.connections, 2);
	cr_expect_eq(hits.last.passed_ms, 60 * SECOND_MS);
	cr_expect_eq(hits_of("198.51.0.0/16").count, 2);
	cr_expect_eq(hits_of("2001:db8:1:2:3::/80").count, 1, "its /64 is one stranger");
	cr_expect_eq(hits_of("2001:db8:1:3::/64").count, 0);
	wait_ms(HOUR_MS - 119 * SECOND_MS);
	cr_expect_eq(hits_of("198.51.0.0/16").count, 1, "the hour is over for the other");
	wait_ms(HOUR_MS);
	cr_expect_eq(hits_of("198.51.0.0/16").count, 0);
	stop();
}

Test(bans, nobody_would_be_hit_before_it_is_configured_or_when_it_is_off)
{
	start(NULL);
	cr_expect_eq(hits_of("198.51.100.0/24").count, 0);
	stop();
	start("bans: { mode: off }\n");
	pass("198.51.100.7");
	cr_expect_eq(hits_of("198.51.100.0/24").count, 0);
	stop();
}
