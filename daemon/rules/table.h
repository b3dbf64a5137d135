/* SPDX-License-Identifier: ISC */
/*
 * The rules that there are, one for each `check:`. A rule's file holds all of it: what it may be
 * told (keys), what it answers (replies), whom it leaves alone, and how it decides.
 */
#ifndef REEVE_DAEMON_RULES_TABLE_H
#define REEVE_DAEMON_RULES_TABLE_H

#include "daemon/engine/rule.h"

/* All checks, in the order of the manual: a new rule is one line here. */
#define RULES_EACH(RULE)      \
	RULE(ban)             \
	RULE(helo)            \
	RULE(local_sender)    \
	RULE(sender_login)    \
	RULE(sender_domain)   \
	RULE(ptr)             \
	RULE(address_literal) \
	RULE(catchall)        \
	RULE(recipients)      \
	RULE(rate)

#define RULES_DECLARE(name) extern const struct rule_ops rule_##name;
RULES_EACH(RULES_DECLARE)
#undef RULES_DECLARE

/* How a step says what it found: `reply` is an index into the rule's replies, `reason` a
 * static word. */
static inline enum rule_result rule_bad(
	const struct rule_ask *ask, unsigned reply, const char *reason)
{
	ask->finding->reply = reply;
	ask->finding->reason = reason;
	return RULE_BAD;
}

static inline enum rule_result rule_unknown(
	const struct rule_ask *ask, unsigned reply, const char *reason)
{
	ask->finding->reply = reply;
	ask->finding->reason = reason;
	return RULE_UNKNOWN;
}

#endif
