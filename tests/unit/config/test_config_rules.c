/* SPDX-License-Identifier: ISC */
/*
 * Rules: common keys, options of checks, defaults, and what can never apply.
 */
#include "tests/unit/config/support.h"

#include "common/alloc.h"
#include "tests/unit/config/checks.h"

Test(config_rules, the_default_list)
{
	static const char *const names[] = {"banned", "ehlo-names", "local-sender", "own-account",
		"sender-domain", "ptr", "literals", "catchall", "per-message", "hourly",
		"relay-clients"};
	struct config *config = load_text("");
	const struct rate_options *hourly;

	cr_assert_eq(config->rule_count, 11);
	for (size_t i = 0; i < 11; i++)
		cr_expect(is(config->rules[i].name, names[i]));
	cr_expect_str_eq(config->rules[0].pos.file, "(default rules)");
	cr_expect(is(OPTIONS(config, 1, helo_options)->names.items[0], "ylmf-pc"));
	cr_expect_eq(config->rules[2].mode, CONFIG_MONITOR);
	cr_expect_eq(config->rules[4].on_error, CONFIG_DEFER);
	cr_expect(config->rules[4].on_error_given);
	cr_expect_not(config->rules[5].on_error_given);
	cr_expect_eq(OPTIONS(config, 5, ptr_options)->on_missing, 2);
	hourly = OPTIONS(config, 9, rate_options);
	cr_expect_eq(hourly->limits.items[0].rate_count, 2);
	cr_expect_eq(hourly->warn_at, 80);
	cr_expect_eq(config->rules[9].action, CONFIG_ACTION_DEFER);
	cr_expect_eq(config->rules[10].match.items[0].client_privileged, CONFIG_YES);
	cr_expect_eq(config->rules[10].match.items[0].authenticated, CONFIG_NO);
	config_unref(&config);
}

Test(config_rules, default_rules_of_checks_that_are_not_there_are_left_out)
{
	struct config_errors *errors = config_errors_new();
	struct config *config = config_parse("f", SLICE_EMPTY, checks, 1, errors);

	cr_assert_not_null(config);
	cr_expect_eq(config->rule_count, 1);
	config_unref(&config);
	config = config_parse("f", SLICE_EMPTY, NULL, 0, errors);
	cr_assert_not_null(config);
	cr_expect_eq(config->rule_count, 0);
	config_unref(&config);
	config_errors_free(&errors);
}

Test(config_rules, no_rules)
{
	struct config *config = load_text("rules: []\n");

	cr_expect_eq(config->rule_count, 0);
	config_unref(&config);
}

Test(config_rules, common_keys_have_defaults)
{
	struct config *config = load_text("rules:\n  - { name: a, check: ban }\n");
	const struct config_rule *rule = &config->rules[0];

	cr_expect_eq(rule->mode, CONFIG_ENFORCE);
	cr_expect_eq(rule->action, CONFIG_ACTION_DEFAULT);
	cr_expect(rule->default_exemptions);
	cr_expect(rule->strike);
	cr_expect_not(rule->early);
	cr_expect_not(rule->temporary);
	cr_expect_eq(rule->reply.len, 0);
	cr_expect_eq(rule->on_error, CONFIG_PASS);
	cr_expect_eq(rule->until_wall_ms, 0);
	cr_expect_str_eq(rule->check->name, "ban");
	cr_expect_not_null(rule->options);
	cr_expect_eq(rule->pos.line, 2);
	cr_expect_eq(rule->pos.column, 5);
	config_unref(&config);
}

Test(config_rules, common_keys_are_read)
{
	struct config *config = load_text(
		"rules:\n  - name: a\n    check: helo\n    names: [x, \"*.y\"]\n    mode: off\n"
		"    match: { server_port: [25] }\n    early: yes\n    default_exemptions: no\n"
		"    action: disconnect\n    temporary: yes\n    strike: no\n    on_error: defer\n"
		"    reply: \"421 4.7.1 go {helo}\"\n    until: 2030-12-31\n");
	const struct config_rule *rule = &config->rules[0];

	cr_expect_eq(rule->mode, CONFIG_OFF);
	cr_expect(rule->early);
	cr_expect_not(rule->default_exemptions);
	cr_expect_eq(rule->action, CONFIG_ACTION_DISCONNECT);
	cr_expect(rule->temporary);
	cr_expect_not(rule->strike);
	cr_expect_eq(rule->on_error, CONFIG_DEFER);
	cr_expect(is(rule->reply, "421 4.7.1 go {helo}"));
	cr_expect_eq(rule->reply_pos.line, 13);
	cr_expect_eq(rule->until_wall_ms, UINT64_C(1924992000000));
	cr_expect_eq(OPTIONS(config, 0, helo_options)->names.count, 2);
	config_unref(&config);
}

Test(config_rules, every_action_has_its_number)
{
	static const struct {
		const char *word;
		int action;
	} actions[] = {
		{"reject", CONFIG_ACTION_REJECT},
		{"defer", CONFIG_ACTION_DEFER},
		{"disconnect", CONFIG_ACTION_DISCONNECT},
		{"hold", CONFIG_ACTION_HOLD},
		{"discard", CONFIG_ACTION_DISCARD},
		{"mark", CONFIG_ACTION_MARK},
		{"warn", CONFIG_ACTION_WARN},
		{"pass", CONFIG_ACTION_PASS},
	};

	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		struct buf text;
		struct config *config;
		char *copy;

		buf_init(&text, 1000);
		buf_add_format(&text, "rules:\n  - { name: a, check: ban, action: %s }\n",
			actions[i].word);
		copy = mem_dup(buf_slice(&text));
		config = load_text(copy);
		cr_expect_eq(config->rules[0].action, actions[i].action);
		config_unref(&config);
		mem_free(&copy);
		buf_release(&text);
	}
}

/* All lines, those about idle rules too. */
static void expect_idle(const char *text, const char *expected)
{
	struct config_errors *errors = config_errors_new();
	struct config *config = config_parse("f", slice_of(text), checks, CHECK_COUNT, errors);
	struct buf out;
	const char *line;
	bool is_warning;

	cr_expect_not_null(config);
	buf_init(&out, 10000);
	for (size_t i = 0; (line = config_errors_line(errors, i, &is_warning)); i++)
		buf_add_format(&out, "%s\n", line);
	cr_expect(is(buf_slice(&out), expected), "%.*s", SLICE_ARG(buf_slice(&out)));
	buf_release(&out);
	config_unref(&config);
	config_errors_free(&errors);
}

Test(config_rules, rules_that_can_never_apply)
{
	expect_idle("",
		"(default rules):3:3: warning: rule 'local-sender' can never apply: no site.domains\n"
		"(default rules):4:3: warning: rule 'own-account' can never apply: no site.domains and no "
		"site.accounts\n"
		"(default rules):7:3: warning: rule 'literals' accepts no address literal at all: no "
		"site.addresses, nothing in accept\n"
		"(default rules):8:3: warning: rule 'catchall' can never apply: no maps\n");
	expect_idle(
		"site: { domains: a.example, addresses: 192.0.2.1 }\nrules:\n"
		"  - { name: a, check: local_sender }\n  - { name: b, check: sender_login }\n"
		"  - { name: c, check: address_literal }\n  - { name: d, check: catchall, maps: \"x y\" }\n"
		"  - { name: e, check: helo, names: x }\n",
		"");
	expect_idle(
		"rules:\n  - { name: a, check: local_sender, mode: off }\n"
		"  - { name: b, check: sender_login, scope: address }\n"
		"  - { name: c, check: catchall, maps: \"x y\" }\n  - { name: d, check: helo }\n"
		"  - { name: e, check: address_literal, accept: \"[192.0.2.1]\" }\n",
		"f:4:5: warning: rule 'c' can never apply: no site.domains\n"
		"f:5:5: warning: rule 'd' can never apply: no names\n");
}

Test(config_rules, bans_that_no_rule_looks_at)
{
	const char *said =
		"f:1:7: warning: who is banned is not refused: no rule with 'check: ban' is "
		"enforced\n";

	expect_idle("bans: { mode: enforce }\nrules: [{ name: a, check: helo, names: x }]\n", said);
	expect_idle(
		"bans: { mode: enforce }\nrules: [{ name: a, check: ban, mode: monitor }]\n", said);
	expect_idle("bans: { mode: enforce }\nrules: [{ name: a, check: ban }]\n", "");
	expect_idle("bans: { mode: monitor }\nrules: [{ name: a, check: helo, names: x }]\n", "");
}

Test(config_rules, at_most_256)
{
	struct buf text;
	char *copy, *lines;

	buf_init(&text, 100000);
	buf_add(&text, SLICE("rules:\n"));
	for (unsigned i = 0; i < 257; i++)
		buf_add_format(&text, "  - { name: r%u, check: ban }\n", i);
	copy = mem_dup(buf_slice(&text));
	lines = messages_of(copy, NULL);
	cr_expect_str_eq(lines, "f:2:3: there can be at most 256 rules\n");
	mem_free(&lines);
	mem_free(&copy);
	buf_release(&text);
}
