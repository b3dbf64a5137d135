/* SPDX-License-Identifier: ISC */
/*
 * One rule out of a configuration's text, asked directly: its `ask`, `step` and `charge` are
 * called as the engine does, with a DNS that answers from a table. What the engine adds
 * (exemptions, conditions, actions) is not in here, but rule_exempts() tells whom the rule leaves
 * alone.
 *
 * There is one fixture at a time (Criterion runs each test in a process of its own).
 */
#ifndef REEVE_TESTS_UNIT_RULES_FIXTURE_H
#define REEVE_TESTS_UNIT_RULES_FIXTURE_H

#include "daemon/bans/bans.h"
#include "daemon/engine/ruleset.h"
#include "tests/fake/fake_dns.h"

#define FIXTURE_WALL_MS UINT64_C(1700000000000)

/* `text` is a configuration; the first rule in it is the one. */
void fixture_start(const char *text);
void fixture_stop(void);
/* The messages of a configuration that does not load, each with its newline; "" if it loads.
 * Valid until the next call. */
const char *fixture_errors(const char *text);

struct fixture_parts {
	struct config *config;
	struct ruleset *ruleset;
	struct rule *rule;
	struct bans *bans;
	struct dns *dns;
	struct fake_dns *fake;
	struct connections *connections;
	struct transactions *transactions;
	struct clock_now now;
	struct arena arena;
	struct policy_request in;
	struct request request;
	struct rule_finding finding;
	struct store_charge items[STORE_MAX_CHARGES];
	struct rule_charges charges;
	const struct overrides *overrides; /* for charges(); NULL: none */
};

extern struct fixture_parts fixture;

/* "MX", "example.org", "10 mx.example.org"; records NULL: the name exists without them. */
void dns_has(const char *type, const char *name, const char *records);
void dns_fails(const char *type, const char *name);
void dns_is_silent(const char *type, const char *name);

/*
 * Reads a request: "RCPT sender=a@example.org recipient=b@example.com", blanks between the
 * attributes ("~" stands for a blank in a value). client_address is 198.51.100.7 unless it is
 * given.
 */
void ask_about(const char *text);
/* The rule's answer, after as many steps and waits for the DNS as it takes: "next", "bad
 * REASON", "unknown REASON". A next with a reason is "next REASON". */
const char *answer(const char *text);
/* The same, but time is over before the DNS answers. */
const char *answer_in_a_hurry(const char *text);
/* The reply of the last answer, with the variables that the rule has set and those of the
 * request. */
const char *reply(void);
/* Does the rule leave the last request alone by default, or does it wait for facts that are
 * missing? */
bool rule_exempts(void);
bool rule_waits(void);

/* "SUBJECT LIMIT/WINDOW cost COST warn WARN" for each charge, with ", " between them. */
const char *charges(const char *text);

#endif
