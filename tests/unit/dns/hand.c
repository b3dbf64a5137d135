/* SPDX-License-Identifier: ISC */
/*
 * The hand that plays the resolver.
 */
#include "tests/unit/dns/hand.h"

#include <criterion/criterion.h>

struct hand hand;
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
	cr_assert_lt(to->count, HAND_MAX_OUT);
	to->out[to->count].flight = flight;
	to->out[to->count].type = type;
	memcpy(to->out[to->count].name, name.data, name.len);
	to->out[to->count++].name[name.len] = '\0';
}

struct dns_flight *hand_take(unsigned i)
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

void hand_at(uint64_t ms)
{
	hand.now_ms = ms;
	dns_set_now(hand.dns, (struct clock_now){ ms, ms });
}

const struct dns_answer *hand_ask(struct asker *asker, enum dns_type type, const char *name)
{
	const struct dns_answer *answer;

	asker->waiter.wake = on_wake;
	inside_ask = true;
	answer = dns_ask(hand.dns, &asker->query, type, slice_of(name), &asker->waiter);
	inside_ask = false;
	return answer;
}

int hand_status_of(const char *name)
{
	struct asker asker = { .woken = 0 };
	const struct dns_answer *answer = hand_ask(&asker, DNS_A, name);
	int status = answer ? (int)answer->status : -1;

	dns_cancel(&asker.query);
	return status;
}

void hand_answer_a(unsigned i, uint32_t ttl_s)
{
	message_start(&hand.message, hand.out[i].name, TYPE_A, 0);
	message_a(&hand.message, hand.out[i].name, ttl_s, 192, 0, 2, 1);
	dns_flight_done(hand_take(i), DNS_UNKNOWN, hand.message.bytes, hand.message.len);
}

void hand_answer_negative(unsigned i, unsigned rcode, int soa_s)
{
	message_start(&hand.message, hand.out[i].name, hand.out[i].type, rcode);
	if (soa_s >= 0)
		message_soa(&hand.message, "test", (uint32_t)soa_s, (uint32_t)soa_s);
	dns_flight_done(hand_take(i), DNS_UNKNOWN, hand.message.bytes, hand.message.len);
}

void hand_answer_nothing(unsigned i)
{
	dns_flight_done(hand_take(i), DNS_UNKNOWN, NULL, 0);
}

void hand_start(size_t cache_entries, unsigned max_in_flight)
{
	struct dns_options options = {
		.cache_entries = cache_entries,
		.total_ms = HAND_TOTAL_MS,
		.hash_key = { 1, 2 },
		.max_in_flight = max_in_flight,
	};

	hand.dns = dns_new(&options, &hand.backend);
	hand_at(1000000);
}

struct dns_health hand_health(void)
{
	struct dns_health ret;

	dns_health(hand.dns, &ret);
	return ret;
}

void hand_setup(void)
{
	hand = (struct hand){ .backend = { on_ask } };
	hand_start(100, 1000);
}

void hand_teardown(void)
{
	dns_free(&hand.dns);
	while (hand.count)
		hand_answer_nothing(hand.count - 1);
}

