/* SPDX-License-Identifier: ISC */
/*
 * `status`: how the daemon is, in one answer.
 */
#include <unistd.h>

#include "daemon/operate/control_call.h"
#include "daemon/store/redis.h"

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

static void add_embedded(struct json *json, const struct operate *operate)
{
	const struct config_store *config = &pipeline_ruleset(operate->pipeline)->config->store;
	struct embedded_health health;

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

static void add_link(struct json *json, const struct redis_store_health *health)
{
	const struct redis_link_health *link = &health->link;

	json_bool(json, "asked", health->asked);
	json_bool(json, "connected", link->up);
	json_bool(json, "channel", health->channel.up);
	json_text(json, "address", link->address);
	if (link->trouble != REDIS_TROUBLE_NONE) {
		json_text(json, "trouble", redis_trouble_name(link->trouble));
		json_text(json, "why", link->detail);
	}
	json_u64(json, "connections", link->connections);
	json_u64(json, "calls", link->calls);
	json_u64(json, "calls_out", link->out);
}

static void add_list(struct json *json, const char *name, const struct shared_health *list)
{
	json_object(json, name);
	json_u64(json, "members", list->members);
	json_u64(json, "unsent", list->unsent);
	json_bool(json, "complete", list->complete);
	json_u64(json, "refused", list->refused);
	json_u64(json, "bad", list->bad);
	json_end_object(json);
}

static void add_redis(struct json *json, const struct operate *operate)
{
	struct redis_store_health health;

	store_redis_health(operate->store, &health);
	json_slice(json, "url", health.config->url);
	json_slice(json, "node", health.config->node);
	add_link(json, &health);
	json_u64(json, "nodes", health.counters.nodes);
	json_u64(json, "counters", health.counters.counters);
	json_u64(json, "max_counters", health.config->max_keys);
	json_u64(json, "evictions", health.counters.evictions);
	json_u64(json, "uncounted", health.counters.uncounted);
	json_u64(json, "transactions", health.counters.transactions);
	json_u64(json, "bytes", health.counters.bytes);
	json_u64(json, "local", health.counters.local);
	json_u64(json, "overdue", health.counters.overdue);
	json_bool(json, "in_doubt", health.counters.in_doubt > 0);
	json_u64(json, "asserted", health.counters.asserted);
	json_u64(json, "bad_keys", health.counters.bad_keys);
	json_i64(json, "clock_offset_ms", health.counters.clock_offset_ms);
	add_list(json, "ban_list", &health.lists.bans);
	add_list(json, "limit_list", &health.lists.overrides);
}

static bool is_redis(const struct operate *operate)
{
	return strcmp(operate->store->ops->name, "redis") == 0;
}

static void add_store(struct json *json, const struct operate *operate)
{
	json_object(json, "store");
	json_text(json, "kind", operate->store->ops->name);
	if (is_redis(operate))
		add_redis(json, operate);
	else
		add_embedded(json, operate);
	json_end_object(json);
}

/* NULL: nothing is wrong with it. */
static const char *store_fault(const struct operate *operate)
{
	struct embedded_health disk;
	struct redis_store_health redis;

	if (is_redis(operate)) {
		store_redis_health(operate->store, &redis);
		return redis.asked && redis.link.trouble == REDIS_TROUBLE_NONE
			       ? NULL
			       : "Redis is away; this node decides by itself, within its share of the limits";
	}
	store_embedded_health(operate->store, &disk);
	return disk.disk_failing ? "the disk behind the store fails; answers go on from memory"
				 : NULL;
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

static void add_maillog(struct json *json, const struct operate *operate)
{
	struct operate_maillog maillog;

	operate->maillog(operate->host, &maillog);
	json_object(json, "maillog");
	json_text(json, "source", maillog.source);
	json_bool(json, "followed", maillog.followed);
	json_text(json, "why", maillog.why);
	json_u64(json, "lines", maillog.lines);
	json_u64(json, "connections", maillog.connections);
	json_u64(json, "logins", maillog.logins);
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

static void add_control(struct json *json, const struct control_call *call)
{
	struct endpoint_health health;

	control_health(call->control, &health);
	json_object(json, "control");
	json_u64(json, "calls", health.calls);
	json_u64(json, "accepted", health.accepted);
	json_u64(json, "refused", health.refused);
	json_u64(json, "timed_out", health.timed_out);
	json_u64(json, "dropped_slow", health.dropped_slow);
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
	if (store_fault(operate))
		json_text(json, NULL, store_fault(operate));
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
	add_maillog(json, operate);
	add_dns(json, operate);
	add_server(json, operate);
	add_control(json, call);
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
