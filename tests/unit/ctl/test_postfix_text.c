/* SPDX-License-Identifier: ISC */
#include "daemon/ctl/postfix/text.h"

#include <criterion/criterion.h>

static struct arena arena;

static void open_arena(void)
{
	arena_init(&arena, 1024);
}

static void close_arena(void)
{
	arena_release(&arena);
}

TestSuite(text, .init = open_arena, .fini = close_arena);

static void is(struct slice got, const char *wanted)
{
	cr_assert(slice_is(got, wanted), "'%.*s', not '%s'", SLICE_ARG(got), wanted);
}

Test(text, items_of_a_list)
{
	static const char *const wanted[] = {"permit", "check_policy_service",
		"{ inet:a:1, timeout=10s, { default_action = x y } }", "reject", "pipemap:{a,b c}",
		"{open"};
	struct slice rest = slice_of(", permit,\tcheck_policy_service { inet:a:1, timeout=10s, "
				     "{ default_action = x y } }  reject,pipemap:{a,b c},, {open"),
		     item;
	size_t count = 0;

	while (text_item(&rest, &item))
		is(item, wanted[count++]);
	cr_assert_eq(count, sizeof(wanted) / sizeof(wanted[0]));
	rest = SLICE(" ,\t");
	cr_assert_not(text_item(&rest, &item));
}

Test(text, squeezed_lists_mean_the_same)
{
	is(text_squeeze(&arena, SLICE("a, b  c")), "a,b,c");
	is(text_squeeze(&arena, SLICE("check_policy_service { inet:x:1, timeout=10s }, permit")),
		"check_policy_service,{inet:x:1,timeout=10s},permit");
	is(text_squeeze(&arena, SLICE("{ inet:x:1, { default_action = DUNNO } }")),
		"{inet:x:1,default_action=DUNNO}");
	/* Blanks that mean something stay. */
	is(text_squeeze(&arena, SLICE("{ inet:x:1, { default_action = 451 4.3.0 later } }")),
		"{inet:x:1,{default_action=451 4.3.0 later}}");
	is(text_squeeze(&arena, SLICE("")), "");
}

Test(text, quoting_for_the_shell)
{
	is(text_quote(&arena, SLICE("a=b/c,d")), "a=b/c,d");
	is(text_quote(&arena, SLICE("a = $b")), "'a = $b'");
	is(text_quote(&arena, SLICE("it's")), "'it'\\''s'");
	is(text_quote(&arena, SLICE("")), "''");
}

Test(text, regular_expressions_take_names_as_they_are)
{
	is(text_regexp(&arena, SLICE("mx.example.com")), "mx\\.example\\.com");
	is(text_regexp(&arena, SLICE("a(b)[c]/d$")), "a\\(b\\)\\[c\\]\\/d\\$");
}

Test(text, settings_and_lines)
{
	struct slice text = SLICE("a = b = c\nempty =\nno setting\nlast=x"), line, name, value;

	cr_assert(text_line(&text, &line) && text_setting(line, &name, &value));
	is(name, "a");
	is(value, "b = c");
	cr_assert(text_line(&text, &line) && text_setting(line, &name, &value));
	is(value, "");
	cr_assert(text_line(&text, &line));
	cr_assert_not(text_setting(line, &name, &value));
	cr_assert(text_line(&text, &line) && text_setting(line, &name, &value));
	is(value, "x");
	cr_assert_not(text_line(&text, &line));
}
