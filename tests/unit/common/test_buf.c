/* SPDX-License-Identifier: ISC */
/*
 * The builder: its bound, all or nothing, numbers at their ends, dropping from the front.
 */
#include "common/buf.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>

static bool holds(const struct buf *buf, const char *text)
{
	return slice_is(buf_slice(buf), text);
}

Test(buf, numbers_at_their_ends)
{
	struct buf buf;

	buf_init(&buf, 1000);
	buf_add_u64(&buf, 0);
	buf_add_char(&buf, ' ');
	buf_add_u64(&buf, UINT64_MAX);
	buf_add_char(&buf, ' ');
	buf_add_i64(&buf, INT64_MIN);
	buf_add_char(&buf, ' ');
	buf_add_i64(&buf, -1);
	buf_add_char(&buf, ' ');
	buf_add_i64(&buf, INT64_MAX);
	cr_assert(
		holds(&buf, "0 18446744073709551615 -9223372036854775808 -1 9223372036854775807"));
	buf_release(&buf);
}

/* Around each power of ten and of two, against printf. */
Test(buf, numbers_of_every_length)
{
	for (unsigned i = 0; i < 64; i++) {
		uint64_t ten = 1;

		for (unsigned k = 0; k < i % BUF_U64_DIGITS; k++)
			ten *= 10;
		for (int off = -1; off < 2; off++) {
			uint64_t values[] = {ten + (uint64_t)(int64_t)off,
				(UINT64_C(1) << i) + (uint64_t)(int64_t)off};

			for (size_t k = 0; k < 2; k++) {
				char text[BUF_U64_DIGITS + 1], expected[BUF_U64_DIGITS + 1];

				*buf_put_u64(text, values[k]) = '\0';
				snprintf(expected, sizeof(expected), "%" PRIu64, values[k]);
				cr_assert_str_eq(text, expected);
			}
		}
	}
}

Test(buf, grows_to_its_bound_and_no_further)
{
	struct buf buf;

	buf_init(&buf, 1000);
	for (int i = 0; i < 1000; i++)
		buf_add_char(&buf, 'x');
	cr_assert_eq(buf.len, 1000);
	cr_assert_not(buf.overflow);
	buf_add_char(&buf, 'y');
	cr_assert_eq(buf.len, 1000);
	cr_assert(buf.overflow);
	buf_reset(&buf);
	cr_assert_not(buf.overflow);
	cr_assert_eq(buf_slice(&buf).len, 0);
	buf_release(&buf);
}

Test(buf, adds_all_or_nothing)
{
	struct buf buf;
	char memory[8];

	buf_init_fixed(&buf, memory, sizeof(memory));
	buf_add(&buf, SLICE("12345"));
	buf_add(&buf, SLICE("6789"));
	cr_assert(holds(&buf, "12345"));
	cr_assert(buf.overflow);
	buf_add(&buf, SLICE("678"));
	cr_assert(holds(&buf, "12345678"));
	buf_add_format(&buf, "%d", 1);
	cr_assert(holds(&buf, "12345678"));
	buf_release(&buf);
}

Test(buf, format_fills_fixed_memory_to_the_last_byte)
{
	struct buf buf;
	char memory[5];

	buf_init_fixed(&buf, memory, sizeof(memory));
	buf_add_format(&buf, "%s", "12345");
	cr_assert(holds(&buf, "12345"));
	cr_assert_not(buf.overflow);
}

Test(buf, long_formats)
{
	struct buf buf;

	buf_init(&buf, 10000);
	buf_add_format(&buf, "<%0*d>", 3000, 7);
	cr_assert_eq(buf.len, 3002);
	cr_assert_eq(buf.data[3000], '7');
	cr_assert_eq(buf.data[3001], '>');
	buf_release(&buf);
}

Test(buf, consume_drops_from_the_front)
{
	struct buf buf;

	buf_init(&buf, 100);
	buf_add(&buf, SLICE("action=DUNNO"));
	buf_consume(&buf, 7);
	cr_assert(holds(&buf, "DUNNO"));
	buf_consume(&buf, 0);
	cr_assert(holds(&buf, "DUNNO"));
	buf_consume(&buf, 50);
	cr_assert(holds(&buf, ""));
	buf_release(&buf);
}

Test(buf, empty_slices_are_fine)
{
	struct buf buf;

	buf_init(&buf, 0);
	buf_add(&buf, slice_make(NULL, 0));
	cr_assert_eq(buf_slice(&buf).len, 0);
	cr_assert_not(buf.overflow);
	cr_assert(buf_reserve(&buf, 0));
	cr_assert_not(buf_reserve(&buf, 1));
	cr_assert_not(buf_reserve(&buf, SIZE_MAX));
	buf_release(&buf);
}
