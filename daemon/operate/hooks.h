/* SPDX-License-Identifier: ISC */
/*
 * The programs that are told what happens: bans.on_ban of each change of the list, notify.command and
 * notify.mail_to of warnings and alarms. These are lines of the log, so all log lines of the daemon
 * go through hooks_log().
 */
#ifndef REEVE_DAEMON_OPERATE_HOOKS_H
#define REEVE_DAEMON_OPERATE_HOOKS_H

#include "common/logline.h"
#include "daemon/bans/bans.h"
#include "daemon/loop/loop.h"

#define HOOKS_SENDMAIL "/usr/sbin/sendmail"

struct hooks;

/* What they have to say themselves goes to `log` only. `sendmail`: HOOKS_SENDMAIL, or a test's. */
struct hooks *hooks_new(struct loop *loop, struct log_sink *log, const char *sendmail)
	__attribute__((returns_nonnull, warn_unused_result));
/* Lives as long as the hooks. */
struct log_sink *hooks_log(struct hooks *hooks);
/* At start and after each reload, after log_configure(). `config` is referenced until the next call. */
void hooks_configure(struct hooks *hooks, struct config *config);
void hooks_ban(struct hooks *hooks, const struct bans_event *event, struct clock_now now);
/* Before loop_free(); programs that run are left alone. NULL is accepted. */
void hooks_close(struct hooks *hooks);
/* After loop_free(). NULL is accepted. */
void hooks_free(struct hooks **hooks);

#endif
