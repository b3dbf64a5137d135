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

static const char pairs[] = "00010203040506070809101112131415161718192021222324"
			    "25262728293031323334353637383940414243444546474849"
			    "50515253545556575859606162636465666768697071727374"
			    "75767778798081828384858687888990919293949596979899";

/* Its number of digits: that of its bits times log10(2), one more if it reaches the next power. */
static unsigned digits_of(uint64_t value)
{
	static const uint64_t powers[BUF_U64_DIGITS] = {
		0, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000,
		UINT64_C(10000000000), UINT64_C(100000000000), UINT64_C(1000000000000),
		UINT64_C(10000000000000), UINT64_C(100000000000000), UINT64_C(1000000000000000),
		UINT64_C(10000000000000000), UINT64_C(100000000000000000),
		UINT64_C(1000000000000000000), UINT64_C(10000000000000000000),
	};
	unsigned guess = (64 - (unsigned)__builtin_clzll(value | 1)) * 1233 >> 12;

	return guess + (value >= powers[guess]);
}

char *buf_put_u64(char *at, uint64_t value)
{
	char *end, *digit;

	if (value < 10) {
		*at = (char)('0' + value);
		return at + 1;
	}
	end = digit = at + digits_of(value);
	while (value >= 100) {
		digit -= 2;
		memcpy(digit, pairs + 2 * (value % 100), 2);
		value /= 100;
	}
	if (value >= 10)
		memcpy(digit - 2, pairs + 2 * value, 2);
	else
		digit[-1] = (char)('0' + value);
	return end;
}

void buf_add_u64(struct buf *buf, uint64_t value)
{
	char digits[BUF_U64_DIGITS];

	buf_add(buf, slice_make(digits, (size_t)(buf_put_u64(digits, value) - digits)));
}

void buf_add_i64(struct buf *buf, int64_t value)
{
	char text[1 + BUF_U64_DIGITS];
	char *end = text;

	if (value < 0)
		*end++ = '-';
	end = buf_put_u64(end, value < 0 ? -(uint64_t)value : (uint64_t)value);
	buf_add(buf, slice_make(text, (size_t)(end - text)));
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
