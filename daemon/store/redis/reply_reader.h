/* SPDX-License-Identifier: ISC */
/*
 * How replies lie in memory, for the files that make and read them: in one arena, with a bound on
 * their sum and their depth, which is asked before anything is allocated. hiredis parses and
 * calls these functions for each piece; one that gives NULL ends the parsing with an error.
 */
#ifndef REEVE_DAEMON_STORE_REDIS_REPLY_READER_H
#define REEVE_DAEMON_STORE_REDIS_REPLY_READER_H

#include <hiredis/hiredis.h>

#include "common/arena.h"
#include "daemon/store/redis/reply.h"

#define REPLY_MAX_DEPTH 4
#define REPLY_MAX_BYTES ((size_t)64 * 1024)

struct redis_reply {
	enum redis_type type;
	int64_t integer;
	struct slice text; /* empty where there is none; for people a NUL stands behind it */
	size_t count;
	struct redis_reply **items; /* none is NULL once the reply is whole */
};

struct reply_reader {
	struct arena arena;
	size_t used, max_bytes;
	bool too_large, too_deep; /* why the parsing ended */
};

void reply_reader_init(struct reply_reader *reader, size_t max_bytes);
void reply_reader_release(struct reply_reader *reader);
/* Makes `hiredis` (a reader of hiredis, without a reply begun) build its replies here. */
void reply_reader_attach(struct reply_reader *reader, redisReader *hiredis);
/* The last reply is no longer needed; not while one is half read. */
void reply_reader_reset(struct reply_reader *reader);

#endif
