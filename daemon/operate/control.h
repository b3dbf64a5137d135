/* SPDX-License-Identifier: ISC */
/*
 * The control socket: who may ask, what can be asked, and that every change is logged with who
 * made it. The protocol is common/ctl_proto.h; the commands stand in control_*.c.
 */
#ifndef REEVE_DAEMON_OPERATE_CONTROL_H
#define REEVE_DAEMON_OPERATE_CONTROL_H

#include "daemon/operate/operate.h"

struct control;

struct control *control_new(const struct operate *operate) __attribute__((warn_unused_result));
/* Opens the control socket (mode 0660, for root, the daemon's user, and members of its group) and
 * the metrics, if there are any, and looks on at decisions from now on. What cannot be opened is
 * logged: mail goes on without it. `config` must live as long. */
void control_listen(struct control *control, const struct config *config);
/* Reload `number` is over; what came of it stands in operate->loads. */
void control_reloaded(struct control *control, uint64_t number);
/* Runs what is ready; once a turn of the loop. */
void control_run(struct control *control);
/* Ends what is overdue; returns the next mono_ms, 0: none. */
uint64_t control_expire(struct control *control, struct clock_now now);
/* Run the loop between the two. NULL is fine. */
void control_close(struct control *control);
void control_free(struct control **control);

#endif
