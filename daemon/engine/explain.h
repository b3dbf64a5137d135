/* SPDX-License-Identifier: ISC */
/*
 * How a request would be answered, and why. It goes through the same phases, rules and services as
 * one that Postfix asks, but nothing comes of it: nothing is charged, no strike is made, no table
 * remembers it, no line is logged. The answer is the one that the same request would get next.
 *
 * Where a real run ends (a refusal, `pass`), this one goes on, so that every rule says what it
 * would have found; what those say is marked `after` and has no part in the answer.
 */
#ifndef REEVE_DAEMON_ENGINE_EXPLAIN_H
#define REEVE_DAEMON_ENGINE_EXPLAIN_H

#include "daemon/engine/pipeline.h"

struct explained_rule {
	const struct rule *rule;
	enum rule_trace_kind kind;
	const char *reason; /* CLEAR (may be NULL), BAD, UNKNOWN, OVER */
	bool after;         /* the answer was clear before its turn */
	unsigned missing;   /* WAITS: enum request_fact it waits for; 0: it is not for this state */
	unsigned exempt;    /* EXEMPT: enum rule_exempt by which; 0: by `except` */
	enum verdict_kind would; /* what its finding answers by itself; DUNNO: nothing */
	struct slice reply;      /* the text of that */
	struct slice notes;      /* what it looked at: lines */
};

struct explanation {
	const struct request *request;
	const struct ruleset *ruleset;
	const struct verdict *verdict;
	struct slice reply;                 /* as it would go out, with its newlines */
	const struct explained_rule *rules; /* ruleset->count */
	const struct store_charge *charges; /* with free_ms; rule_index says whose */
	unsigned charge_count;
	bool settles; /* charged before: now it is only settled */
	bool store_failed;
	bool strikes; /* the answer would be a strike */
};

/* Called from pipeline_run(), once; all of it is valid until the arena is reset or the function
 * returns, whichever is first. */
typedef void (*pipeline_explained_fn)(void *arg, const struct explanation *explanation);

/* `in` and `arena` must live until `done` or pipeline_cancel(). */
struct ticket *pipeline_explain(struct pipeline *pipeline, const struct policy_request *in,
	struct arena *arena, struct clock_now now, pipeline_explained_fn done, void *arg)
	__attribute__((warn_unused_result));

#endif
