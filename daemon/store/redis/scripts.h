/* SPDX-License-Identifier: ISC */
/*
 * The scripts that run inside Redis, as they stand in scripts/ with the parts they need in front of
 * them. They are constant: keys and values reach them as KEYS and ARGV only, and what each of them
 * takes and answers stands at its head.
 */
#ifndef REEVE_DAEMON_STORE_REDIS_SCRIPTS_H
#define REEVE_DAEMON_STORE_REDIS_SCRIPTS_H

#include "common/slice.h"

enum script {
	SCRIPT_HELLO,
	SCRIPT_RESERVE,
	SCRIPT_SETTLE,
	SCRIPT_REFUND,
	SCRIPT_ASSERT,
	SCRIPT_LOOK,
	SCRIPT_RESET,
	SCRIPT_SEEK,
	SCRIPT_LIST_PULL,
	SCRIPT_LIST_PUT,
	SCRIPT_LIST_REMOVE,
	SCRIPT_STRIKE,
	SCRIPTS
};

struct scripts;

struct scripts *scripts_new(void) __attribute__((returns_nonnull, warn_unused_result));
void scripts_free(struct scripts **scripts);
/* The whole text; lives as long as `scripts`. */
struct slice scripts_text(const struct scripts *scripts, enum script script);

#endif
