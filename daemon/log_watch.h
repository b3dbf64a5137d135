/* SPDX-License-Identifier: ISC */
/*
 * Postfix's log as a witness: what it shows of SMTP connections goes to the bans, and what counted
 * goes to our own log.
 */
#ifndef REEVE_DAEMON_LOG_WATCH_H
#define REEVE_DAEMON_LOG_WATCH_H

#include "common/logline.h"
#include "daemon/bans/bans.h"
#include "daemon/feeds/maillog_uv.h"
#include "daemon/loop/loop.h"

struct log_watch;

struct log_watch *log_watch_new(struct loop *loop, struct bans *bans, struct log_sink *log)
	__attribute__((returns_nonnull, warn_unused_result));
/* At start and after each reload. */
void log_watch_configure(struct log_watch *watch, const struct config *config);
void log_watch_health(const struct log_watch *watch, struct maillog_health *ret);
/* Before loop_free(); NULL is accepted. */
void log_watch_close(struct log_watch *watch);
/* After loop_free(); NULL is accepted. */
void log_watch_free(struct log_watch **watch);

#endif
