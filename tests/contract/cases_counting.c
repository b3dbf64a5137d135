/* SPDX-License-Identifier: ISC */
/*
 * Counting: reserving, settling, giving back, looking.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/contract/contract.h"

void contract_a_charge_counts(struct contract *contract)
{
	struct store_charge charge = contract_gate("hourly", "anna@example.com", 3);

	for (uint64_t i = 1; i <= 3; i++) {
		cr_assert_eq(contract_reserve_all(contract, i, 1, 1, &charge, 1), -1);
		cr_assert_eq(charge.outcome, CHARGE_GRANTED);
		cr_assert_eq(charge.used, i);
	}
	cr_assert_eq(contract_reserve_all(contract, 4, 1, 1, &charge, 1), 0);
	cr_assert_eq(charge.outcome, CHARGE_OVER);
	cr_assert_eq(charge.used, 3);
	cr_assert_eq(contract_used(contract, charge), 3);
}

void contract_all_gates_or_none(struct contract *contract)
{
	struct store_charge charges[4] = {
		contract_gate("a", "anna", 9),
		contract_gate("b", "anna", 1),
		contract_gate("c", "anna", 9),
		contract_gate("d", "anna", 1),
	};

	charges[2].gate = false;
	cr_assert_eq(contract_reserve_all(contract, 1, 1, 1, charges, 4), -1);
	cr_assert_eq(contract_reserve_all(contract, 2, 1, 1, charges, 4), 1);
	cr_assert_eq(charges[1].outcome, CHARGE_OVER);
	cr_assert_eq(charges[2].outcome, CHARGE_NONE);
	for (int i = 0; i < 4; i++)
		cr_assert_eq(contract_used(contract, charges[i]), 1);
}

void contract_soft_ones_never_refuse(struct contract *contract)
{
	struct store_charge charge = contract_gate("a", "anna", 1);

	charge.gate = false;
	cr_assert_eq(contract_reserve_all(contract, 1, 1, 1, &charge, 1), -1);
	cr_assert_eq(charge.outcome, CHARGE_GRANTED);
	cr_assert_eq(contract_reserve_all(contract, 2, 1, 1, &charge, 1), -1);
	cr_assert_eq(charge.outcome, CHARGE_OVER);
	cr_assert_eq(charge.used, 2);
}

void contract_a_repeat_charges_nothing(struct contract *contract)
{
	struct store_charge charges[2] = {
		contract_gate("a", "anna", 9), contract_gate("b", "anna", 9)};

	contract_reserve_all(contract, 1, 1, 1, charges, 1);
	cr_assert_eq(contract_reserve_all(contract, 1, 1, 1, charges, 2), -1);
	cr_assert_eq(charges[0].outcome, CHARGE_ALREADY);
	cr_assert_eq(charges[0].used, 1);
	cr_assert_eq(charges[1].outcome, CHARGE_GRANTED);
	contract_reserve_all(contract, 1, 2, 2, charges, 2);
	cr_assert_eq(contract_used(contract, charges[0]), 2);
}

void contract_without_transaction_repeats_count(struct contract *contract)
{
	struct store_charge charge = contract_gate("a", "anna", 9);

	contract_reserve(contract, 0, 1, 1, charge);
	contract_reserve(contract, 0, 1, 1, charge);
	cr_assert_eq(contract_used(contract, charge), 2);
}

void contract_warns_once(struct contract *contract)
{
	struct store_charge charge = contract_gate("a", "anna", 10);
	unsigned warnings = 0;

	charge.warn_at = 8;
	for (uint64_t i = 1; i <= 10; i++) {
		contract_reserve_all(contract, i, 1, 1, &charge, 1);
		cr_assert_eq(charge.warn, i == 8);
		warnings += charge.warn;
	}
	cr_assert_eq(warnings, 1);
}

void contract_says_when_to_come_back(struct contract *contract)
{
	struct store_charge charge = contract_gate("a", "anna", 2);

	contract_reserve(contract, 1, 1, 1, charge);
	contract_pass(contract, 20 * MINUTE_MS);
	contract_reserve(contract, 2, 1, 1, charge);
	contract_reserve_all(contract, 3, 1, 1, &charge, 1);
	cr_assert(charge.retry_ms > 40 * MINUTE_MS && charge.retry_ms <= 41 * MINUTE_MS);
	charge.cost = 2;
	contract_reserve_all(contract, 3, 1, 1, &charge, 1);
	cr_assert(charge.retry_ms > 60 * MINUTE_MS && charge.retry_ms <= 61 * MINUTE_MS);
	charge.cost = 3;
	contract_reserve_all(contract, 3, 1, 1, &charge, 1);
	cr_assert_eq(charge.retry_ms, UINT64_MAX);
}

void contract_free_again_after_the_window(struct contract *contract)
{
	struct store_charge charge = contract_gate("a", "anna", 1);

	cr_assert(contract_reserve(contract, 1, 1, 1, charge));
	contract_pass(contract, HOUR_MS - 1);
	cr_assert_not(contract_reserve(contract, 2, 1, 1, charge));
	contract_pass(contract, MINUTE_MS + 1);
	cr_assert(contract_reserve(contract, 2, 1, 1, charge));
}

void contract_settle_lowers_and_is_idempotent(struct contract *contract)
{
	struct store_charge charge = contract_gate("a", "anna", 9);

	for (uint64_t i = 1; i <= 4; i++)
		contract_reserve(contract, 1, i, (unsigned)i, charge);
	cr_assert_eq(contract_settle(contract, 1, 3, 0, false).refunded, 1);
	for (int i = 0; i < 3; i++) {
		struct store_settle op = contract_settle(contract, 1, 3, 4000, i > 0);

		cr_assert_not(op.unknown);
		cr_assert_not(op.refused);
		cr_assert_eq(op.refunded, 0);
		cr_assert_eq(contract_used(contract, charge), 3);
	}
}

void contract_settle_raises_or_refuses(struct contract *contract)
{
	struct store_charge charges[2] = {
		contract_gate("roomy", "anna", 9), contract_gate("tight", "anna@example.com", 3)};
	struct store_settle op;

	contract_reserve_all(contract, 1, 1, 1, charges, 2);
	cr_assert_not(contract_settle(contract, 1, 2, 0, false).refused);
	cr_assert_eq(contract_used(contract, charges[0]), 2);
	contract_reserve_all(contract, 2, 1, 1, charges, 2);
	op = contract_settle(contract, 2, 2, 0, false);
	cr_assert(op.refused);
	cr_assert_str_eq(op.refused_rule, "tight");
	cr_assert_str_eq(op.refused_subject, "anna@example.com");
	cr_assert_eq(op.refused_key.window_ms, HOUR_MS);
	cr_assert_eq(op.refused_key.what, COUNT_RECIPIENTS);
	cr_assert_eq(op.used, 3);
	cr_assert_eq(op.limit, 3);
	cr_assert(op.retry_ms > 0 && op.retry_ms <= 61 * MINUTE_MS);
	cr_assert_eq(contract_used(contract, charges[0]), 2);
	cr_assert_eq(contract_used(contract, charges[1]), 2);
}

void contract_settle_knows_free_recipients(struct contract *contract)
{
	struct store_charge charge = contract_gate("a", "anna", 9);

	contract_reserve(contract, 1, 1, 1, charge);
	contract_reserve(contract, 1, 3, 3, charge);
	contract_settle(contract, 1, 3, 0, false);
	cr_assert_eq(contract_used(contract, charge), 2);
	contract_settle(contract, 1, 1, 0, true);
	cr_assert_eq(contract_used(contract, charge), 1);
}

void contract_settle_of_unknown(struct contract *contract)
{
	struct store_charge charge = contract_gate("a", "anna", 9);

	cr_assert(contract_settle(contract, 1, 3, 0, false).unknown);
	charge.cost = 3;
	cr_assert_eq(contract_reserve_all(contract, 1, 0, 0, &charge, 1), -1);
	cr_assert_not(contract_settle(contract, 1, 3, 100, true).unknown);
	cr_assert_eq(contract_used(contract, charge), 3);
}

void contract_messages_and_bytes(struct contract *contract)
{
	struct store_charge charges[2] = {
		contract_gate("m", "anna", 9), contract_gate("b", "anna", 10000)};

	charges[0].key.what = COUNT_MESSAGES;
	charges[1].key.what = COUNT_BYTES;
	charges[1].cost = 1000;
	contract_reserve_all(contract, 1, 1, 1, charges, 2);
	contract_reserve_all(contract, 1, 2, 2, charges, 2);
	cr_assert_eq(contract_used(contract, charges[0]), 1);
	cr_assert_eq(contract_used(contract, charges[1]), 1000);
	contract_settle(contract, 1, 2, 0, false);
	cr_assert_eq(contract_used(contract, charges[1]), 1000);
	contract_settle(contract, 1, 2, 4321, true);
	cr_assert_eq(contract_used(contract, charges[0]), 1);
	cr_assert_eq(contract_used(contract, charges[1]), 4321);
	charges[1].cost = 0;
	contract_reserve_all(contract, 2, 1, 1, charges, 2);
	cr_assert(contract_settle(contract, 2, 1, 6000, true).refused);
	cr_assert_eq(contract_used(contract, charges[0]), 1);
	cr_assert_eq(contract_used(contract, charges[1]), 4321);
}

void contract_one_subject_settles_where_it_can(struct contract *contract)
{
	struct store_charge one = contract_gate("a", "example.net", 9);
	struct store_charge other = contract_gate("a", "example.org", 9);

	one.one_subject = other.one_subject = true;
	contract_reserve(contract, 1, 1, 1, one);
	contract_reserve(contract, 1, 2, 2, other);
	contract_settle(contract, 1, 5, 0, false);
	cr_assert_eq(contract_used(contract, one), 1);
	cr_assert_eq(contract_used(contract, other), 1);
	contract_reserve(contract, 2, 1, 1, one);
	contract_reserve(contract, 2, 2, 2, one);
	contract_settle(contract, 2, 3, 0, false);
	cr_assert_eq(contract_used(contract, one), 4);
}

void contract_refund_gives_all_back(struct contract *contract)
{
	struct store_charge charges[2] = {
		contract_gate("a", "anna", 9), contract_gate("b", "anna", 9)};

	charges[1].gate = false;
	contract_reserve_all(contract, 1, 1, 1, charges, 2);
	contract_reserve_all(contract, 1, 2, 2, charges, 2);
	contract_settle(contract, 1, 2, 0, false);
	for (int i = 0; i < 2; i++) {
		contract->store->ops->refund(contract->store, contract_id(1), contract->now);
		cr_assert_eq(contract_used(contract, charges[0]), 0);
		cr_assert_eq(contract_used(contract, charges[1]), 0);
	}
	/* The client comes back with it. */
	contract_settle(contract, 1, 2, 0, false);
	cr_assert_eq(contract_used(contract, charges[0]), 2);
	contract->store->ops->refund(contract->store, contract_id(99), contract->now);
}

void contract_abandoned_where_the_service_settles(struct contract *contract)
{
	struct store_charge charge = contract_gate("a", "anna", 9);

	contract_reserve(contract, 1, 1, 1, charge);
	contract->store->ops->abandon(contract->store, contract_id(1), contract->now);
	cr_assert_eq(contract_used(contract, charge), 1);
	contract_settle(contract, 50, 1, 0, false);
	contract->store->ops->abandon(contract->store, contract_id(1), contract->now);
	cr_assert_eq(contract_used(contract, charge), 0);
	contract_reserve(contract, 1, 1, 1, charge);
	cr_assert_eq(contract_used(contract, charge), 1);
	contract_settle(contract, 1, 1, 0, false);
	contract->store->ops->abandon(contract->store, contract_id(1), contract->now);
	cr_assert_eq(contract_used(contract, charge), 1);
}

void contract_unsettled_ends_after_ten_minutes(struct contract *contract)
{
	struct store_charge charge = contract_gate("a", "anna", 9);
	struct contract_setup setup = contract->setup;

	setup.settles = CONTRACT_DATA;
	contract_reopen(contract, setup);
	contract_reserve(contract, 1, 1, 1, charge);
	contract_pass(contract, 10 * MINUTE_MS - 1);
	cr_assert_eq(contract_used(contract, charge), 1);
	contract_pass(contract, 1);
	cr_assert_eq(contract_used(contract, charge), 0);
}

void contract_reservations_stand_where_nothing_settles(struct contract *contract)
{
	struct store_charge charge = contract_gate("a", "anna", 9);
	struct contract_setup setup = contract->setup;

	setup.settles = CONTRACT_NONE;
	contract_reopen(contract, setup);
	contract_reserve(contract, 1, 1, 1, charge);
	contract_settle(contract, 50, 1, 0, false);
	contract->store->ops->abandon(contract->store, contract_id(1), contract->now);
	contract_pass(contract, 16 * MINUTE_MS);
	cr_assert_eq(contract_used(contract, charge), 1);
}

struct listed {
	unsigned count;
	uint64_t used;
	uint64_t limit;
};

static void add_listed(void *arg, const struct store_counter *counter)
{
	struct listed *listed = arg;

	if (counter->used == 0) /* a cluster's store tells of it: others may have used it */
		return;
	listed->count++;
	listed->used += counter->used;
	listed->limit = counter->limit;
	cr_assert(counter->key.rule.len > 0 && counter->key.subject.len > 0);
}

static struct listed list(struct contract *contract, const char *subject)
{
	struct listed listed = {0};

	contract->store->ops->list(
		contract->store, slice_of(subject), add_listed, &listed, contract->now);
	return listed;
}

void contract_usage_reset_and_list(struct contract *contract)
{
	struct store_charge charges[2] = {
		contract_gate("a", "anna", 7), contract_gate("b", "anna", 7)};
	struct store_charge other = contract_gate("a", "bert", 7);
	struct store_usage usage;

	charges[1].key.window_ms = 24 * HOUR_MS;
	contract_reserve_all(contract, 1, 1, 1, charges, 2);
	contract_reserve(contract, 2, 1, 1, other);
	usage = contract_usage(contract, charges[0]);
	cr_assert_eq(usage.used, 1);
	cr_assert_eq(usage.free_amount, 1);
	cr_assert(usage.free_ms > 60 * MINUTE_MS && usage.free_ms <= 61 * MINUTE_MS);
	cr_assert_eq(list(contract, "anna").count, 2);
	cr_assert_eq(list(contract, "anna").limit, 7);
	cr_assert_eq(list(contract, "nobody").count, 0);
	cr_assert_eq(list(contract, "").used, 3);
	cr_assert_eq(contract->store->ops->reset(contract->store, SLICE("anna"), contract->now), 2);
	cr_assert_eq(
		contract->store->ops->reset(contract->store, SLICE("nobody"), contract->now), 0);
	cr_assert_eq(contract_used(contract, charges[0]), 0);
	cr_assert_eq(contract_used(contract, other), 1);
	cr_assert_eq(list(contract, "").count, 1);
}

void contract_scan_sees_all(struct contract *contract)
{
	struct store *store = contract->store;
	struct listed listed = {0};
	uint64_t cursor = 0;
	unsigned calls = 0;
	char subject[32];

	cr_assert_eq(store->ops->scan(store, 0, add_listed, &listed, contract->now), 0);
	cr_assert_eq(listed.count, 0);
	for (unsigned i = 0; i < 9000; i++) {
		snprintf(subject, sizeof(subject), "user%u@example.com", i);
		contract_reserve(contract, 1 + i, 1, 1, contract_gate("a", subject, 7));
	}
	store->ops->reset(store, SLICE("user77@example.com"), contract->now);
	cr_assert_eq(contract_used(contract, contract_gate("a", "user77@example.com", 7)), 0);
	do {
		cursor = store->ops->scan(store, cursor, add_listed, &listed, contract->now);
		calls++;
	} while (cursor);
	cr_assert_eq(listed.count, 8999);
	cr_assert_eq(listed.used, 8999);
	cr_assert(calls > 1, "in pieces");
}

void contract_many_subjects(struct contract *contract)
{
	char subject[32];

	for (unsigned round = 0; round < 2; round++)
		for (unsigned i = 0; i < 2000; i++) {
			snprintf(subject, sizeof(subject), "user%u@example.com", i);
			cr_assert_eq(contract_reserve(contract, 1 + i + round * 2000, 1, 1,
					     contract_gate("a", subject, 1)),
				round == 0);
			if (i % 500 == 0)
				contract->store->ops->tick(contract->store, contract->now);
		}
}

void contract_hostile_subjects(struct contract *contract)
{
	static const char *const hostile[] = {"{x}:c:*", "a:b", "a", "a:", "%s%n", "'; FLUSHALL",
		"\x01\x7f\xff", "a b", "a\tb", "\xc3\xbc", "\\", "\""};
	char longest[COUNTER_SUBJECT_BYTES + 1];
	unsigned count = sizeof(hostile) / sizeof(hostile[0]);

	for (unsigned i = 0; i < count; i++)
		for (unsigned k = 0; k <= i; k++)
			cr_assert(contract_reserve(
				contract, 0, 1, 1, contract_gate("a", hostile[i], 100)));
	for (unsigned i = 0; i < count; i++)
		cr_assert_eq(contract_used(contract, contract_gate("a", hostile[i], 100)), i + 1);
	memset(longest, 'x', COUNTER_SUBJECT_BYTES);
	longest[COUNTER_SUBJECT_BYTES] = '\0';
	cr_assert(contract_reserve(contract, 0, 1, 1, contract_gate("a", longest, 1)));
	cr_assert_not(contract_reserve(contract, 0, 1, 1, contract_gate("a", longest, 1)));
}
