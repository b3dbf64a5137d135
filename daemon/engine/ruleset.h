/* SPDX-License-Identifier: ISC */
/*
 * The rules of one configuration, compiled: immutable, counted references. Built on a worker
 * thread (nothing in it calls a service), swapped in one assignment.
 */
#ifndef REEVE_DAEMON_ENGINE_RULESET_H
#define REEVE_DAEMON_ENGINE_RULESET_H

#include "daemon/engine/rule.h"

struct ruleset {
	struct config *config;              /* a reference */
	struct site *site;
	struct rule *rules;                 /* modes `off` left out */
	unsigned count;
	bool counts;                        /* one of them does */
	/* Answers that belong to no rule. */
	struct reply_template *disconnect;  /* too many errors in one connection */
	struct reply_template *store_failed;
	/* private */
	_Atomic unsigned references;
};

/* The check tables of all rules, for config_load(). Returns how many; `*ret_checks` is static. */
size_t ruleset_checks(const struct config_check *const **ret_checks);

/* Takes a reference of its own on `config`. NULL: `errors` has at least one line, or `config` is broken: then only
 * what else is wrong goes to `errors`. */
struct ruleset *ruleset_new(struct config *config, struct config_errors *errors)
	__attribute__((warn_unused_result));
struct ruleset *ruleset_ref(struct ruleset *ruleset);
void ruleset_unref(struct ruleset **ruleset);
/* Index by name; -1: none. */
int ruleset_find(const struct ruleset *ruleset, struct slice name);

#endif
