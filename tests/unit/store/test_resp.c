/* SPDX-License-Identifier: ISC */
/*
 * Commands as Redis wants them, with any byte in them, and over a buffer that is too small.
 */
#include "daemon/store/redis/resp.h"

#include <criterion/criterion.h>

Test(resp, a_command_of_all_kinds)
{
	struct buf out;

	buf_init(&out, 4096);
	resp_command(&out, 5);
	resp_slice(&out, SLICE("SET"));
	resp_slice(&out, SLICE("a\r\n\0b"));
	resp_slice(&out, SLICE_EMPTY);
	resp_u64(&out, UINT64_MAX);
	resp_i64(&out, INT64_MIN);
	cr_assert(slice_equal(buf_slice(&out),
		SLICE("*5\r\n$3\r\nSET\r\n$5\r\na\r\n\0b\r\n$0\r\n\r\n$20\r\n18446744073709551615\r\n"
		      "$20\r\n-9223372036854775808\r\n")));
	cr_assert(!out.overflow);
	buf_release(&out);
}

Test(resp, texts)
{
	const char *const texts[] = {"AUTH", "anna", "secret", NULL};
	struct buf out;

	buf_init(&out, 4096);
	resp_texts(&out, texts);
	cr_assert(slice_is(buf_slice(&out), "*3\r\n$4\r\nAUTH\r\n$4\r\nanna\r\n$6\r\nsecret\r\n"));
	buf_release(&out);
}

/* Each argument goes in whole or not at all, and the buffer says that one is missing. */
Test(resp, what_does_not_fit_is_told)
{
	char memory[40];
	struct buf out;

	buf_init_fixed(&out, memory, sizeof(memory));
	resp_command(&out, 2);
	resp_slice(&out, SLICE("ECHO"));
	cr_assert(!out.overflow);
	resp_slice(&out, SLICE("hello"));
	cr_assert(out.overflow);
	cr_assert(slice_is(buf_slice(&out), "*2\r\n$4\r\nECHO\r\n"));
}
