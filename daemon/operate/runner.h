/* SPDX-License-Identifier: ISC */
/*
 * Runs the programs that the configuration names (bans.on_ban, notify): without a shell, one after
 * the other in the order in which they were asked for, each with a text on its standard input, an
 * environment of PATH and LANG only, and in a session of its own. One that takes longer than
 * RUNNER_DEADLINE_MS is killed with all it has started there. At most RUNNER_MAX_QUEUE wait, more are dropped.
 *
 * What went wrong is logged: hook_failed, with what the program said on standard error, and hook_dropped.
 * Its standard output goes nowhere.
 */
#ifndef REEVE_DAEMON_OPERATE_RUNNER_H
#define REEVE_DAEMON_OPERATE_RUNNER_H

#include <uv.h>

#include "common/logline.h"

#define RUNNER_DEADLINE_MS 10000
#define RUNNER_MAX_QUEUE 1000
#define RUNNER_MAX_ARGUMENTS 64      /* more are left out */

struct runner;

/* `name` (static) stands in the log. `deadline_ms` 0: RUNNER_DEADLINE_MS. */
struct runner *runner_new(uv_loop_t *loop, const char *name, struct log_sink *log, uint64_t deadline_ms)
	__attribute__((returns_nonnull, warn_unused_result));
/* Only puts it in the queue: it starts from the loop. All is copied. `argv[0]` is the program's path. */
void runner_run(struct runner *runner, const struct slice *argv, size_t argc, struct slice input);
/* How many wait or run. */
size_t runner_pending(const struct runner *runner);
/* What waits is dropped, what runs is left alone. Before the loop is let go. */
void runner_close(struct runner *runner);
/* After the loop has turned and let go. NULL is accepted. */
void runner_free(struct runner **runner);

#endif
