/* SPDX-License-Identifier: ISC */
#include "common/scan.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct scan byte_by_byte(const char *data)
{
	struct scan scan = {0, false};

	for (unsigned i = 0; i < SCAN_BYTES; i++) {
		scan.line_ends |= (uint64_t)(data[i] == '\n') << i;
		scan.has_nul |= data[i] == '\0';
	}
	return scan;
}

static void agree(const char *data)
{
	struct scan expected = byte_by_byte(data), quick = scan64(data);
	struct scan anywhere = scan64_anywhere(data);

	cr_assert_eq(quick.line_ends, expected.line_ends);
	cr_assert_eq(quick.has_nul, expected.has_nul);
	cr_assert_eq(anywhere.line_ends, expected.line_ends);
	cr_assert_eq(anywhere.has_nul, expected.has_nul);
}

/* A byte of each value at each place, among bytes that differ from LF and NUL in one bit. */
Test(scan, each_byte_at_each_place)
{
	static const char around[] = {'x', '\x0b', '\x01', '\x8a', '\x80', '\n', '\0'};
	char data[SCAN_BYTES];

	for (size_t k = 0; k < sizeof(around); k++) {
		memset(data, around[k], sizeof(data));
		for (size_t at = 0; at < sizeof(data); at++) {
			for (int byte = 0; byte < 256; byte++) {
				data[at] = (char)byte;
				agree(data);
			}
			data[at] = around[k];
		}
	}
}

Test(scan, random_bytes)
{
	char data[SCAN_BYTES];

	srand(3);
	for (int round = 0; round < 10000; round++) {
		for (size_t i = 0; i < sizeof(data); i++)
			data[i] = "\n\0a="[(unsigned)rand() % (round % 2 ? 4 : 300) % 4];
		agree(data);
	}
}
