/* SPDX-License-Identifier: ISC */
/*
 * What is remembered about the configurations that were loaded: which one is in force, and what
 * became of the last attempt. Pure.
 */
#ifndef REEVE_DAEMON_OPERATE_LOADS_H
#define REEVE_DAEMON_OPERATE_LOADS_H

#include <stdint.h>

#include "config/errors.h"

#define LOADS_MAX_RESTART 8

struct load {
	struct config_errors *errors; /* errors and warnings; NULL: none */
	uint64_t wall_ms;
	bool good;
	const char *restart[LOADS_MAX_RESTART]; /* settings that need a restart; static */
	size_t restart_count;
};

struct loads {
	uint64_t generation; /* of the one in force; the first is 1 */
	struct load in_force;
	struct load last; /* the last attempt, if it failed; else zero */
	uint64_t reloads_good, reloads_failed;
};

/* Takes over load->errors. */
void loads_note(struct loads *loads, const struct load *load);
/* What the last attempt said, whether it failed or is in force. */
const struct load *loads_last(const struct loads *loads);
void loads_release(struct loads *loads);

#endif
