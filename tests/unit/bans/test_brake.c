/* SPDX-License-Identifier: ISC */
#include "daemon/bans/brake.h"

#include <criterion/criterion.h>
#include <stdio.h>

static enum brake_answer ask(struct brake *brake, const char *text, uint64_t max, uint64_t mono_ms)
{
	struct ip ip = { 0 };

	cr_assert(ip_parse(slice_of(text), &ip));
	return brake_ask(brake, &ip, max, mono_ms);
}

static enum brake_answer ask_number(struct brake *brake, unsigned i, uint64_t max, uint64_t mono_ms)
{
	char text[32];

	snprintf(text, sizeof(text), "203.%u.%u.%u", i >> 16 & 255, i >> 8 & 255, i & 255);
	return ask(brake, text, max, mono_ms);
}

Test(brake, begins_with_one_too_many_and_ends_after_a_quiet_minute)
{
	struct brake brake;
	uint64_t refused = 0;

	brake_init(&brake);
	for (unsigned i = 0; i < 10; i++)
		cr_expect_eq(ask_number(&brake, i, 10, 1000 + i), BRAKE_GO);
	cr_expect_eq(ask_number(&brake, 10, 10, 2000), BRAKE_STORM_BEGINS);
	cr_expect(brake_in_storm(&brake));
	cr_expect_eq(ask_number(&brake, 11, 10, 2001), BRAKE_STORM);
	/* It goes on as long as there are too many. */
	for (unsigned i = 0; i < 11; i++)
		cr_expect_eq(ask_number(&brake, 100 + i, 10, 62000), BRAKE_STORM);
	cr_expect_not(brake_tick(&brake, 62001, &refused));
	cr_expect_eq(ask_number(&brake, 200, 10, 122500), BRAKE_STORM);
	cr_expect(brake_tick(&brake, 122501, &refused));
	cr_expect_eq(refused, 14);
	cr_expect_not(brake_in_storm(&brake));
	cr_expect_not(brake_tick(&brake, 122502, &refused));
	cr_expect_eq(ask_number(&brake, 201, 10, 122503), BRAKE_GO);
	brake_release(&brake);
}

Test(brake, a_slow_trickle_is_no_storm)
{
	struct brake brake;

	brake_init(&brake);
	for (unsigned i = 0; i < 1000; i++)
		cr_expect_eq(ask_number(&brake, i, 10, 1000 + i * UINT64_C(6000)), BRAKE_GO);
	brake_release(&brake);
}

Test(brake, a_network_counts_once_a_minute)
{
	struct brake brake;

	brake_init(&brake);
	for (unsigned i = 0; i < 50; i++) {
		char text[64];

		snprintf(text, sizeof(text), "2001:db8:1:%x::1", i);
		cr_expect_eq(ask(&brake, text, 2, 1000), BRAKE_GO);
		cr_expect_eq(ask(&brake, "192.0.2.1", 2, 1000), BRAKE_GO);
	}
	cr_expect_eq(ask(&brake, "2001:db8:2::1", 2, 1000), BRAKE_STORM_BEGINS);
	brake_release(&brake);
}

Test(brake, high_maximum)
{
	struct brake brake;

	brake_init(&brake);
	for (unsigned i = 0; i < 6000; i++)
		cr_assert_eq(ask_number(&brake, i, 6000, 1000 + i), BRAKE_GO);
	cr_expect_eq(ask_number(&brake, 7000, 6000, 8000), BRAKE_STORM_BEGINS);
	cr_expect_eq(ask_number(&brake, 7001, 6000, 62000), BRAKE_STORM);
	brake_release(&brake);
}
