/* SPDX-License-Identifier: ISC */
/*
 * A slice is a pointer and a length: how Reeve carries bytes that came from
 * outside. It owns nothing, need not end in NUL and may hold any byte; where the
 * length is 0 the pointer may be anything, NULL too. The memory behind it belongs to
 * whoever made it (a connection's buffer, a request's arena, a configuration)
 * and must outlive it.
 */
#ifndef REEVE_COMMON_SLICE_H
#define REEVE_COMMON_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct slice {
	const char *data;
	size_t len;
};

#define SLICE(literal) ((struct slice){ "" literal, sizeof(literal) - 1 })
#define SLICE_EMPTY ((struct slice){ "", 0 })
/* For printf's "%.*s". Only where the bytes were checked before. */
#define SLICE_ARG(s) (int)(s).len, (s).data

static inline struct slice slice_of(const char *text)
{
	return (struct slice){ text, strlen(text) };
}

static inline struct slice slice_make(const char *data, size_t len)
{
	return (struct slice){ data, len };
}

static inline bool slice_equal(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* ASCII case is folded; bytes above 127 are compared as they are (C locale). */
static inline bool slice_equal_fold(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || strncasecmp(a.data, b.data, a.len) == 0);
}

static inline bool slice_is(struct slice s, const char *text)
{
	return slice_equal(s, slice_of(text));
}

static inline bool slice_starts_with(struct slice s, struct slice prefix)
{
	return prefix.len == 0 ||
	       (s.len >= prefix.len && memcmp(s.data, prefix.data, prefix.len) == 0);
}

static inline bool slice_ends_with(struct slice s, struct slice suffix)
{
	return suffix.len == 0 ||
	       (s.len >= suffix.len &&
		memcmp(s.data + s.len - suffix.len, suffix.data, suffix.len) == 0);
}

/* The part from `start` on; empty if `start` is past the end. */
static inline struct slice slice_from(struct slice s, size_t start)
{
	if (start > s.len)
		start = s.len;
	return (struct slice){ start ? s.data + start : s.data, s.len - start };
}

/* The first `len` bytes, or all of them if there are fewer. */
static inline struct slice slice_first(struct slice s, size_t len)
{
	return (struct slice){ s.data, len < s.len ? len : s.len };
}

/* Splits at the first `byte`: `ret_head` before it, `ret_tail` after it. */
static inline bool slice_split(struct slice s, char byte, struct slice *ret_head,
			       struct slice *ret_tail)
{
	const char *at = s.len ? memchr(s.data, byte, s.len) : NULL;

	if (!at)
		return false;
	*ret_head = (struct slice){ s.data, (size_t)(at - s.data) };
	*ret_tail = slice_from(s, (size_t)(at - s.data) + 1);
	return true;
}

/* The same at the last `byte`. */
static inline bool slice_split_last(struct slice s, char byte, struct slice *ret_head,
				    struct slice *ret_tail)
{
	const char *at = s.len ? memrchr(s.data, byte, s.len) : NULL;

	if (!at)
		return false;
	*ret_head = (struct slice){ s.data, (size_t)(at - s.data) };
	*ret_tail = slice_from(s, (size_t)(at - s.data) + 1);
	return true;
}

/* Without blanks (space, TAB, CR) at both ends. */
static inline struct slice slice_trim(struct slice s)
{
	while (s.len && (s.data[0] == ' ' || s.data[0] == '\t' || s.data[0] == '\r'))
		s = slice_from(s, 1);
	while (s.len && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t' ||
			 s.data[s.len - 1] == '\r'))
		s.len--;
	return s;
}

#endif
