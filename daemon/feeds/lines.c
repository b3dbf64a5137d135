/* SPDX-License-Identifier: ISC */
/*
 * After a byte that may stand in the middle of a line everything up to the next newline is skipped: the
 * tail of a line could look like a line that a client made up.
 */
#include "daemon/feeds/lines.h"

#include <assert.h>

#include "common/alloc.h"

#define BUFFER_BYTES (64 * 1024)

void lines_init(struct lines *lines)
{
	*lines = (struct lines){.buffer = mem_alloc(BUFFER_BYTES)};
}

void lines_release(struct lines *lines)
{
	mem_free(&lines->buffer);
}

void lines_restart(struct lines *lines, bool in_line)
{
	lines->len = 0;
	lines->skipping = in_line;
}

char *lines_room(struct lines *lines, size_t *ret_bytes)
{
	*ret_bytes = BUFFER_BYTES - lines->len;
	return lines->buffer + lines->len;
}

static void emit(struct lines *lines, struct slice line, lines_fn fn, void *arg)
{
	if (lines->skipping)
		lines->skipping = false;
	else if (line.len > LINES_MAX_BYTES)
		lines->overlong++;
	else
		fn(arg, line);
}

void lines_added(struct lines *lines, size_t bytes, lines_fn fn, void *arg)
{
	struct slice rest = {lines->buffer, lines->len + bytes}, line, tail;

	assert(rest.len <= BUFFER_BYTES);
	while (slice_split(rest, '\n', &line, &tail)) {
		emit(lines, line, fn, arg);
		rest = tail;
	}
	if (lines->skipping) {
		rest.len = 0;
	} else if (rest.len > LINES_MAX_BYTES) {
		lines->overlong++;
		lines->skipping = true;
		rest.len = 0;
	}
	memmove(lines->buffer, rest.data, rest.len);
	lines->len = rest.len;
}
