/* SPDX-License-Identifier: ISC */
/*
 * What is remembered of loads: a failed one leaves the one in force alone.
 */
#include "daemon/operate/loads.h"

#include <criterion/criterion.h>

static void note(struct loads *loads, bool good, uint64_t wall_ms)
{
	struct load load = {.errors = config_errors_new(), .good = good, .wall_ms = wall_ms};

	loads_note(loads, &load);
}

Test(loads, a_failed_one_changes_nothing_in_force)
{
	struct loads loads = {0};

	note(&loads, true, 1);
	cr_expect_eq(loads.generation, 1);
	cr_expect_eq(loads_last(&loads)->wall_ms, 1);
	note(&loads, false, 2);
	note(&loads, false, 3);
	cr_expect_eq(loads.generation, 1);
	cr_expect_eq(loads.reloads_failed, 2);
	cr_expect_eq(loads.in_force.wall_ms, 1);
	cr_expect_eq(loads_last(&loads)->wall_ms, 3);
	cr_expect_not(loads_last(&loads)->good);
	note(&loads, true, 4);
	cr_expect_eq(loads.generation, 2);
	cr_expect_eq(loads.last.wall_ms, 0);
	cr_expect_eq(loads_last(&loads)->wall_ms, 4);
	cr_expect_eq(loads.reloads_good, 1);
	loads_release(&loads);
}
