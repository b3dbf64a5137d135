/* SPDX-License-Identifier: ISC */
/*
 * What a person may mean by a subject: for each counting rule the form in which its counters have
 * it. "Bob@Example.com" is one login, one sender and one recipient; "192.0.2.7" one client.
 */
#ifndef REEVE_DAEMON_OPERATE_SUBJECTS_H
#define REEVE_DAEMON_OPERATE_SUBJECTS_H

#include "daemon/engine/ruleset.h"

#define SUBJECTS_MAX 16

struct subjects {
	struct slice items[SUBJECTS_MAX]; /* distinct */
	unsigned count;
};

/* The text itself is always among them: a rule that is gone may have had it. In `arena`. */
void subjects_read(struct subjects *ret, const struct ruleset *ruleset, struct slice text,
	struct arena *arena);

#endif
