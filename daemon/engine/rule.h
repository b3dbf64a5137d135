/* SPDX-License-Identifier: ISC */
/*
 * What a rule is. A rule looks at one request and says what it found; what is
 * then done about it (action, monitor mode, reply, strikes, log) is the
 * engine's. A step is a question asked again, not a script: while something is
 * missing it answers RULE_WAIT, and the same call is made again when the
 * answer is there. It writes no bytes, logs nothing, and keeps what it asks
 * in its own state (zeroed memory in the request's arena).
 *
 * To add a rule: one file daemon/rules/NAME.c that defines a `const struct
 * rule_ops`, one line in daemon/rules/table.c, its test, and its section in the manual.
 */
#ifndef REEVE_DAEMON_ENGINE_RULE_H
#define REEVE_DAEMON_ENGINE_RULE_H

#include "common/buf.h"
#include "common/reply.h"
#include "common/waiter.h"
#include "config/config.h"
#include "daemon/engine/match.h"
#include "daemon/engine/request.h"
#include "daemon/store/store.h"

struct bans;
struct dns;

enum rule_result {
	RULE_NEXT,      /* nothing to say */
	RULE_BAD,       /* definite: finding is filled in, the rule's action follows */
	RULE_UNKNOWN,   /* could not find out: on_error follows */
	RULE_WAIT       /* asked something; not allowed when `final` */
};

/* Whom a check leaves alone by default (design.md section 5). */
enum rule_exempt {
	EXEMPT_AUTHENTICATED = 1 << 0,
	EXEMPT_UNAUTHENTICATED = 1 << 1,
	EXEMPT_LOCAL = 1 << 2,          /* client in site.local_networks */
	EXEMPT_PRIVILEGED = 1 << 3,
	EXEMPT_OWN = 1 << 4,            /* loopback and site.addresses */
	EXEMPT_NULL_SENDER = 1 << 5     /* not dropped by default_exemptions: no */
};

enum rule_flag {
	RULE_COUNTS = 1 << 0,           /* charges in the batch instead of looking */
	RULE_STICKS = 1 << 1,           /* a finding at EHLO holds for the SMTP connection */
	RULE_NEVER_STRIKES = 1 << 2,
	RULE_PER_RECIPIENT = 1 << 3     /* strikes once per recipient, else once per transaction */
};

/* A default reply of a check. `kind` is what the check does unless the rule says `action`. */
struct rule_reply {
	enum reply_kind kind;
	unsigned code;                  /* as the kind has it; 0 for mark, hold, discard */
	const char *enhanced;
	const char *text;
	bool on_error;                  /* for RULE_UNKNOWN: `action` and `reply` do not apply */
};

#define RULE_MAX_REPLIES 6

/* What a step found; untouched where it has nothing to say but a reason. The engine fills in the
 * variables that a request has (client, sender, domain = the sender's, recipient, login, helo,
 * rule); set others or overwrite them here. */
struct rule_finding {
	unsigned reply;                 /* index into rule_ops.replies */
	const char *reason;             /* static word for the log: "nxdomain" */
	struct reply_vars vars;
};

struct rule;

struct rule_ask {
	const struct request *request;
	struct dns *dns;
	const struct bans *bans;
	struct waiter *waiter;          /* hand it to dns_ask() */
	void *state;                    /* rule_ops.state_bytes; NULL if that is 0 */
	bool final;                     /* the last call: decide with what is there, RULE_WAIT is UNKNOWN */
	struct rule_finding *finding;   /* zeroed; NULL in ask() */
	struct buf *notes;              /* for rule_note(); NULL: nobody wants to know */
};

/* Tells `reevectl explain` what was looked at: a line "WHAT OF: FOUND", as "MX example.net: nxdomain".
 * `found` may be NULL. Costs nothing where nobody wants to know. */
void rule_note_add(struct buf *notes, const char *what, struct slice of, const char *found);

static inline void rule_note(const struct rule_ask *ask, const char *what, struct slice of,
			     const char *found)
{
	if (ask->notes)
		rule_note_add(ask->notes, what, of, found);
}

/* What a counting rule adds to: the request's batch. */
struct rule_charges {
	struct store_charge *items;     /* STORE_MAX_CHARGES of room: no ruleset asks for more */
	unsigned count;
	uint64_t recipients;            /* what is charged now: 1 at RCPT, recipient_count for a whole message */
	const struct overrides *overrides; /* live limits; NULL: none */
	unsigned left_out;              /* windows of live limits that found no room */
};

#define RULE_COUNTING_WINDOWS 32

/* What a counting rule counts, in words of the configuration. */
struct rule_counting {
	const char *per;                /* static */
	enum counter_what what;
	/* Each once, of all limits; those beyond the room are left out. */
	uint64_t windows_ms[RULE_COUNTING_WINDOWS];
	unsigned window_count;
};

struct rule_ops {
	const struct config_check *check;   /* name, keys, options */
	unsigned needs;                     /* enum request_fact, besides those of match and except */
	unsigned exempt;                    /* enum rule_exempt */
	unsigned flags;                     /* enum rule_flag */
	size_t state_bytes;
	/* RULE_COUNTS: the first is that a limit is used up, the second, if there is one, that the limit
	 * is 0. */
	const struct rule_reply *replies;
	unsigned reply_count;
	/* Compiles options into rule->data. May set rule->action where the configuration did not (ptr's
	 * on_missing). Errors go to `errors`. NULL: nothing to do. */
	void (*configure)(struct rule *rule, const struct site *site, struct config_errors *errors);
	void (*release)(void *data);        /* frees rule->data; NULL: nothing to do */
	/* Starts all DNS questions at submit; answers are not looked at. NULL: asks none. */
	void (*ask)(const struct rule *rule, const struct rule_ask *ask);
	enum rule_result (*step)(const struct rule *rule, const struct rule_ask *ask);
	/* RULE_COUNTS instead of step: adds items (key, limit, cost, warn_at, one_subject); the engine sets the rest. */
	void (*charge)(const struct rule *rule, const struct request *request,
		       struct rule_charges *charges);
	/* RULE_COUNTS: the counter's subject, as a request would have it, from what a person writes
	 * ("Bob@Example.com", "192.0.2.7", "@example.com"). Empty: it can be none. In `arena`. */
	struct slice (*subject)(const struct rule *rule, struct slice text, const struct site *site,
				struct arena *arena);
	/* RULE_COUNTS: what is counted, per what. */
	struct rule_counting (*counting)(const struct rule *rule);
	void (*cancel)(void *state);        /* once for each state that was handed out; NULL: nothing asked */
};

/* One rule of a ruleset; made by ruleset_new(), then only read. */
struct rule {
	const struct rule_ops *ops;
	const struct config_rule *config;
	struct slice name;
	uint32_t name_hash;                 /* never 0; the same in every process */
	int mode;                           /* enum config_mode, with the top one folded in */
	int action;                         /* enum config_action; DEFAULT: as each reply says */
	unsigned needs;                     /* all facts it waits for */
	unsigned exempt;
	unsigned states;                    /* bits 1 << enum policy_state in which it may run at all */
	/* All of the above, against request.situation: what has to be there, and what must not be. */
	uint32_t wants, shuns;
	bool conditional;                   /* match, except or `until` say more */
	struct match **match, **except;
	size_t match_count, except_count;
	struct reply_template *replies[RULE_MAX_REPLIES];
	struct reply_template *plain[RULE_MAX_REPLIES]; /* to strangers, where the reply shows counters; else NULL */
	struct reply_template *error;       /* RULE_UNKNOWN with on_error: defer, where the check has no reply for it */
	unsigned max_charges;               /* the most it adds for one request; 1 for RULE_COUNTS unless configure() says otherwise */
	unsigned charges_after;             /* the most that the rules below it add: theirs, whatever live limits say */
	bool refuses;                       /* its action is reject, defer or disconnect: a rate rule is a gate */
	void *data;                         /* configure's */
};

/* daemon/rules/table.c: all checks, NULL-terminated. */
extern const struct rule_ops *const rules_table[];

#endif
