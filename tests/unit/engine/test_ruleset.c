/* SPDX-License-Identifier: ISC */
/*
 * Rulesets: what is in one, how one is found, and that references keep it.
 */
#include <criterion/criterion.h>

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
