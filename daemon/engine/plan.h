/* SPDX-License-Identifier: ISC */
/*
 * Which rules a situation leaves. What a rule wants and shuns is compared with request.situation, and
 * nearly all requests share a few situations; so it is worked out once for each of them and kept.
 * Match, except and `until` are not part of it: they look at more than the situation.
 */
#ifndef REEVE_DAEMON_ENGINE_PLAN_H
#define REEVE_DAEMON_ENGINE_PLAN_H

#include "daemon/engine/ruleset.h"
#include "daemon/engine/verdict.h"

#define PLANS 64

struct plan_rule {
	const struct rule *rule;   /* of the ruleset */
	unsigned index;            /* in its list */
};

struct plan {
	/* private */
	uint64_t ruleset_number;   /* 0: nothing is kept here */
	uint32_t situation;
	/* for all to read */
	unsigned left_count;
	struct plan_rule *left;    /* the rules that are left, in list order */
	struct rule_trace *trace;  /* by rule: why those that are not left do not apply; else TRACE_SKIPPED */
};

/* Zeroed at first. */
struct plans {
	/* private */
	struct plan slots[PLANS];
};

/* `ruleset_number` is not 0, and another one for each ruleset. What is returned is valid until the next call. */
const struct plan *plans_get(struct plans *plans, const struct ruleset *ruleset,
	uint64_t ruleset_number, const struct request *request) __attribute__((returns_nonnull));
void plans_release(struct plans *plans);

#endif
