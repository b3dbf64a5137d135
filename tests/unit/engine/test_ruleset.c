/* SPDX-License-Identifier: ISC */
/*
 * Rulesets: what is in one, how one is found, and that references keep it.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/engine/fixture.h"

TestSuite(ruleset, .fini = fixture_stop);

Test(ruleset, rules_that_are_off_are_left_out)
{
	fixture_start("  - {name: a, check: look}\n  - {name: b, check: look, mode: off}\n"
		      "  - {name: c, check: count, mode: monitor}",
		      NULL);
	cr_assert(fixture.ruleset->count == 2);
	cr_assert(ruleset_find(fixture.ruleset, SLICE("a")) == 0);
	cr_assert(ruleset_find(fixture.ruleset, SLICE("b")) == -1);
	cr_assert(ruleset_find(fixture.ruleset, SLICE("c")) == 1);
	cr_assert(rule_named("a")->mode == CONFIG_ENFORCE);
	cr_assert(rule_named("c")->mode == CONFIG_MONITOR);
}

Test(ruleset, monitor_at_the_top_holds_for_all)
{
	fixture_start("  - {name: a, check: look, mode: enforce}", "mode: monitor");
	cr_assert(rule_named("a")->mode == CONFIG_MONITOR);
}

Test(ruleset, name_hashes_are_the_same_in_every_process)
{
	fixture_start("  - {name: a, check: look}\n  - {name: b, check: look}", NULL);
	cr_assert(rule_named("a")->name_hash == 0xe40c292cU, "FNV-1a of 'a'");
	cr_assert(rule_named("b")->name_hash != rule_named("a")->name_hash);
}

Test(ruleset, references_keep_it)
{
	struct ruleset *kept;

	fixture_start("  - {name: a, check: look}", NULL);
	kept = ruleset_ref(fixture.ruleset);
	fixture_reload("  - {name: b, check: look}", NULL);
	cr_assert(ruleset_find(kept, SLICE("a")) == 0);
	cr_assert(slice_is(kept->rules[0].config->name, "a"), "and so does its configuration");
	ruleset_unref(&kept);
	cr_assert(!kept);
	ruleset_unref(&kept);
}

Test(ruleset, checks_are_those_of_the_table)
{
	const struct config_check *const *checks;
	size_t count = ruleset_checks(&checks);

	fixture_start("  - {name: a, check: look}", NULL);
	cr_assert(count == 6);
	cr_assert(strcmp(checks[0]->name, "look") == 0 && strcmp(checks[5]->name, "count") == 0);
}

/* ---- all errors in one run ---- */

/* A byte too long; such names pass the section's own check, and only the mail layer knows better. */
#define LONG_LABEL "a123456789b123456789c123456789d123456789e123456789f123456789g123"

static void expect_errors(const char *rules, const char *top, const char *expected)
{
	const char *told = fixture_errors(rules, top);

	cr_expect_str_eq(told, expected, "%s\nwas told as\n%s", rules, told);
}

Test(ruleset_errors, of_keys_and_of_what_is_compiled_come_together)
{
	expect_errors("  - {name: a, check: look, acton: reject}\n"
		      "  - {name: b, check: look, reply: \"{nosuch}\"}\n"
		      "  - {name: c, check: look, match: {sender: [\"@\"]}}\n"
		      "  - {name: d, check: nosuch}",
		      "site: { origin: \"" LONG_LABEL ".example\" }\ndeadline: 3",
		      "f:2:28: unknown key 'acton' in rule 'a' (did you mean 'action'?)\n"
		      "f:3:35: 'reply': unknown variable '{nosuch}'; there are {client}, {sender}, {recipient}, "
		      "{domain}, {login}, {helo}, {rule}, {reason}, {until}, {used}, {limit}, {count}, "
		      "{window}, {retry}\n"
		      "f:4:45: '@' is no pattern: it names no domain, like example.com\n"
		      "f:5:22: unknown check 'nosuch'\n"
		      "f:6:17: 'origin' needs a domain, like example.com, not '"
		      "a123456789b123456789c123456789d123456789e123456789f123456789g...'\n"
		      "f:7:11: 'deadline' needs a duration with a unit, like 300ms, 90s, 15m, 1h or 7d, "
		      "not '3'\n");
}

Test(ruleset_errors, of_a_rule_with_wrong_keys_only_those_of_its_conditions)
{
	expect_errors("  - {name: a, check: look, action: dfer, reply: \"450 4.7.1 later\",\n"
		      "     except: {recipient: [\"@\"]}}\n"
		      "  - {check: nosuch, match: {helo: [\"!\"]}, reply: \"{nosuch}\"}",
		      NULL,
		      "f:2:36: 'action' needs reject, defer, disconnect, hold, discard, mark, warn or "
		      "pass, not 'dfer' (did you mean 'defer'?)\n"
		      "f:3:27: '@' is no pattern: it names no domain, like example.com\n"
		      "f:4:5: a rule needs 'name'\n"
		      "f:4:13: unknown check 'nosuch'\n"
		      "f:4:36: '!' is no pattern: it is empty\n");
}

Test(ruleset_errors, nothing_is_told_twice)
{
	expect_errors("  - {name: a, check: look, match: {sender: [joe]}}",
		      "site: { origin: \"a..example\", domains: [\"b..example\"],\n"
		      "  owners: [\"joe@b.example\"], accounts: { x: [\"c..example\"] } }",
		      "f:3:17: 'origin' needs a domain, like example.com, not 'a..example'\n"
		      "f:3:41: 'domains' needs domains, like example.com or .lists.example.com, not "
		      "'b..example'\n"
		      "f:4:12: 'owners' needs entries like 'address login[,login...]', not "
		      "'joe@b.example'\n"
		      "f:4:46: 'x' needs domains, like example.com, not 'c..example'\n");
}

Test(ruleset_errors, more_counters_than_a_request_can_have)
{
	char rules[4096] = "";
	size_t len = 0;

	for (unsigned i = 0; i < STORE_MAX_CHARGES; i++)
		len += (size_t)snprintf(rules + len, sizeof(rules) - len, "  - {name: r%u, check: count}\n", i);
	expect_errors(rules, NULL, "");
	snprintf(rules + len, sizeof(rules) - len,
		 "  - {name: look, check: look}\n  - {name: last, check: count}\n  - {name: more, check: count}\n");
	expect_errors(rules, NULL,
		      "f:67:5: rule 'last' and those above it could count in 65 windows for one request; "
		      "at most 64 are possible\n");
	snprintf(rules + len, sizeof(rules) - len, "  - {name: last, check: count, mode: off}\n");
	expect_errors(rules, NULL, "");
}
