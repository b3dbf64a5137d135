/* SPDX-License-Identifier: ISC */
/*
 * One question on the control socket, as the files of the commands see it. A command answers from
 * within run(), or keeps the call and answers later; in between the peer may leave, and then
 * `cancel` is called and the call is gone.
 */
#ifndef REEVE_DAEMON_OPERATE_CONTROL_CALL_H
#define REEVE_DAEMON_OPERATE_CONTROL_CALL_H

#include "common/ctl_proto.h"
#include "common/list.h"
#include "daemon/operate/control.h"
#include "daemon/operate/endpoint.h"

struct control_call;

struct control_command {
	const char *name;
	bool changes; /* logged, with what became of it */
	void (*run)(struct control_call *call, const struct ctl_request *request);
};

struct control_call {
	struct list node; /* in the control's, while a command keeps it */
	struct control *control;
	const struct operate *operate;
	struct endpoint_call *peer;
	const struct control_command *command;
	struct endpoint_peer who;
	struct buf out;
	struct buf args; /* of a command that changes something, for the log */
	struct json json;
	/* the command's */
	uint64_t number;
	void *state;
	void (*cancel)(struct control_call *call); /* the peer left; NULL: nothing to undo */
	void (*resume)(struct control_call *call); /* what control_resume() has called for */
};

/* The members of the answer go into what is returned. */
struct json *control_answer(struct control_call *call);
/* Sends it; the call is gone. */
void control_send(struct control_call *call);
/* The same, when the bans and live limits as they are now are on the disk; `kept` in the answer says
 * whether they are (nothing, where the store cannot tell). `call->state` is taken for it. */
void control_send_kept(struct control_call *call);
/* Says no, with an exit code of sysexits.h and what to do about it (may be ""); the call is
 * gone. */
void control_refuse(struct control_call *call, int exit_code, const char *advice,
	const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Until when what is made now holds: the field `for`, UINT64_MAX without one. false: it was
 * refused. */
bool control_read_end(struct control_call *call, const struct ctl_request *request,
	uint64_t now_wall_ms, uint64_t *ret_until_wall_ms) __attribute__((warn_unused_result));
/* `resume` is called from control_run(), soon; for work in pieces, and for marks from inside of
 * services. */
void control_resume(struct control_call *call);
/* The bytes of a stream, as many lines as they hold; false: the reader was too slow, or is gone,
 * and the call with it. */
bool control_stream(struct control_call *call, struct slice lines)
	__attribute__((warn_unused_result));
/* For control_reloaded(), and whoever answers later. */
struct list *control_waiting(struct control *control);
/* Of the control socket itself. */
void control_health(const struct control *control, struct endpoint_health *ret);
/* Calls that are told of each decision. */
struct list *control_watchers(struct control *control);

/* What a load said: good, time, errors, warnings, restart_needed. */
void control_add_load(struct json *json, const struct load *load);

/* The tables of the commands' files, NULL-terminated by name. */
extern const struct control_command control_status_commands[];
extern const struct control_command control_reload_commands[];
extern const struct control_command control_explain_commands[];
extern const struct control_command control_counter_commands[];
extern const struct control_command control_limit_commands[];
extern const struct control_command control_ban_commands[];
extern const struct control_command control_watch_commands[];

#endif
