/* SPDX-License-Identifier: ISC */
/*
 * Bans and live limits as texts in a shared list: they come back as they were, in the reader's
 * time, and what a stranger may have put there is refused. (Those of bans: test_redis_lists.c.)
 */
#include "daemon/store/redis/facts.h"

#include <criterion/criterion.h>

static bool reads(const char *member, const char *facts)
{
	struct override override;

	return facts_get_override(slice_of(member), slice_of(facts), UINT64_MAX, 0, &override);
}

Test(redis_facts, a_live_limit_comes_back_in_the_readers_time)
{
	struct override override = {.rule = "hourly",
		.subject = "j\xc3\xb6rg/%@example.com",
		.by = "uid 1000",
		.rates = {{500, 3600000}, {RATE_MAX_LIMIT, 86400000}},
		.rate_count = 2,
		.since_wall_ms = 1000,
		.until_wall_ms = 9000};
	struct override again;
	struct buf name, facts;

	buf_init(&name, 1000);
	buf_init(&facts, 1000);
	facts_put_override_name(&name, slice_of(override.rule), slice_of(override.subject));
	facts_put_override(&facts, &override, 50);
	cr_assert(facts_get_override(buf_slice(&name), buf_slice(&facts), 9000, 30, &again));
	cr_assert(strcmp(again.rule, override.rule) == 0 && strcmp(again.by, override.by) == 0);
	cr_assert_str_eq(again.subject, override.subject);
	cr_assert(again.rate_count == 2 && again.rates[0].limit == 500 &&
		  again.rates[1].limit == RATE_MAX_LIMIT &&
		  again.rates[1].window_ms == 86400000);
	cr_assert(again.since_wall_ms == 1020 && again.until_wall_ms == 9000);
	buf_release(&name);
	buf_release(&facts);
}

Test(redis_facts, live_limits_of_strangers)
{
	static const char *const absurd[] = {
		"",
		"1000",
		"1000 ",
		"x 5:alice200/3600000",

		"1000 9:alice200/3600000",
		"1000 5:alice200",
		"1000 5:alice200/",
		"1000 5:alice/3600000",
		"1000 5:alice200/0",
		"1000 5:alice-1/3600000",
		"1000 5:alice200/3600000,",
		"1000 5:alice9007199254740992/3600000",
		"1000 5:alice18446744073709551615/3600000",
		"1000 5:alice200/9007199254740993",
		"1000 5:alice1/1,1/2,1/3,1/4,1/5",
		"9007199254740993 5:alice200/3600000",
	};

	cr_assert(reads("hourly/bob@example.com", "1000 5:alice200/3600000"));
	cr_assert(reads("hourly/bob@example.com", "1000 5:alice"), "unlimited");
	cr_assert(reads("hourly/bob@example.com", "1000 5:alice9007199254740991/3600000"));
	for (size_t i = 0; i < sizeof(absurd) / sizeof(absurd[0]); i++)
		cr_expect_not(reads("hourly/bob@example.com", absurd[i]), "%s", absurd[i]);
	cr_expect_not(reads("hourly", "1000 5:alice200/3600000"));
	cr_expect_not(reads("/bob@example.com", "1000 5:alice200/3600000"));
	cr_expect_not(reads("hourly/", "1000 5:alice200/3600000"));
	cr_expect_not(reads("hourly/%0", "1000 5:alice200/3600000"));
}
