/* SPDX-License-Identifier: ISC */
/*
 * The engine with everything around it under a test's hand: checks that do what a script says, a
 * store that answers what it is told, a clock that moves when told, log lines and ban events that
 * are kept. Bans, connections and transactions are the real ones.
 *
 * There is one fixture at a time (Criterion runs each test in a process of its own).
 */
#ifndef REEVE_TESTS_UNIT_ENGINE_FIXTURE_H
#define REEVE_TESTS_UNIT_ENGINE_FIXTURE_H

#include "daemon/engine/pipeline.h"
#include "tests/unit/engine/fake_store.h"

#define FIXTURE_WALL_MS UINT64_C(1700000000000)
#define FIXTURE_MAX_ASKED 64

/*
 * What the rule of a name does, one word a step, the last one for ever: `next[:REASON]`,
 * `bad[:REPLY[:REASON]]`, `unknown[:REPLY]`, `wait` (until wake()), `idle` (WAIT with nothing
 * out), `spin` (WAIT, and woken from inside the step). REPLY is an index into the replies of the
 * check.
 */
struct script {
	char name[33];
	const char *says;
	unsigned asked, stepped, finals, cancelled, states;
	struct waiter *waiter;      /* of the last step */
	bool expected;
	/* Of the check `count`: */
	unsigned charges;           /* how many; 1 */
	uint64_t seen_recipients;   /* rule_charges.recipients */
};

struct asked {
	bool done;
	unsigned calls;
	char reply[512];
	enum verdict_kind kind;
	char rule[33];
	struct policy_request in;
	char text[8192];
	struct arena arena;
	struct ticket *ticket;
};

struct fixture_parts {
	struct clock_now now;
	struct hash_key hash_key;   /* the pipeline's */
	struct config *config;
	struct ruleset *ruleset;
	struct pipeline *pipeline;
	struct fake_store store;
	struct bans *bans;
	struct bans_sink bans_sink;
	char bans_said[2048];       /* "would_ban " and so on */
	struct connections *connections;
	struct transactions *transactions;
	struct log_sink log;
	char log_text[65536];       /* "LEVEL LINE\n" each */
	struct script scripts[16];
	unsigned script_count;
	struct pipeline_peer peers[4];
	uint64_t repeat;            /* policy_request.repeat of what is submitted */
	struct asked asked[FIXTURE_MAX_ASKED];
	unsigned asked_count;
};

extern struct fixture_parts fixture;

/*
 * `rules` is what stands behind `rules:`, one rule a line: "- {name: a, check: look}". `top` is
 * what else the configuration says, NULL: nothing. Checks:
 *
 * look       replies 0 reject, 1 defer on error, 2 disconnect, 3 mark, 4 disconnect temporarily, 5 defer
 * guard      waits for the sender; exempts all but strangers with a sender; strikes per recipient
 * insider    exempts who has not logged in
 * never      never strikes
 * sticky     sticks to the SMTP connection
 * count      counts; reply 0 defers with counters
 */
void fixture_start(const char *rules, const char *top);
void fixture_reload(const char *rules, const char *top);
void fixture_stop(void);
/* The messages of a configuration that does not load, "" if it does. Valid until the next call. */
const char *fixture_errors(const char *rules, const char *top);
struct rule *rule_named(const char *name);

/* The script of a rule; `says` NULL: leave it. */
struct script *script(const char *name, const char *says);
/* Starts with one rule `a` of this check, and what it says. */
void start_one(const char *check, const char *says, const char *top);
/* What `look` and `guard` answer with "bad" to the request that ask() makes. */
#define REFUSED "550 5.7.27 s@example.net refused"
/* The answer that `name` waits for has come. */
void wake(const char *name);

/* "RCPT sender=a@example.org ..." to a request; "~" stands for a blank, "^" for a newline. What is
 * not given: client_address=198.51.100.7 client_port=40001 server_address=192.0.2.25
 * server_port=25 sender=s@example.net recipient=r@example.com (RCPT, VRFY) instance=1.1 (from
 * RCPT on). `key=-` leaves one out. */
void read_request(const char *text, char *memory, size_t memory_bytes, struct policy_request *ret);
/* Submitted on policy connection `on` and not yet run. */
struct asked *submit(const char *text, unsigned on);
/* Submitted and run. */
struct asked *ask(const char *text);
/* The answer without `action=`, at once. */
const char *answer(const char *text);
/* The same for one that was asked before; "(pending)" if there is none. */
const char *reply_of(const struct asked *asked);
void cancel(struct asked *asked);
/* Time passes; what is due happens. */
void pass_ms(uint64_t ms);
void run(void);
/* The last decision line. */
const char *last_decision(void);

/* Of texts: equal; has a part; lacks it. */
#define is(text, expected) is_at(__LINE__, text, expected)
#define has(text, part) has_at(__LINE__, text, part, true)
#define has_not(text, part) has_at(__LINE__, text, part, false)
void is_at(int line, const char *text, const char *expected);
void has_at(int line, const char *text, const char *part, bool wanted);

#endif
