/* SPDX-License-Identifier: ISC */
/*
 * A control socket with everything behind it that a daemon has, in this process: a real loop, store
 * (in memory), rules, bans and log; the resolver is a fake one.
 */
#ifndef REEVE_TESTS_UNIT_OPERATE_CONTROL_FIXTURE_H
#define REEVE_TESTS_UNIT_OPERATE_CONTROL_FIXTURE_H

#include "daemon/operate/control.h"
#include "tests/fake/fake_dns.h"

struct control_parts {
	struct operate operate;
	struct control *control;
	struct ruleset *ruleset;
	struct config *config;
	struct connections *connections;
	struct transactions *transactions;
	struct fake_dns *fake_dns;
	struct loads loads;
	char dir[64], socket[96], log[96];
	uint64_t reloads; /* asked for */
};

extern struct control_parts parts;

/* Rules as in a file, and top-level lines ("" for none). */
void parts_start(const char *rules, const char *top);
void parts_stop(void);

/* The whole answer to one command; `fields` are its lines. Valid until the next one. */
const char *ask(const char *command, const char *fields);
/* The same in two halves: a connection on which it was asked, and its end. */
int ask_only(const char *command, const char *fields);
const char *answer_of(int fd);
void turn(void);
/* Turns until the log has such a text, which it must; returns the last line with it. */
const char *logged(const char *text);
bool is_logged(const char *text);
/* A decision of this request in RCPT: "login" may be "". */
void decide(const char *client, const char *login, const char *recipient);

#endif
