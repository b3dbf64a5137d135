/* SPDX-License-Identifier: ISC */
/*
 * A builder for bytes with a hard upper bound. What does not fit is dropped
 * and `overflow` says so; a text is never half appended (each call adds all
 * or nothing). Over fixed memory it never allocates.
 */
#ifndef REEVE_COMMON_BUF_H
#define REEVE_COMMON_BUF_H

#include <stdint.h>

#include "common/slice.h"

struct buf {
	char *data;          /* read-only for users; not NUL-terminated */
	size_t len;
	/* private */
	size_t cap, max_bytes;
	bool fixed;
	bool overflow;       /* readable: something did not fit */
};

void buf_init(struct buf *buf, size_t max_bytes);                  /* grows on the heap */
void buf_init_fixed(struct buf *buf, char *memory, size_t bytes);  /* caller's memory */
void buf_reset(struct buf *buf);                                   /* empty; memory stays */
void buf_release(struct buf *buf);
/* Makes room for `bytes` more; false (and overflow) if the bound forbids it. */
bool buf_reserve(struct buf *buf, size_t bytes);

static inline void buf_add(struct buf *buf, struct slice bytes)
{
	if (bytes.len == 0 || (bytes.len > buf->cap - buf->len && !buf_reserve(buf, bytes.len)))
		return;
	memcpy(buf->data + buf->len, bytes.data, bytes.len);
	buf->len += bytes.len;
}

static inline void buf_add_char(struct buf *buf, char byte)
{
	if (buf->len == buf->cap && !buf_reserve(buf, 1))
		return;
	buf->data[buf->len++] = byte;
}

void buf_add_u64(struct buf *buf, uint64_t value);
/* Writes the digits of `value` at `at`, at most BUF_U64_DIGITS; returns their end. */
char *buf_put_u64(char *at, uint64_t value);
#define BUF_U64_DIGITS 20
void buf_add_i64(struct buf *buf, int64_t value);
void buf_add_format(struct buf *buf, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Drops the first `bytes` (they were written out). */
void buf_consume(struct buf *buf, size_t bytes);

static inline struct slice buf_slice(const struct buf *buf)
{
	return (struct slice){ buf->len ? buf->data : "", buf->len };
}

#endif
