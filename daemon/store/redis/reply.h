/* SPDX-License-Identifier: ISC */
/*
 * What Redis answered. A reply belongs to the link and is gone when the callback that was handed
 * it returns. Everything is asked for through functions that take any reply, NULL and the wrong
 * kind too, so that an answer that is not what it should be is an empty one and never a crash:
 * a rogue server may send anything.
 */
#ifndef REEVE_DAEMON_STORE_REDIS_REPLY_H
#define REEVE_DAEMON_STORE_REDIS_REPLY_H

#include <stdint.h>

#include "common/slice.h"

enum redis_type {
	REDIS_TYPE_NIL,
	REDIS_TYPE_INTEGER,
	REDIS_TYPE_STATUS, /* +OK */
	REDIS_TYPE_STRING,
	REDIS_TYPE_ARRAY,
	REDIS_TYPE_ERROR
};

/* The first word of an error. */
enum redis_error {
	REDIS_NO_ERROR,
	REDIS_ERROR_OTHER, /* "ERR ..." and what is not known here */
	REDIS_ERROR_NOSCRIPT,
	REDIS_ERROR_READONLY,
	REDIS_ERROR_OOM,
	REDIS_ERROR_NOAUTH,
	REDIS_ERROR_WRONGPASS,
	REDIS_ERROR_NOPERM,
	REDIS_ERROR_BUSY, /* a script runs too long */
	REDIS_ERROR_LOADING,
	REDIS_ERROR_MASTERDOWN,
	REDIS_ERROR_NOREPLICAS,
	REDIS_ERROR_MISCONF,
	REDIS_ERROR_WRONGTYPE,
	REDIS_ERROR_CLUSTER, /* MOVED, ASK, CROSSSLOT, CLUSTERDOWN, TRYAGAIN */
	REDIS_ERROR_UNBLOCKED,
	REDIS_ERROR_KINDS
};

struct redis_reply;

enum redis_type redis_reply_type(const struct redis_reply *reply); /* NULL: nil */
int64_t redis_reply_integer(const struct redis_reply *reply);      /* 0: it is none */
/* Of a string, a status or an error; else empty. Any byte may be in it. */
struct slice redis_reply_text(const struct redis_reply *reply);
/* A number, sent as an integer or as a string of digits; false: it is neither. */
bool redis_reply_i64(const struct redis_reply *reply, int64_t *ret)
	__attribute__((warn_unused_result));
bool redis_reply_u64(const struct redis_reply *reply, uint64_t *ret)
	__attribute__((warn_unused_result));
size_t redis_reply_count(const struct redis_reply *reply); /* 0: no array */
/* NULL: there is none, or this is no array. */
const struct redis_reply *redis_reply_item(const struct redis_reply *reply, size_t index);

enum redis_error redis_reply_error(const struct redis_reply *reply);
/* "NOSCRIPT", ...; "ERR" for the other ones, "none". */
const char *redis_error_name(enum redis_error error);

#endif
