/* SPDX-License-Identifier: ISC */
/*
 * A request under way, as the files of the engine share it: pipeline.c owns
 * the queues, look.c runs the looking rules, charge.c the batch, finish.c turns the
 * verdict into a reply and its effects, decision.c writes the log line. Nobody
 * outside the engine includes this.
 *
 * A ticket lives in the arena of its request. It is in exactly one queue
 * (ready or waiting) until it is finished or cancelled.
 */
#ifndef REEVE_DAEMON_ENGINE_TICKET_H
#define REEVE_DAEMON_ENGINE_TICKET_H

#include "daemon/engine/pipeline.h"

enum ticket_phase {
	TICKET_BEGIN,       /* nothing was asked yet */
	TICKET_LOOK,        /* looking rules, from `index` on */
	TICKET_SETTLE,      /* the store settles what the transaction charged */
	TICKET_RESERVE,     /* the store has the batch */
	TICKET_FINISH
};

struct ticket {
	struct list node;               /* ready or waiting */
	struct waiter waiter;
	struct pipeline *pipeline;
	struct pipeline_peer *peer;
	struct ruleset *ruleset;        /* a reference */
	struct request request;
	enum ticket_phase phase;
	unsigned index;                 /* of the rule whose turn it is */
	unsigned steps;
	bool ready;
	bool has_findings;              /* some rule's trace is BAD, UNKNOWN or OVER */
	uint64_t started_ns;
	uint64_t look_until_mono_ms;    /* last call of the looking rules */
	uint64_t answer_by_mono_ms;
	uint64_t wait_until_mono_ms;    /* while waiting: one of the two */
	struct rule_trace *trace;       /* one for each rule */
	void **states;                  /* by rule; NULL: none yet */
	struct rule_charges charges;
	struct store_reserve reserve;
	struct store_settle settle;
	struct verdict verdict;
	struct buf reply;
	pipeline_done_fn done;
	void *arg;
};

#define PIPELINE_LOG_LINE_BYTES 16384 /* 12 values of 512 bytes once escaped, 64 counters */
#define PIPELINE_WINDOWS 16

/* How the log shows a window. */
struct window_text {
	uint64_t window_ms;
	size_t len;                     /* 0: none yet */
	char text[BUF_U64_DIGITS + 4];
};

struct pipeline {
	struct pipeline_services services;
	struct request_tables tables;
	struct ruleset *ruleset;
	struct list ready, waiting;
	size_t under_way;
	uint64_t next_deadline_mono_ms; /* 0: nobody waits */
	struct pipeline_counts counts;
	struct buf log_line;
	struct window_text windows[PIPELINE_WINDOWS];
};

/* What running a phase leads to. */
enum ticket_turn {
	TICKET_GO_ON,
	TICKET_SLEEP,
	TICKET_STUCK        /* would sleep, but nothing is out that could wake it: our bug */
};

/* look.c */
void look_ask_all(struct ticket *ticket);
enum ticket_turn look_run(struct ticket *ticket, struct clock_now now);
void look_cancel(struct ticket *ticket);
/* Applies a finding of `rule`; true: it refuses, the run is over. */
bool look_apply(struct ticket *ticket, unsigned index, const struct rule_finding *finding);

/* charge.c */
void charge_collect(struct ticket *ticket, unsigned index);
enum ticket_turn charge_settle(struct ticket *ticket, struct clock_now now);
enum ticket_turn charge_reserve(struct ticket *ticket, struct clock_now now);
void charge_cancel(struct ticket *ticket);

/* finish.c */
void finish_run(struct ticket *ticket, struct clock_now now);
/* Fills the variables that a request has; what a rule set stays. */
void finish_fill_vars(const struct request *request, const struct rule *rule,
		      struct reply_vars *vars);
bool verdict_refuses(enum verdict_kind kind);

/* decision.c */
void decision_log(struct ticket *ticket, struct clock_now now);

#endif
