/* SPDX-License-Identifier: ISC */
#include "daemon/ctl/postfix/run.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>

static struct arena arena;

static void open_arena(void)
{
	(void)signal(SIGPIPE, SIG_IGN);
	arena_init(&arena, 1024);
}

static void close_arena(void)
{
	arena_release(&arena);
}

TestSuite(run, .init = open_arena, .fini = close_arena);

Test(run, output_errors_and_exit_code)
{
	const char *const argv[] = {"sh", "-c", "cat; echo oops >&2; exit 3", NULL};
	struct run_output output;
	const char *why;

	cr_assert(run_program(&arena, argv, SLICE("in\nput"), &output, &why));
	cr_assert_eq(output.status, 3);
	cr_assert(slice_is(output.out, "in\nput"));
	cr_assert(slice_is(output.err, "oops\n"));
}

Test(run, words_are_words)
{
	const char *const argv[] = {"printf", "%s|", "a b", "$(id)", "'", ";", NULL};
	struct run_output output;
	const char *why;

	cr_assert(run_program(&arena, argv, SLICE_EMPTY, &output, &why));
	cr_assert(slice_is(output.out, "a b|$(id)|'|;|"));
}

Test(run, a_lot_both_ways)
{
	const char *const argv[] = {"cat", NULL};
	size_t len = (size_t)1 << 20;
	char *memory = malloc(len);
	struct run_output output;
	const char *why;

	cr_assert_not_null(memory);
	memset(memory, 'x', len);
	cr_assert(run_program(&arena, argv, slice_make(memory, len), &output, &why));
	cr_assert_eq(output.out.len, len);
	free(memory);
}

Test(run, input_that_nobody_reads)
{
	const char *const argv[] = {"true", NULL};
	struct run_output output;
	const char *why;

	cr_assert(run_program(&arena, argv, SLICE("x"), &output, &why));
	cr_assert_eq(output.status, 0);
}

Test(run, no_such_program)
{
	const char *const argv[] = {"reeve-no-such-program", NULL};
	struct run_output output;
	const char *why;

	cr_assert_not(run_program(&arena, argv, SLICE_EMPTY, &output, &why));
	cr_assert_str_eq(why, "is not installed");
}

/* PATH may say what it wants: nothing is taken from the present folder. */
Test(run, not_from_here)
{
	const char *const argv[] = {"Makefile", NULL};
	struct run_output output;
	const char *why;

	cr_assert_eq(setenv("PATH", ":.", 1), 0);
	cr_assert_not(run_program(&arena, argv, SLICE_EMPTY, &output, &why));
}

Test(run, too_much)
{
	const char *const argv[] = {"sh", "-c",
		"while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done", NULL};
	struct run_output output;
	const char *why;

	cr_assert_not(run_program(&arena, argv, SLICE_EMPTY, &output, &why));
	cr_assert_str_eq(why, "printed too much");
}

Test(run, ended_by_a_signal)
{
	const char *const argv[] = {"sh", "-c", "kill -TERM $$", NULL};
	struct run_output output;
	const char *why;

	cr_assert(run_program(&arena, argv, SLICE_EMPTY, &output, &why));
	cr_assert_eq(output.status, 128 + 15);
}
