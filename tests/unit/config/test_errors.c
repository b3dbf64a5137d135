/* SPDX-License-Identifier: ISC */
/*
 * Order, caps and escaping of what is wrong.
 */
#include "tests/unit/config/support.h"

static struct config_pos at(const char *file, unsigned line, unsigned column)
{
	return (struct config_pos){file, line, column};
}

static const char *line(const struct config_errors *errors, size_t index)
{
	bool is_warning;

	return config_errors_line(errors, index, &is_warning);
}

Test(config_errors, lines_are_sorted_by_file_line_and_column)
{
	struct config_errors *errors = config_errors_new();

	config_error(errors, at("b", 1, 1), "five");
	config_error(errors, at("a", 10, 1), "four");
	config_warning(errors, at("a", 2, 9), "three");
	config_error(errors, at("a", 2, 1), "two");
	config_error(errors, at("a", 0, 0), "one");
	cr_expect_str_eq(line(errors, 0), "a: one");
	cr_expect_str_eq(line(errors, 1), "a:2:1: two");
	cr_expect_str_eq(line(errors, 2), "a:2:9: warning: three");
	cr_expect_str_eq(line(errors, 3), "a:10:1: four");
	cr_expect_str_eq(line(errors, 4), "b:1:1: five");
	cr_expect_null(line(errors, 5));
	cr_expect_eq(config_errors_count(errors), 4);
	cr_expect_eq(config_warnings_count(errors), 1);
	config_errors_free(&errors);
	cr_expect_null(errors);
	config_errors_free(&errors);
}

Test(config_errors, same_place_keeps_the_order_and_one_of_each)
{
	struct config_errors *errors = config_errors_new();

	config_error(errors, at("f", 1, 1), "first");
	config_error(errors, at("f", 1, 1), "second");
	config_error(errors, at("f", 1, 1), "first");
	cr_expect_str_eq(line(errors, 0), "f:1:1: first");
	cr_expect_str_eq(line(errors, 1), "f:1:1: second");
	cr_expect_eq(config_errors_count(errors), 2);
	config_errors_free(&errors);
}

Test(config_errors, a_hundred_are_kept_and_the_rest_is_counted)
{
	struct config_errors *errors = config_errors_new();
	bool is_warning = true;

	for (unsigned i = 0; i < 250; i++)
		config_error(errors, at("f", i + 1, 1), "wrong");
	config_warning(errors, at("f", 1, 1), "odd");
	cr_expect_eq(config_errors_count(errors), 250);
	cr_expect_str_eq(config_errors_line(errors, 101, &is_warning),
		"150 more errors and warnings are not shown");
	cr_expect_not(is_warning);
	cr_expect_null(line(errors, 102));
	config_errors_free(&errors);
}

Test(config_errors, what_is_printed_is_printable)
{
	struct config_errors *errors = config_errors_new();

	config_error(errors, at("f", 1, 1), "bad '%s'",
		config_quote(slice_make("a\n\033[1m\xff\0z", 9)).text);
	cr_expect_str_eq(line(errors, 0), "f:1:1: bad 'a\\x0A\\x1B[1m\\xFF\\x00z'");
	config_error(errors, at("f", 2, 1), "tab\t here");
	cr_expect_str_eq(line(errors, 1), "f:2:1: tab\\x09 here");
	config_errors_free(&errors);
}

Test(config_errors, quotes_are_cut)
{
	char text[300];

	memset(text, 'x', sizeof(text));
	cr_expect_eq(strlen(config_quote(slice_make(text, sizeof(text))).text), 64);
	cr_expect_str_eq(config_quote(slice_make(text, sizeof(text))).text + 58, "xxx...");
	memset(text, '\1', sizeof(text));
	cr_expect_lt(strlen(config_quote(slice_make(text, sizeof(text))).text), 72);
	cr_expect_str_eq(config_quote(SLICE_EMPTY).text, "");
}
