/* SPDX-License-Identifier: ISC */
/*
 * Writes JSON. What comes out is valid UTF-8 whatever goes in: bytes that are no UTF-8 are written
 * as the four characters \xNN (so in JSON "\\xff"), and what could steer a terminal (control
 * characters, bidirectional marks) as \uNNNN. Keys are our own literals. Every call adds one value;
 * `key` is NULL inside an array and for the outermost value.
 */
#ifndef REEVE_COMMON_JSON_H
#define REEVE_COMMON_JSON_H

#include <stdint.h>

#include "common/buf.h"

struct json {
	/* private */
	struct buf *out;
	bool comma; /* a value was written at this level */
};

void json_init(struct json *json, struct buf *out);

void json_object(struct json *json, const char *key);
void json_end_object(struct json *json);
void json_array(struct json *json, const char *key);
void json_end_array(struct json *json);

void json_slice(struct json *json, const char *key, struct slice value);
void json_text(struct json *json, const char *key, const char *value);
void json_u64(struct json *json, const char *key, uint64_t value);
void json_i64(struct json *json, const char *key, int64_t value);
void json_bool(struct json *json, const char *key, bool value);
void json_null(struct json *json, const char *key);
/* 2026-11-24T03:51:00Z */
void json_time(struct json *json, const char *key, uint64_t wall_ms);

/* How many bytes the UTF-8 character at the start of `bytes` has, and which it is; 0: none, or not
 * as RFC 3629 has it. */
unsigned json_utf8(struct slice bytes, uint32_t *ret_character);
/* Adds a text for a terminal: what is no UTF-8 as \xNN, what could steer it as \uNNNN. */
void json_plain(struct buf *out, struct slice text);

#endif
