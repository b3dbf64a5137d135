/* SPDX-License-Identifier: ISC */
/*
 * `match`, `except` and the conditions of limits: compiled once with the ruleset, asked
 * for every request.
 */
#ifndef REEVE_DAEMON_ENGINE_MATCH_H
#define REEVE_DAEMON_ENGINE_MATCH_H

#include "config/limits.h"
#include "daemon/engine/request.h"

struct match;

/* One map of conditions. Bad patterns become errors. Never NULL. `when` must outlive it. */
struct match *match_new(const struct config_conditions *when, const struct site *site,
			struct config_errors *errors) __attribute__((warn_unused_result));
void match_free(struct match **match);
/* All conditions hold. A condition on a fact that is not there (see match_facts) does not hold. NULL: true. */
bool match_holds(const struct match *match, const struct request *request);
/* The facts (enum request_fact) that must be known before it can be judged. */
unsigned match_facts(const struct match *match);

/* `early: yes`: before MAIL nobody is logged in, and that is taken as known. */
void match_set_early(struct match *match);

#endif
