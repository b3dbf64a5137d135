/* SPDX-License-Identifier: ISC */
/*
 * What happens to bans, told: as a log line, and as the JSON that `bans.on_ban` gets.
 */
#ifndef REEVE_DAEMON_OPERATE_BAN_REPORT_H
#define REEVE_DAEMON_OPERATE_BAN_REPORT_H

#include "common/logline.h"
#include "daemon/bans/bans.h"

void ban_report_log(struct log_sink *log, const struct bans_event *event);

/* One JSON object and a newline. false: this event is none of on_ban's, nothing is written. */
bool ban_report_json(struct buf *out, const struct bans_event *event, struct clock_now now);

#endif
