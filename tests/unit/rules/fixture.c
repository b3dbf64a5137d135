/* SPDX-License-Identifier: ISC */
/*
 * See fixture.h. All texts that come back live in static memory.
 */
#include "tests/unit/rules/fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "common/alloc.h"

struct fixture_parts fixture;

static char text_memory[4096];
static char request_memory[8192];

static void wake(struct waiter *waiter)
{
	(void)waiter;
}

static struct config *parse(const char *text, struct config_errors *errors)
{
	const struct config_check *const *checks;
	size_t count = ruleset_checks(&checks);

	return config_parse_any("f", slice_of(text), checks, count, errors);
}

static const char *messages(const struct config_errors *errors)
{
	struct buf out;
	const char *line;
	bool is_warning;

	buf_init_fixed(&out, text_memory, sizeof(text_memory) - 1);
	for (size_t i = 0; (line = config_errors_line(errors, i, &is_warning)); i++)
		if (!is_warning)
			buf_add_format(&out, "%s\n", line);
	text_memory[out.len] = '\0';
	return text_memory;
}

const char *fixture_errors(const char *text)
{
	struct config_errors *errors = config_errors_new();
	struct config *config = parse(text, errors);
	struct ruleset *ruleset = config ? ruleset_new(config, errors) : NULL;

	messages(errors);
	ruleset_unref(&ruleset);
	config_unref(&config);
	config_errors_free(&errors);
	return text_memory;
}

void fixture_start(const char *text)
{
	struct config_errors *errors = config_errors_new();
	struct hash_key key = { 11, 12 };
	struct dns_options options = { 1000, 10000, key, 1000 };

	memset(&fixture, 0, sizeof(fixture));
	fixture.now = (struct clock_now){ 1000000, FIXTURE_WALL_MS };
	fixture.config = parse(text, errors);
	cr_assert(fixture.config, "%s", messages(errors));
	fixture.ruleset = ruleset_new(fixture.config, errors);
	cr_assert(fixture.ruleset, "%s", messages(errors));
	config_errors_free(&errors);
	fixture.rule = &fixture.ruleset->rules[0];
	fixture.bans = bans_new(key, NULL);
	bans_configure(fixture.bans, fixture.config, fixture.now);
	fixture.fake = fake_dns_new();
	fixture.dns = dns_new(&options, fake_dns_backend(fixture.fake));
	dns_set_now(fixture.dns, fixture.now);
	fake_dns_advance(fixture.fake, fixture.now.mono_ms);
	fixture.connections = connections_new(100);
	fixture.transactions = transactions_new(100);
	arena_init(&fixture.arena, 4096);
}

void fixture_stop(void)
{
	bans_free(&fixture.bans);
	dns_free(&fixture.dns);
	fake_dns_free(&fixture.fake);
	connections_free(&fixture.connections);
	transactions_free(&fixture.transactions);
	arena_release(&fixture.arena);
	ruleset_unref(&fixture.ruleset);
	config_unref(&fixture.config);
}

static void dns_set(const char *type_text, const char *name, enum dns_status status,
		    const char *records, bool silent)
{
	enum dns_type type = DNS_A;

	cr_assert(fake_dns_type_of(slice_of(type_text), &type));
	cr_assert(fake_dns_set(fixture.fake, type, slice_of(name), status, slice_of(records), 60000,
			       10, silent),
		  "%s", records);
}

void dns_has(const char *type, const char *name, const char *records)
{
	dns_set(type, name, records ? DNS_FOUND : DNS_NODATA, records ? records : "", false);
}

void dns_fails(const char *type, const char *name)
{
	dns_set(type, name, DNS_UNKNOWN, "", false);
}

void dns_is_silent(const char *type, const char *name)
{
	dns_set(type, name, DNS_UNKNOWN, "", true);
}

static void set_attribute(struct slice name, struct slice value)
{
	enum policy_attr attr = policy_attr_of(name);

	cr_assert_neq(attr, POLICY_ATTR_COUNT, "%.*s", SLICE_ARG(name));
	fixture.in.attr[attr] = value;
	fixture.in.present |= UINT64_C(1) << attr;
}

void ask_about(const char *text)
{
	struct slice rest, word;
	struct request_tables tables = {
		.connections = fixture.connections,
		.transactions = fixture.transactions,
		.key = { 11, 12 },
	};
	bool more = true;

	snprintf(request_memory, sizeof(request_memory), "%s", text);
	for (char *at = request_memory; *at; at++)
		*at = *at == '~' ? '\x01' : *at;
	rest = slice_of(request_memory);
	memset(&fixture.in, 0, sizeof(fixture.in));
	for (unsigned i = 0; i < POLICY_ATTR_COUNT; i++)
		fixture.in.attr[i] = SLICE_EMPTY;
	set_attribute(SLICE("client_address"), SLICE("198.51.100.7"));
	set_attribute(SLICE("sender"), SLICE_EMPTY);
	for (unsigned i = 0; more; i++) {
		struct slice name, value;

		more = slice_split(rest, ' ', &word, &rest);
		if (!more)
			word = rest;
		if (i == 0) {
			fixture.in.state = policy_state_of(word);
			cr_assert_neq(fixture.in.state, POLICY_STATE_UNKNOWN, "%s", text);
			continue;
		}
		cr_assert(slice_split(word, '=', &name, &value), "%s", text);
		set_attribute(name, value);
	}
	for (char *at = request_memory; *at; at++)
		*at = *at == '\x01' ? ' ' : *at;
	arena_reset(&fixture.arena);
	request_read(&fixture.request, &fixture.in, fixture.ruleset, fixture.ruleset->site,
		     &fixture.arena, &tables, 1, fixture.now);
}

static void wait_for_dns(void)
{
	uint64_t next = fake_dns_next(fixture.fake);

	if (next > fixture.now.mono_ms)
		fixture.now.mono_ms = next;
	dns_set_now(fixture.dns, fixture.now);
	fake_dns_advance(fixture.fake, fixture.now.mono_ms);
	dns_expire(fixture.dns);
}

static enum rule_result run(bool hurry)
{
	struct waiter waiter = { .wake = wake };
	const struct rule_ops *ops = fixture.rule->ops;
	struct rule_ask ask = {
		.request = &fixture.request,
		.dns = fixture.dns,
		.bans = fixture.bans,
		.waiter = &waiter,
		.state = ops->state_bytes ? arena_zalloc(&fixture.arena, ops->state_bytes) : NULL,
		.final = hurry,
		.finding = &fixture.finding,
	};
	enum rule_result result;

	if (ops->ask)
		ops->ask(fixture.rule, &ask);
	for (unsigned i = 0; i < 100; i++) {
		memset(&fixture.finding, 0, sizeof(fixture.finding));
		result = ops->step(fixture.rule, &ask);
		if (result != RULE_WAIT)
			break;
		cr_assert_not(hurry, "it waits at the last call");
		wait_for_dns();
	}
	cr_assert_neq(result, RULE_WAIT);
	if (ops->cancel)
		ops->cancel(ask.state);
	return result;
}

static const char *tell(enum rule_result result)
{
	static const char *const words[] = {
		[RULE_NEXT] = "next", [RULE_BAD] = "bad", [RULE_UNKNOWN] = "unknown", [RULE_WAIT] = "wait",
	};
	const char *reason = fixture.finding.reason;

	snprintf(text_memory, sizeof(text_memory), "%s%s%s", words[result], reason ? " " : "",
		 reason ? reason : "");
	return text_memory;
}

const char *answer(const char *text)
{
	ask_about(text);
	return tell(run(false));
}

const char *answer_in_a_hurry(const char *text)
{
	ask_about(text);
	return tell(run(true));
}

static void set_var(struct reply_vars *vars, enum reply_var var, struct slice value)
{
	if (!vars->value[var].len)
		vars->value[var] = value;
}

const char *reply(void)
{
	const struct reply_template *template = fixture.rule->replies[fixture.finding.reply];
	struct reply_vars vars = fixture.finding.vars;
	struct buf out;

	set_var(&vars, REPLY_VAR_CLIENT, fixture.in.attr[POLICY_CLIENT_ADDRESS]);
	set_var(&vars, REPLY_VAR_SENDER, fixture.request.sender.raw);
	set_var(&vars, REPLY_VAR_DOMAIN, fixture.request.sender.domain);
	set_var(&vars, REPLY_VAR_RECIPIENT, fixture.request.recipient.raw);
	set_var(&vars, REPLY_VAR_LOGIN, fixture.request.login.raw);
	set_var(&vars, REPLY_VAR_RULE, fixture.rule->name);
	buf_init_fixed(&out, text_memory, sizeof(text_memory) - 1);
	reply_write(&out, template, &vars);
	cr_assert_gt(out.len, 2);
	text_memory[out.len - 2] = '\0';
	return text_memory + strlen("action=");
}

bool rule_exempts(void)
{
	return fixture.rule->exempt & fixture.request.exempt;
}

bool rule_waits(void)
{
	return fixture.rule->needs & ~fixture.request.facts;
}

const char *charges(const char *text)
{
	struct buf out;

	ask_about(text);
	fixture.charges = (struct rule_charges){
		.items = fixture.items,
		.recipients = fixture.request.state == POLICY_STATE_RCPT ? 1 : fixture.request.recipient_count,
		.overrides = fixture.overrides,
	};
	fixture.rule->ops->charge(fixture.rule, &fixture.request, &fixture.charges);
	buf_init_fixed(&out, text_memory, sizeof(text_memory) - 1);
	for (unsigned i = 0; i < fixture.charges.count; i++) {
		const struct store_charge *item = &fixture.items[i];

		buf_add_format(&out, "%s%.*s %llu/", i ? ", " : "", SLICE_ARG(item->key.subject),
			       (unsigned long long)item->limit);
		units_format_window(&out, item->key.window_ms);
		buf_add_format(&out, " cost %llu warn %llu", (unsigned long long)item->cost,
			       (unsigned long long)item->warn_at);
	}
	text_memory[out.len] = '\0';
	return text_memory;
}
