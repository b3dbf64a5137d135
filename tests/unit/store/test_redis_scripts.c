/* SPDX-License-Identifier: ISC */
/*
 * The scripts are whole. What they do is tested against a real Redis: tests/contract/redis.c,
 * tests/integration/test_counter_scripts.py.
 */
#include "daemon/store/redis/scripts.h"

#include <criterion/criterion.h>

static bool holds(struct slice text, const char *word)
{
	return memmem(text.data, text.len, word, strlen(word)) != NULL;
}

/* hello gives out the fences. Lists are all nodes' alike: what comes late is told by who was removed. */
static bool is_fenced(enum script script)
{
	return script != SCRIPT_HELLO && script < SCRIPT_LIST_PULL;
}

Test(redis_scripts, each_is_whole_and_those_of_counters_are_fenced)
{
	struct scripts *scripts = scripts_new();

	for (int i = 0; i < SCRIPTS; i++) {
		struct slice text = scripts_text(scripts, (enum script)i);
		bool fenced = is_fenced((enum script)i);

		cr_expect(text.len > 500 && text.len < 40000, "script %d: %zu bytes", i, text.len);
		cr_expect_eq(slice_starts_with(text, SLICE("-- SPDX")), fenced, "script %d", i);
		cr_expect(holds(text, "redis.call('TIME')"), "script %d", i);
		cr_expect_eq(holds(text, "{'LATE', now}"), fenced, "script %d", i);
		cr_expect(!fenced || holds(text, "{'STALE'}"), "script %d", i);
		cr_expect(slice_ends_with(text, SLICE("\n")), "script %d", i);
	}
	scripts_free(&scripts);
	cr_assert_null(scripts);
	scripts_free(&scripts);
}
