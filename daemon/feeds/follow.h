/* SPDX-License-Identifier: ISC */
/*
 * Reads a growing log file line by line, as `tail -F` does, over renames, truncation and files that
 * appear late. It begins at the end of what is there: lines of before are not read. Nothing waits in
 * here; who owns it asks again after a while.
 *
 * A new file at the path is taken over when something stands in it and the old one has been read to
 * its end: writers go on with the old one for a while. A file that became shorter, or begins with other
 * bytes, was truncated and is read from its beginning.
 */
#ifndef REEVE_DAEMON_FEEDS_FOLLOW_H
#define REEVE_DAEMON_FEEDS_FOLLOW_H

#include "daemon/feeds/lines.h"

struct follow;

struct follow_health {
	bool open;
	int error;                   /* errno; 0: none. ENOTSUP: not a regular file */
	uint64_t bytes, rotations, truncations, overlong;
};

/* Opens it if it is there. */
struct follow *follow_new(const char *path) __attribute__((returns_nonnull, warn_unused_result));
void follow_free(struct follow **follow);
/* Reads about `max_bytes` at most (at least 64 KiB are). true: there is more. */
bool follow_read(struct follow *follow, size_t max_bytes, lines_fn line, void *arg);
void follow_health(const struct follow *follow, struct follow_health *ret);

#endif
