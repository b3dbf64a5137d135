/* SPDX-License-Identifier: ISC */
/*
 * Each rule is asked for its form; equal ones are one.
 */
#include "daemon/operate/subjects.h"

static void add(struct subjects *subjects, struct slice subject)
{
	if (subject.len == 0 || subject.len > COUNTER_SUBJECT_BYTES ||
		subjects->count == SUBJECTS_MAX)
		return;
	for (unsigned i = 0; i < subjects->count; i++) {
		if (slice_equal(subjects->items[i], subject))
			return;
	}
	subjects->items[subjects->count++] = subject;
}

void subjects_read(
	struct subjects *ret, const struct ruleset *ruleset, struct slice text, struct arena *arena)
{
	ret->count = 0;
	for (unsigned i = 0; i < ruleset->count; i++) {
		const struct rule *rule = &ruleset->rules[i];

		if (rule->ops->subject)
			add(ret, rule->ops->subject(rule, text, ruleset->site, arena));
	}
	add(ret, arena_dup(arena, text));
}
