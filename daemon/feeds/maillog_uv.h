/* SPDX-License-Identifier: ISC */
/*
 * Follows Postfix's log on the loop: a file by a look ten times a second, or systemd's journal as it
 * comes, and a bounded piece of either a turn. Lines go to a witness, which tells the owner's sink.
 */
#ifndef REEVE_DAEMON_FEEDS_MAILLOG_UV_H
#define REEVE_DAEMON_FEEDS_MAILLOG_UV_H

#include "common/logline.h"
#include "daemon/feeds/witness.h"
#include "daemon/loop/loop.h"

#define MAILLOG_POLL_MS 100
#define MAILLOG_TURN_BYTES (128 * 1024)

struct maillog;

/* The texts live until the next turn of the loop. */
struct maillog_health {
	const char *source;          /* as configured; "off" */
	bool followed;
	const char *why;             /* it is not; "": off, or it begins just now */
	struct witness_counts counts; /* since the start */
};

/* `log` gets maillog_followed, maillog_missing and the like. */
struct maillog *maillog_new(struct loop *loop, struct witness_sink *sink, struct log_sink *log)
	__attribute__((returns_nonnull, warn_unused_result));
/* "file:/path", "journal:" or "off". The same as before: nothing changes, else it begins at the end of the new one. */
void maillog_configure(struct maillog *maillog, struct slice source);
void maillog_health(const struct maillog *maillog, struct maillog_health *ret);
/* Lets go of the loop; nothing is told any more. Before loop_free(). */
void maillog_close(struct maillog *maillog);
/* After loop_free(). NULL is accepted. */
void maillog_free(struct maillog **maillog);

#endif
