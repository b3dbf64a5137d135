/* SPDX-License-Identifier: ISC */
/*
 * Bytes as they come -> whole lines. What has no newline yet waits for its rest; a line that is too long
 * is left out. Bounded, pure.
 */
#ifndef REEVE_DAEMON_FEEDS_LINES_H
#define REEVE_DAEMON_FEEDS_LINES_H

#include <stdint.h>

#include "common/slice.h"

#define LINES_MAX_BYTES (16 * 1024)  /* of a line; longer ones are left out */

/* Without its newline; lives until it returns. May not call back. */
typedef void (*lines_fn)(void *arg, struct slice line);

struct lines {
	char *buffer;
	size_t len;
	bool skipping;               /* up to the next newline */
	uint64_t overlong;           /* that were left out */
};

void lines_init(struct lines *lines);
void lines_release(struct lines *lines);
/* Forgets what waits. `in_line`: what comes next is the tail of a line, and left out. */
void lines_restart(struct lines *lines, bool in_line);
/* Where the next bytes go, and how many at most (never fewer than LINES_MAX_BYTES). */
char *lines_room(struct lines *lines, size_t *ret_bytes);
/* So many have been put there. */
void lines_added(struct lines *lines, size_t bytes, lines_fn fn, void *arg);

#endif
