/* SPDX-License-Identifier: ISC */
/*
 * Builds one log line of `key=value` pairs. Keys are our own literals; values
 * are anything: they are escaped (bytes outside 0x21-0x7e, `"` and `\` as \xNN),
 * quoted when they hold a blank or are empty, and cut at 128 bytes (with `...`). No newline comes
 * out of it.
 */
#ifndef REEVE_COMMON_LOGLINE_H
#define REEVE_COMMON_LOGLINE_H

#include <stdint.h>

#include "common/buf.h"
#include "common/slice.h"

#define LOGLINE_VALUE_BYTES 128
#define LOGLINE_MESSAGE_BYTES 1000

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_NOTICE, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Each adds " key=value" (no blank in front of the first). */
void logline_slice(struct buf *line, const char *key, struct slice value);
void logline_text(struct buf *line, const char *key, const char *value);
/* The same for a text of our own, which may be longer: cut at 1000 bytes. */
void logline_message(struct buf *line, const char *key, struct slice message);
void logline_u64(struct buf *line, const char *key, uint64_t value);

/*
 * The same for a line that is written often, without looking at each step whether it fits: the caller
 * has LOGLINE_ROOM bytes at `at` for each value, and room for its own words. They return the end.
 */
#define LOGLINE_ROOM (LOGLINE_VALUE_BYTES * 4 + 5)
char *logline_put_value(char *at, struct slice value);
static inline char *logline_put(char *at, struct slice words)
{
	memcpy(at, words.data, words.len);
	return at + words.len;
}

const char *log_level_name(enum log_level level);

/* Where finished lines go: a table that daemon.c (or a test) hands down, so
 * that nobody below it knows files. `line` has no newline. */
struct log_sink {
	void (*write)(struct log_sink *sink, enum log_level level, struct slice line);
	enum log_level level;        /* lines above it need not be built */
};

static inline bool log_wants(const struct log_sink *sink, enum log_level level)
{
	return sink && level <= sink->level;
}

/* event=NAME, and one detail as logline_message() has it; more complicated lines are built with the functions above. */
void log_event(struct log_sink *sink, enum log_level level, const char *event, const char *detail_key,
	       struct slice detail);

#endif
