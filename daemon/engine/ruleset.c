/* SPDX-License-Identifier: ISC */
/*
 * Compiles the rules of a configuration. Nothing here calls a service or is
 * shared before ruleset_new() returns, so it may run on a worker thread.
 */
#include "daemon/engine/ruleset.h"

#include "common/alloc.h"
#include "daemon/engine/rule_build.h"

#define MAX_CHECKS 32

size_t ruleset_checks(const struct config_check *const **ret_checks)
{
	/* The rules' own table knows more than config/ may; this is the part that it may know. Filled with
	 * the same constants each time, so two threads may do it at once. */
	static const struct config_check *checks[MAX_CHECKS];
	size_t count = 0;

	while (count < MAX_CHECKS && rules_table[count]) {
		__atomic_store_n(&checks[count], rules_table[count]->check, __ATOMIC_RELAXED);
		count++;
	}
	*ret_checks = checks;
	return count;
}

static const struct rule_ops *find_ops(const struct config_check *check)
{
	for (unsigned i = 0; rules_table[i]; i++) {
		if (rules_table[i]->check == check)
			return rules_table[i];
	}
	return NULL;
}

static struct reply_template *fixed_reply(const char *text, enum reply_kind kind, unsigned code,
					  const char *enhanced)
{
	const char *why = NULL;
	struct reply_template *reply =
		reply_template_new(slice_of(text), kind, code, enhanced, &why);

	if (!reply)
		abort(); /* our own constant: a bug that every test would show */
	return reply;
}

/* A request that meets all rules at once must not lose a counter. */
static void check_charges(const struct ruleset *ruleset, struct config_errors *errors)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < ruleset->count; i++) {
		const struct rule *rule = &ruleset->rules[i];

		sum += rule->max_charges;
		if (rule->max_charges && sum > STORE_MAX_CHARGES) {
			config_error(errors, rule->config->pos,
				     "rule '%s' and those above it could count in %u windows for one "
				     "request; at most %d are possible",
				     config_quote(rule->name).text, sum, STORE_MAX_CHARGES);
			return;
		}
	}
}

static void reserve_charges(struct ruleset *ruleset)
{
	unsigned after = 0;

	for (unsigned i = ruleset->count; i-- > 0;) {
		ruleset->rules[i].charges_after = after;
		after += ruleset->rules[i].max_charges;
		ruleset->counts |= (ruleset->rules[i].ops->flags & RULE_COUNTS) != 0;
	}
}

struct ruleset *ruleset_new(struct config *config, struct config_errors *errors)
{
	struct ruleset *ruleset = mem_zalloc(sizeof(*ruleset));
	size_t errors_before = config_errors_count(errors);

	ruleset->references = 1;
	ruleset->config = config_ref(config);
	ruleset->site = site_new(config, errors);
	ruleset->rules = mem_zalloc_array(config->rule_count + 1, sizeof(*ruleset->rules));
	for (size_t i = 0; i < config->rule_count; i++) {
		const struct config_rule *from = &config->rules[i];

		if (from->mode == CONFIG_OFF)
			continue;
		if (from->broken)
			rule_check_conditions(from, ruleset->site, errors);
		else
			rule_build(&ruleset->rules[ruleset->count++], find_ops(from->check), from,
				   config->mode, ruleset->site, errors);
	}
	check_charges(ruleset, errors);
	reserve_charges(ruleset);
	ruleset->disconnect = fixed_reply("too many errors in this connection",
					  REPLY_DISCONNECT_TEMPORARY, 421, "4.7.0");
	ruleset->store_failed =
		fixed_reply("temporary failure, try again later", REPLY_DEFER, 451, "4.3.0");
	if (config->broken || config_errors_count(errors) > errors_before)
		ruleset_unref(&ruleset);
	return ruleset;
}

struct ruleset *ruleset_ref(struct ruleset *ruleset)
{
	ruleset->references++;
	return ruleset;
}

void ruleset_unref(struct ruleset **ruleset)
{
	struct ruleset *old = *ruleset;

	*ruleset = NULL;
	if (!old || --old->references > 0)
		return;
	for (unsigned i = 0; i < old->count; i++)
		rule_release(&old->rules[i]);
	free(old->rules);
	reply_template_free(&old->disconnect);
	reply_template_free(&old->store_failed);
	site_free(&old->site);
	config_unref(&old->config);
	free(old);
}

int ruleset_find(const struct ruleset *ruleset, struct slice name)
{
	for (unsigned i = 0; i < ruleset->count; i++) {
		if (slice_equal(ruleset->rules[i].name, name))
			return (int)i;
	}
	return -1;
}
