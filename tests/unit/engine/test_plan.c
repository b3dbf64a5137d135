/* SPDX-License-Identifier: ISC */
/*
 * Plans say the same as looking at each rule does, whatever came before in the same slot, and end
 * with the ruleset they were made for.
 */
#include <criterion/criterion.h>

#include "daemon/engine/plan.h"
#include "tests/unit/engine/fixture.h"

#define ALL_FACTS 0x1fu
#define ALL_EXEMPT 0xffu

static struct plans plans;

static void stop(void)
{
	plans_release(&plans);
	fixture_stop();
}

TestSuite(plan, .fini = stop);

static struct request request_of(enum policy_state state, unsigned facts, unsigned exempt)
{
	return (struct request){
		.state = state,
		.facts = facts,
		.exempt = exempt,
		.situation = SITUATION_FACTS(facts) | SITUATION_EXEMPT(exempt) |
			     SITUATION_STATES(1U << state),
	};
}

/* From what the rule says of itself, not from its wants and shuns. */
static enum rule_trace_kind expected(const struct rule *rule, const struct request *request)
{
	if (!(rule->states & 1U << request->state) || (rule->needs & ~request->facts))
		return TRACE_WAITS;
	return rule->exempt & request->exempt ? TRACE_EXEMPT : TRACE_SKIPPED;
}

static bool agrees(const struct request *request, uint64_t ruleset_number)
{
	const struct ruleset *ruleset = fixture.ruleset;
	const struct plan *plan = plans_get(&plans, ruleset, ruleset_number, request);
	unsigned left = 0;

	for (unsigned i = 0; i < ruleset->count; i++) {
		enum rule_trace_kind kind = expected(&ruleset->rules[i], request);

		if (plan->trace[i].kind != (uint8_t)kind || plan->trace[i].reason)
			return false;
		if (kind != TRACE_SKIPPED)
			continue;
		if (left == plan->left_count || plan->left[left++].index != i)
			return false;
	}
	return left == plan->left_count;
}

/* Twice each: when it is made, and when it is found. Returns how many disagree. */
static unsigned disagree(uint64_t ruleset_number)
{
	unsigned wrong = 0;

	for (unsigned state = 0; state <= POLICY_STATE_ETRN; state++)
		for (unsigned facts = 0; facts <= ALL_FACTS; facts++)
			for (unsigned exempt = 0; exempt <= ALL_EXEMPT; exempt++) {
				struct request request =
					request_of((enum policy_state)state, facts, exempt);

				wrong += !agrees(&request, ruleset_number);
				wrong += !agrees(&request, ruleset_number);
			}
	return wrong;
}

static const char rules[] = "  - {name: a, check: look}\n"
			    "  - {name: b, check: guard}\n"
			    "  - {name: c, check: insider}\n"
			    "  - {name: d, check: count}";

Test(plan, says_what_each_rule_says)
{
	fixture_start(rules, NULL);
	cr_assert(disagree(1) == 0);
}

Test(plan, another_ruleset_is_another_plan)
{
	struct request request = request_of(POLICY_STATE_RCPT, ALL_FACTS, 0);

	fixture_start(rules, NULL);
	cr_assert(plans_get(&plans, fixture.ruleset, 1, &request)->left_count == 4);
	fixture_reload("  - {name: b, check: guard}", NULL);
	cr_assert(plans_get(&plans, fixture.ruleset, 2, &request)->left_count == 1);
	cr_assert(disagree(2) == 0);
}

Test(plan, no_rules_are_a_plan_too)
{
	fixture_start("  - {name: a, check: look, mode: off}", NULL);
	cr_assert(disagree(1) == 0);
}

/* Through the pipeline: the rules that run, before and after a reload in the same situation. */
Test(plan, ends_with_the_ruleset)
{
	fixture_start("  - {name: a, check: look}", NULL);
	script("a", "bad");
	is(answer("RCPT"), REFUSED);
	fixture_reload("  - {name: b, check: never}", NULL);
	is(answer("RCPT"), "DUNNO");
}
