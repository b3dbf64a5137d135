/* SPDX-License-Identifier: ISC */
/*
 * The configuration, then the rules compiled from it, and what neither can say about this build.
 */
#include "daemon/engine/load.h"

#include "daemon/store/redis/link.h"

struct ruleset *ruleset_load(const char *file, struct config_errors *errors)
{
	const struct config_check *const *checks;
	size_t count = ruleset_checks(&checks);
	size_t errors_before = config_errors_count(errors);
	struct config *config = config_load_any(file, checks, count, errors);
	struct ruleset *ruleset;

	if (!config)
		return NULL;
	if (config->store.kind == CONFIG_STORE_REDIS && config->store.redis.tls &&
	    !redis_link_has_tls())
		config_error(errors, config->store.url_pos,
			     "'store.url': rediss:// needs hiredis 1.0 or later, which this reeved "
			     "was not built with");
	ruleset = ruleset_new(config, errors);
	config_unref(&config);
	if (config_errors_count(errors) > errors_before)
		ruleset_unref(&ruleset);
	return ruleset;
}
