/* SPDX-License-Identifier: ISC */
/*
 * Reading replies: the accessors, and the words of errors.
 */
#include "daemon/store/redis/reply.h"

#include <string.h>

#include "common/units.h"
#include "daemon/store/redis/reply_reader.h"

enum redis_type redis_reply_type(const struct redis_reply *reply)
{
	return reply ? reply->type : REDIS_TYPE_NIL;
}

int64_t redis_reply_integer(const struct redis_reply *reply)
{
	return reply && reply->type == REDIS_TYPE_INTEGER ? reply->integer : 0;
}

struct slice redis_reply_text(const struct redis_reply *reply)
{
	return reply ? reply->text : SLICE_EMPTY;
}

bool redis_reply_u64(const struct redis_reply *reply, uint64_t *ret)
{
	if (redis_reply_type(reply) == REDIS_TYPE_INTEGER) {
		if (reply->integer < 0)
			return false;
		*ret = (uint64_t)reply->integer;
		return true;
	}
	return redis_reply_type(reply) == REDIS_TYPE_STRING && !units_parse_u64(reply->text, ret);
}

bool redis_reply_i64(const struct redis_reply *reply, int64_t *ret)
{
	struct slice text = redis_reply_text(reply);
	bool negative = slice_starts_with(text, SLICE("-"));
	uint64_t value;

	if (redis_reply_type(reply) == REDIS_TYPE_INTEGER) {
		*ret = reply->integer;
		return true;
	}
	if (redis_reply_type(reply) != REDIS_TYPE_STRING ||
		units_parse_u64(slice_from(text, negative), &value) || value > INT64_MAX)
		return false;
	*ret = negative ? -(int64_t)value : (int64_t)value;
	return true;
}

size_t redis_reply_count(const struct redis_reply *reply)
{
	return reply && reply->type == REDIS_TYPE_ARRAY ? reply->count : 0;
}

const struct redis_reply *redis_reply_item(const struct redis_reply *reply, size_t index)
{
	return index < redis_reply_count(reply) ? reply->items[index] : NULL;
}

static const struct {
	const char *word;
	enum redis_error error;
} words[] = {
	{"NOSCRIPT", REDIS_ERROR_NOSCRIPT},
	{"READONLY", REDIS_ERROR_READONLY},
	{"OOM", REDIS_ERROR_OOM},
	{"NOAUTH", REDIS_ERROR_NOAUTH},
	{"WRONGPASS", REDIS_ERROR_WRONGPASS},
	{"NOPERM", REDIS_ERROR_NOPERM},
	{"BUSY", REDIS_ERROR_BUSY},
	{"LOADING", REDIS_ERROR_LOADING},
	{"MASTERDOWN", REDIS_ERROR_MASTERDOWN},
	{"NOREPLICAS", REDIS_ERROR_NOREPLICAS},
	{"MISCONF", REDIS_ERROR_MISCONF},
	{"WRONGTYPE", REDIS_ERROR_WRONGTYPE},
	{"MOVED", REDIS_ERROR_CLUSTER},
	{"ASK", REDIS_ERROR_CLUSTER},
	{"CROSSSLOT", REDIS_ERROR_CLUSTER},
	{"CLUSTERDOWN", REDIS_ERROR_CLUSTER},
	{"TRYAGAIN", REDIS_ERROR_CLUSTER},
	{"UNBLOCKED", REDIS_ERROR_UNBLOCKED},
};

enum redis_error redis_reply_error(const struct redis_reply *reply)
{
	struct slice word = redis_reply_text(reply), rest;

	if (redis_reply_type(reply) != REDIS_TYPE_ERROR)
		return REDIS_NO_ERROR;
	slice_split(word, ' ', &word, &rest);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (slice_is(word, words[i].word))
			return words[i].error;
	return REDIS_ERROR_OTHER;
}

const char *redis_error_name(enum redis_error error)
{
	if (error == REDIS_NO_ERROR)
		return "none";
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (words[i].error == error)
			return words[i].word;
	return "ERR";
}
