/* SPDX-License-Identifier: ISC */
/*
 * Header and value, one after the other.
 */
#include "daemon/store/embedded/batch.h"

#include "common/alloc.h"
#include "daemon/store/embedded/group.h"

#define FIRST_BYTES ((size_t)64 << 10)
#define KEEP_BYTES ((size_t)1 << 20)

struct header {
	uint32_t key, len;
	uint8_t db;
	bool remove;
};

void batch_init(struct batch *batch)
{
	*batch = (struct batch){.bytes = NULL};
}

void batch_release(struct batch *batch)
{
	mem_free(&batch->bytes);
	batch_init(batch);
}

/* One busy second must not keep its memory for ever. */
void batch_reset(struct batch *batch)
{
	if (batch->len > KEEP_BYTES)
		batch_release(batch);
	batch->len = 0;
	batch->records = 0;
	batch->values = 0;
}

static void make_room(struct batch *batch, size_t bytes)
{
	size_t cap = batch->cap ? batch->cap : FIRST_BYTES;

	while (cap - batch->len < bytes)
		cap *= 2;
	batch->bytes = mem_grow(batch->bytes, cap);
	batch->cap = cap;
}

/* With the record before it. */
static bool shares_value(const struct batch *batch, enum batch_db db, uint32_t key)
{
	struct header last;

	memcpy(&last, batch->bytes + batch->open, sizeof(last));
	return last.db == db && last.key / group_size(db) == key / group_size(db);
}

static char *begin(
	struct batch *batch, enum batch_db db, uint32_t key, bool remove, size_t max_bytes)
{
	struct header header;

	memset(&header, 0, sizeof(header));
	header.key = key;
	header.db = (uint8_t)db;
	header.remove = remove;
	if (batch->cap - batch->len < sizeof(header) + max_bytes)
		make_room(batch, sizeof(header) + max_bytes);
	batch->values += !batch->records || !shares_value(batch, db, key);
	memcpy(batch->bytes + batch->len, &header, sizeof(header));
	batch->open = batch->len;
	batch->len += sizeof(header);
	batch->records++;
	return batch->bytes + batch->len;
}

char *batch_begin(struct batch *batch, enum batch_db db, uint32_t key, size_t max_bytes)
{
	return begin(batch, db, key, false, max_bytes);
}

void batch_end(struct batch *batch, const char *end)
{
	uint32_t len = (uint32_t)(end - (batch->bytes + batch->len));

	memcpy(batch->bytes + batch->open + offsetof(struct header, len), &len, sizeof(len));
	batch->len += len;
}

void batch_remove(struct batch *batch, enum batch_db db, uint32_t key)
{
	(void)begin(batch, db, key, true, 0);
}

bool batch_next(const struct batch *batch, size_t *at, struct batch_record *ret)
{
	struct header header;

	if (*at >= batch->len)
		return false;
	memcpy(&header, batch->bytes + *at, sizeof(header));
	*ret = (struct batch_record){
		.db = (enum batch_db)header.db,
		.key = header.key,
		.remove = header.remove,
		.value = slice_make(batch->bytes + *at + sizeof(header), header.len),
	};
	*at += sizeof(header) + header.len;
	return true;
}
