/* SPDX-License-Identifier: ISC */
/*
 * Numbers there and back, and what is none.
 */
#include "daemon/store/redis/packed.h"

#include <criterion/criterion.h>
#include <math.h>

static int64_t there_and_back(int64_t value)
{
	char memory[PACKED_BYTES];

	cr_assert_eq(packed_put_i64(memory, value), memory + PACKED_BYTES);
	return packed_get(memory);
}

Test(packed, whole_numbers_stay_what_they_are)
{
	static const int64_t numbers[] = {0, 1, -1, 255, 1700000000000, PACKED_MAX, -PACKED_MAX};
	char memory[PACKED_BYTES];

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		cr_expect_eq(there_and_back(numbers[i]), numbers[i], "%zu", i);
	packed_put_u64(memory, UINT64_MAX);
	cr_assert_eq(packed_get(memory), PACKED_MAX);
	packed_put_u64(memory, 1);
	cr_assert_arr_eq(
		memory, "\0\0\0\0\0\0\xf0\x3f", PACKED_BYTES); /* as struct.pack('<d', 1) */
}

Test(packed, what_no_script_counts_to_is_nothing)
{
	static const double numbers[] = {1e300, -1e300, 9007199254740992.0};
	char memory[PACKED_BYTES];
	double number = NAN;

	memcpy(memory, &number, sizeof(number));
	cr_expect_eq(packed_get(memory), 0);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		memcpy(memory, &numbers[i], sizeof(number));
		cr_expect_eq(packed_get(memory), 0, "%zu", i);
	}
}

Test(packed, names)
{
	char memory[12];
	const char *end =
		packed_put_u32(packed_put_name(memory, UINT64_C(0x8877665544332211)), 0xccbbaa99);

	cr_assert_eq(end, memory + sizeof(memory));
	cr_assert_arr_eq(
		memory, "\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc", sizeof(memory));
	cr_assert_eq(packed_get_name(memory), UINT64_C(0x8877665544332211));
}
