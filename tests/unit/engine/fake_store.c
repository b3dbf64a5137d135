/* SPDX-License-Identifier: ISC */
/*
 * See fake_store.h. What it has no need to do aborts.
 */
#include "tests/unit/engine/fake_store.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct fake_store *self(struct store *store)
{
	return (struct fake_store *)store; /* its first member */
}

static void answer_reserve(struct fake_store *fake, struct store_reserve *op)
{
	op->op.state = STORE_OP_DONE;
	op->op.failed = fake->failed;
	op->refused = -1;
	for (unsigned i = 0; i < op->count && !fake->failed; i++) {
		struct store_charge *charge = &op->charges[i];
		enum charge_outcome outcome = (enum charge_outcome)fake->outcomes[i];

		charge->outcome = outcome == CHARGE_NONE ? CHARGE_GRANTED : outcome;
		charge->used = fake->used;
		charge->retry_ms = fake->retry_ms[i];
		charge->warn = fake->warn;
		if (charge->gate && outcome == CHARGE_OVER && op->refused < 0)
			op->refused = (int)i;
	}
}

static void reserve(struct store *store, struct store_reserve *op, struct clock_now now)
{
	struct fake_store *fake = self(store);

	(void)now;
	cr_assert(op->op.state == STORE_OP_IDLE && op->count > 0);
	fake->reserves++;
	fake->last_reserve = *op;
	memcpy(fake->last_charges, op->charges, op->count * sizeof(*op->charges));
	if (fake->pending) {
		op->op.state = STORE_OP_PENDING;
		fake->reserve = op;
		return;
	}
	answer_reserve(fake, op);
}

static void answer_settle(struct fake_store *fake, struct store_settle *op)
{
	op->op.state = STORE_OP_DONE;
	op->op.failed = fake->failed;
	if (fake->failed)
		return;
	op->unknown = !fake->settle_known;
	op->refunded = fake->settle_refunded;
	if (!fake->settle_refused)
		return;
	op->unknown = false;
	op->refused = true;
	snprintf(op->refused_rule, sizeof(op->refused_rule), "%s", fake->settle_refused);
	op->refused_key = (struct counter_key){ slice_of(op->refused_rule), SLICE("subject"),
						COUNT_RECIPIENTS, 3600000 };
	op->used = fake->used;
	op->limit = 10;
	op->retry_ms = fake->retry_ms[0];
}

static void settle(struct store *store, struct store_settle *op, struct clock_now now)
{
	struct fake_store *fake = self(store);

	(void)now;
	cr_assert(op->op.state == STORE_OP_IDLE);
	fake->settles++;
	fake->last_settle = *op;
	if (fake->pending) {
		op->op.state = STORE_OP_PENDING;
		fake->settle = op;
		return;
	}
	answer_settle(fake, op);
}

static void refund(struct store *store, struct hash128 transaction, struct clock_now now)
{
	(void)now;
	self(store)->refunds++;
	self(store)->last_refund = transaction;
}

static void abandon(struct store *store, struct hash128 transaction, struct clock_now now)
{
	(void)now;
	self(store)->abandons++;
	self(store)->last_abandon = transaction;
}

static void forget(struct store *store, struct store_op *op)
{
	struct fake_store *fake = self(store);

	cr_assert(op->state == STORE_OP_PENDING);
	fake->forgets++;
	if (fake->reserve && op == &fake->reserve->op)
		fake->reserve = NULL;
	else if (fake->settle && op == &fake->settle->op)
		fake->settle = NULL;
	else
		cr_assert_fail("an op that is not pending was forgotten");
}

static const struct store_ops ops = {
	.name = "fake",
	.reserve = reserve,
	.settle = settle,
	.refund = refund,
	.abandon = abandon,
	.forget = forget,
};

void fake_store_init(struct fake_store *fake)
{
	*fake = (struct fake_store){ .base = { .ops = &ops } };
}

void fake_store_answer(struct fake_store *fake)
{
	struct store_reserve *reserving = fake->reserve;
	struct store_settle *settling = fake->settle;

	fake->reserve = NULL;
	fake->settle = NULL;
	if (reserving) {
		answer_reserve(fake, reserving);
		waiter_wake(reserving->op.waiter);
	}
	if (settling) {
		answer_settle(fake, settling);
		waiter_wake(settling->op.waiter);
	}
}

bool fake_store_is_pending(const struct fake_store *fake)
{
	return fake->reserve || fake->settle;
}
