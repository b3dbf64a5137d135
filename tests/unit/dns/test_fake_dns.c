/* SPDX-License-Identifier: ISC */
/*
 * The fake resolver of the scenarios, as the service sees it.
 */
#include "tests/fake/fake_dns.c"

#include <criterion/criterion.h>

static struct fake_dns *fake;
static struct dns *dns;
static uint64_t now_ms;

static void advance(uint64_t ms)
{
	now_ms += ms;
	dns_set_now(dns, (struct clock_now){ now_ms, now_ms });
	fake_dns_advance(fake, now_ms);
	(void)dns_expire(dns);
}

static void setup(void)
{
	struct dns_options options = {.cache_entries = 100, .total_ms = 1500, .max_in_flight = 100};

	fake = fake_dns_new();
	dns = dns_new(&options, fake_dns_backend(fake));
	now_ms = 0;
	advance(1000);
}

static void teardown(void)
{
	dns_free(&dns);
	fake_dns_free(&fake);
	cr_assert_null(fake);
}

TestSuite(fake_dns, .init = setup, .fini = teardown);

static void set(enum dns_type type, const char *name, enum dns_status status, const char *records,
		uint64_t delay_ms, bool silent)
{
	cr_assert(fake_dns_set(
		fake, type, slice_of(name), status, slice_of(records), 60000, delay_ms, silent));
}

Test(fake_dns, answers_from_the_table_and_counts)
{
	struct dns_query mx = { .started = false }, other = mx;
	const struct dns_answer *answer;

	set(DNS_MX, "A.Test", DNS_FOUND, "10 mx1.a.test, 20 mx2.a.test.", 0, false);
	cr_assert_null(dns_ask(dns, &mx, DNS_MX, SLICE("a.test"), NULL));
	cr_assert_null(dns_ask(dns, &other, DNS_MX, SLICE("b.test"), NULL));
	cr_assert_eq(fake_dns_next(fake), now_ms);
	advance(0);
	answer = dns_ask(dns, &mx, DNS_MX, SLICE("a.test"), NULL);
	cr_assert_eq(answer->count, 2);
	cr_assert_eq(answer->records[1].preference, 20);
	cr_assert(slice_is(answer->records[1].name, "mx2.a.test"));
	cr_assert_eq(dns_ask(dns, &other, DNS_MX, SLICE("b.test"), NULL)->status, DNS_NXDOMAIN);
	cr_assert_eq(fake_dns_asked(fake), 2);
	cr_assert_eq(fake_dns_asked_for(fake, DNS_MX, SLICE("b.test")), 1);
	cr_assert_eq(fake_dns_asked_for(fake, DNS_A, SLICE("b.test")), 0);
	dns_cancel(&mx);
	dns_cancel(&other);
}

Test(fake_dns, answers_in_the_order_in_which_they_are_due)
{
	struct dns_query slow = { .started = false }, quick = slow;

	set(DNS_A, "slow.test", DNS_FOUND, "192.0.2.1", 300, false);
	set(DNS_A, "*", DNS_FOUND, "192.0.2.2", 30, false);
	cr_assert_null(dns_ask(dns, &slow, DNS_A, SLICE("slow.test"), NULL));
	cr_assert_null(dns_ask(dns, &quick, DNS_A, SLICE("quick.test"), NULL));
	cr_assert_eq(fake_dns_next(fake), now_ms + 30);
	advance(30);
	cr_assert_not_null(dns_ask(dns, &quick, DNS_A, SLICE("quick.test"), NULL));
	cr_assert_null(dns_ask(dns, &slow, DNS_A, SLICE("slow.test"), NULL));
	advance(270);
	cr_assert_not_null(dns_ask(dns, &slow, DNS_A, SLICE("slow.test"), NULL));
	cr_assert_eq(fake_dns_next(fake), 0);
	dns_cancel(&slow);
	dns_cancel(&quick);
}

Test(fake_dns, silence_ends_unknown)
{
	struct dns_query one = { .started = false }, two = one;

	set(DNS_A, "dead.test", DNS_FOUND, "192.0.2.1", 0, true);
	cr_assert_null(dns_ask(dns, &one, DNS_A, SLICE("dead.test"), NULL));
	fake_dns_set_silent(fake, true);
	cr_assert_null(dns_ask(dns, &two, DNS_A, SLICE("good.test"), NULL));
	fake_dns_set_silent(fake, false);
	advance(1499);
	cr_assert_null(dns_ask(dns, &one, DNS_A, SLICE("dead.test"), NULL));
	advance(1);
	cr_assert_eq(dns_ask(dns, &one, DNS_A, SLICE("dead.test"), NULL)->status, DNS_UNKNOWN);
	cr_assert_eq(dns_ask(dns, &two, DNS_A, SLICE("good.test"), NULL)->status, DNS_UNKNOWN);
	cr_assert_eq(fake_dns_next(fake), now_ms + 1500);
	advance(1500);
	cr_assert_eq(fake_dns_next(fake), 0);
	dns_cancel(&one);
	dns_cancel(&two);
}

Test(fake_dns, records_that_do_not_parse)
{
	static const struct {
		enum dns_type type;
		const char *records;
	} bad[] = {{DNS_A, ""}, {DNS_A, "2001:db8::1"}, {DNS_A, "192.0.2.1,"},
		{DNS_AAAA, "192.0.2.1"}, {DNS_MX, "mx.a.test"}, {DNS_MX, "70000 mx.a.test"},
		{DNS_MX, "10 "}, {DNS_PTR, ""}};
	enum dns_type type;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert(!fake_dns_set(fake, bad[i].type, SLICE("a.test"), DNS_FOUND,
				  slice_of(bad[i].records), 0, 0, false),
			"%s", bad[i].records);
	set(DNS_MX, "null.test", DNS_FOUND, "0 .", 0, false);
	set(DNS_AAAA, "a.test", DNS_FOUND, "2001:db8::1", 0, false);
	cr_assert(fake_dns_type_of(SLICE("aaaa"), &type));
	cr_assert_eq(type, DNS_AAAA);
	cr_assert(!fake_dns_type_of(SLICE("TXT"), &type));
}

Test(fake_dns, may_go_before_the_service)
{
	struct dns_query one = { .started = false };

	cr_assert_null(dns_ask(dns, &one, DNS_A, SLICE("a.test"), NULL));
	fake_dns_free(&fake);
	cr_assert_eq(dns_ask(dns, &one, DNS_A, SLICE("a.test"), NULL)->status, DNS_UNKNOWN);
	dns_cancel(&one);
}
