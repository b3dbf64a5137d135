/* SPDX-License-Identifier: ISC */
/*
 * Scripts by their names: a script is sent whole until Redis has told its name, and again when it
 * has forgotten it. A replica knows none, so each connection begins with loading them.
 */
#ifndef REEVE_DAEMON_STORE_REDIS_RUNNER_H
#define REEVE_DAEMON_STORE_REDIS_RUNNER_H

#include "common/buf.h"
#include "daemon/store/redis/link.h"
#include "daemon/store/redis/scripts.h"

struct redis_runner;

/* For the scripts from `first` to `last`. */
struct redis_runner *redis_runner_new(const struct scripts *scripts, enum script first,
	enum script last) __attribute__((returns_nonnull, warn_unused_result));
/* No call may be out. */
void redis_runner_free(struct redis_runner **runner);
/* The connection came up: loads them. */
void redis_runner_up(struct redis_runner *runner, struct redis_port *port);
/* Begins a call of `script`: `keys` keys and then `arguments` arguments follow in `out`. */
void redis_runner_begin(struct redis_runner *runner, enum script script, size_t keys,
	size_t arguments, struct buf *out);
/* The answer was NOSCRIPT: the next call sends it whole. */
void redis_runner_forget(struct redis_runner *runner, enum script script);

#endif
