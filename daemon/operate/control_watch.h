/* SPDX-License-Identifier: ISC */
/*
 * Telling those who watch; for control.c.
 */
#ifndef REEVE_DAEMON_OPERATE_CONTROL_WATCH_H
#define REEVE_DAEMON_OPERATE_CONTROL_WATCH_H

#include "daemon/operate/control_call.h"

void watch_note(struct list *watchers, const struct decision_view *view);
/* false: the watcher was too slow, and is gone. */
bool watch_send(struct control_call *call, struct slice line);

#endif
