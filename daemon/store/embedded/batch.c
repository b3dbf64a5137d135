/* SPDX-License-Identifier: ISC */
/*
 * Header and value, one after the other. The builder's bound is far above what a snapshot holds
 * (its maker stops at a few megabytes), so nothing is ever dropped.
 */
#include "daemon/store/embedded/batch.h"

#define LIMIT_BYTES ((size_t)1 << 30)
#define KEEP_BYTES ((size_t)1 << 20)

struct header {
	uint32_t key, len;
	uint8_t db;
	bool remove;
};

void batch_init(struct batch *batch)
{
	buf_init(&batch->bytes, LIMIT_BYTES);
	batch->records = 0;
	batch->open = 0;
}

void batch_release(struct batch *batch)
{
	buf_release(&batch->bytes);
}

/* One busy second must not keep its memory for ever. */
void batch_reset(struct batch *batch)
{
	if (batch->bytes.len > KEEP_BYTES) {
		batch_release(batch);
		batch_init(batch);
	}
	buf_reset(&batch->bytes);
	batch->records = 0;
}

static void add_header(struct batch *batch, enum batch_db db, uint32_t key, bool remove)
{
	struct header header;

	memset(&header, 0, sizeof(header));
	header.key = key;
	header.db = (uint8_t)db;
	header.remove = remove;
	batch->open = batch->bytes.len;
	buf_add(&batch->bytes, slice_make((const char *)&header, sizeof(header)));
	batch->records++;
}

struct buf *batch_begin(struct batch *batch, enum batch_db db, uint32_t key)
{
	add_header(batch, db, key, false);
	return &batch->bytes;
}

void batch_end(struct batch *batch)
{
	char *start = batch->bytes.data + batch->open;
	struct header header;

	memcpy(&header, start, sizeof(header));
	header.len = (uint32_t)(batch->bytes.len - batch->open - sizeof(header));
	memcpy(start, &header, sizeof(header));
}

void batch_remove(struct batch *batch, enum batch_db db, uint32_t key)
{
	add_header(batch, db, key, true);
}

bool batch_next(const struct batch *batch, size_t *at, struct batch_record *ret)
{
	struct header header;

	if (*at >= batch->bytes.len)
		return false;
	memcpy(&header, batch->bytes.data + *at, sizeof(header));
	*ret = (struct batch_record){
		.db = (enum batch_db)header.db,
		.key = header.key,
		.remove = header.remove,
		.value = slice_make(batch->bytes.data + *at + sizeof(header), header.len),
	};
	*at += sizeof(header) + header.len;
	return true;
}
