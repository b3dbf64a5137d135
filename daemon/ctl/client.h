/* SPDX-License-Identifier: ISC */
/*
 * The tool's end of the control socket. One question is one connection; it blocks, with a
 * time-out.
 */
#ifndef REEVE_DAEMON_CTL_CLIENT_H
#define REEVE_DAEMON_CTL_CLIENT_H

#include "common/ctl_proto.h"
#include "daemon/ctl/ctl.h"

/* Asks and reads the answer. NULL: it is told on standard error, and `*ret_exit` is the exit code;
 * so it is where the daemon says no. With ctl->json the answer is printed as it came, and what it
 * says is the caller's to look at only for the exit code. */
const struct json_value *client_ask(struct ctl *ctl, const struct buf *request, int *ret_exit)
	__attribute__((warn_unused_result));

/* The same for a stream: `each` gets every line after the first, parsed, and as it came; false ends
 * it. Returns an exit code. */
int client_stream(struct ctl *ctl, const struct buf *request,
	bool (*each)(void *arg, const struct json_value *value, struct slice line), void *arg)
	__attribute__((warn_unused_result));

/* Tells on standard error where a change that was made is not on the disk yet. */
void client_warn_unkept(const struct ctl *ctl, const struct json_value *answer);

/* A question without arguments. */
const struct json_value *client_ask_plain(struct ctl *ctl, const char *command, int *ret_exit)
	__attribute__((warn_unused_result));

#endif
