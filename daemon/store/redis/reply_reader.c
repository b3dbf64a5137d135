/* SPDX-License-Identifier: ISC */
/*
 * The functions that hiredis builds a reply with. Its reader knows no bound for a whole reply and
 * believes the number of elements that an array claims; here each piece is paid for before it is
 * made. Freeing does nothing: a reply goes with the arena.
 *
 * createArray() takes an int in hiredis 0.14 and a size_t in 1.x, which also has kinds of RESP3;
 * those are never asked for, so a server that sends them is broken.
 */
#include "daemon/store/redis/reply_reader.h"

#define ARENA_BYTES 4096

static struct reply_reader *reader_of(const redisReadTask *task)
{
	return task->privdata;
}

static struct redis_reply *add_reply(const redisReadTask *task, enum redis_type type, size_t extra)
{
	struct reply_reader *reader = reader_of(task);
	size_t bytes = sizeof(struct redis_reply) + extra;
	struct redis_reply *reply, *parent;

	if (extra > reader->max_bytes || bytes > reader->max_bytes - reader->used) {
		reader->too_large = true;
		return NULL;
	}
	reader->used += bytes;
	reply = arena_zalloc(&reader->arena, sizeof(*reply));
	reply->type = type;
	reply->text = SLICE_EMPTY;
	if (task->parent) {
		parent = task->parent->obj;
		parent->items[task->idx] = reply;
	}
	return reply;
}

static void *create_string(const redisReadTask *task, char *text, size_t len)
{
	enum redis_type type = REDIS_TYPE_STRING;
	struct redis_reply *reply;
	char *copy;

	if (task->type == REDIS_REPLY_ERROR)
		type = REDIS_TYPE_ERROR;
	else if (task->type == REDIS_REPLY_STATUS)
		type = REDIS_TYPE_STATUS;
	reply = add_reply(task, type, len + 1);
	if (!reply)
		return NULL;
	copy = arena_alloc(&reader_of(task)->arena, len + 1);
	memcpy(copy, text, len);
	copy[len] = '\0';
	reply->text = slice_make(copy, len);
	return reply;
}

static bool is_too_deep(const redisReadTask *task)
{
	unsigned depth = 1;

	while ((task = task->parent) != NULL)
		depth++;
	return depth > REPLY_MAX_DEPTH;
}

static void *add_array(const redisReadTask *task, size_t count)
{
	struct reply_reader *reader = reader_of(task);
	struct redis_reply *reply;

	if (is_too_deep(task)) {
		reader->too_deep = true;
		return NULL;
	}
	if (count > reader->max_bytes / sizeof(reply->items[0])) {
		reader->too_large = true;
		return NULL;
	}
	reply = add_reply(task, REDIS_TYPE_ARRAY, count * sizeof(reply->items[0]));
	if (!reply)
		return NULL;
	reply->count = count;
	if (count)
		reply->items = arena_zalloc(&reader->arena, count * sizeof(reply->items[0]));
	return reply;
}

static void *create_integer(const redisReadTask *task, long long value)
{
	struct redis_reply *reply = add_reply(task, REDIS_TYPE_INTEGER, 0);

	if (reply)
		reply->integer = value;
	return reply;
}

static void *create_nil(const redisReadTask *task)
{
	return add_reply(task, REDIS_TYPE_NIL, 0);
}

static void free_object(void *object)
{
	(void)object;
}

#if HIREDIS_MAJOR >= 1
static void *create_array(const redisReadTask *task, size_t count)
{
	return add_array(task, count);
}

static void *create_double(const redisReadTask *task, double value, char *text, size_t len)
{
	(void)task, (void)value, (void)text, (void)len;
	return NULL;
}

static void *create_bool(const redisReadTask *task, int value)
{
	(void)task, (void)value;
	return NULL;
}
#else
static void *create_array(const redisReadTask *task, int count)
{
	return add_array(task, count > 0 ? (size_t)count : 0);
}
#endif

static redisReplyObjectFunctions functions = {
	.createString = create_string,
	.createArray = create_array,
	.createInteger = create_integer,
	.createNil = create_nil,
	.freeObject = free_object,
#if HIREDIS_MAJOR >= 1
	.createDouble = create_double,
	.createBool = create_bool,
#endif
};

void reply_reader_init(struct reply_reader *reader, size_t max_bytes)
{
	*reader = (struct reply_reader){.max_bytes = max_bytes ? max_bytes : REPLY_MAX_BYTES};
	arena_init(&reader->arena, ARENA_BYTES);
}

void reply_reader_release(struct reply_reader *reader)
{
	arena_release(&reader->arena);
}

void reply_reader_attach(struct reply_reader *reader, redisReader *hiredis)
{
	hiredis->fn = &functions;
	hiredis->privdata = reader;
}

void reply_reader_reset(struct reply_reader *reader)
{
	arena_reset(&reader->arena);
	reader->used = 0;
}
