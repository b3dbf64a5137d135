/* SPDX-License-Identifier: ISC */
/*
 * The rules that there are, one for each `check:`. A rule's file holds all of it: what it may be
 * told (keys), what it answers (replies), whom it leaves alone, and how it decides.
 */
#ifndef REEVE_DAEMON_RULES_TABLE_H
#define REEVE_DAEMON_RULES_TABLE_H

#include "daemon/engine/rule.h"

extern const struct rule_ops rule_ban;
extern const struct rule_ops rule_helo;
extern const struct rule_ops rule_local_sender;
extern const struct rule_ops rule_sender_login;
extern const struct rule_ops rule_sender_domain;
extern const struct rule_ops rule_ptr;
extern const struct rule_ops rule_address_literal;
extern const struct rule_ops rule_catchall;
extern const struct rule_ops rule_recipients;
extern const struct rule_ops rule_rate;

/* How a step says what it found: `reply` is an index into the rule's replies, `reason` a
 * static word. */
static inline enum rule_result rule_bad(const struct rule_ask *ask, unsigned reply,
					const char *reason)
{
	ask->finding->reply = reply;
	ask->finding->reason = reason;
	return RULE_BAD;
}

static inline enum rule_result rule_unknown(const struct rule_ask *ask, unsigned reply,
					    const char *reason)
{
	ask->finding->reply = reply;
	ask->finding->reason = reason;
	return RULE_UNKNOWN;
}

#endif
