/* SPDX-License-Identifier: ISC */
/*
 * The builder behind replies, log lines and commands. Memory doubles up to
 * the bound and is kept over resets, so that a buffer in steady use allocates nothing.
 */
#include "common/buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/alloc.h"

#define FIRST_BYTES 256
#define U64_DIGITS 20

void buf_init(struct buf *buf, size_t max_bytes)
{
	*buf = (struct buf){.max_bytes = max_bytes};
}

void buf_init_fixed(struct buf *buf, char *memory, size_t bytes)
{
	*buf = (struct buf){.data = memory, .cap = bytes, .max_bytes = bytes, .fixed = true};
}

void buf_reset(struct buf *buf)
{
	buf->len = 0;
	buf->overflow = false;
}

void buf_release(struct buf *buf)
{
	if (!buf->fixed)
		free(buf->data);
	*buf = (struct buf){0};
}

static __attribute__((noinline)) bool grow(struct buf *buf, size_t bytes)
{
	size_t cap = buf->cap ? buf->cap : FIRST_BYTES;

	if (bytes > buf->max_bytes - buf->len) {
		buf->overflow = true;
		return false;
	}
	while (cap < buf->len + bytes)
		cap = cap > buf->max_bytes / 2 ? buf->max_bytes : cap * 2;
	if (cap > buf->max_bytes)
		cap = buf->max_bytes;
	buf->data = mem_grow(buf->data, cap);
	buf->cap = cap;
	return true;
}

bool buf_reserve(struct buf *buf, size_t bytes)
{
	return bytes <= buf->cap - buf->len || grow(buf, bytes);
}

/* Writes the digits so that they end before `end`; returns where they begin. */
static char *digits_before(char *end, uint64_t value)
{
	do {
		*--end = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	return end;
}

void buf_add_u64(struct buf *buf, uint64_t value)
{
	char digits[U64_DIGITS];
	char *end = digits + sizeof(digits);
	char *start = digits_before(end, value);

	buf_add(buf, slice_make(start, (size_t)(end - start)));
}

void buf_add_i64(struct buf *buf, int64_t value)
{
	char digits[1 + U64_DIGITS];
	char *end = digits + sizeof(digits);
	char *start = digits_before(end, value < 0 ? -(uint64_t)value : (uint64_t)value);

	if (value < 0)
		*--start = '-';
	buf_add(buf, slice_make(start, (size_t)(end - start)));
}

/* Over fixed memory a text of 512 bytes or more needs a byte to spare, for vsnprintf()'s NUL. */
void buf_add_format(struct buf *buf, const char *format, ...)
{
	char small[512];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(small, sizeof(small), format, args);
	va_end(args);
	if (len < 0) {
		buf->overflow = true;
		return;
	}
	if ((size_t)len < sizeof(small)) {
		buf_add(buf, slice_make(small, (size_t)len));
		return;
	}
	if (!buf_reserve(buf, (size_t)len + 1))
		return;
	va_start(args, format);
	vsnprintf(buf->data + buf->len, (size_t)len + 1, format, args);
	va_end(args);
	buf->len += (size_t)len;
}

void buf_consume(struct buf *buf, size_t bytes)
{
	if (bytes >= buf->len) {
		buf->len = 0;
		return;
	}
	if (bytes == 0)
		return;
	buf->len -= bytes;
	memmove(buf->data, buf->data + bytes, buf->len);
}
