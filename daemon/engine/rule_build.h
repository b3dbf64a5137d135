/* SPDX-License-Identifier: ISC */
/*
 * One rule of the configuration made ready to run: facts it waits for,
 * conditions, replies under its action. Only ruleset.c and tests call this.
 */
#ifndef REEVE_DAEMON_ENGINE_RULE_BUILD_H
#define REEVE_DAEMON_ENGINE_RULE_BUILD_H

#include "daemon/engine/rule.h"

/* `ret` is zeroed. `top_mode` is the configuration's. Errors go to `errors`; rule_release() afterwards either way. */
void rule_build(struct rule *ret, const struct rule_ops *ops, const struct config_rule *from,
		int top_mode, const struct site *site, struct config_errors *errors);
/* Of a rule with wrong keys: errors in `match` and `except`. All else depends on the keys, and would only tell
 * what comes of them. */
void rule_check_conditions(const struct config_rule *from, const struct site *site,
			   struct config_errors *errors);
void rule_release(struct rule *rule);

#endif
