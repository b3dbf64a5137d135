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

Test(redis_scripts, each_is_whole_and_all_but_hello_are_fenced)
{
	struct scripts *scripts = scripts_new();

	for (int i = 0; i < SCRIPTS; i++) {
		struct slice text = scripts_text(scripts, (enum script)i);

		cr_assert(text.len > 500 && text.len < 40000, "script %d: %zu bytes", i, text.len);
		cr_assert(slice_starts_with(text, SLICE("-- SPDX")) || i == SCRIPT_HELLO);
		cr_assert(holds(text, "redis.call('TIME')"));
		cr_assert(holds(text, "{'STALE'}"));
		cr_assert_eq(holds(text, "{'LATE', now}"), i != SCRIPT_HELLO);
		cr_assert(slice_ends_with(text, SLICE("\n")));
	}
	scripts_free(&scripts);
	cr_assert_null(scripts);
	scripts_free(&scripts);
}
