/* SPDX-License-Identifier: ISC */
/*
 * Memory that succeeds: zeroing, growing, and the sizes and slices that are nothing.
 */
#include "common/alloc.h"

#include <criterion/criterion.h>
#include <stdint.h>

Test(alloc, zeroed_memory_is_zero)
{
	unsigned char *one = mem_zalloc(100), *many = mem_zalloc_array(10, 7);

	for (size_t i = 0; i < 100; i++)
		cr_assert_eq(one[i], 0);
	for (size_t i = 0; i < 70; i++)
		cr_assert_eq(many[i], 0);
	mem_free(&one);
	mem_free(&many);
	cr_assert_null(one);
	mem_free(&one);
}

Test(alloc, nothing_is_still_a_pointer)
{
	void *a = mem_alloc(0), *b = mem_zalloc_array(0, 8), *c = mem_grow(NULL, 0);

	cr_assert(a && b && c);
	free(a);
	free(b);
	free(c);
}

Test(alloc, growing_keeps_the_bytes)
{
	char *text = mem_dup(SLICE("abc"));

	text = mem_grow(text, 1000);
	cr_assert_str_eq(text, "abc");
	free(text);
}

Test(alloc, dup_ends_in_nul_and_takes_any_slice)
{
	char *a = mem_dup(slice_make("xyz", 2)), *b = mem_dup(SLICE_EMPTY),
	     *c = mem_dup(slice_make(NULL, 0));

	cr_assert_str_eq(a, "xy");
	cr_assert_str_eq(b, "");
	cr_assert_str_eq(c, "");
	free(a);
	free(b);
	free(c);
}
