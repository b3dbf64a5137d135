/* SPDX-License-Identifier: ISC */
/*
 * Any bytes as a configuration: never a crash, a leak or an open file. A load
 * that fails says why; one that succeeds has what all others rely on. Then the same with
 * the daemon's own rules, and compiled, which a broken one is too.
 */
#include <assert.h>
#include <stdint.h>

#include "daemon/engine/ruleset.h"
#include "tests/unit/config/checks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_lines(const struct config_errors *errors)
{
	size_t count = config_errors_count(errors) + config_warnings_count(errors);
	const char *line;
	bool is_warning;

	for (size_t i = 0; (line = config_errors_line(errors, i, &is_warning)); i++) {
		assert(i <= count);
		for (const char *p = line; *p; p++)
			assert(*p >= ' ' && *p <= '~');
	}
}

static void check_config(const struct config *config)
{
	const char *names[8];

	assert(config->listen_count > 0);
	assert(config->deadline_ms >= 100 && config->deadline_ms <= 60000);
	assert(config->idle_timeout_ms >= 1000000);
	assert(config->site.origin.len > 0 && config->store.node.len > 0);
	for (size_t i = 0; i < config->rule_count; i++) {
		const struct config_rule *rule = &config->rules[i];

		assert(rule->check && rule->options && rule->name.len > 0);
		if (strcmp(rule->check->name, "rate") == 0)
			assert(((const struct rate_options *)rule->options)->limits.count > 0);
	}
	assert(config_restart_needed(config, config, names) == 0);
}

static void check_ruleset(struct slice text)
{
	struct config_errors *errors = config_errors_new();
	const struct config_check *const *known;
	size_t count = ruleset_checks(&known);
	struct config *config = config_parse_closed("fuzz", text, known, count, errors);
	struct ruleset *ruleset = config ? ruleset_new(config, errors) : NULL;

	assert(!ruleset == (config_errors_count(errors) > 0));
	check_lines(errors);
	ruleset_unref(&ruleset);
	config_unref(&config);
	config_errors_free(&errors);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_errors *errors = config_errors_new();
	struct config *config = config_parse_closed(
		"fuzz", slice_make((const char *)data, size), checks, CHECK_COUNT, errors);

	assert(config || config_errors_count(errors) > 0);
	assert(!config || config->broken == (config_errors_count(errors) > 0));
	if (config && !config->broken)
		check_config(config);
	check_lines(errors);
	config_unref(&config);
	config_errors_free(&errors);
	check_ruleset(slice_make((const char *)data, size));
	return 0;
}
