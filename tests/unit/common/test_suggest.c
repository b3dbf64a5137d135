/* SPDX-License-Identifier: ISC */
/*
 * Which misspelt words get a suggestion, and which are too far from all.
 */
#include "common/suggest.h"

#include <criterion/criterion.h>

static const char *const words[] = {
	"match",
	"except",
	"action",
	"on_error",
	"reply",
	"warn_at",
	"max_connections",
	"per",
	"limits",
	"limit",
};

static const char *suggest(const char *word)
{
	return suggest_word(slice_of(word), words, sizeof(words) / sizeof(words[0]));
}

Test(suggest, near_words)
{
	cr_assert_str_eq(suggest("macth"), "match");
	cr_assert_str_eq(suggest("exept"), "except");
	cr_assert_str_eq(suggest("Action"), "action");
	cr_assert_str_eq(suggest("on-error"), "on_error");
	cr_assert_str_eq(suggest("onerror"), "on_error");
	cr_assert_str_eq(suggest("max-conections"), "max_connections");
	cr_assert_str_eq(suggest("pre"), "per");
	cr_assert_str_eq(suggest("limts"), "limits");
	cr_assert_str_eq(suggest("limit"), "limit");
	cr_assert_str_eq(suggest("max"), "max_connections");
	cr_assert_str_eq(suggest("lim"), "limit");
}

Test(suggest, far_words)
{
	char long_word[1000];

	cr_assert_null(suggest("greylist"));
	cr_assert_null(suggest("x"));
	cr_assert_null(suggest("ma"));
	cr_assert_null(suggest(""));
	memset(long_word, 'a', sizeof(long_word));
	cr_assert_null(suggest_word(slice_make(long_word, sizeof(long_word)), words, 10));
	cr_assert_null(suggest_word(SLICE("match"), words, 0));
}
