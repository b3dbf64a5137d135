/* SPDX-License-Identifier: ISC */
/*
 * Runs requests through the rules. No socket and no libuv in here: daemon.c
 * drives it from the loop, the scenario runner from a script.
 *
 * pipeline_submit() only puts the request into the ready queue;
 * pipeline_run() steps what is ready until nothing is; `done` is called from there, once, when the
 * reply is written (never from submit), after which the ticket is gone. pipeline_cancel() is silent. Between, a request waits for DNS
 * or the store, and is woken by a mark.
 */
#ifndef REEVE_DAEMON_ENGINE_PIPELINE_H
#define REEVE_DAEMON_ENGINE_PIPELINE_H

#include "common/buf.h"
#include "common/logline.h"
#include "daemon/bans/bans.h"
#include "daemon/dns/dns.h"
#include "daemon/engine/ruleset.h"
#include "daemon/engine/verdict.h"

#define PIPELINE_MAX_STEPS 1000     /* of one request; more is our bug: logged, DUNNO */

struct pipeline;
struct ticket;                      /* one request under way; lives in the arena handed to submit */

struct pipeline_services {
	struct store *store;
	struct dns *dns;
	struct bans *bans;
	struct connections *connections;
	struct transactions *transactions;
	struct log_sink *log;
	struct hash_key hash_key;           /* the store's: hashes are kept there */
	uint64_t (*clock_ns)(void);         /* monotonic, for the log's time taken; NULL: always 0 */
};

/* `reply` is the whole answer with its newlines; lives until the arena is reset. */
typedef void (*pipeline_done_fn)(void *arg, struct slice reply, const struct verdict *verdict);

struct pipeline *pipeline_new(const struct pipeline_services *services)
	__attribute__((warn_unused_result));
/* Nothing may be under way. */
void pipeline_free(struct pipeline **pipeline);
/* From now on requests are submitted under this ruleset (a reference is taken). */
void pipeline_set_ruleset(struct pipeline *pipeline, struct ruleset *ruleset);
struct ruleset *pipeline_ruleset(const struct pipeline *pipeline);

/* From now on; NULL: nobody. Not told of requests that are only explained. */
void pipeline_set_observer(struct pipeline *pipeline, struct pipeline_observer *observer);

/* A policy connection, as the pipeline needs it: zeroed at first, then kept by the connection. */
struct pipeline_peer {
	uint64_t id;                        /* never reused */
	struct hash128 transaction;         /* of its last request; another one says that this is over */
	bool has_charged;                   /* the store was asked about it: there may be something to give back */
	struct request_memo *memo;          /* NULL: none is kept */
};

/* `in`, `arena` and `peer` must live until `done` or pipeline_cancel(). */
struct ticket *pipeline_submit(struct pipeline *pipeline, const struct policy_request *in,
			       struct arena *arena, struct pipeline_peer *peer,
			       struct clock_now now, pipeline_done_fn done, void *arg)
	__attribute__((warn_unused_result));
void pipeline_cancel(struct pipeline *pipeline, struct ticket **ticket);

/* Steps all that is ready. */
void pipeline_run(struct pipeline *pipeline, struct clock_now now);
bool pipeline_has_ready(const struct pipeline *pipeline);
/* Ends waits whose deadline has come (they become ready); returns the next deadline in mono_ms, 0: none. */
uint64_t pipeline_expire(struct pipeline *pipeline, struct clock_now now);
size_t pipeline_under_way(const struct pipeline *pipeline);

/* For metrics: counted since the start, by verdict and by rule name. */
struct pipeline_counts {
	uint64_t requests, verdicts[VERDICT_MARK + 1], errors, step_overruns, store_failures;
	uint64_t unmapped_logins;
	uint64_t windows_left_out;          /* of live limits: more than a request can count in */
};
void pipeline_counts(const struct pipeline *pipeline, struct pipeline_counts *ret);

#endif
