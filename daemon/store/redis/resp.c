/* SPDX-License-Identifier: ISC */
/*
 * One argument costs one look for room and two copies.
 */
#include "daemon/store/redis/resp.h"

#define HEAD_BYTES (BUF_U64_DIGITS + 3) /* a sign, digits, CR LF */

/* Writes `sign`, the number and CR LF; returns their end. */
static inline char *put_head(char *at, char sign, uint64_t number)
{
	*at++ = sign;
	if (number >= 10 && number < 100) { /* most lengths */
		*at++ = (char)('0' + number / 10);
		*at++ = (char)('0' + number % 10);
	} else {
		at = buf_put_u64(at, number);
	}
	memcpy(at, "\r\n", 2);
	return at + 2;
}

void resp_command(struct buf *out, size_t count)
{
	if (!buf_reserve(out, HEAD_BYTES))
		return;
	out->len = (size_t)(put_head(out->data + out->len, '*', count) - out->data);
}

char *resp_begin_slice(struct buf *out, size_t len)
{
	if (len > SIZE_MAX - HEAD_BYTES - 2 || !buf_reserve(out, HEAD_BYTES + len + 2))
		return NULL;
	return put_head(out->data + out->len, '$', len);
}

void resp_end_slice(struct buf *out, char *end)
{
	memcpy(end, "\r\n", 2);
	out->len = (size_t)(end + 2 - out->data);
}

void resp_slice(struct buf *out, struct slice argument)
{
	char *at = resp_begin_slice(out, argument.len);

	if (!at)
		return;
	if (argument.len)
		memcpy(at, argument.data, argument.len);
	resp_end_slice(out, at + argument.len);
}

void resp_u64(struct buf *out, uint64_t argument)
{
	char memory[BUF_U64_DIGITS];
	const char *end = buf_put_u64(memory, argument);

	resp_slice(out, slice_make(memory, (size_t)(end - memory)));
}

void resp_i64(struct buf *out, int64_t argument)
{
	char memory[24];
	struct buf text;

	buf_init_fixed(&text, memory, sizeof(memory));
	buf_add_i64(&text, argument);
	resp_slice(out, buf_slice(&text));
}

void resp_texts(struct buf *out, const char *const *texts)
{
	size_t count = 0;

	while (texts[count])
		count++;
	resp_command(out, count);
	for (size_t i = 0; i < count; i++)
		resp_slice(out, slice_of(texts[i]));
}
