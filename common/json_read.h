/* SPDX-License-Identifier: ISC */
/*
 * Reads one JSON text (RFC 8259, strictly) into a tree in an arena. Bounded by depth; the caller
 * bounds the bytes, and the tree takes at most about fifty times as many.
 */
#ifndef REEVE_COMMON_JSON_READ_H
#define REEVE_COMMON_JSON_READ_H

#include <stdint.h>

#include "common/arena.h"

#define JSON_DEPTH 16

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_value {
	enum json_type type;
	bool truth;               /* JSON_BOOL */
	struct slice key;         /* of a member of an object */
	struct slice text;        /* STRING: decoded; NUMBER: as written */
	struct json_value *child; /* the first of an array or object; NULL: empty */
	struct json_value *next;  /* the next in the same array or object */
};

/* NULL: it is no JSON; `ret_why` (static text) says what is wrong. Strings without escapes point
 * into `text`. */
const struct json_value *json_parse(struct slice text, struct arena *arena, const char **ret_why)
	__attribute__((warn_unused_result));

/* The member of an object; NULL: none, or `value` is NULL or no object. So calls nest. */
const struct json_value *json_get(const struct json_value *value, const char *key);
/* Empty, 0 or false where there is none, or of another type. */
struct slice json_get_text(const struct json_value *value, const char *key);
uint64_t json_get_u64(const struct json_value *value, const char *key);
bool json_get_bool(const struct json_value *value, const char *key);
/* The first member of the array, for walking by `next`; NULL: none. */
const struct json_value *json_get_array(const struct json_value *value, const char *key);

#endif
