/* SPDX-License-Identifier: ISC */
/*
 * Records that share a value: they come back as they were put, whatever was there before; what is
 * cut or changed is refused or at least stays inside its bytes.
 */
#include "daemon/store/embedded/group.h"

#include <criterion/criterion.h>

#include "common/alloc.h"

static void check_back(unsigned size, const struct slice *records)
{
	struct slice again[GROUP_MAX];
	struct buf buf;

	buf_init(&buf, 1 << 20);
	group_write(&buf, size, records);
	if (buf.len) {
		cr_assert(group_read(buf_slice(&buf), size, again));
		for (unsigned i = 0; i < size; i++)
			cr_assert(slice_equal(again[i], records[i]), "%u of %u", i, size);
	} else {
		for (unsigned i = 0; i < size; i++)
			cr_assert_eq(records[i].len, 0);
	}
	buf_release(&buf);
}

Test(group, sizes_are_powers_of_two)
{
	for (int db = 0; db < BATCH_DBS; db++) {
		unsigned size = group_size((enum batch_db)db);

		cr_assert(size > 0 && size <= GROUP_MAX && (size & (size - 1)) == 0);
	}
}

Test(group, comes_back_whatever_is_there)
{
	static const char text[] = "the quick brown fox jumps over the lazy dog";
	struct slice records[GROUP_MAX];
	uint64_t random = 1;

	for (unsigned round = 0; round < 5000; round++) {
		unsigned size = 1u << round % 5;

		for (unsigned i = 0; i < GROUP_MAX; i++) {
			random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
			records[i] = slice_first(slice_from(slice_of(text), random >> 60),
				random >> 33 & 1 ? random >> 34 & 31 : 0);
		}
		check_back(size, records);
	}
}

/* As the disk does it: some are replaced, the others stay as they lie. */
Test(group, some_are_replaced)
{
	struct slice records[GROUP_MAX] = {{"a", 1}, {"bb", 2}, {"ccc", 3}, {"", 0}, {"e", 1}};
	struct slice again[GROUP_MAX];
	struct buf first, second;

	buf_init(&first, 4096);
	buf_init(&second, 4096);
	group_write(&first, 8, records);
	cr_assert(group_read(buf_slice(&first), 8, again));
	again[1] = SLICE("longer than before");
	again[3] = SLICE("new");
	again[4] = SLICE_EMPTY;
	group_write(&second, 8, again);
	cr_assert(group_read(buf_slice(&second), 8, records));
	cr_assert(slice_is(records[0], "a") && slice_is(records[1], "longer than before"));
	cr_assert(slice_is(records[2], "ccc") && slice_is(records[3], "new"));
	for (unsigned i = 4; i < 8; i++)
		cr_assert_eq(records[i].len, 0);
	buf_release(&first);
	buf_release(&second);
}

Test(group, damage_is_refused_or_stays_inside)
{
	struct slice records[GROUP_MAX] = {{"", 0}, {"one", 3}, {"", 0}, {"three", 5}};
	struct slice got[GROUP_MAX];
	unsigned refused = 0;
	struct buf buf;
	char *copy;

	buf_init(&buf, 4096);
	group_write(&buf, 4, records);
	for (size_t len = 0; len < buf.len; len++) {
		copy = mem_dup(slice_first(buf_slice(&buf), len));
		cr_assert_not(group_read(slice_make(copy, len), 4, got));
		for (unsigned i = 0; i < 4; i++)
			cr_assert_eq(got[i].len, 0);
		mem_free(&copy);
	}
	copy = mem_dup(buf_slice(&buf));
	for (size_t i = 0; i < buf.len * 256; i++) {
		copy[i / 256] = (char)(i % 256);
		refused += !group_read(slice_make(copy, buf.len), 4, got);
		for (unsigned j = 0; j < 4; j++)
			cr_assert(
				!got[j].len || (got[j].data >= copy + 16 &&
						       got[j].data + got[j].len <= copy + buf.len));
		copy[i / 256] = buf.data[i / 256];
	}
	cr_assert_gt(refused, 15 * 250, "nearly all that is not in order");
	mem_free(&copy);
	buf_release(&buf);
}
