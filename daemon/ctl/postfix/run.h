/* SPDX-License-Identifier: ISC */
/*
 * Runs one of Postfix's own programs and waits for it: no shell, a deadline, output with a bound.
 */
#ifndef REEVE_DAEMON_CTL_POSTFIX_RUN_H
#define REEVE_DAEMON_CTL_POSTFIX_RUN_H

#include "common/arena.h"

#define RUN_TIMEOUT_MS 20000
#define RUN_MAX_BYTES ((size_t)8 * 1024 * 1024) /* of output */

struct run_output {
	int status;             /* exit code; 128 + number where a signal ended it */
	struct slice out, err;  /* in the arena; err is cut at 64 KiB */
};

/*
 * `argv` ends with NULL; argv[0] is looked for in PATH, then in /usr/sbin and /sbin, where Postfix has its tools.
 * `input` goes to standard input. false: it could not be run, took too long or said too much; `*ret_why` is a
 * static text then. The caller ignores SIGPIPE.
 */
bool run_program(struct arena *arena, const char *const *argv, struct slice input, struct run_output *ret_output,
		 const char **ret_why) __attribute__((warn_unused_result));

#endif
