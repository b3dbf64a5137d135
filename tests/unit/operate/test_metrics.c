/* SPDX-License-Identifier: ISC */
/* What is counted of decisions, and the text that Prometheus reads. */
#include "daemon/operate/metrics.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "common/list.h"
#include "common/strmap.h"
#include "tests/unit/operate/control_fixture.h"

#define RULES                                                        \
	"  - {name: hourly, check: rate, per: login, limit: 1/1h}\n" \
	"  - {name: heard, check: rate, per: login, limit: 1/1h, mode: monitor}\n"
#define TOP "site: {origin: example.com, domains: [example.com]}\n"

static struct metrics *metrics;
static struct pipeline_observer observer;

static void decided(struct pipeline_observer *told, const struct decision_view *view)
{
	cr_assert_eq(told, &observer);
	metrics_note(metrics, view);
}

static void start(void)
{
	parts_start(RULES, TOP);
	metrics = metrics_new();
	observer.decided = decided;
	pipeline_set_observer(parts.operate.pipeline, &observer);
}

static void stop(void)
{
	pipeline_set_observer(parts.operate.pipeline, NULL);
	metrics_free(&metrics);
	cr_assert_null(metrics);
	parts_stop();
}

static struct buf write_all(void)
{
	struct buf out;

	buf_init(&out, METRICS_BYTES);
	metrics_write(metrics, &parts.operate, &out);
	cr_assert_not(out.overflow);
	buf_add_char(&out, '\0');
	return out;
}

static void expect(const char *line)
{
	struct buf out = write_all();
	char whole[256];

	snprintf(whole, sizeof(whole), "\n%s\n", line);
	cr_expect(strstr(out.data, whole), "no %s in\n%s", line, out.data);
	buf_release(&out);
}

static void ask_four_times(void)
{
	decide("198.51.100.1", "bob@example.com", "a@far.example");
	decide("198.51.100.1", "bob@example.com", "b@far.example");
	decide("198.51.100.1", "bob@example.com", "c@far.example");
	decide("198.51.100.1", "", "c@far.example");
}

Test(metrics, decisions_by_answer_and_rule, .init = start, .fini = stop)
{
	ask_four_times();
	expect("reeve_decisions_total{action=\"dunno\",rule=\"\"} 2");
	expect("reeve_decisions_total{action=\"defer\",rule=\"hourly\"} 2");
	expect("reeve_requests_total 4");
	expect("reeve_decision_seconds_count 4");
	expect("reeve_decision_seconds_bucket{le=\"+Inf\"} 4");
	expect("reeve_connections 0");
	expect("reeve_bans 0");
	expect("reeve_live_limits 0");
	expect("reeve_maillog_missing 1");
	expect("reeve_maillog_lines_total 30");
	expect("reeve_maillog_connections_total 4");
	expect("reeve_maillog_failed_logins_total 1");
}

static struct ruleset *ruleset_of(const char *rules)
{
	const struct config_check *const *checks;
	size_t count = ruleset_checks(&checks);
	struct config_errors *errors = config_errors_new();
	struct config *config = config_parse("f", slice_of(rules), checks, count, errors);
	struct ruleset *ruleset = config ? ruleset_new(config, errors) : NULL;

	cr_assert(ruleset, "%s", config_errors_line(errors, 0, &(bool){0}));
	config_unref(&config);
	config_errors_free(&errors);
	return ruleset;
}

Test(metrics, counters_of_a_rule_outlive_reloads_and_the_rule, .init = start, .fini = stop)
{
	struct ruleset *other =
		ruleset_of("rules: [{name: other, check: rate, per: login, limit: 1/1h}]\n");

	ask_four_times();
	pipeline_set_ruleset(parts.operate.pipeline, other);
	ask_four_times();
	expect("reeve_decisions_total{action=\"defer\",rule=\"hourly\"} 2");
	expect("reeve_decisions_total{action=\"defer\",rule=\"other\"} 2");
	pipeline_set_ruleset(parts.operate.pipeline, parts.ruleset);
	ruleset_unref(&other);
	ask_four_times();
	expect("reeve_decisions_total{action=\"defer\",rule=\"hourly\"} 5");
}

/* The name up to its labels or the blank. */
static struct slice name_of(struct slice line)
{
	size_t len = 0;

	while (len < line.len && line.data[len] != '{' && line.data[len] != ' ')
		len++;
	return slice_first(line, len);
}

static struct slice without(struct slice name, const char *end)
{
	return slice_ends_with(name, slice_of(end)) ? slice_first(name, name.len - strlen(end))
						    : name;
}

/* Each has its HELP and TYPE before it, and stands there once. */
Test(metrics, the_text_is_what_prometheus_takes, .init = start, .fini = stop)
{
	struct strmap *types = strmap_new(), *series = strmap_new();
	struct buf out;
	struct slice rest, line;
	static char there;
	unsigned lines = 0;

	ask_four_times();
	out = write_all();
	for (rest = slice_first(buf_slice(&out), out.len - 1);
		slice_split(rest, '\n', &line, &rest);) {
		struct slice name = name_of(line), label = SLICE_EMPTY, value = SLICE_EMPTY;

		if (slice_starts_with(line, SLICE("# TYPE "))) {
			name = name_of(slice_from(line, strlen("# TYPE ")));
			cr_expect_null(strmap_get(types, name), "twice: %.*s", SLICE_ARG(line));
			strmap_set(types, name, &there);
			continue;
		}
		if (slice_starts_with(line, SLICE("# HELP ")))
			continue;
		lines++;
		cr_assert(slice_split_last(line, ' ', &label, &value));
		cr_expect(value.len && value.data[0] >= '0' && value.data[0] <= '9');
		cr_expect_null(strmap_get(series, label), "twice: %.*s", SLICE_ARG(label));
		strmap_set(series, label, &there);
		name = without(without(without(name, "_bucket"), "_sum"), "_count");
		cr_expect(strmap_get(types, name), "no type: %.*s", SLICE_ARG(line));
		cr_expect(slice_starts_with(name, SLICE("reeve_")));
	}
	cr_expect_eq(rest.len, 0);
	cr_expect_gt(lines, 40);
	strmap_free(&types);
	strmap_free(&series);
	buf_release(&out);
}

Test(metrics, by_the_control_socket_too, .init = start, .fini = stop)
{
	const char *answer = ask("metrics", "");

	cr_expect(
		strstr(answer,
			"# TYPE reeve_requests_total counter\\u000areeve_requests_total 0\\u000a"),
		"%s", answer);
}
