/* SPDX-License-Identifier: ISC */
/*
 * From configuration to rule: replies under every action, the facts a rule waits for, exemptions,
 * and errors with their place.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/engine/fixture.h"

TestSuite(rule_build, .fini = fixture_stop);

/* The replies of `look` by index, under an action: what goes out for each. */
static const struct {
	const char *action;
	const char *texts[6];
} matrix[] = {
	{ "", { "550 5.7.27 ? refused", "451 4.4.3 cannot look", "521 5.7.1 go away",
		"PREPEND X-Fake: a", "421 4.7.1 not now", "452 4.5.3 later" } },
	{ ", action: reject",
	  { "550 5.7.27 ? refused", "451 4.4.3 cannot look", "550 5.7.1 go away",
	    "550 5.7.1 X-Fake: a", "550 5.7.1 not now", "550 5.5.3 later" } },
	{ ", action: defer",
	  { "450 4.7.27 ? refused", "451 4.4.3 cannot look", "450 4.7.1 go away",
	    "450 4.7.1 X-Fake: a", "450 4.7.1 not now", "452 4.5.3 later" } },
	{ ", action: disconnect",
	  { "521 5.7.27 ? refused", "451 4.4.3 cannot look", "521 5.7.1 go away",
	    "521 5.7.1 X-Fake: a", "521 5.7.1 not now", "521 5.5.3 later" } },
	{ ", action: disconnect, temporary: yes",
	  { "421 4.7.27 ? refused", "451 4.4.3 cannot look", "421 4.7.1 go away",
	    "421 4.7.1 X-Fake: a", "421 4.7.1 not now", "421 4.5.3 later" } },
	{ ", temporary: yes",
	  { "550 5.7.27 ? refused", "451 4.4.3 cannot look", "421 4.7.1 go away",
	    "PREPEND X-Fake: a", "421 4.7.1 not now", "452 4.5.3 later" } },
	{ ", action: hold",
	  { "HOLD ? refused", "451 4.4.3 cannot look", "HOLD go away", "HOLD X-Fake: a",
	    "HOLD not now", "HOLD later" } },
	{ ", action: discard",
	  { "DISCARD ? refused", "451 4.4.3 cannot look", "DISCARD go away", "DISCARD X-Fake: a",
	    "DISCARD not now", "DISCARD later" } },
	{ ", action: mark",
	  { "PREPEND X-Reeve: a", "451 4.4.3 cannot look", "PREPEND X-Reeve: a",
	    "PREPEND X-Fake: a", "PREPEND X-Reeve: a", "PREPEND X-Reeve: a" } },
	{ ", action: warn",
	  { "DUNNO", "451 4.4.3 cannot look", "DUNNO", "DUNNO", "DUNNO", "DUNNO" } },
	{ ", action: pass",
	  { "DUNNO", "451 4.4.3 cannot look", "DUNNO", "DUNNO", "DUNNO", "DUNNO" } },
};

static void shows(const char *what, const struct reply_template *reply, const char *expected)
{
	struct reply_vars vars = { .value[REPLY_VAR_RULE] = SLICE("a"),
				   .value[REPLY_VAR_SENDER] = SLICE("?") };
	char memory[512], text[600];
	struct buf out;

	buf_init_fixed(&out, memory, sizeof(memory));
	reply_write(&out, reply, &vars);
	snprintf(text, sizeof(text), "action=%s\n\n", expected);
	cr_assert(slice_is(buf_slice(&out), text), "%s: %.*s is not %s", what,
		  SLICE_ARG(buf_slice(&out)), text);
}

Test(rule_build, replies_are_of_the_class_of_the_action)
{
	for (size_t row = 0; row < sizeof(matrix) / sizeof(matrix[0]); row++) {
		char rules[200];

		if (row)
			fixture_stop();
		snprintf(rules, sizeof(rules), "  - {name: a, check: look%s}", matrix[row].action);
		fixture_start(rules, NULL);
		for (unsigned i = 0; i < 6; i++)
			shows(matrix[row].action, rule_named("a")->replies[i], matrix[row].texts[i]);
	}
}

Test(rule_build, only_refusing_actions_make_a_gate)
{
	static const char *const refusing[] = { "reject", "defer", "disconnect" };
	static const char *const others[] = { "hold", "discard", "mark", "warn", "pass" };
	char rules[200];

	fixture_start("  - {name: a, check: count}", NULL);
	cr_assert(rule_named("a")->refuses);
	for (size_t i = 0; i < 3; i++) {
		snprintf(rules, sizeof(rules), "  - {name: a, check: count, action: %s}",
			 refusing[i]);
		fixture_reload(rules, NULL);
		cr_assert(rule_named("a")->refuses, "%s", refusing[i]);
	}
	for (size_t i = 0; i < 5; i++) {
		snprintf(rules, sizeof(rules), "  - {name: a, check: count, action: %s}", others[i]);
		fixture_reload(rules, NULL);
		cr_assert(!rule_named("a")->refuses, "%s", others[i]);
	}
}

/* ---- the postmaster's own text ---- */

Test(rule_build, a_text_without_code_keeps_the_code_of_each_reply)
{
	fixture_start("  - {name: a, check: look, reply: \"{sender} no\", action: reject}", NULL);
	shows("", rule_named("a")->replies[0], "550 5.7.27 ? no");
	shows("on error", rule_named("a")->replies[1], "451 4.4.3 cannot look");
	shows("", rule_named("a")->replies[5], "550 5.5.3 ? no");
}

Test(rule_build, a_code_in_the_text_holds_for_its_class)
{
	fixture_start("  - {name: a, check: look, reply: \"554 5.1.0 {sender} no\"}", NULL);
	shows("reject", rule_named("a")->replies[0], "554 5.1.0 ? no");
	shows("disconnect", rule_named("a")->replies[2], "521 5.7.1 ? no");
	shows("disconnect temporarily", rule_named("a")->replies[4], "421 4.7.1 ? no");
	shows("defer", rule_named("a")->replies[5], "452 4.5.3 ? no");
}

Test(rule_build, an_enhanced_code_alone_holds_for_its_class)
{
	fixture_start("  - {name: a, check: look, reply: \"4.7.99 X-No: {sender}\"}", NULL);
	shows("reject", rule_named("a")->replies[0], "550 5.7.27 X-No: ?");
	shows("mark", rule_named("a")->replies[3], "PREPEND X-No: ?");
	shows("defer", rule_named("a")->replies[5], "452 4.7.99 X-No: ?");
}

Test(rule_build, errors_have_a_place)
{
	static const struct {
		const char *rule, *message;
	} rows[] = {
		{ "action: reject\n    reply: \"450 4.7.1 x\"",
		  "f:5:12: 'reply': the code of a rejection must be 500 to 599, but not 521\n" },
		{ "action: defer\n    reply: \"550 5.7.1 x\"",
		  "f:5:12: 'reply': the code of a deferral must be 400 to 499, but not 421\n" },
		{ "action: defer\n    reply: \"450 5.7.1 x\"",
		  "f:5:12: 'reply': the enhanced code of a deferral must begin with 4\n" },
		{ "action: disconnect\n    reply: \"550 5.7.1 x\"",
		  "f:5:12: 'reply': the code of disconnect must be 521 (421 with temporary: yes)\n" },
		{ "action: reject\n    reply: \"550 5.7.1\"",
		  "f:5:12: 'reply': a refusal needs a text behind its code\n" },
		{ "action: mark\n    reply: \"no header\"",
		  "f:5:12: 'reply': a mark must be a header line, like \"X-Name: value\"\n" },
		{ "action: reject\n    reply: \"{nobody}\"",
		  "f:5:12: 'reply': unknown variable '{nobody}'; there are {client}, {sender}, {recipient}, "
		  "{domain}, {login}, {helo}, {rule}, {reason}, {until}, {used}, {limit}, {count}, "
		  "{window}, {retry}\n" },
		{ "action: reject\n    reply: \"{{x}} {sendr} {nobody}\"",
		  "f:5:12: 'reply': unknown variable '{sendr}' (did you mean '{sender}'?)\n" },
		{ "action: reject\n    reply: \"{sender\"",
		  "f:5:12: 'reply': a { without }" },
		{ "action: reject\n    reply: \"caf\\u00e9\"",
		  "f:5:12: 'reply': a reply may hold printable ASCII only\n" },
		{ "match: {server_port: [25]}\n    reply: \"250 2.0.0 fine\"",
		  "f:5:12: 'reply': the code of a rejection must be 500 to 599, but not 521\n" },
	};
	char rules[400];

	fixture_start("  - {name: a, check: look}", NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *said;

		snprintf(rules, sizeof(rules), "  - name: a\n    check: look\n    %s", rows[i].rule);
		said = fixture_errors(rules, NULL);
		cr_assert(strncmp(said, rows[i].message, strlen(rows[i].message)) == 0,
			  "%s: '%s'", rows[i].rule, said);
		cr_assert(strchr(said, '\n')[1] == '\0', "told once: %s", said);
	}
}

/* ---- counters and strangers ---- */

Test(rule_build, strangers_get_refusals_without_counters)
{
	fixture_start("  - {name: a, check: count}\n"
		      "  - {name: b, check: count, action: reject, reply: \"550 5.7.1 {limit}\"}\n"
		      "  - {name: c, check: count, action: disconnect, temporary: yes}\n"
		      "  - {name: d, check: count, reply: \"slow down\"}\n"
		      "  - {name: e, check: count, action: mark, reply: \"X-Used: {used}\"}",
		      NULL);
	shows("a", rule_named("a")->plain[0], "450 4.7.1 too much mail for now, try again later");
	shows("b", rule_named("b")->plain[0], "550 5.7.1 too much mail");
	shows("c", rule_named("c")->plain[0], "421 4.7.1 too much mail for now, try again later");
	cr_assert(!rule_named("d")->plain[0], "shows none");
	cr_assert(!rule_named("e")->plain[0], "is not for the client's eyes");
}

Test(rule_build, a_plain_reply_is_of_the_class_of_the_reply_it_stands_for)
{
	fixture_start("  - {name: a, check: look, reply: \"{used} is too much\"}", NULL);
	shows("reject", rule_named("a")->plain[0], "550 5.7.27 too much mail");
	cr_assert(!rule_named("a")->plain[1], "on error");
	shows("defer", rule_named("a")->plain[5], "452 4.5.3 too much mail for now, try again later");
}

/* ---- facts and exemptions ---- */

Test(rule_build, a_rule_waits_for_what_it_its_conditions_and_exemptions_need)
{
	fixture_start("  - {name: a, check: look}\n"
		      "  - {name: b, check: guard}\n"
		      "  - {name: c, check: guard, default_exemptions: no}\n"
		      "  - {name: d, check: look, match: {helo: [h]}, except: {recipient: [\"@example.com\"]}}\n"
		      "  - {name: e, check: insider}\n"
		      "  - {name: f, check: look, except: [{login: [x]}, {client: [192.0.2.1]}]}",
		      NULL);
	cr_assert(rule_named("a")->needs == 0);
	cr_assert(rule_named("b")->needs == (FACT_SENDER | FACT_LOGIN));
	cr_assert(rule_named("c")->needs == FACT_SENDER);
	cr_assert(rule_named("c")->exempt == EXEMPT_NULL_SENDER, "the null sender stays exempt");
	cr_assert(rule_named("d")->needs == (FACT_HELO | FACT_RECIPIENT));
	cr_assert(rule_named("e")->needs == FACT_LOGIN);
	cr_assert(rule_named("f")->needs == (FACT_LOGIN | FACT_CLIENT));
}

Test(rule_build, early_takes_it_that_nobody_logs_in)
{
	fixture_start("  - {name: a, check: look, early: yes, match: {server_port: [25], authenticated: no}}\n"
		      "  - {name: b, check: guard, early: yes, match: {server_port: [25]}, except: {login: [x]}}",
		      NULL);
	cr_assert(rule_named("a")->needs == 0);
	cr_assert(rule_named("b")->needs == FACT_SENDER);
	script("a", "bad:2");
	is(answer("CONNECT"), "521 5.7.1 go away");
	is(answer("CONNECT server_port=587"), "DUNNO");
	is(answer("RCPT sasl_username=alice"), "DUNNO");
}

Test(rule_build, early_needs_port_25)
{
	fixture_start("  - {name: a, check: look}", NULL);
	has(fixture_errors("  - {name: a, check: look, early: yes}", NULL), "f:2:35: 'early: yes' needs");
	has(fixture_errors("  - {name: a, check: look, early: yes, match: {server_port: [25, 587]}}", NULL),
	    "'early: yes' needs");
}

Test(rule_build, counting_rules_run_where_there_is_a_message)
{
	unsigned message = 1U << POLICY_STATE_RCPT | 1U << POLICY_STATE_DATA |
			   1U << POLICY_STATE_END_OF_MESSAGE;

	fixture_start("  - {name: a, check: count}\n  - {name: b, check: look}", NULL);
	cr_assert(rule_named("a")->states == message);
	cr_assert((rule_named("b")->states & message) == message);
	cr_assert(rule_named("b")->states & 1U << POLICY_STATE_CONNECT);
	cr_assert(!(rule_named("b")->states & 1U << POLICY_STATE_UNKNOWN));
}
