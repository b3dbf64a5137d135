/* SPDX-License-Identifier: ISC */
/*
 * Looking without charging: the answer is the one that a charge would have had, and afterwards
 * nothing is different.
 */
#include <criterion/criterion.h>

#include "tests/contract/contract.h"

static int reserve_dry(struct contract *contract, uint64_t transaction, uint64_t recipient,
	struct store_charge *charges, unsigned count)
{
	int refused;

	contract->dry = true;
	refused = contract_reserve_all(contract, transaction, recipient, 1, charges, count);
	contract->dry = false;
	return refused;
}

void contract_a_dry_charge_changes_nothing(struct contract *contract)
{
	struct store_charge charges[3] = {contract_gate("a", "anna", 9),
		contract_gate("a", "anna", 5), contract_gate("b", "anna", 2)};

	charges[0].warn_at = 1;
	charges[2].gate = false;
	charges[2].cost = 3;
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(reserve_dry(contract, 1, 1, charges, 3), -1);
		cr_assert_eq(charges[0].outcome, CHARGE_GRANTED);
		cr_assert_eq(charges[1].outcome, CHARGE_GRANTED);
		cr_assert_eq(charges[2].outcome, CHARGE_OVER);
		cr_assert_eq(charges[0].used, 1);
		cr_assert_eq(charges[1].used, 1, "the same counter is charged once");
		cr_assert_eq(charges[2].used, 3);
		cr_assert_not(charges[0].warn);
	}
	cr_assert_eq(contract_used(contract, charges[0]), 0);
	cr_assert_eq(contract_used(contract, charges[2]), 0);
	cr_assert(contract_settle(contract, 1, 1, 0, false).unknown, "nothing was remembered");
	contract_reserve_all(contract, 1, 1, 1, charges, 1);
	cr_assert(charges[0].warn, "it had not warned before");
	reserve_dry(contract, 1, 1, charges, 1);
	cr_assert_eq(charges[0].outcome, CHARGE_ALREADY);
	cr_assert_eq(charges[0].used, 1);
	reserve_dry(contract, 1, 2, charges, 1);
	cr_assert_eq(charges[0].outcome, CHARGE_GRANTED);
	cr_assert_eq(charges[0].used, 2);
	contract_reserve_all(contract, 1, 2, 1, charges, 1);
	cr_assert_eq(charges[0].outcome, CHARGE_GRANTED, "the dry one was not remembered");
}

void contract_a_dry_refusal_changes_nothing(struct contract *contract)
{
	struct store_charge charges[2] = {
		contract_gate("a", "anna", 9), contract_gate("b", "anna", 1)};
	struct store_charge real[2];

	contract_reserve_all(contract, 1, 1, 1, charges, 2);
	cr_assert_eq(reserve_dry(contract, 2, 1, charges, 2), 1);
	real[0] = charges[0];
	real[1] = charges[1];
	cr_assert_eq(contract_reserve_all(contract, 2, 1, 1, real, 2), 1);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(charges[i].outcome, real[i].outcome);
		cr_assert_eq(charges[i].used, real[i].used);
		cr_assert_eq(charges[i].retry_ms, real[i].retry_ms);
		cr_assert_eq(contract_used(contract, charges[i]), 1);
	}
}

void contract_a_dry_charge_says_what_is_free_when(struct contract *contract)
{
	struct store_charge charge = contract_gate("a", "anna", 9);

	reserve_dry(contract, 1, 1, &charge, 1);
	cr_assert_eq(charge.free_ms, 0);
	cr_assert_eq(charge.free_amount, 0);
	charge.cost = 4;
	contract_reserve_all(contract, 1, 1, 1, &charge, 1);
	contract_pass(contract, 10 * MINUTE_MS);
	charge.cost = 2;
	contract_reserve_all(contract, 2, 1, 1, &charge, 1);
	reserve_dry(contract, 3, 1, &charge, 1);
	cr_assert_eq(charge.free_amount, 4);
	cr_assert(charge.free_ms > 50 * MINUTE_MS && charge.free_ms <= 51 * MINUTE_MS);
}

void contract_a_dry_settlement_changes_nothing(struct contract *contract)
{
	struct store_charge charges[2] = {
		contract_gate("a", "anna", 4), contract_gate("a", "anna", 1000)};
	struct store_settle op;

	charges[1].key.what = COUNT_BYTES;
	charges[1].cost = 100;
	contract_reserve_all(contract, 1, 1, 1, charges, 2);
	contract->dry = true;
	cr_assert(contract_settle(contract, 9, 1, 0, true).unknown);
	cr_assert_not(contract_settle(contract, 1, 4, 900, true).refused);
	op = contract_settle(contract, 1, 5, 100, true);
	cr_assert(op.refused);
	cr_assert_str_eq(op.refused_rule, "a");
	cr_assert_eq(op.used, 1);
	cr_assert_eq(op.limit, 4);
	cr_assert(op.retry_ms > 0);
	cr_assert(contract_settle(contract, 1, 4, 1001, true).refused);
	contract->dry = false;
	cr_assert_eq(contract_used(contract, charges[0]), 1, "nothing was raised or given back");
	cr_assert_eq(contract_used(contract, charges[1]), 100);
	contract_settle(contract, 1, 2, 0, false);
	cr_assert_eq(contract_used(contract, charges[1]), 100, "no size was remembered");
	contract_pass(contract, 5 * MINUTE_MS);
	cr_assert_eq(contract_used(contract, charges[0]), 2, "it had not ended");
}
