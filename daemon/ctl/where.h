/* SPDX-License-Identifier: ISC */
/*
 * Where the daemon's control socket is, as the configuration says: of a broken one too, since the
 * daemon that runs has kept its old rules, and is to be asked all the same.
 */
#ifndef REEVE_DAEMON_CTL_WHERE_H
#define REEVE_DAEMON_CTL_WHERE_H

#include "config/errors.h"
#include "daemon/ctl/ctl.h"

struct where {
	const char *path;             /* lives as long as ctl->arena, or is ctl->socket */
	bool guessed;                 /* the file cannot be read, or not understood: the default */
	struct config_errors *errors; /* of the file; NULL: none, or it was not read */
};

void where_find(struct ctl *ctl, struct where *ret);
void where_release(struct where *where);

/* The path of a line `control: unix:/path` of its own in text that may be no YAML. */
bool where_in_text(struct slice text, struct slice *ret_path) __attribute__((warn_unused_result));

#endif
