/* SPDX-License-Identifier: ISC */
/*
 * Which log lines are notifications, and what they look like as JSON and as mail. A notification is a
 * line of the log, so it says the same in the same words. Pure.
 */
#ifndef REEVE_DAEMON_OPERATE_NOTIFY_H
#define REEVE_DAEMON_OPERATE_NOTIFY_H

#include "common/clock.h"
#include "common/logline.h"
#include "config/schema.h"

/* Is the line "event=NAME ..." with one of the names that reeved(8) lists? */
bool notify_wants(struct slice line);

struct notification {
	struct slice line;           /* as in the log */
	enum log_level level;
	struct slice node;
	uint64_t left_out;           /* notifications since the last one that was sent */
	struct clock_now now;
};

/* One object and a newline. */
void notify_json(struct buf *out, const struct notification *notification);
/* Headers and body; printable ASCII. */
void notify_mail(struct buf *out, const struct notification *notification,
		 const struct config_strings *to);

/* At most NOTIFY_PER_HOUR in an hour. Zeroed at first. */
#define NOTIFY_PER_HOUR 60
struct notify_brake {
	uint64_t hour_mono_ms;       /* when the present hour began; 0: never */
	uint64_t sent, left_out;
};
/* true: send it; `ret_left_out` is how many were not since the last one. */
bool notify_brake_ask(struct notify_brake *brake, uint64_t mono_ms, uint64_t *ret_left_out)
	__attribute__((warn_unused_result));

#endif
