/* SPDX-License-Identifier: ISC */
/*
 * What is answered, and why: filled in by the pipeline, read by the log line, the metrics and
 * `explain`.
 */
#ifndef REEVE_DAEMON_ENGINE_VERDICT_H
#define REEVE_DAEMON_ENGINE_VERDICT_H

#include "daemon/engine/rule.h"

enum verdict_kind {
	VERDICT_DUNNO, VERDICT_REJECT, VERDICT_DEFER, VERDICT_DISCONNECT, VERDICT_HOLD,
	VERDICT_DISCARD, VERDICT_MARK
};

/* What became of one rule; kept for every rule of the ruleset. */
enum rule_trace_kind {
	TRACE_SKIPPED,       /* not reached: an earlier rule ended it */
	TRACE_WAITS,         /* facts are missing in this state */
	TRACE_UNMATCHED,     /* match, or until */
	TRACE_EXEMPT,        /* except, or a default exemption */
	TRACE_CLEAR,         /* looked, nothing to say */
	TRACE_BAD, TRACE_UNKNOWN, TRACE_CHARGED, TRACE_OVER
};

struct rule_trace {
	uint8_t kind;                   /* enum rule_trace_kind */
	uint8_t reply;
	const char *reason;             /* BAD, UNKNOWN */
};

struct verdict {
	enum verdict_kind kind;
	const struct rule *rule;        /* who decided; NULL: nobody (DUNNO), or the connection's strikes */
	const struct reply_template *reply; /* NULL: DUNNO */
	const char *reason;
	struct reply_vars vars;
	bool from_data;                 /* a rule saw good data: may be a strike */
};

/* A decision, for those who look on; valid during the call. */
struct decision_view {
	const struct request *request;
	struct ruleset *ruleset;
	const struct verdict *verdict;
	const struct rule_trace *trace; /* by rule */
	bool has_findings;              /* some trace is BAD, UNKNOWN or OVER */
	const struct store_charge *charges; /* those that the store answered */
	unsigned charge_count;
	struct slice reply;             /* the whole, with its newlines */
	uint64_t took_ns;
};

/* Looks on; asks and changes nothing of the engine. */
struct pipeline_observer {
	void (*decided)(struct pipeline_observer *observer, const struct decision_view *view);
};

const char *verdict_name(enum verdict_kind kind);

#endif
