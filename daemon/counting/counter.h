/* SPDX-License-Identifier: ISC */
/*
 * What a counter is: belongs to a rule's name, what is counted, the window and
 * the subject, never to a ruleset; so a reload, or another limit, keeps its
 * history.
 */
#ifndef REEVE_DAEMON_COUNTING_COUNTER_H
#define REEVE_DAEMON_COUNTING_COUNTER_H

#include <stdint.h>

#include "common/hash.h"
#include "common/slice.h"

#define COUNTER_SUBJECT_BYTES 128 /* longer ones come hashed ("#" and 32 hex digits) */

enum counter_what { COUNT_RECIPIENTS, COUNT_MESSAGES, COUNT_BYTES };

struct counter_key {
	struct slice rule;
	struct slice subject;
	enum counter_what what;
	uint64_t window_ms;
};

#endif
