/* SPDX-License-Identifier: ISC */
/*
 * A request under way, as the files of the engine share it: pipeline.c owns
 * the queues, look.c runs the looking rules, charge.c the batch, finish.c turns the
 * verdict into a reply and its effects, decision.c writes the log line, explain.c is where a
 * ticket that is only explained differs. Nobody outside the engine includes this.
 *
 * A ticket lives in the arena of its request. It is in exactly one queue
 * (ready or waiting) until it is finished or cancelled.
 */
#ifndef REEVE_DAEMON_ENGINE_TICKET_H
#define REEVE_DAEMON_ENGINE_TICKET_H

#include "daemon/engine/pipeline.h"
#include "daemon/engine/plan.h"

#include <stdalign.h>
#include <stddef.h>

enum ticket_phase {
	TICKET_BEGIN,       /* nothing was asked yet */
	TICKET_LOOK,        /* looking rules, from `index` on */
	TICKET_SETTLE,      /* the store settles what the transaction charged */
	TICKET_RESERVE,     /* the store has the batch */
	TICKET_REST,        /* explained: the store looks at counters that had no part in the answer */
	TICKET_FINISH
};

/* What a rule keeps for one request; the memory is the request's arena. */
struct rule_state {
	struct rule_state *next;        /* in `states` */
	const struct rule *rule;
	alignas(max_align_t) unsigned char bytes[];
};

/* A rule that applies to the request. */
struct applying {
	const struct rule *rule;
	struct rule_state *state;       /* NULL: none, or not handed out yet */
	unsigned index;                 /* of the rule in the list */
};

struct ticket {
	struct list node;               /* ready or waiting */
	struct waiter waiter;
	struct pipeline *pipeline;
	struct pipeline_peer *peer;
	struct ruleset *ruleset;        /* a reference */
	uint64_t ruleset_number;
	enum ticket_phase phase;
	unsigned index;                 /* in `applying`: the rule whose turn it is */
	unsigned steps;
	bool ready;
	bool has_findings;              /* some rule's trace is BAD, UNKNOWN or OVER */
	uint64_t started_ns, took_ns;
	uint64_t look_until_mono_ms;    /* last call of the looking rules */
	uint64_t answer_by_mono_ms;
	uint64_t wait_until_mono_ms;    /* while waiting: one of the two */
	struct rule_trace *trace;       /* one for each rule; written when the first phase runs */
	struct applying *applying;      /* in list order */
	unsigned applying_count;
	struct rule_state *states;      /* those that were handed out, to be cancelled at the end */
	struct rule_charges charges;
	struct store_reserve reserve;
	struct store_settle settle;
	struct verdict verdict;
	struct buf reply;
	struct explain *explain;        /* NULL: a request that Postfix asks */
	pipeline_done_fn done;
	void *arg;
	struct request request;         /* last: all before it is zeroed, and this is written whole */
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
	struct pipeline_observer *observer; /* NULL: nobody */
	struct request_tables tables;
	struct ruleset *ruleset;
	struct list ready, waiting;
	size_t under_way;
	uint64_t next_deadline_mono_ms; /* 0: nobody waits */
	struct pipeline_counts counts;
	struct buf log_line;
	struct plans plans;
	struct window_text windows[PIPELINE_WINDOWS];
};

/* What running a phase leads to. */
enum ticket_turn {
	TICKET_GO_ON,
	TICKET_SLEEP,
	TICKET_STUCK        /* would sleep, but nothing is out that could wake it: our bug */
};

/* pipeline.c */
struct ticket *ticket_new(struct pipeline *pipeline, const struct policy_request *in,
			  struct arena *arena, struct pipeline_peer *peer, struct explain *explain,
			  struct clock_now now) __attribute__((warn_unused_result));

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
/* For explain.c: the charges from `first` on, those below `end`, are sent as `op`. */
void charge_submit(struct ticket *ticket, struct store_reserve *op, unsigned first, unsigned end,
		   struct clock_now now);
/* Is the op answered, or too late? */
bool charge_is_over(struct ticket *ticket, struct store_op *op, struct clock_now now);
void charge_apply(struct ticket *ticket, const struct store_reserve *reserve);

/* finish.c */
void finish_run(struct ticket *ticket, struct clock_now now);
/* Fills the variables that a request has; what a rule set stays. */
void finish_fill_vars(const struct request *request, const struct rule *rule,
		      struct reply_vars *vars);
bool verdict_refuses(enum verdict_kind kind);

/* explain.c; only for tickets with `explain`, but the first */
bool explain_has_ended(const struct ticket *ticket);
void explain_end(struct ticket *ticket);
/* A rule said `pass`: only the charges so far can still refuse. */
void explain_pass(struct ticket *ticket);
/* How many of the charges the answer depends on. */
unsigned explain_batch(const struct ticket *ticket);
/* It is the turn of a rule that applies. */
void explain_turn(struct ticket *ticket, unsigned index);
struct buf *explain_notes(struct ticket *ticket);
void explain_judged(struct ticket *ticket, unsigned index);
void explain_stepped(struct ticket *ticket, unsigned index);
void explain_found(struct ticket *ticket, unsigned index, enum verdict_kind kind,
		   const struct reply_template *reply, const struct rule_finding *finding);
void explain_asked(struct ticket *ticket, unsigned count);
void explain_settles(struct ticket *ticket);
void explain_strikes(struct ticket *ticket);
enum ticket_turn explain_rest(struct ticket *ticket, struct clock_now now);
void explain_cancel(struct ticket *ticket);
void explain_done(struct ticket *ticket);

/* decision.c */
void decision_log(struct ticket *ticket, struct clock_now now);
/* Tells the pipeline's observer. */
void decision_tell(struct ticket *ticket);

#endif
