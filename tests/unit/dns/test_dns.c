/* SPDX-License-Identifier: ISC */
/*
 * The service over a backend that the test plays by hand.
 */
#include "daemon/dns/dns.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/dns/hand.h"

TestSuite(dns, .init = hand_setup, .fini = hand_teardown);

Test(dns, an_answer_comes_late_and_then_from_the_cache)
{
	struct asker a = { .woken = 0 }, b = { .woken = 0 };
	const struct dns_answer *answer;

	cr_assert_null(hand_ask(&a, DNS_A, "a.test"));
	cr_assert_null(hand_ask(&a, DNS_A, "a.test"));
	cr_assert_eq(hand.asked, 1);
	hand_answer_a(0, 60);
	cr_assert_eq(a.woken, 1);
	answer = hand_ask(&a, DNS_A, "a.test");
	cr_assert_eq(answer->status, DNS_FOUND);
	cr_assert_eq(answer->count, 1);
	cr_assert_eq(hand_ask(&b, DNS_A, "a.test"), answer);
	cr_assert_eq(b.woken, 0);
	cr_assert_eq(hand.asked, 1);
	cr_assert_eq(hand_health().cache_hits, 1);
	dns_cancel(&a.query);
	dns_cancel(&b.query);
}

Test(dns, equal_questions_are_asked_once)
{
	struct asker askers[50] = { { .woken = 0 } };
	struct asker other = { .woken = 0 };

	for (unsigned i = 0; i < 50; i++)
		cr_assert_null(hand_ask(&askers[i], DNS_MX, i % 2 ? "A.Test." : "a.test"));
	cr_assert_null(hand_ask(&other, DNS_A, "a.test"));
	cr_assert_eq(hand.count, 2);
	cr_assert_str_eq(hand.out[0].name, "a.test");
	hand_answer_negative(0, 3, 60);
	for (unsigned i = 0; i < 50; i++) {
		cr_assert_eq(askers[i].woken, 1);
		cr_assert_eq(hand_ask(&askers[i], DNS_MX, "a.test")->status, DNS_NXDOMAIN);
		dns_cancel(&askers[i].query);
	}
	cr_assert_eq(other.woken, 0);
	dns_cancel(&other.query);
}

Test(dns, cancel_is_silent_in_every_state)
{
	struct asker never = { .woken = 0 }, waiting = { .woken = 0 }, stays = { .woken = 0 };
	struct asker answered = { .woken = 0 };

	dns_cancel(&never.query);
	cr_assert_null(hand_ask(&waiting, DNS_A, "a.test"));
	cr_assert_null(hand_ask(&stays, DNS_A, "a.test"));
	dns_cancel(&waiting.query);
	dns_cancel(&waiting.query);
	hand_answer_a(0, 60);
	cr_assert_eq(waiting.woken, 0);
	cr_assert_eq(stays.woken, 1);
	dns_cancel(&stays.query);
	cr_assert_eq(hand_ask(&answered, DNS_A, "a.test")->status, DNS_FOUND);
	dns_cancel(&answered.query);
	/* Used again. */
	cr_assert_null(hand_ask(&answered, DNS_A, "b.test"));
	dns_cancel(&answered.query);
}

Test(dns, a_flight_without_waiters_fills_the_cache)
{
	cr_assert_eq(hand_status_of("a.test"), -1);
	hand_answer_a(0, 60);
	cr_assert_eq(hand_status_of("a.test"), DNS_FOUND);
	cr_assert_eq(hand.asked, 1);
}

Test(dns, an_answer_lives_as_long_as_its_query)
{
	struct asker a = { .woken = 0 };
	const struct dns_answer *answer;

	dns_free(&hand.dns);
	hand_start(1, 1000);
	cr_assert_null(hand_ask(&a, DNS_MX, "a.test"));
	message_start(&hand.message, "a.test", TYPE_MX, 0);
	message_mx(&hand.message, "a.test", 60, 10, "mx.a.test");
	dns_flight_done(hand_take(0), DNS_UNKNOWN, hand.message.bytes, hand.message.len);
	answer = hand_ask(&a, DNS_MX, "a.test");
	cr_assert_eq(hand_status_of("b.test"), -1);
	hand_answer_a(0, 60);
	cr_assert_eq(hand_health().cached, 1);
	cr_assert_eq(hand_status_of("b.test"), DNS_FOUND);
	cr_assert(slice_is(answer->records[0].name, "mx.a.test"));
	dns_cancel(&a.query);
}

Test(dns, a_backend_that_answers_at_once)
{
	struct asker a = { .woken = 0 };

	hand.at_once = true;
	cr_assert_eq(hand_ask(&a, DNS_A, "a.test")->status, DNS_NXDOMAIN);
	cr_assert_eq(a.woken, 0);
	dns_cancel(&a.query);
	cr_assert_eq(hand_status_of("a.test"), DNS_NXDOMAIN);
	cr_assert_eq(hand.asked, 1);
}

Test(dns, malformed_names_are_unknown_and_never_asked)
{
	static const char *const bad[] = {"", ".", "..", "a..test", ".a.test", "a.test..",
		"a b.test", "a\\.test", "a*.test", "\xc3\xa4.test", "a/b.test", "[192.0.2.1]",
		"a@b.test"};
	char long_name[300];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(hand_status_of(bad[i]), DNS_UNKNOWN, "%s", bad[i]);
	memset(long_name, 'a', sizeof(long_name));
	for (size_t i = 50; i < sizeof(long_name); i += 51)
		long_name[i] = '.';
	long_name[254] = '\0';
	cr_assert_eq(hand_status_of(long_name), DNS_UNKNOWN);
	cr_assert_eq(hand.asked, 0);
	long_name[253] = '\0';
	cr_assert_eq(hand_status_of(long_name), -1);
	cr_assert_eq(
		hand_status_of(
			"a123456789b123456789c123456789d123456789e123456789f123456789abcd.test"),
		DNS_UNKNOWN);
	cr_assert_eq(
		hand_status_of(
			"a123456789b123456789c123456789d123456789e123456789f123456789abc.test"),
		-1);
	cr_assert_eq(hand_status_of("_dmarc.a-b.xn--nxasmq6b"), -1);
	cr_assert_eq(hand.asked, 3);
}

Test(dns, too_much_in_flight_is_unknown_and_not_cached)
{
	dns_free(&hand.dns);
	hand_start(100, 3);
	cr_assert_eq(hand_status_of("a.test"), -1);
	cr_assert_eq(hand_status_of("b.test"), -1);
	cr_assert_eq(hand_status_of("c.test"), -1);
	cr_assert_eq(hand_status_of("d.test"), DNS_UNKNOWN);
	cr_assert_eq(hand_status_of("a.test"), -1);
	hand_answer_a(0, 60);
	cr_assert_eq(hand_status_of("d.test"), -1);
	cr_assert_eq(hand_health().in_flight, 3);
}

Test(dns, a_flight_ends_in_time_and_its_late_answer_is_kept)
{
	struct asker a = { .woken = 0 };

	cr_assert_null(hand_ask(&a, DNS_A, "a.test"));
	cr_assert_eq(dns_expire(hand.dns), hand.now_ms + 1500);
	hand_at(hand.now_ms + 1499);
	cr_assert_eq(dns_expire(hand.dns), hand.now_ms + 1);
	cr_assert_eq(a.woken, 0);
	hand_at(hand.now_ms + 1);
	cr_assert_eq(dns_expire(hand.dns), 0);
	cr_assert_eq(a.woken, 1);
	cr_assert_eq(hand_ask(&a, DNS_A, "a.test")->status, DNS_UNKNOWN);
	cr_assert_eq(hand_status_of("a.test"), DNS_UNKNOWN);
	cr_assert_eq(hand_health().in_flight, 1);
	hand_answer_a(0, 60);
	cr_assert_eq(a.woken, 1);
	cr_assert_eq(hand_ask(&a, DNS_A, "a.test")->status, DNS_UNKNOWN);
	cr_assert_eq(hand_status_of("a.test"), DNS_FOUND);
	dns_cancel(&a.query);
	cr_assert_eq(hand_health().in_flight, 0);
}

Test(dns, an_overdue_flight_is_joined)
{
	struct asker a = { .woken = 0 };

	cr_assert_eq(hand_status_of("a.test"), -1);
	hand_at(hand.now_ms + 1500);
	(void)dns_expire(hand.dns);
	hand_at(hand.now_ms + 4999);
	cr_assert_eq(hand_status_of("a.test"), DNS_UNKNOWN);
	hand_at(hand.now_ms + 1);
	cr_assert_null(hand_ask(&a, DNS_A, "a.test"));
	cr_assert_eq(hand.asked, 1);
	hand_at(hand.now_ms + 1000);
	cr_assert_eq(dns_expire(hand.dns), hand.now_ms + 500);
	hand_answer_a(0, 60);
	cr_assert_eq(a.woken, 1);
	cr_assert_eq(hand_ask(&a, DNS_A, "a.test")->status, DNS_FOUND);
	dns_cancel(&a.query);
}

Test(dns, an_overdue_flight_that_never_was_answered)
{
	cr_assert_eq(hand_status_of("a.test"), -1);
	hand_at(hand.now_ms + 1500);
	(void)dns_expire(hand.dns);
	hand_at(hand.now_ms + 4000);
	hand_answer_nothing(0);
	/* Said 4 s ago, not again now. */
	hand_at(hand.now_ms + 1000);
	cr_assert_eq(hand_status_of("a.test"), -1);
}

/* When does a cached answer go? To the second. */
static uint64_t lifetime_s(const char *name)
{
	uint64_t from_ms = hand.now_ms;

	for (uint64_t s = 1; s <= 4000; s++) {
		hand_at(from_ms + s * 1000 - 1);
		cr_assert_neq(hand_status_of(name), -1);
		hand_at(from_ms + s * 1000);
		if (hand_status_of(name) == -1)
			return s;
	}
	return 0;
}

Test(dns, positive_ttl_from_a_second_to_an_hour)
{
	static const struct {
		uint32_t ttl_s;
		uint64_t lifetime_s;
	} cases[] = {{0, 1}, {1, 1}, {300, 300}, {3600, 3600}, {86400, 3600}, {0x80000000, 1}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char name[64];

		snprintf(name, sizeof(name), "a%zu.test", i);
		cr_assert_eq(hand_status_of(name), -1);
		hand_answer_a(hand.count - 1, cases[i].ttl_s);
		cr_assert_eq(lifetime_s(name), cases[i].lifetime_s);
	}
}

Test(dns, negative_ttl_by_the_soa)
{
	static const struct {
		int soa_s;
		uint64_t lifetime_s;
	} cases[] = { { -1, 60 }, { 0, 1 }, { 77, 77 }, { 900, 900 }, { 86400, 900 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (unsigned rcode = 0; rcode <= 3; rcode += 3) {
			char name[64];

			snprintf(name, sizeof(name), "a%zu.%u.test", i, rcode);
			cr_assert_eq(hand_status_of(name), -1);
			hand_answer_negative(hand.count - 1, rcode, cases[i].soa_s);
			cr_assert_eq(hand_status_of(name), rcode ? DNS_NXDOMAIN : DNS_NODATA);
			cr_assert_eq(lifetime_s(name), cases[i].lifetime_s);
		}
	}
}

Test(dns, unknown_is_kept_five_seconds)
{
	cr_assert_eq(hand_status_of("a.test"), -1);
	hand_answer_nothing(0);
	cr_assert_eq(lifetime_s("a.test"), 5);
	hand_answer_negative(0, 2, 3600);
	cr_assert_eq(hand_status_of("a.test"), DNS_UNKNOWN);
	cr_assert_eq(lifetime_s("a.test"), 5);
}

Test(dns, ready_answers_are_copied)
{
	struct dns_answer *ready = calloc(1, sizeof(*ready) + sizeof(ready->records[0]));
	struct asker a = { .woken = 0 };
	char name[] = "mx.a.test";

	cr_assert_null(hand_ask(&a, DNS_MX, "a.test"));
	ready->status = DNS_FOUND;
	ready->count = 1;
	ready->records[0].preference = 10;
	ready->records[0].name = slice_of(name);
	dns_flight_answer(hand_take(0), ready, 60000);
	memset(name, '?', sizeof(name));
	free(ready);
	cr_assert(slice_is(hand_ask(&a, DNS_MX, "a.test")->records[0].name, "mx.a.test"));
	dns_cancel(&a.query);
}

Test(dns, names_of_addresses)
{
	struct asker a = { .woken = 0 }, b = { .woken = 0 };
	struct ip ip;

	cr_assert(ip_parse(SLICE("192.0.2.103"), &ip));
	cr_assert_null(dns_ask_ptr(hand.dns, &a.query, &ip, NULL));
	cr_assert_null(dns_ask_ptr(hand.dns, &a.query, &ip, NULL));
	cr_assert_str_eq(hand.out[0].name, "103.2.0.192.in-addr.arpa");
	cr_assert_eq(hand.out[0].type, DNS_PTR);
	cr_assert(ip_parse(SLICE("2001:db8::8a2e:370:7334"), &ip));
	cr_assert_null(dns_ask_ptr(hand.dns, &b.query, &ip, NULL));
	cr_assert_str_eq(hand.out[1].name,
		"4.3.3.7.0.7.3.0.e.2.a.8.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
	cr_assert_eq(hand.asked, 2);
	dns_cancel(&a.query);
	dns_cancel(&b.query);
}

/* Ten questions, half a second apart, about ten domains; none is answered. */
static void break_down(void)
{
	for (unsigned i = 0; i < 10; i++) {
		char name[64];

		snprintf(name, sizeof(name), "down%u.test", i);
		cr_assert_eq(hand_status_of(name), -1);
		hand_at(hand.now_ms + 500);
		(void)dns_expire(hand.dns);
	}
	hand_at(hand.now_ms + 1500);
	(void)dns_expire(hand.dns);
}

Test(dns, the_breaker_opens_probes_and_closes)
{
	unsigned asked;

	break_down();
	cr_assert(hand_health().dead);
	cr_assert_eq(hand_health().breaker_opened, 1);
	cr_assert_eq(hand_health().dead_since_mono_ms, hand.now_ms);
	asked = hand.asked;
	for (unsigned i = 0; i < 99; i++) {
		hand_at(hand.now_ms + 10);
		cr_assert_eq(hand_status_of("a.example"), DNS_DEAD);
		cr_assert_eq(hand_status_of("down1.test"), DNS_DEAD);
	}
	cr_assert_eq(hand.asked, asked);
	hand_at(hand.now_ms + 10);
	cr_assert_eq(hand_status_of("a.example"), DNS_DEAD);
	cr_assert_eq(hand_status_of("b.example"), DNS_DEAD);
	cr_assert_eq(hand.asked, asked + 1);
	hand_answer_a(hand.count - 1, 60);
	cr_assert(!hand_health().dead);
	cr_assert_eq(hand_status_of("a.example"), DNS_FOUND);
	cr_assert_eq(hand_status_of("b.example"), -1);
}

Test(dns, a_dead_resolver_is_tried_though_nobody_asks)
{
	unsigned asked;
	uint64_t next;

	break_down();
	cr_assert_eq(hand_status_of("a.example"), DNS_DEAD);
	asked = hand.asked;
	next = dns_expire(hand.dns);
	cr_assert_eq(next, hand.now_ms + 1000);
	hand_at(next);
	cr_assert_eq(dns_expire(hand.dns), next + 1000);
	cr_assert_eq(hand.asked, asked + 1);
	cr_assert_str_eq(hand.out[hand.count - 1].name, "a.example");
	/* It is still out a second later: not asked a second time. */
	hand_at(next + 1000);
	(void)dns_expire(hand.dns);
	cr_assert_eq(hand.asked, asked + 1);
	hand_answer_negative(hand.count - 1, 3, 60);
	cr_assert(!hand_health().dead);
	cr_assert_eq(hand_status_of("a.example"), DNS_NXDOMAIN);
}

Test(dns, who_waits_when_the_breaker_opens_is_told)
{
	struct asker a = { .woken = 0 };

	for (unsigned i = 0; i < 10; i++) {
		char name[64];

		snprintf(name, sizeof(name), "down%u.test", i);
		cr_assert_eq(hand_status_of(name), -1);
		if (i < 9)
			hand_answer_nothing(0);
		hand_at(hand.now_ms + 500);
	}
	cr_assert_null(hand_ask(&a, DNS_A, "a.example"));
	cr_assert(!hand_health().dead);
	hand_answer_nothing(0);
	cr_assert(hand_health().dead);
	cr_assert_eq(a.woken, 0);
	hand_at(hand.now_ms + 1500);
	(void)dns_expire(hand.dns);
	cr_assert_eq(a.woken, 1);
	cr_assert_eq(hand_ask(&a, DNS_A, "a.example")->status, DNS_DEAD);
	dns_cancel(&a.query);
}

Test(dns, nonsense_comes_from_a_living_resolver)
{
	for (unsigned i = 0; i < 50; i++) {
		char name[64];

		snprintf(name, sizeof(name), "n%u.test", i);
		cr_assert_eq(hand_status_of(name), -1);
		message_start(&hand.message, name, TYPE_A, 0);
		message_a(&hand.message, "other.test", 60, 192, 0, 2, 1);
		dns_flight_done(hand_take(0), DNS_UNKNOWN, hand.message.bytes, hand.message.len);
		cr_assert_eq(hand_status_of(name), DNS_UNKNOWN);
		hand_at(hand.now_ms + 500);
	}
	cr_assert(!hand_health().dead);
	cr_assert_eq(hand_health().unknown, 50);
}

Test(dns, flights_outlive_the_service)
{
	cr_assert_eq(hand_status_of("a.test"), -1);
	cr_assert_eq(hand_status_of("b.test"), -1);
	hand_at(hand.now_ms + 1500);
	(void)dns_expire(hand.dns);
	cr_assert_eq(hand_status_of("c.test"), -1);
	dns_free(&hand.dns);
	cr_assert_null(hand.dns);
	hand_answer_a(0, 60);
	hand_answer_nothing(0);
	hand_answer_negative(0, 3, 60);
	dns_free(&hand.dns);
}
