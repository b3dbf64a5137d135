/* SPDX-License-Identifier: ISC */
/*
 * Live limits: they hold at once, and are kept.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/contract/contract.h"

static struct override make(const char *rule, const char *subject, uint64_t limit)
{
	struct override override = {
		.rates = {{limit, HOUR_MS}, {2 * limit, 24 * HOUR_MS}},
		.rate_count = 2,
		.since_wall_ms = 1000,
		.until_wall_ms = UINT64_MAX,
	};

	snprintf(override.rule, sizeof(override.rule), "%s", rule);
	snprintf(override.subject, sizeof(override.subject), "%s", subject);
	snprintf(override.by, sizeof(override.by), "uid 0");
	return override;
}

static bool put(struct contract *contract, struct override override)
{
	return contract->store->ops->override_put(contract->store, &override, contract->now);
}

static bool drop(struct contract *contract, const char *rule, const char *subject)
{
	return contract->store->ops->override_remove(
		contract->store, slice_of(rule), slice_of(subject), contract->now);
}

/* The first limit; 0: there is none. */
static uint64_t limit_of(struct contract *contract, const char *rule, const char *subject)
{
	const struct override *override = overrides_find(contract->store->overrides, slice_of(rule),
		slice_of(subject), contract->now.wall_ms);

	return override ? override->rates[0].limit : 0;
}

static void count(void *arg, const struct override *override)
{
	cr_assert(override->rule[0] && override->subject[0]);
	*(unsigned *)arg += 1;
}

static unsigned count_all(struct contract *contract)
{
	unsigned number = 0;

	store_overrides_each(contract->store, count, &number);
	return number;
}

void contract_overrides_are_put_replaced_and_removed(struct contract *contract)
{
	cr_assert_eq(count_all(contract), 0);
	cr_assert(put(contract, make("hourly", "anna@example.com", 5)));
	cr_assert(put(contract, make("hourly", "bert@example.com", 6)));
	cr_assert(put(contract, make("daily", "anna@example.com", 7)));
	cr_assert_eq(limit_of(contract, "hourly", "anna@example.com"), 5);
	cr_assert_eq(limit_of(contract, "daily", "anna@example.com"), 7);
	cr_assert_eq(limit_of(contract, "daily", "bert@example.com"), 0);
	cr_assert(put(contract, make("hourly", "anna@example.com", 8)));
	cr_assert_eq(limit_of(contract, "hourly", "anna@example.com"), 8);
	cr_assert_eq(count_all(contract), 3);
	cr_assert(drop(contract, "hourly", "anna@example.com"));
	cr_assert_not(drop(contract, "hourly", "anna@example.com"));
	cr_assert_not(drop(contract, "weekly", "anna@example.com"));
	cr_assert_eq(limit_of(contract, "hourly", "anna@example.com"), 0);
	cr_assert_eq(count_all(contract), 2);
}

void contract_overrides_end(struct contract *contract)
{
	struct override override = make("hourly", "anna@example.com", 5);

	override.until_wall_ms = contract->now.wall_ms + HOUR_MS;
	cr_assert(put(contract, override));
	cr_assert(put(contract, make("hourly", "bert@example.com", 6)));
	contract_pass(contract, HOUR_MS - 1000);
	cr_assert_eq(limit_of(contract, "hourly", "anna@example.com"), 5);
	contract_pass(contract, 1000);
	cr_assert_eq(limit_of(contract, "hourly", "anna@example.com"), 0);
	contract->store->ops->tick(contract->store, contract->now);
	cr_assert_eq(count_all(contract), 1);
	cr_assert_eq(limit_of(contract, "hourly", "bert@example.com"), 6);
}

void contract_overrides_survive_a_restart(struct contract *contract)
{
	const struct override *kept;
	struct override unlimited = make("hourly", "carl@example.com", 1);
	char subject[64];

	for (unsigned i = 1; i <= 50; i++) {
		snprintf(subject, sizeof(subject), "user%u@example.com", i);
		cr_assert(put(contract, make("hourly", subject, i)));
	}
	unlimited.rate_count = 0;
	unlimited.until_wall_ms = contract->now.wall_ms + HOUR_MS;
	cr_assert(put(contract, unlimited));
	cr_assert(drop(contract, "hourly", "user7@example.com"));
	contract_reopen(contract, contract->setup);
	cr_assert_eq(count_all(contract), 50);
	cr_assert_eq(limit_of(contract, "hourly", "user7@example.com"), 0);
	cr_assert_eq(limit_of(contract, "hourly", "user50@example.com"), 50);
	kept = overrides_find(contract->store->overrides, SLICE("hourly"),
		SLICE("carl@example.com"), contract->now.wall_ms);
	cr_assert(kept);
	cr_assert_eq(kept->rate_count, 0);
	cr_assert_eq(kept->until_wall_ms, unlimited.until_wall_ms);
	cr_assert_str_eq(kept->by, "uid 0");
	/* What was freed is used again, and goes away again. */
	cr_assert(put(contract, make("daily", "new@example.com", 3)));
	cr_assert(drop(contract, "hourly", "user1@example.com"));
	contract_pass(contract, 2 * HOUR_MS);
	contract_reopen(contract, contract->setup);
	cr_assert_eq(count_all(contract), 49);
	cr_assert_eq(limit_of(contract, "daily", "new@example.com"), 3);
	cr_assert_eq(limit_of(contract, "hourly", "carl@example.com"), 0);
}

static void put_and_drop(struct contract *contract)
{
	cr_assert(put(contract, make("hourly", "anna@example.com", 5)));
	cr_assert(put(contract, make("hourly", "bert@example.com", 6)));
	cr_assert(drop(contract, "hourly", "bert@example.com"));
	while (contract->backend->pump(contract->backend))
		;
}

void contract_overrides_survive_kill_at_once(struct contract *contract)
{
	contract_in_killed_child(contract, put_and_drop);
	cr_assert_eq(count_all(contract), 1);
	cr_assert_eq(limit_of(contract, "hourly", "anna@example.com"), 5);
}
