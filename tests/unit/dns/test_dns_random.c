/* SPDX-License-Identifier: ISC */
/*
 * A hundred thousand questions, cancellations, answers, silences and steps of time in random order
 * (of a fixed seed): what must hold always is checked after every one.
 */
#include "daemon/dns/dns.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/dns/hand.h"

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
		asked_at_ms[i] = hand.now_ms;
		crowd[i].woken = 0;
	}
	snprintf(name, sizeof(name), "n%u.example%u.test", name_of[i], name_of[i]);
	hand.at_once = any(20) == 0;
	answer = hand_ask(&crowd[i], DNS_A, name);
	hand.at_once = false;
	if (answer)
		check_answer(answer, i);
	else
		cr_assert_lt(hand.now_ms - asked_at_ms[i], 1500 + 500);
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
		hand_answer_nothing(i);
		break;
	case 1:
		hand_answer_negative(i, any(2) * 3, (int)any(20));
		break;
	default:
		message_start(&hand.message, hand.out[i].name, TYPE_A, 0);
		for (unsigned r = any(3); r < 3; r++)
			message_a(&hand.message, hand.out[i].name, any(20), 192, 0, 2, number);
		dns_flight_done(hand_take(i), DNS_UNKNOWN, hand.message.bytes, hand.message.len);
		break;
	}
}

static void check_all(void)
{
	struct dns_health state = hand_health();

	cr_assert_leq(state.in_flight, LIMIT);
	cr_assert_eq(state.in_flight, hand.count);
	cr_assert_leq(state.cached, 10);
	for (unsigned i = 0; i < hand.count; i++)
		for (unsigned j = 0; j < i; j++)
			cr_assert_str_neq(hand.out[i].name, hand.out[j].name);
	for (unsigned i = 0; i < ASKERS; i++)
		cr_assert_leq(crowd[i].woken, 1);
}

TestSuite(dns_random, .init = hand_setup, .fini = hand_teardown);

Test(dns_random, anything_in_any_order)
{
	bool silent = false;

	dns_free(&hand.dns);
	hand_start(10, LIMIT);
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

			hand_at(hand.now_ms + any(500));
			next = dns_expire(hand.dns);
			cr_assert(next == 0 || next > hand.now_ms);
			if (any(400) == 0)
				silent = !silent;
		}
		if (i % 10 == 0)
			check_all();
	}
	cr_assert_gt(hand_health().cache_hits, 1000);
	cr_assert_gt(hand_health().flights, 1000);
	cr_assert_gt(hand_health().breaker_opened, 0);
	for (unsigned i = 0; i < ASKERS; i++)
		dns_cancel(&crowd[i].query);
}
