/* SPDX-License-Identifier: ISC */
/*
 * A table of a fixed size, in which the last one with the same hash stays: there are some tens of
 * situations at most in which one site's mail comes.
 */
#include "daemon/engine/plan.h"

#include "common/alloc.h"
#include "common/hash.h"

/* Why a rule does not apply whose wants or shuns say so. */
static enum rule_trace_kind why_not(const struct rule *rule, const struct request *request)
{
	if (!(rule->states & (1U << request->state)) || (rule->needs & ~request->facts))
		return TRACE_WAITS;
	return TRACE_EXEMPT;
}

static void release(struct plan *plan)
{
	mem_free(&plan->left);
	mem_free(&plan->trace);
	*plan = (struct plan){0};
}

static void make(struct plan *plan, const struct ruleset *ruleset, const struct request *request)
{
	plan->left = mem_zalloc_array(ruleset->count + 1, sizeof(*plan->left));
	plan->trace = mem_zalloc_array(ruleset->count + 1, sizeof(*plan->trace));
	for (unsigned i = 0; i < ruleset->count; i++) {
		const struct rule *rule = &ruleset->rules[i];

		if ((rule->wants & ~request->situation) | (rule->shuns & request->situation))
			plan->trace[i].kind = (uint8_t)why_not(rule, request);
		else
			plan->left[plan->left_count++] = (struct plan_rule){rule, i};
	}
}

const struct plan *plans_get(struct plans *plans, const struct ruleset *ruleset,
	uint64_t ruleset_number, const struct request *request)
{
	struct plan *plan = &plans->slots[hash64_mix(0, request->situation) % PLANS];

	if (plan->ruleset_number == ruleset_number && plan->situation == request->situation)
		return plan;
	release(plan);
	plan->ruleset_number = ruleset_number;
	plan->situation = request->situation;
	make(plan, ruleset, request);
	return plan;
}

void plans_release(struct plans *plans)
{
	for (unsigned i = 0; i < PLANS; i++)
		release(&plans->slots[i]);
}
