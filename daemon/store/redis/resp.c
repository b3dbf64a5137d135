/* SPDX-License-Identifier: ISC */
/*
 * One argument costs one look for room and two copies.
 */
#include "daemon/store/redis/resp.h"

#define HEAD_BYTES 24 /* a sign, 20 digits, CR LF */

/* Writes `sign`, the number and CR LF; returns how many bytes. */
static size_t put_head(char memory[static HEAD_BYTES], char sign, uint64_t number)
{
	char digits[20];
	size_t count = 0, len = 0;

	do {
		digits[count++] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	memory[len++] = sign;
	while (count)
		memory[len++] = digits[--count];
	memory[len++] = '\r';
	memory[len++] = '\n';
	return len;
}

void resp_command(struct buf *out, size_t count)
{
	char head[HEAD_BYTES];

	buf_add(out, slice_make(head, put_head(head, '*', count)));
}

void resp_slice(struct buf *out, struct slice argument)
{
	char head[HEAD_BYTES];
	size_t len = put_head(head, '$', argument.len);

	if (argument.len > SIZE_MAX - HEAD_BYTES || !buf_reserve(out, len + argument.len + 2))
		return;
	buf_add(out, slice_make(head, len));
	buf_add(out, argument);
	buf_add(out, SLICE("\r\n"));
}

void resp_u64(struct buf *out, uint64_t argument)
{
	char memory[24];
	struct buf text;

	buf_init_fixed(&text, memory, sizeof(memory));
	buf_add_u64(&text, argument);
	resp_slice(out, buf_slice(&text));
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
