/* SPDX-License-Identifier: ISC */
#include "daemon/dns/breaker.h"

#include <criterion/criterion.h>

Test(dns_breaker, opens_after_ten_places_over_three_seconds)
{
	struct dns_breaker breaker = { .open = false };

	for (unsigned i = 0; i < 9; i++)
		dns_breaker_failure(&breaker, i, 1000 + i * 500);
	cr_assert(!breaker.open);
	dns_breaker_failure(&breaker, 9, 5500);
	cr_assert(breaker.open);
	cr_assert_eq(breaker.opened_mono_ms, 5500);
	cr_assert_eq(breaker.opened_count, 1);
}

Test(dns_breaker, not_before_three_seconds)
{
	struct dns_breaker breaker = { .open = false };

	for (unsigned i = 0; i < 1000; i++)
		dns_breaker_failure(&breaker, i, 1000 + i);
	cr_assert(!breaker.open);
	dns_breaker_failure(&breaker, 3, 4000);
	cr_assert(breaker.open);
}

Test(dns_breaker, one_place_never_opens_it)
{
	struct dns_breaker breaker = { .open = false };

	for (unsigned i = 0; i < 1000; i++)
		dns_breaker_failure(&breaker, i % 9, i * 100);
	cr_assert(!breaker.open);
}

Test(dns_breaker, a_success_begins_a_new_row)
{
	struct dns_breaker breaker = { .open = false };

	for (unsigned i = 0; i < 100; i++) {
		dns_breaker_failure(&breaker, i, i * 1000);
		if (i % 9 == 8)
			dns_breaker_success(&breaker);
		cr_assert(!breaker.open);
	}
}

Test(dns_breaker, failures_far_apart_are_not_a_row)
{
	struct dns_breaker breaker = { .open = false };

	for (unsigned i = 0; i < 100; i++)
		dns_breaker_failure(&breaker, i, i * 60001u);
	cr_assert(!breaker.open);
}

Test(dns_breaker, one_probe_a_second)
{
	struct dns_breaker breaker = { .open = false };
	unsigned probes = 0;

	cr_assert(!dns_breaker_probe(&breaker, 1000000));
	for (unsigned i = 0; i <= 10; i++)
		dns_breaker_failure(&breaker, i, i * 1000);
	cr_assert(breaker.open);
	for (uint64_t now_ms = 10000; now_ms < 20000; now_ms += 10)
		probes += dns_breaker_probe(&breaker, now_ms);
	cr_assert_geq(probes, 9);
	cr_assert_leq(probes, 10);
	dns_breaker_success(&breaker);
	cr_assert(!dns_breaker_probe(&breaker, 1000000));
}

Test(dns_breaker, names_of_one_place)
{
	cr_assert(slice_is(dns_breaker_place(SLICE("a.b.example.org")), "example.org"));
	cr_assert(slice_is(dns_breaker_place(SLICE("example.org")), "example.org"));
	cr_assert(slice_is(dns_breaker_place(SLICE("localhost")), "localhost"));
	cr_assert(slice_is(
		dns_breaker_place(SLICE("1.2.0.192.in-addr.arpa")), "1.2.0.192.in-addr.arpa"));
}
