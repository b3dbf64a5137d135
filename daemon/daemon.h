/* SPDX-License-Identifier: ISC */
/*
 * The composition root: makes every service, hands each what it needs, runs the loop,
 * reloads, drains and stops. The only file that knows all parts.
 */
#ifndef REEVE_DAEMON_DAEMON_H
#define REEVE_DAEMON_DAEMON_H

#include "daemon/engine/ruleset.h"

/* Runs until SIGTERM or SIGINT. Returns an exit code of sysexits.h. `file` is read again on SIGHUP.
 * Takes over the reference on `ruleset`, and `errors`, which hold the warnings about it. */
int daemon_run(const char *file, struct ruleset *ruleset, struct config_errors *errors)
	__attribute__((warn_unused_result));

#endif
