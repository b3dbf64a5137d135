/* SPDX-License-Identifier: ISC */
/*
 * Records that stay as they are lie side by side, so that writing copies them as a few long runs.
 */
#include "daemon/store/embedded/group.h"

#include <endian.h>

unsigned group_size(enum batch_db db)
{
	static const unsigned sizes[BATCH_DBS] = {
		[BATCH_META] = 1,
		[BATCH_COUNTERS] = 16,    /* of about 90 bytes */
		[BATCH_TRANSACTIONS] = 8, /* of about 200 */
		[BATCH_BANS] = 1,
		[BATCH_OVERRIDES] = 1,
	};

	return sizes[db];
}

static size_t get_end(struct slice value, unsigned index)
{
	uint32_t end;

	memcpy(&end, value.data + index * sizeof(end), sizeof(end));
	return le32toh(end);
}

static bool read_all(struct slice value, unsigned size, struct slice *records)
{
	size_t header = size * sizeof(uint32_t);
	size_t begin = 0;

	if (value.len < header)
		return false;
	for (unsigned i = 0; i < size; i++) {
		size_t end = get_end(value, i);

		if (end < begin || end > value.len - header)
			return false;
		records[i] = slice_make(value.data + header + begin, end - begin);
		begin = end;
	}
	return begin == value.len - header;
}

bool group_read(struct slice value, unsigned size, struct slice ret_records[static GROUP_MAX])
{
	if (read_all(value, size, ret_records))
		return true;
	for (unsigned i = 0; i < size; i++)
		ret_records[i] = SLICE_EMPTY;
	return false;
}

static size_t write_ends(struct buf *out, unsigned size, const struct slice *records)
{
	uint32_t ends[GROUP_MAX];
	size_t bytes = 0;

	for (unsigned i = 0; i < size; i++) {
		bytes += records[i].len;
		ends[i] = htole32((uint32_t)bytes);
	}
	if (bytes)
		buf_add(out, slice_make((const char *)ends, size * sizeof(ends[0])));
	return bytes;
}

void group_write(struct buf *out, unsigned size, const struct slice records[static GROUP_MAX])
{
	struct slice run = SLICE_EMPTY;

	if (!write_ends(out, size, records))
		return;
	for (unsigned i = 0; i < size; i++) {
		if (!records[i].len)
			continue;
		if (run.data + run.len == records[i].data) {
			run.len += records[i].len;
			continue;
		}
		buf_add(out, run);
		run = records[i];
	}
	buf_add(out, run);
}
