/* SPDX-License-Identifier: ISC */
/*
 * Counters by rule belong to the rule's name and outlive reloads, so that they only ever grow;
 * which counter is whose is worked out once for each ruleset.
 */
#include "daemon/operate/metrics.h"

#include <stdio.h>

#include "common/alloc.h"
#include "daemon/store/redis.h"

#define MAX_RULES 1000 /* names ever seen; decisions of further ones count under "other" */

static const uint64_t bounds_us[] = {10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 50000,
	100000, 500000, 1000000, 3000000};
#define BOUNDS (sizeof(bounds_us) / sizeof(bounds_us[0]))

struct rule_counts {
	char name[65];
	uint64_t decided[VERDICT_MARK + 1]; /* by this rule */
	uint64_t monitored;                 /* it would have acted */
	uint64_t unknown;                   /* it could not find out */
};

struct metrics {
	struct rule_counts *rules; /* 0: no rule; 1: other */
	unsigned count, room;
	struct ruleset *ruleset; /* a reference: what `index` is of */
	unsigned *index;         /* of its rules */
	uint64_t buckets[BOUNDS + 1];
	uint64_t sum_ns;
};

static void add_rule(struct metrics *metrics, struct slice name)
{
	struct rule_counts *counts;

	if (metrics->count == metrics->room) {
		metrics->room = metrics->room ? 2 * metrics->room : 32;
		metrics->rules = mem_grow(metrics->rules, metrics->room * sizeof(*metrics->rules));
	}
	counts = &metrics->rules[metrics->count++];
	*counts = (struct rule_counts){0};
	snprintf(counts->name, sizeof(counts->name), "%.*s", SLICE_ARG(name));
}

struct metrics *metrics_new(void)
{
	struct metrics *metrics = mem_zalloc(sizeof(*metrics));

	add_rule(metrics, SLICE(""));
	add_rule(metrics, SLICE("other"));
	return metrics;
}

void metrics_free(struct metrics **metrics)
{
	if (!*metrics)
		return;
	ruleset_unref(&(*metrics)->ruleset);
	free((*metrics)->rules);
	free((*metrics)->index);
	mem_free(metrics);
}

static unsigned find_rule(struct metrics *metrics, struct slice name)
{
	for (unsigned i = 2; i < metrics->count; i++) {
		if (slice_is(name, metrics->rules[i].name))
			return i;
	}
	if (metrics->count == MAX_RULES)
		return 1;
	add_rule(metrics, name);
	return metrics->count - 1;
}

/* The reference keeps the address from being used for another ruleset. */
static void learn_ruleset(struct metrics *metrics, const struct decision_view *view)
{
	ruleset_unref(&metrics->ruleset);
	metrics->ruleset = ruleset_ref(view->ruleset);
	metrics->index =
		mem_grow(metrics->index, (view->ruleset->count + 1) * sizeof(*metrics->index));
	for (unsigned i = 0; i < view->ruleset->count; i++)
		metrics->index[i] = find_rule(metrics, view->ruleset->rules[i].name);
}

static void note_findings(struct metrics *metrics, const struct decision_view *view)
{
	for (unsigned i = 0; i < view->ruleset->count; i++) {
		struct rule_counts *counts = &metrics->rules[metrics->index[i]];
		unsigned kind = view->trace[i].kind;

		if (kind == TRACE_UNKNOWN)
			counts->unknown++;
		else if ((kind == TRACE_BAD || kind == TRACE_OVER) &&
			 view->ruleset->rules[i].mode == CONFIG_MONITOR)
			counts->monitored++;
	}
}

void metrics_note(struct metrics *metrics, const struct decision_view *view)
{
	unsigned rule = 0, bucket = 0;

	if (view->ruleset != metrics->ruleset)
		learn_ruleset(metrics, view);
	if (view->verdict->rule)
		rule = metrics->index[view->verdict->rule - view->ruleset->rules];
	metrics->rules[rule].decided[view->verdict->kind]++;
	if (view->has_findings)
		note_findings(metrics, view);
	while (bucket < BOUNDS && view->took_ns > bounds_us[bucket] * 1000)
		bucket++;
	metrics->buckets[bucket]++;
	metrics->sum_ns += view->took_ns;
}

/* ---- the text ---- */

enum type { COUNTER, GAUGE };

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_add_format(out, "# HELP reeve_%s %s\n# TYPE reeve_%s %s\n", name, help, name, type);
}

static void one(struct buf *out, const char *name, enum type type, uint64_t value, const char *help)
{
	head(out, name, type == COUNTER ? "counter" : "gauge", help);
	buf_add_format(out, "reeve_%s %llu\n", name, (unsigned long long)value);
}

static void seconds(struct buf *out, const char *line, uint64_t ns)
{
	buf_add_format(out, "%s %llu.%09llu\n", line, (unsigned long long)(ns / 1000000000),
		(unsigned long long)(ns % 1000000000));
}

static void write_daemon(const struct operate *operate, struct buf *out)
{
	const struct loads *loads = operate->loads;

	head(out, "build_info", "gauge", "1; the version is the label.");
	buf_add_format(out, "reeve_build_info{version=\"" REEVE_VERSION "\"} 1\n");
	one(out, "start_time_seconds", GAUGE, operate->started.wall_ms / 1000,
		"When the daemon started, in seconds since 1970.");
	one(out, "config_generation", GAUGE, loads->generation,
		"Number of the configuration in force; the first is 1.");
	one(out, "config_reload_failures_total", COUNTER, loads->reloads_failed,
		"Reloads whose configuration was not taken over.");
	one(out, "config_last_reload_good", GAUGE, loads->last.wall_ms == 0,
		"0 after a reload that failed, until one succeeds.");
	one(out, "log_lines_dropped_total", COUNTER, log_dropped(operate->log),
		"Log lines that nobody read fast enough.");
}

static void write_decisions(const struct metrics *metrics, struct buf *out)
{
	head(out, "decisions_total", "counter",
		"Requests answered, by answer and the rule that decided (none: \"\").");
	for (unsigned i = 0; i < metrics->count; i++) {
		for (unsigned kind = 0; kind <= VERDICT_MARK; kind++) {
			if (metrics->rules[i].decided[kind])
				buf_add_format(out,
					"reeve_decisions_total{action=\"%s\",rule=\"%s\"} %llu\n",
					verdict_name((enum verdict_kind)kind),
					metrics->rules[i].name,
					(unsigned long long)metrics->rules[i].decided[kind]);
		}
	}
}

static void write_rules(const struct metrics *metrics, struct buf *out)
{
	head(out, "rule_monitor_total", "counter",
		"Requests on which a rule in monitor mode would have acted.");
	for (unsigned i = 1; i < metrics->count; i++) {
		if (metrics->rules[i].monitored)
			buf_add_format(out, "reeve_rule_monitor_total{rule=\"%s\"} %llu\n",
				metrics->rules[i].name,
				(unsigned long long)metrics->rules[i].monitored);
	}
	head(out, "rule_unknown_total", "counter",
		"Requests on which a rule could not find out (DNS trouble, say).");
	for (unsigned i = 1; i < metrics->count; i++) {
		if (metrics->rules[i].unknown)
			buf_add_format(out, "reeve_rule_unknown_total{rule=\"%s\"} %llu\n",
				metrics->rules[i].name,
				(unsigned long long)metrics->rules[i].unknown);
	}
}

static void write_times(const struct metrics *metrics, struct buf *out)
{
	uint64_t count = 0;
	char line[80];

	head(out, "decision_seconds", "histogram", "From the whole request to its answer.");
	for (unsigned i = 0; i <= BOUNDS; i++) {
		count += metrics->buckets[i];
		if (i < BOUNDS)
			snprintf(line, sizeof(line),
				"reeve_decision_seconds_bucket{le=\"%llu.%06llu\"}",
				(unsigned long long)(bounds_us[i] / 1000000),
				(unsigned long long)(bounds_us[i] % 1000000));
		else
			snprintf(line, sizeof(line), "reeve_decision_seconds_bucket{le=\"+Inf\"}");
		buf_add_format(out, "%s %llu\n", line, (unsigned long long)count);
	}
	seconds(out, "reeve_decision_seconds_sum", metrics->sum_ns);
	buf_add_format(out, "reeve_decision_seconds_count %llu\n", (unsigned long long)count);
}

static void write_pipeline(const struct operate *operate, struct buf *out)
{
	struct pipeline_counts counts;

	pipeline_counts(operate->pipeline, &counts);
	one(out, "requests_total", COUNTER, counts.requests, "Requests that were taken.");
	one(out, "requests_under_way", GAUGE, pipeline_under_way(operate->pipeline),
		"Requests that wait for an answer now.");
	one(out, "unmapped_logins_total", COUNTER, counts.unmapped_logins,
		"Requests of logins that belong to no account, which sender_login passes.");
	one(out, "live_windows_left_out_total", COUNTER, counts.windows_left_out,
		"Windows of live limits not counted, for want of room in one request.");
	one(out, "store_failed_requests_total", COUNTER, counts.store_failures,
		"Requests that the store did not answer.");
	one(out, "bugs_total", COUNTER, counts.step_overruns,
		"Requests given up because of a bug in a rule; please report it.");
}

static void write_server(const struct operate *operate, struct buf *out)
{
	struct server_health health;

	server_health(operate->server, &health);
	one(out, "connections", GAUGE, health.connections, "Policy connections that are open.");
	one(out, "connections_max", GAUGE, health.max_connections, "As many may be open.");
	one(out, "connections_full", GAUGE, health.full, "1 while new connections have to wait.");
	one(out, "connections_accepted_total", COUNTER, health.accepted, "Connections accepted.");
	one(out, "connections_refused_total", COUNTER, health.refused,
		"Connections of clients that `allow` does not name.");
	one(out, "connections_malformed_total", COUNTER, health.malformed,
		"Connections closed because of what is no policy request.");
	one(out, "connections_timed_out_total", COUNTER, health.timed_out,
		"Connections closed because they were idle or slow.");
}

static void write_maillog(const struct operate *operate, struct buf *out)
{
	struct operate_maillog maillog;

	operate->maillog(operate->host, &maillog);
	one(out, "maillog_missing", GAUGE, *maillog.why != '\0',
		"1 while Postfix's log cannot be read.");
	one(out, "maillog_lines_total", COUNTER, maillog.lines, "Lines of Postfix's log.");
	one(out, "maillog_connections_total", COUNTER, maillog.connections,
		"SMTP connections whose end the log showed.");
	one(out, "maillog_failed_logins_total", COUNTER, maillog.logins,
		"Failed logins that the log showed.");
}

static void write_dns(const struct operate *operate, struct buf *out)
{
	struct dns_health health;

	dns_health(operate->dns, &health);
	one(out, "dns_questions_total", COUNTER, health.asked, "Questions of rules.");
	one(out, "dns_cache_hits_total", COUNTER, health.cache_hits, "Those the cache answered.");
	one(out, "dns_queries_total", COUNTER, health.flights, "Queries sent to resolvers.");
	one(out, "dns_unknown_total", COUNTER, health.unknown,
		"Queries that found out nothing (time-out, SERVFAIL, ...).");
	one(out, "dns_breaker_opened_total", COUNTER, health.breaker_opened,
		"How often no resolver answered any more.");
	one(out, "dns_dead", GAUGE, health.dead, "1 while no resolver answers.");
	one(out, "dns_queries_in_flight", GAUGE, health.in_flight,
		"Queries without an answer yet.");
	one(out, "dns_cached", GAUGE, health.cached, "Answers in the cache.");
}

static void write_embedded(const struct operate *operate, struct buf *out)
{
	struct embedded_health health;

	store_embedded_health(operate->store, &health);
	one(out, "store_counters", GAUGE, health.counters, "Counters in memory.");
	one(out, "store_transactions", GAUGE, health.transactions, "Messages that are remembered.");
	one(out, "store_bytes", GAUGE, health.bytes, "Memory of the counters and messages.");
	one(out, "store_evictions_total", COUNTER, health.evictions,
		"Counters pushed out because the table was full.");
	one(out, "store_transaction_evictions_total", COUNTER, health.transaction_evictions,
		"Messages pushed out because the table was full.");
	one(out, "store_uncounted_total", COUNTER, health.uncounted,
		"Charges that found no room and passed.");
	one(out, "store_commits_total", COUNTER, health.commits, "Transactions on the disk.");
	one(out, "store_commit_failures_total", COUNTER, health.commit_failures,
		"Transactions that the disk refused.");
	one(out, "store_failing", GAUGE, health.disk_failing, "1 while the disk refuses.");
}

static void write_link(const struct redis_store_health *health, struct buf *out)
{
	const struct redis_link_health *link = &health->link;

	one(out, "store_asked", GAUGE, health->asked,
		"1 while Redis decides, 0 while this node does by itself.");
	one(out, "store_failing", GAUGE, !health->asked || link->trouble != REDIS_TROUBLE_NONE,
		"1 while Redis is away or of no use.");
	one(out, "store_connections_total", COUNTER, link->connections, "Connections to Redis.");
	one(out, "store_calls_total", COUNTER, link->calls, "Commands sent to Redis.");
	one(out, "store_calls_overdue_total", COUNTER, link->overdue,
		"Commands that Redis did not answer in time.");
	one(out, "store_calls_out", GAUGE, link->out, "Commands without an answer yet.");
	one(out, "store_channel", GAUGE, health->channel.up,
		"1 while Redis tells of changes to bans and live limits; else they are asked for.");
}

static void write_redis(const struct operate *operate, struct buf *out)
{
	struct redis_store_health health;

	store_redis_health(operate->store, &health);
	write_link(&health, out);
	one(out, "store_nodes", GAUGE, health.counters.nodes, "Nodes that share the limits.");
	one(out, "store_local_total", COUNTER, health.counters.local,
		"Decisions that this node made by itself.");
	one(out, "store_in_doubt", GAUGE, health.counters.in_doubt > 0,
		"1 while counters wait to be made whole in Redis.");
	one(out, "store_asserted_total", COUNTER, health.counters.asserted,
		"Counters made whole in Redis.");
	one(out, "store_bad_keys_total", COUNTER, health.counters.bad_keys,
		"Keys in Redis that hold what is not ours.");
	one(out, "store_counters", GAUGE, health.counters.counters, "Counters in memory.");
	one(out, "store_transactions", GAUGE, health.counters.transactions,
		"Messages that are remembered.");
	one(out, "store_bytes", GAUGE, health.counters.bytes,
		"Memory of the counters and messages.");
	one(out, "store_evictions_total", COUNTER, health.counters.evictions,
		"Counters pushed out because the table was full.");
	one(out, "store_uncounted_total", COUNTER, health.counters.uncounted,
		"Charges that found no room and passed.");
	one(out, "store_lists_unsent", GAUGE,
		health.lists.bans.unsent + health.lists.overrides.unsent,
		"Changes to bans and live limits that Redis has not taken yet.");
	one(out, "store_lists_refused_total", COUNTER,
		health.lists.bans.refused + health.lists.overrides.refused + health.lists.bans.bad +
			health.lists.overrides.bad,
		"Entries of these lists that were absurd, or one too many.");
}

static void write_store(const struct operate *operate, struct buf *out)
{
	const struct config *config = pipeline_ruleset(operate->pipeline)->config;

	one(out, "store_counters_max", GAUGE, config->store.max_keys, "As many have room.");
	one(out, "live_limits", GAUGE,
		operate->store->overrides ? overrides_count(operate->store->overrides) : 0,
		"Limits set with reevectl.");
	if (strcmp(operate->store->ops->name, "embedded") == 0)
		write_embedded(operate, out);
	else
		write_redis(operate, out);
}

static void write_bans(const struct operate *operate, struct buf *out)
{
	one(out, "bans", GAUGE, bans_count(operate->bans), "Bans that hold.");
	one(out, "ban_storm", GAUGE, bans_in_storm(operate->bans),
		"1 while automatic bans have stopped because there were too many.");
}

void metrics_write(const struct metrics *metrics, const struct operate *operate, struct buf *out)
{
	write_daemon(operate, out);
	write_decisions(metrics, out);
	write_rules(metrics, out);
	write_times(metrics, out);
	write_pipeline(operate, out);
	write_server(operate, out);
	write_maillog(operate, out);
	write_dns(operate, out);
	write_store(operate, out);
	write_bans(operate, out);
}
