/* SPDX-License-Identifier: ISC */
/*
 * The service over a backend that the test plays by hand, and time that the test sets.
 */
#include "daemon/dns/dns.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/dns/message.h"

#define MAX_OUT 2000

struct out {
	struct dns_flight *flight;
	enum dns_type type;
	char name[DNS_NAME_BYTES];
};

struct hand {
	struct dns_backend backend;
	struct out out[MAX_OUT];
	unsigned count, asked;
	bool at_once;                  /* NXDOMAIN from inside ask */
};

struct asker {
	struct waiter waiter;
	struct dns_query query;
	unsigned woken;
};

static struct hand hand;
static struct dns *dns;
static struct message m;
static uint64_t now_ms;
static bool inside_ask;

static void on_ask(struct dns_backend *backend, struct dns_flight *flight, enum dns_type type,
		   struct slice name)
{
	struct hand *to = (struct hand *)(void *)backend;
	static const struct dns_answer nxdomain = { .status = DNS_NXDOMAIN };

	to->asked++;
	if (to->at_once) {
		dns_flight_answer(flight, &nxdomain, 60000);
		return;
	}
	cr_assert_lt(to->count, MAX_OUT);
	to->out[to->count].flight = flight;
	to->out[to->count].type = type;
	memcpy(to->out[to->count].name, name.data, name.len);
	to->out[to->count++].name[name.len] = '\0';
}

static struct dns_flight *take(unsigned i)
{
	struct dns_flight *flight = hand.out[i].flight;

	cr_assert_lt(i, hand.count);
	hand.out[i] = hand.out[--hand.count];
	return flight;
}

static void on_wake(struct waiter *waiter)
{
	struct asker *asker = (struct asker *)(void *)waiter;

	cr_assert(!inside_ask, "woken from inside dns_ask()");
	asker->woken++;
}

static void at(uint64_t ms)
{
	now_ms = ms;
	dns_set_now(dns, (struct clock_now){ ms, ms });
}

static const struct dns_answer *ask(struct asker *asker, enum dns_type type, const char *name)
{
	const struct dns_answer *answer;

	asker->waiter.wake = on_wake;
	inside_ask = true;
	answer = dns_ask(dns, &asker->query, type, slice_of(name), &asker->waiter);
	inside_ask = false;
	return answer;
}

/* One question, asked and let go; -1: no answer yet. */
static int status_of(const char *name)
{
	struct asker asker = { .woken = 0 };
	const struct dns_answer *answer = ask(&asker, DNS_A, name);
	int status = answer ? (int)answer->status : -1;

	dns_cancel(&asker.query);
	return status;
}

static void answer_a(unsigned i, uint32_t ttl_s)
{
	message_start(&m, hand.out[i].name, TYPE_A, 0);
	message_a(&m, hand.out[i].name, ttl_s, 192, 0, 2, 1);
	dns_flight_done(take(i), DNS_UNKNOWN, m.bytes, m.len);
}

static void answer_negative(unsigned i, unsigned rcode, int soa_s)
{
	message_start(&m, hand.out[i].name, hand.out[i].type, rcode);
	if (soa_s >= 0)
		message_soa(&m, "test", (uint32_t)soa_s, (uint32_t)soa_s);
	dns_flight_done(take(i), DNS_UNKNOWN, m.bytes, m.len);
}

static void answer_nothing(unsigned i)
{
	dns_flight_done(take(i), DNS_UNKNOWN, NULL, 0);
}

static void start(size_t cache_entries, unsigned max_in_flight)
{
	struct dns_options options = {
		.cache_entries = cache_entries,
		.total_ms = 1500,
		.hash_key = { 1, 2 },
		.max_in_flight = max_in_flight,
	};

	dns = dns_new(&options, &hand.backend);
	at(1000000);
}

static struct dns_health health(void)
{
	struct dns_health ret;

	dns_health(dns, &ret);
	return ret;
}

static void setup(void)
{
	hand = (struct hand){ .backend = { on_ask } };
	start(100, 1000);
}

static void teardown(void)
{
	dns_free(&dns);
	while (hand.count)
		answer_nothing(hand.count - 1);
}

TestSuite(dns, .init = setup, .fini = teardown);

Test(dns, an_answer_comes_late_and_then_from_the_cache)
{
	struct asker a = { .woken = 0 }, b = { .woken = 0 };
	const struct dns_answer *answer;

	cr_assert_null(ask(&a, DNS_A, "a.test"));
	cr_assert_null(ask(&a, DNS_A, "a.test"));
	cr_assert_eq(hand.asked, 1);
	answer_a(0, 60);
	cr_assert_eq(a.woken, 1);
	answer = ask(&a, DNS_A, "a.test");
	cr_assert_eq(answer->status, DNS_FOUND);
	cr_assert_eq(answer->count, 1);
	cr_assert_eq(ask(&b, DNS_A, "a.test"), answer);
	cr_assert_eq(b.woken, 0);
	cr_assert_eq(hand.asked, 1);
	cr_assert_eq(health().cache_hits, 1);
	dns_cancel(&a.query);
	dns_cancel(&b.query);
}

Test(dns, equal_questions_are_asked_once)
{
	struct asker askers[50] = { { .woken = 0 } };
	struct asker other = { .woken = 0 };

	for (unsigned i = 0; i < 50; i++)
		cr_assert_null(ask(&askers[i], DNS_MX, i % 2 ? "A.Test." : "a.test"));
	cr_assert_null(ask(&other, DNS_A, "a.test"));
	cr_assert_eq(hand.count, 2);
	cr_assert_str_eq(hand.out[0].name, "a.test");
	answer_negative(0, 3, 60);
	for (unsigned i = 0; i < 50; i++) {
		cr_assert_eq(askers[i].woken, 1);
		cr_assert_eq(ask(&askers[i], DNS_MX, "a.test")->status, DNS_NXDOMAIN);
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
	cr_assert_null(ask(&waiting, DNS_A, "a.test"));
	cr_assert_null(ask(&stays, DNS_A, "a.test"));
	dns_cancel(&waiting.query);
	dns_cancel(&waiting.query);
	answer_a(0, 60);
	cr_assert_eq(waiting.woken, 0);
	cr_assert_eq(stays.woken, 1);
	dns_cancel(&stays.query);
	cr_assert_eq(ask(&answered, DNS_A, "a.test")->status, DNS_FOUND);
	dns_cancel(&answered.query);
	/* Used again. */
	cr_assert_null(ask(&answered, DNS_A, "b.test"));
	dns_cancel(&answered.query);
}

Test(dns, a_flight_without_waiters_fills_the_cache)
{
	cr_assert_eq(status_of("a.test"), -1);
	answer_a(0, 60);
	cr_assert_eq(status_of("a.test"), DNS_FOUND);
	cr_assert_eq(hand.asked, 1);
}

Test(dns, an_answer_lives_as_long_as_its_query)
{
	struct asker a = { .woken = 0 };
	const struct dns_answer *answer;

	dns_free(&dns);
	start(1, 1000);
	cr_assert_null(ask(&a, DNS_MX, "a.test"));
	message_start(&m, "a.test", TYPE_MX, 0);
	message_mx(&m, "a.test", 60, 10, "mx.a.test");
	dns_flight_done(take(0), DNS_UNKNOWN, m.bytes, m.len);
	answer = ask(&a, DNS_MX, "a.test");
	cr_assert_eq(status_of("b.test"), -1);
	answer_a(0, 60);
	cr_assert_eq(health().cached, 1);
	cr_assert_eq(status_of("b.test"), DNS_FOUND);
	cr_assert(slice_is(answer->records[0].name, "mx.a.test"));
	dns_cancel(&a.query);
}

Test(dns, a_backend_that_answers_at_once)
{
	struct asker a = { .woken = 0 };

	hand.at_once = true;
	cr_assert_eq(ask(&a, DNS_A, "a.test")->status, DNS_NXDOMAIN);
	cr_assert_eq(a.woken, 0);
	dns_cancel(&a.query);
	cr_assert_eq(status_of("a.test"), DNS_NXDOMAIN);
	cr_assert_eq(hand.asked, 1);
}

Test(dns, malformed_names_are_unknown_and_never_asked)
{
	static const char *const bad[] = { "", ".", "..", "a..test", ".a.test", "a.test..", "a b.test", "a\\.test",
					   "a*.test", "\xc3\xa4.test", "a/b.test", "[192.0.2.1]", "a@b.test" };
	char long_name[300];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(status_of(bad[i]), DNS_UNKNOWN, "%s", bad[i]);
	memset(long_name, 'a', sizeof(long_name));
	for (size_t i = 50; i < sizeof(long_name); i += 51)
		long_name[i] = '.';
	long_name[254] = '\0';
	cr_assert_eq(status_of(long_name), DNS_UNKNOWN);
	cr_assert_eq(hand.asked, 0);
	long_name[253] = '\0';
	cr_assert_eq(status_of(long_name), -1);
	cr_assert_eq(status_of("a123456789b123456789c123456789d123456789e123456789f123456789abcd.test"), DNS_UNKNOWN);
	cr_assert_eq(status_of("a123456789b123456789c123456789d123456789e123456789f123456789abc.test"), -1);
	cr_assert_eq(status_of("_dmarc.a-b.xn--nxasmq6b"), -1);
	cr_assert_eq(hand.asked, 3);
}

Test(dns, too_much_in_flight_is_unknown_and_not_cached)
{
	dns_free(&dns);
	start(100, 3);
	cr_assert_eq(status_of("a.test"), -1);
	cr_assert_eq(status_of("b.test"), -1);
	cr_assert_eq(status_of("c.test"), -1);
	cr_assert_eq(status_of("d.test"), DNS_UNKNOWN);
	cr_assert_eq(status_of("a.test"), -1);
	answer_a(0, 60);
	cr_assert_eq(status_of("d.test"), -1);
	cr_assert_eq(health().in_flight, 3);
}

Test(dns, a_flight_ends_in_time_and_its_late_answer_is_kept)
{
	struct asker a = { .woken = 0 };

	cr_assert_null(ask(&a, DNS_A, "a.test"));
	cr_assert_eq(dns_expire(dns), now_ms + 1500);
	at(now_ms + 1499);
	cr_assert_eq(dns_expire(dns), now_ms + 1);
	cr_assert_eq(a.woken, 0);
	at(now_ms + 1);
	cr_assert_eq(dns_expire(dns), 0);
	cr_assert_eq(a.woken, 1);
	cr_assert_eq(ask(&a, DNS_A, "a.test")->status, DNS_UNKNOWN);
	cr_assert_eq(status_of("a.test"), DNS_UNKNOWN);
	cr_assert_eq(health().in_flight, 1);
	answer_a(0, 60);
	cr_assert_eq(a.woken, 1);
	cr_assert_eq(ask(&a, DNS_A, "a.test")->status, DNS_UNKNOWN);
	cr_assert_eq(status_of("a.test"), DNS_FOUND);
	dns_cancel(&a.query);
	cr_assert_eq(health().in_flight, 0);
}

Test(dns, an_overdue_flight_is_joined)
{
	struct asker a = { .woken = 0 };

	cr_assert_eq(status_of("a.test"), -1);
	at(now_ms + 1500);
	(void)dns_expire(dns);
	at(now_ms + 4999);
	cr_assert_eq(status_of("a.test"), DNS_UNKNOWN);
	at(now_ms + 1);
	cr_assert_null(ask(&a, DNS_A, "a.test"));
	cr_assert_eq(hand.asked, 1);
	at(now_ms + 1000);
	cr_assert_eq(dns_expire(dns), now_ms + 500);
	answer_a(0, 60);
	cr_assert_eq(a.woken, 1);
	cr_assert_eq(ask(&a, DNS_A, "a.test")->status, DNS_FOUND);
	dns_cancel(&a.query);
}

Test(dns, an_overdue_flight_that_never_was_answered)
{
	cr_assert_eq(status_of("a.test"), -1);
	at(now_ms + 1500);
	(void)dns_expire(dns);
	at(now_ms + 4000);
	answer_nothing(0);
	/* Said 4 s ago, not again now. */
	at(now_ms + 1000);
	cr_assert_eq(status_of("a.test"), -1);
}

/* When does a cached answer go? To the second. */
static uint64_t lifetime_s(const char *name)
{
	uint64_t from_ms = now_ms;

	for (uint64_t s = 1; s <= 4000; s++) {
		at(from_ms + s * 1000 - 1);
		cr_assert_neq(status_of(name), -1);
		at(from_ms + s * 1000);
		if (status_of(name) == -1)
			return s;
	}
	return 0;
}

Test(dns, positive_ttl_from_a_second_to_an_hour)
{
	static const struct {
		uint32_t ttl_s;
		uint64_t lifetime_s;
	} cases[] = { { 0, 1 }, { 1, 1 }, { 300, 300 }, { 3600, 3600 }, { 86400, 3600 }, { 0x80000000, 1 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char name[64];

		snprintf(name, sizeof(name), "a%zu.test", i);
		cr_assert_eq(status_of(name), -1);
		answer_a(hand.count - 1, cases[i].ttl_s);
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
			cr_assert_eq(status_of(name), -1);
			answer_negative(hand.count - 1, rcode, cases[i].soa_s);
			cr_assert_eq(status_of(name), rcode ? DNS_NXDOMAIN : DNS_NODATA);
			cr_assert_eq(lifetime_s(name), cases[i].lifetime_s);
		}
	}
}

Test(dns, unknown_is_kept_five_seconds)
{
	cr_assert_eq(status_of("a.test"), -1);
	answer_nothing(0);
	cr_assert_eq(lifetime_s("a.test"), 5);
	answer_negative(0, 2, 3600);
	cr_assert_eq(status_of("a.test"), DNS_UNKNOWN);
	cr_assert_eq(lifetime_s("a.test"), 5);
}

Test(dns, ready_answers_are_copied)
{
	struct dns_answer *ready = calloc(1, sizeof(*ready) + sizeof(ready->records[0]));
	struct asker a = { .woken = 0 };
	char name[] = "mx.a.test";

	cr_assert_null(ask(&a, DNS_MX, "a.test"));
	ready->status = DNS_FOUND;
	ready->count = 1;
	ready->records[0].preference = 10;
	ready->records[0].name = slice_of(name);
	dns_flight_answer(take(0), ready, 60000);
	memset(name, '?', sizeof(name));
	free(ready);
	cr_assert(slice_is(ask(&a, DNS_MX, "a.test")->records[0].name, "mx.a.test"));
	dns_cancel(&a.query);
}

Test(dns, names_of_addresses)
{
	struct asker a = { .woken = 0 }, b = { .woken = 0 };
	struct ip ip;

	cr_assert(ip_parse(SLICE("192.0.2.103"), &ip));
	cr_assert_null(dns_ask_ptr(dns, &a.query, &ip, NULL));
	cr_assert_null(dns_ask_ptr(dns, &a.query, &ip, NULL));
	cr_assert_str_eq(hand.out[0].name, "103.2.0.192.in-addr.arpa");
	cr_assert_eq(hand.out[0].type, DNS_PTR);
	cr_assert(ip_parse(SLICE("2001:db8::8a2e:370:7334"), &ip));
	cr_assert_null(dns_ask_ptr(dns, &b.query, &ip, NULL));
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
		cr_assert_eq(status_of(name), -1);
		at(now_ms + 500);
		(void)dns_expire(dns);
	}
	at(now_ms + 1500);
	(void)dns_expire(dns);
}

Test(dns, the_breaker_opens_probes_and_closes)
{
	unsigned asked;

	break_down();
	cr_assert(health().dead);
	cr_assert_eq(health().breaker_opened, 1);
	cr_assert_eq(health().dead_since_mono_ms, now_ms);
	asked = hand.asked;
	for (unsigned i = 0; i < 99; i++) {
		at(now_ms + 10);
		cr_assert_eq(status_of("a.example"), DNS_DEAD);
		cr_assert_eq(status_of("down1.test"), DNS_DEAD);
	}
	cr_assert_eq(hand.asked, asked);
	at(now_ms + 10);
	cr_assert_eq(status_of("a.example"), DNS_DEAD);
	cr_assert_eq(status_of("b.example"), DNS_DEAD);
	cr_assert_eq(hand.asked, asked + 1);
	answer_a(hand.count - 1, 60);
	cr_assert(!health().dead);
	cr_assert_eq(status_of("a.example"), DNS_FOUND);
	cr_assert_eq(status_of("b.example"), -1);
}

Test(dns, a_dead_resolver_is_tried_though_nobody_asks)
{
	unsigned asked;
	uint64_t next;

	break_down();
	cr_assert_eq(status_of("a.example"), DNS_DEAD);
	asked = hand.asked;
	next = dns_expire(dns);
	cr_assert_eq(next, now_ms + 1000);
	at(next);
	cr_assert_eq(dns_expire(dns), next + 1000);
	cr_assert_eq(hand.asked, asked + 1);
	cr_assert_str_eq(hand.out[hand.count - 1].name, "a.example");
	/* It is still out a second later: not asked a second time. */
	at(next + 1000);
	(void)dns_expire(dns);
	cr_assert_eq(hand.asked, asked + 1);
	answer_negative(hand.count - 1, 3, 60);
	cr_assert(!health().dead);
	cr_assert_eq(status_of("a.example"), DNS_NXDOMAIN);
}

Test(dns, who_waits_when_the_breaker_opens_is_told)
{
	struct asker a = { .woken = 0 };

	for (unsigned i = 0; i < 10; i++) {
		char name[64];

		snprintf(name, sizeof(name), "down%u.test", i);
		cr_assert_eq(status_of(name), -1);
		if (i < 9)
			answer_nothing(0);
		at(now_ms + 500);
	}
	cr_assert_null(ask(&a, DNS_A, "a.example"));
	cr_assert(!health().dead);
	answer_nothing(0);
	cr_assert(health().dead);
	cr_assert_eq(a.woken, 0);
	at(now_ms + 1500);
	(void)dns_expire(dns);
	cr_assert_eq(a.woken, 1);
	cr_assert_eq(ask(&a, DNS_A, "a.example")->status, DNS_DEAD);
	dns_cancel(&a.query);
}

Test(dns, nonsense_comes_from_a_living_resolver)
{
	for (unsigned i = 0; i < 50; i++) {
		char name[64];

		snprintf(name, sizeof(name), "n%u.test", i);
		cr_assert_eq(status_of(name), -1);
		message_start(&m, name, TYPE_A, 0);
		message_a(&m, "other.test", 60, 192, 0, 2, 1);
		dns_flight_done(take(0), DNS_UNKNOWN, m.bytes, m.len);
		cr_assert_eq(status_of(name), DNS_UNKNOWN);
		at(now_ms + 500);
	}
	cr_assert(!health().dead);
	cr_assert_eq(health().unknown, 50);
}

Test(dns, flights_outlive_the_service)
{
	cr_assert_eq(status_of("a.test"), -1);
	cr_assert_eq(status_of("b.test"), -1);
	at(now_ms + 1500);
	(void)dns_expire(dns);
	cr_assert_eq(status_of("c.test"), -1);
	dns_free(&dns);
	cr_assert_null(dns);
	answer_a(0, 60);
	answer_nothing(0);
	answer_negative(0, 3, 60);
	dns_free(&dns);
}

/* ---- anything in any order ---- */

#define ASKERS 150
#define NAMES 40
#define LIMIT 25

static struct asker crowd[ASKERS];
static uint64_t asked_at_ms[ASKERS];
static unsigned name_of[ASKERS];
static uint64_t seed = 88172645463325252;

static unsigned any(unsigned below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed % below);
}

static void check_answer(const struct dns_answer *answer, unsigned i)
{
	cr_assert_leq(answer->status, DNS_DEAD);
	cr_assert(answer->status == DNS_FOUND || answer->count == 0);
	/* The address says which name it was for. */
	for (unsigned r = 0; r < answer->count; r++)
		cr_assert_eq(answer->records[r].ip.bytes[15], name_of[i]);
}

static void random_ask(void)
{
	unsigned i = any(ASKERS);
	const struct dns_answer *answer;
	char name[64];
	bool first = !crowd[i].query.started;

	if (first) {
		name_of[i] = any(NAMES);
		asked_at_ms[i] = now_ms;
		crowd[i].woken = 0;
	}
	snprintf(name, sizeof(name), "n%u.example%u.test", name_of[i], name_of[i]);
	hand.at_once = any(20) == 0;
	answer = ask(&crowd[i], DNS_A, name);
	hand.at_once = false;
	if (answer)
		check_answer(answer, i);
	else
		cr_assert_lt(now_ms - asked_at_ms[i], 1500 + 500);
	cr_assert(!(first && crowd[i].woken));
	cr_assert(!(crowd[i].woken && !answer));
}

static void random_cancel(void)
{
	unsigned i = any(ASKERS);

	dns_cancel(&crowd[i].query);
	crowd[i].woken = 0;
}

static void random_answer(void)
{
	unsigned i, number;

	if (hand.count == 0)
		return;
	i = any(hand.count);
	number = (unsigned)strtoul(hand.out[i].name + 1, NULL, 10);
	switch (any(5)) {
	case 0:
		answer_nothing(i);
		break;
	case 1:
		answer_negative(i, any(2) * 3, (int)any(20));
		break;
	default:
		message_start(&m, hand.out[i].name, TYPE_A, 0);
		for (unsigned r = any(3); r < 3; r++)
			message_a(&m, hand.out[i].name, any(20), 192, 0, 2, number);
		dns_flight_done(take(i), DNS_UNKNOWN, m.bytes, m.len);
		break;
	}
}

static void check_all(void)
{
	struct dns_health state = health();

	cr_assert_leq(state.in_flight, LIMIT);
	cr_assert_eq(state.in_flight, hand.count);
	cr_assert_leq(state.cached, 10);
	for (unsigned i = 0; i < hand.count; i++)
		for (unsigned j = 0; j < i; j++)
			cr_assert_str_neq(hand.out[i].name, hand.out[j].name);
	for (unsigned i = 0; i < ASKERS; i++)
		cr_assert_leq(crowd[i].woken, 1);
}

Test(dns, anything_in_any_order)
{
	bool silent = false;

	dns_free(&dns);
	start(10, LIMIT);
	for (unsigned i = 0; i < 100000; i++) {
		unsigned what = any(100);

		if (what < 50) {
			random_ask();
		} else if (what < 75) {
			random_cancel();
		} else if (what < 95) {
			if (!silent)
				random_answer();
		} else {
			uint64_t next;

			at(now_ms + any(500));
			next = dns_expire(dns);
			cr_assert(next == 0 || next > now_ms);
			if (any(400) == 0)
				silent = !silent;
		}
		if (i % 10 == 0)
			check_all();
	}
	cr_assert_gt(health().cache_hits, 1000);
	cr_assert_gt(health().flights, 1000);
	cr_assert_gt(health().breaker_opened, 0);
	for (unsigned i = 0; i < ASKERS; i++)
		dns_cancel(&crowd[i].query);
}
