/* SPDX-License-Identifier: ISC */
/*
 * From a file to a ruleset that can be run: at start, for `reeved -t` and `reevectl check`, and on
 * a worker thread when the daemon reloads. One path, so that what the checks accept is what a
 * reload accepts.
 */
#ifndef REEVE_DAEMON_ENGINE_LOAD_H
#define REEVE_DAEMON_ENGINE_LOAD_H

#include "daemon/engine/ruleset.h"

/* Loads a configuration and compiles its rules; NULL: `errors` says why, all of it. What this build
 * cannot do is an error, what it does not use yet a warning. May block on files. */
struct ruleset *ruleset_load(const char *file, struct config_errors *errors)
	__attribute__((warn_unused_result));

#endif
