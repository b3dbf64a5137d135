/* SPDX-License-Identifier: ISC */
/*
 * Where log lines go: standard error or syslog, never blocking. Lines gather in a
 * buffer and go out in one write a loop turn; what finds no room is dropped and counted, and
 * the count is logged when there is room again.
 */
#ifndef REEVE_DAEMON_OPERATE_LOG_H
#define REEVE_DAEMON_OPERATE_LOG_H

#include "common/clock.h"
#include "common/logline.h"

struct log;

enum log_target { LOG_TO_STDERR, LOG_TO_SYSLOG };

/* Lines to standard error begin with `time=... level=...`, or with <N> and no time when journald reads them
 * (JOURNAL_STREAM is set). */
struct log *log_new(enum log_target target, enum log_level level) __attribute__((warn_unused_result));
/* Tries once more to write what is left. */
void log_free(struct log **log);
struct log_sink *log_sink(struct log *log);
/* After a reload. */
void log_configure(struct log *log, enum log_target target, enum log_level level);
void log_set_now(struct log *log, struct clock_now now);
void log_flush(struct log *log);
uint64_t log_dropped(const struct log *log);

#endif
