/* SPDX-License-Identifier: ISC */
/*
 * `status`: how the daemon is, in one answer.
 */
#include <unistd.h>

#include "daemon/operate/control_call.h"

static const char *const mode_words[] = {
	[CONFIG_ENFORCE] = "enforce", [CONFIG_MONITOR] = "monitor", [CONFIG_OFF] = "off"};

static void add_config(struct json *json, const struct operate *operate)
{
	const struct loads *loads = operate->loads;

	json_object(json, "config");
	json_text(json, "file", operate->file);
	json_u64(json, "generation", loads->generation);
	json_u64(json, "reloads_failed", loads->reloads_failed);
	json_object(json, "in_force");
	control_add_load(json, &loads->in_force);
	json_end_object(json);
	if (loads->last.wall_ms) {
		json_object(json, "failed");
		control_add_load(json, &loads->last);
		json_end_object(json);
	}
	json_end_object(json);
}

static void add_store(struct json *json, const struct operate *operate)
{
	const struct config_store *config = &pipeline_ruleset(operate->pipeline)->config->store;
	struct embedded_health health;

	json_object(json, "store");
	json_text(json, "kind", operate->store->ops->name);
	if (strcmp(operate->store->ops->name, "embedded") == 0) {
		store_embedded_health(operate->store, &health);
		json_slice(json, "folder", config->path);
		json_u64(json, "counters", health.counters);
		json_u64(json, "max_counters", config->max_keys);
		json_u64(json, "evictions", health.evictions);
		json_u64(json, "uncounted", health.uncounted);
		json_u64(json, "transactions", health.transactions);
		json_u64(json, "bytes", health.bytes);
		json_u64(json, "commits", health.commits);
		json_u64(json, "commit_failures", health.commit_failures);
		json_bool(json, "failing", health.disk_failing);
		if (health.disk_failing)
			json_text(json, "why", health.last_error);
	}
	json_end_object(json);
}

static bool store_is_failing(const struct operate *operate)
{
	struct embedded_health health;

	if (strcmp(operate->store->ops->name, "embedded") != 0)
		return false;
	store_embedded_health(operate->store, &health);
	return health.disk_failing;
}

static void add_bans(struct json *json, const struct operate *operate)
{
	const struct ruleset *ruleset = pipeline_ruleset(operate->pipeline);

	json_object(json, "bans");
	json_text(json, "mode", mode_words[ruleset->config->bans.mode]);
	json_u64(json, "count", bans_count(operate->bans));
	json_bool(json, "storm", bans_in_storm(operate->bans));
	json_end_object(json);
}

static void add_dns(struct json *json, const struct operate *operate)
{
	struct dns_health health;

	dns_health(operate->dns, &health);
	json_object(json, "dns");
	json_bool(json, "dead", health.dead);
	json_u64(json, "questions", health.asked);
	json_u64(json, "cache_hits", health.cache_hits);
	json_u64(json, "queries", health.flights);
	json_u64(json, "unknown", health.unknown);
	json_u64(json, "in_flight", health.in_flight);
	json_u64(json, "cached", health.cached);
	json_end_object(json);
}

static void add_server(struct json *json, const struct operate *operate)
{
	struct server_health health;

	server_health(operate->server, &health);
	json_object(json, "server");
	json_u64(json, "connections", health.connections);
	json_u64(json, "max_connections", health.max_connections);
	json_bool(json, "full", health.full);
	json_u64(json, "accepted", health.accepted);
	json_u64(json, "malformed", health.malformed);
	json_u64(json, "timed_out", health.timed_out);
	json_u64(json, "refused", health.refused);
	json_u64(json, "under_way", pipeline_under_way(operate->pipeline));
	json_end_object(json);
}

static void add_decisions(struct json *json, const struct operate *operate)
{
	struct pipeline_counts counts;

	pipeline_counts(operate->pipeline, &counts);
	json_object(json, "decisions");
	json_u64(json, "requests", counts.requests);
	for (unsigned i = VERDICT_DUNNO; i <= VERDICT_MARK; i++)
		json_u64(json, verdict_name((enum verdict_kind)i), counts.verdicts[i]);
	json_u64(json, "unknown", counts.errors);
	json_u64(json, "store_failures", counts.store_failures);
	json_u64(json, "unmapped_logins", counts.unmapped_logins);
	json_u64(json, "live_windows_left_out", counts.windows_left_out);
	json_u64(json, "bugs", counts.step_overruns);
	json_u64(json, "log_lines_dropped", log_dropped(operate->log));
	json_end_object(json);
}

/* What is wrong now, in words. */
static void add_faults(struct json *json, const struct operate *operate)
{
	struct server_health server;
	struct dns_health dns;

	server_health(operate->server, &server);
	dns_health(operate->dns, &dns);
	json_array(json, "faults");
	if (operate->loads->last.wall_ms)
		json_text(json, NULL,
			"the last reload failed; the configuration before it is in force");
	if (store_is_failing(operate))
		json_text(json, NULL, "the disk behind the store fails; answers go on from memory");
	if (dns.dead)
		json_text(json, NULL, "no resolver answers; rules pass what they cannot look up");
	if (server.full)
		json_text(json, NULL, "max_connections are open; further clients wait");
	if (bans_in_storm(operate->bans))
		json_text(json, NULL, "a storm of bans; automatic bans have stopped");
	json_end_array(json);
}

static size_t count(const struct list *list)
{
	size_t number = 0;

	for (const struct list *node = list->next; node != list; node = node->next)
		number++;
	return number;
}

static void add_rules(struct json *json, const struct ruleset *ruleset)
{
	json_array(json, "rules");
	for (unsigned i = 0; i < ruleset->count; i++) {
		const struct rule *rule = &ruleset->rules[i];

		json_object(json, NULL);
		json_slice(json, "name", rule->name);
		json_text(json, "check", rule->ops->check->name);
		json_text(json, "mode", mode_words[rule->mode]);
		json_end_object(json);
	}
	json_end_array(json);
}

static void status(struct control_call *call, const struct ctl_request *request)
{
	const struct operate *operate = call->operate;
	const struct ruleset *ruleset = pipeline_ruleset(operate->pipeline);
	struct clock_now now = loop_now(operate->loop);
	struct json *json = control_answer(call);

	(void)request;
	json_text(json, "version", REEVE_VERSION);
	json_u64(json, "pid", (uint64_t)getpid());
	json_time(json, "started", operate->started.wall_ms);
	json_u64(json, "uptime_ms", now.mono_ms - operate->started.mono_ms);
	json_text(json, "mode", mode_words[ruleset->config->mode]);
	add_config(json, operate);
	add_store(json, operate);
	add_bans(json, operate);
	add_dns(json, operate);
	add_server(json, operate);
	add_decisions(json, operate);
	json_u64(json, "live_limits",
		operate->store->overrides ? overrides_count(operate->store->overrides) : 0);
	json_u64(json, "watchers", count(control_watchers(call->control)));
	add_faults(json, operate);
	add_rules(json, ruleset);
	control_send(call);
}

const struct control_command control_status_commands[] = {
	{"status", false, status},
	{0},
};
