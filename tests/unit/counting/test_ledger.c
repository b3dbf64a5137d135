/* SPDX-License-Identifier: ISC */
/*
 * Reserve, settle and refund in single steps, each a sentence of the design. The random model in
 * test_ledger_model.c covers how they mix.
 */
#include "daemon/counting/ledger.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define MINUTE_MS UINT64_C(60000)
#define HOUR_MS (60 * MINUTE_MS)
#define SERVICE 25

static struct ledger *ledger;
static struct clock_now now;

static void setup(void)
{
	struct ledger_options options = {
		.max_counters = 1000, .max_transactions = 1000, .key = {7, 8}};

	ledger = ledger_new(&options);
	now = (struct clock_now){HOUR_MS, UINT64_C(1700000000000)};
}

static void teardown(void)
{
	ledger_free(&ledger);
}

TestSuite(ledger, .init = setup, .fini = teardown);

static void pass(uint64_t ms)
{
	now.mono_ms += ms;
	now.wall_ms += ms;
}

static struct hash128 id(uint64_t number)
{
	return (struct hash128){number, 1};
}

static struct store_charge gate(
	const char *rule, const char *subject, uint64_t limit, uint64_t window_ms)
{
	return (struct store_charge){
		.key = {slice_of(rule), slice_of(subject), COUNT_RECIPIENTS, window_ms},
		.limit = limit,
		.cost = 1,
		.gate = true};
}

static int reserve_all(uint64_t txn, uint64_t recipient, unsigned asked,
	struct store_charge *charges, unsigned count)
{
	struct ledger_request request = {.transaction = txn ? id(txn) : (struct hash128){0, 0},
		.service = SERVICE,
		.recipient = recipient,
		.asked = asked};

	return ledger_reserve(ledger, &request, charges, count, now);
}

static bool reserve(uint64_t txn, uint64_t recipient, unsigned asked, struct store_charge charge)
{
	return reserve_all(txn, recipient, asked, &charge, 1) < 0;
}

static struct ledger_settlement settle(
	uint64_t txn, uint64_t recipients, uint64_t size_bytes, bool end)
{
	struct ledger_settlement settlement = {.transaction = id(txn),
		.service = SERVICE,
		.recipient_count = recipients,
		.size_bytes = size_bytes,
		.end_of_message = end};

	ledger_settle(ledger, &settlement, now);
	return settlement;
}

static uint64_t used(struct store_charge charge)
{
	uint32_t slot = table_find(
		ledger->counters, &charge.key, table_hash(ledger->counters, &charge.key));
	struct window window;

	if (slot == TABLE_NONE)
		return 0;
	table_load(ledger->counters, slot, now.wall_ms, &window);
	return window.total;
}

Test(ledger, all_gates_or_none)
{
	struct store_charge charges[3] = {gate("a", "anna", 5, HOUR_MS),
		gate("b", "anna", 1, HOUR_MS), gate("c", "anna", 5, HOUR_MS)};

	charges[2].gate = false;
	cr_assert_eq(reserve_all(1, 1, 1, charges, 3), -1);
	cr_assert_eq(reserve_all(1, 2, 2, charges, 3), 1);
	cr_assert_eq(charges[0].outcome, CHARGE_NONE);
	cr_assert_eq(charges[1].outcome, CHARGE_OVER);
	cr_assert_eq(charges[1].used, 1);
	cr_assert_eq(charges[1].retry_ms, (now.wall_ms / MINUTE_MS + 61) * MINUTE_MS - now.wall_ms);
	cr_assert_eq(charges[2].outcome, CHARGE_NONE);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(used(charges[i]), 1);
}

Test(ledger, a_refused_request_leaves_no_counter_and_no_transaction)
{
	struct store_charge charge = gate("a", "anna", 0, HOUR_MS);

	cr_assert_not(reserve(1, 1, 1, charge));
	cr_assert_eq(ledger->counters->count, 0);
	cr_assert_eq(ledger->txns->count, 0);
}

Test(ledger, soft_ones_are_charged_and_never_capped)
{
	struct store_charge charge = gate("a", "anna", 2, HOUR_MS);

	charge.gate = false;
	for (uint64_t i = 1; i <= 4; i++) {
		cr_assert_eq(reserve_all(1, i, (unsigned)i, &charge, 1), -1);
		cr_assert_eq(charge.outcome, i <= 2 ? CHARGE_GRANTED : CHARGE_OVER);
		cr_assert_eq(charge.used, i);
	}
	cr_assert_gt(charge.retry_ms, 59 * MINUTE_MS);
}

Test(ledger, a_recipient_is_charged_once_per_rule_and_transaction)
{
	struct store_charge charges[2] = {
		gate("a", "anna", 1, HOUR_MS), gate("b", "anna", 9, HOUR_MS)};

	cr_assert_eq(reserve_all(1, 1, 1, charges, 1), -1);
	/* A lost answer, another restriction list: and a rule that came with a reload. */
	cr_assert_eq(reserve_all(1, 1, 1, charges, 2), -1);
	cr_assert_eq(charges[0].outcome, CHARGE_ALREADY);
	cr_assert_eq(charges[0].used, 1);
	cr_assert_eq(charges[1].outcome, CHARGE_GRANTED);
	/* The same rule with another window is still the same rule. */
	charges[0].key.window_ms = 24 * HOUR_MS;
	cr_assert_eq(reserve_all(1, 1, 1, charges, 2), -1);
	cr_assert_eq(charges[0].outcome, CHARGE_ALREADY);
	charges[0].key.window_ms = HOUR_MS;
	cr_assert_eq(reserve_all(2, 1, 1, charges, 1), 0, "another transaction");
}

Test(ledger, without_a_transaction_repeats_count)
{
	struct store_charge charge = gate("a", "anna", 2, HOUR_MS);

	cr_assert(reserve(0, 1, 1, charge));
	cr_assert(reserve(0, 1, 1, charge));
	cr_assert_not(reserve(0, 1, 1, charge));
	cr_assert_eq(ledger->txns->count, 0);
}

Test(ledger, two_limits_over_one_window_are_one_charge)
{
	struct store_charge charges[2] = {
		gate("a", "anna", 5, HOUR_MS), gate("a", "anna", 2, HOUR_MS)};

	cr_assert_eq(reserve_all(1, 1, 1, charges, 2), -1);
	cr_assert_eq(charges[1].outcome, CHARGE_GRANTED);
	cr_assert_eq(charges[1].used, 1);
	cr_assert_eq(reserve_all(1, 2, 2, charges, 2), -1);
	cr_assert_eq(reserve_all(1, 3, 3, charges, 2), 1);
	cr_assert_eq(used(charges[0]), 2);
	cr_assert(settle(1, 3, 0, false).refused, "the smaller limit holds for raises");
}

Test(ledger, warns_when_it_is_reached_once)
{
	struct store_charge charge = gate("a", "anna", 10, HOUR_MS);

	charge.warn_at = 3;
	for (uint64_t i = 1; i <= 5; i++) {
		cr_assert_eq(reserve_all(i, 1, 1, &charge, 1), -1);
		cr_assert_eq(charge.warn, i == 3);
	}
	pass(62 * MINUTE_MS);
	for (uint64_t i = 11; i <= 13; i++) {
		cr_assert_eq(reserve_all(i, 1, 1, &charge, 1), -1);
		cr_assert_eq(charge.warn, i == 13);
	}
}

Test(ledger, a_changed_limit_keeps_the_history)
{
	cr_assert(reserve(1, 1, 1, gate("a", "anna", 1, HOUR_MS)));
	cr_assert_not(reserve(2, 1, 1, gate("a", "anna", 1, HOUR_MS)));
	cr_assert(reserve(2, 1, 1, gate("a", "anna", 2, HOUR_MS)));
	cr_assert_not(reserve(3, 1, 1, gate("a", "anna", 1, HOUR_MS)));
}

Test(ledger, settles_to_the_count_of_recipients)
{
	struct store_charge charge = gate("a", "anna", 10, HOUR_MS);
	struct ledger_settlement settlement;

	for (uint64_t i = 1; i <= 4; i++)
		reserve(1, i, (unsigned)i, charge);
	settlement = settle(1, 3, 0, false); /* one was refused by another restriction */
	cr_assert_eq(settlement.refunded, 1);
	cr_assert_eq(used(charge), 3);
	settlement = settle(1, 3, 1000, true);
	cr_assert_eq(settlement.refunded, 0);
	cr_assert_eq(used(charge), 3);
	settle(1, 3, 1000, true);
	cr_assert_eq(used(charge), 3);
	settle(1, 6, 1000, true); /* a name given twice */
	cr_assert_eq(used(charge), 6);
}

Test(ledger, where_some_were_free_settles_to_the_smaller)
{
	struct store_charge charge = gate("a", "anna", 10, HOUR_MS);

	reserve(1, 1, 1, charge);
	reserve(1, 2, 3, charge); /* the third, between them, was free */
	settle(1, 3, 0, false);
	cr_assert_eq(used(charge), 2);
	settle(1, 1, 0, false);
	cr_assert_eq(used(charge), 1);
}

Test(ledger, a_raise_that_does_not_fit_refunds_all)
{
	struct store_charge charges[2] = {
		gate("a", "anna", 9, HOUR_MS), gate("b", "anna", 3, HOUR_MS)};
	struct ledger_settlement settlement;

	reserve_all(9, 1, 1, charges, 2);
	reserve_all(1, 1, 1, charges, 2);
	settlement = settle(1, 3, 0, false);
	cr_assert(settlement.refused);
	cr_assert_eq(
		settlement.refused_slot, table_find(ledger->counters, &charges[1].key,
						 table_hash(ledger->counters, &charges[1].key)));
	cr_assert_eq(settlement.used, 2);
	cr_assert_eq(settlement.limit, 3);
	cr_assert_gt(settlement.retry_ms, 59 * MINUTE_MS);
	cr_assert_eq(settlement.refunded, 1);
	cr_assert_eq(used(charges[0]), 1);
	cr_assert_eq(used(charges[1]), 1);
	/* It tries again with fewer: charged anew. */
	cr_assert_not(settle(1, 2, 0, false).refused);
	cr_assert_eq(used(charges[0]), 3);
	cr_assert_eq(used(charges[1]), 3);
}

Test(ledger, raises_are_checked_over_all_gates_before_any_is_made)
{
	struct store_charge charges[2] = {
		gate("a", "anna", 9, HOUR_MS), gate("b", "anna", 1, HOUR_MS)};

	reserve_all(1, 1, 1, charges, 2);
	settle(1, 2, 0, false);
	cr_assert_eq(used(charges[0]), 0);
	cr_assert_eq(used(charges[1]), 0);
}

Test(ledger, messages_count_one_at_the_first_recipient)
{
	struct store_charge charge = gate("a", "anna", 2, HOUR_MS);

	charge.key.what = COUNT_MESSAGES;
	cr_assert(reserve(1, 1, 1, charge));
	cr_assert(reserve(1, 2, 2, charge));
	cr_assert_eq(used(charge), 1);
	settle(1, 2, 0, false);
	cr_assert_eq(used(charge), 1);
	cr_assert(reserve(2, 1, 1, charge));
	settle(2, 0, 0, false);
	cr_assert_eq(used(charge), 1, "refunded when none remains");
}

Test(ledger, bytes_are_the_claim_then_the_size)
{
	struct store_charge charge = gate("a", "anna", 1000, HOUR_MS);

	charge.key.what = COUNT_BYTES;
	charge.cost = 300;
	cr_assert(reserve(1, 1, 1, charge));
	cr_assert(reserve(1, 2, 2, charge));
	cr_assert_eq(used(charge), 300);
	settle(1, 2, 0, false);
	cr_assert_eq(used(charge), 300, "DATA knows no size yet");
	settle(1, 2, 777, true);
	cr_assert_eq(used(charge), 777);
	settle(1, 2, 777, true);
	cr_assert_eq(used(charge), 777);
	charge.cost = 0; /* no SIZE given */
	cr_assert(reserve(2, 1, 1, charge));
	cr_assert(settle(2, 1, 300, true).refused);
	cr_assert_eq(used(charge), 777);
	cr_assert_not(settle(2, 1, 223, true).refused);
	cr_assert_eq(used(charge), 1000);
}

Test(ledger, per_recipient_settles_only_where_it_can_know)
{
	struct store_charge one = gate("a", "x@example.net", 10, HOUR_MS);
	struct store_charge other = gate("a", "y@example.net", 10, HOUR_MS);
	struct ledger_settlement settlement;

	one.one_subject = other.one_subject = true;
	reserve(1, 1, 1, one);
	reserve(1, 2, 2, other);
	settle(1, 3, 0, false);
	cr_assert_eq(used(one), 1);
	cr_assert_eq(used(other), 1);
	settle(1, 1, 0, false); /* one of them, and nobody says which */
	cr_assert_eq(used(one) + used(other), 2);
	settlement = (struct ledger_settlement){
		.transaction = id(1), .recipient_count = 1, .recipient = 2};
	ledger_settle(ledger, &settlement, now);
	cr_assert_eq(used(one), 0);
	cr_assert_eq(used(other), 1);
	/* All share one subject: twice the same name. */
	reserve(2, 1, 1, one);
	settle(2, 2, 0, false);
	cr_assert_eq(used(one), 2);
}

Test(ledger, refunds_go_to_the_newest_buckets)
{
	struct store_charge charge = gate("a", "anna", 10, HOUR_MS);

	reserve(1, 1, 1, charge);
	pass(10 * MINUTE_MS);
	reserve(1, 2, 2, charge);
	settle(1, 1, 0, false);
	cr_assert_eq(used(charge), 1);
	pass(51 * MINUTE_MS); /* what was charged first leaves first */
	cr_assert_eq(used(charge), 0);
}

Test(ledger, an_expired_bucket_takes_no_refund)
{
	struct store_charge charge = gate("a", "anna", 10, MINUTE_MS);

	reserve(1, 1, 1, charge);
	pass(5 * MINUTE_MS);
	reserve(2, 1, 1, charge);
	ledger_refund(ledger, id(1), now);
	cr_assert_eq(used(charge), 1);
	ledger_refund(ledger, id(2), now);
	cr_assert_eq(used(charge), 0);
	ledger_refund(ledger, id(2), now);
	cr_assert_eq(used(charge), 0);
}

Test(ledger, after_a_refund_the_same_request_charges_anew)
{
	struct store_charge charge = gate("a", "anna", 10, HOUR_MS);

	reserve(1, 1, 1, charge);
	reserve(1, 2, 2, charge);
	ledger_refund(ledger, id(1), now);
	cr_assert_eq(used(charge), 0);
	reserve(1, 1, 2, charge);
	cr_assert_eq(used(charge), 1);
	/* The other recipient is not free of the rule, only refunded: Postfix counts it. */
	settle(1, 2, 0, false);
	cr_assert_eq(used(charge), 2);
}

Test(ledger, unknown_without_charges)
{
	cr_assert(settle(1, 1, 0, false).unknown);
}

Test(ledger, a_message_that_is_first_seen_at_data)
{
	struct store_charge charge = gate("a", "anna", 10, HOUR_MS);

	cr_assert(settle(1, 3, 0, false).unknown);
	charge.cost = 3;
	cr_assert_eq(reserve_all(1, 0, 0, &charge, 1), -1);
	cr_assert_eq(reserve_all(1, 0, 0, &charge, 1), -1);
	cr_assert_eq(charge.outcome, CHARGE_ALREADY);
	settle(1, 3, 500, true);
	cr_assert_eq(used(charge), 3);
	/* It was settled, as far as it can be: nothing takes it back. */
	ledger_abandon(ledger, id(1), now);
	cr_assert_eq(used(charge), 3);
}

Test(ledger, abandoned_where_the_service_settles)
{
	struct store_charge charge = gate("a", "anna", 10, HOUR_MS);

	reserve(1, 1, 1, charge);
	ledger_abandon(ledger, id(1), now);
	cr_assert_eq(used(charge), 1, "not known to settle: the reservation stands");
	settle(99, 1, 0, false); /* now it is */
	ledger_abandon(ledger, id(1), now);
	cr_assert_eq(used(charge), 0);
	reserve(2, 1, 1, charge);
	settle(2, 1, 0, false);
	ledger_abandon(ledger, id(2), now);
	cr_assert_eq(used(charge), 1, "it was settled");
}

Test(ledger, forgotten_after_ten_minutes_where_the_service_settles)
{
	struct store_charge charge = gate("a", "anna", 10, HOUR_MS);

	settle(99, 1, 0, false);
	reserve(1, 1, 1, charge);
	pass(10 * MINUTE_MS - 1);
	ledger_sweep(ledger, now);
	cr_assert_eq(used(charge), 1);
	reserve(1, 1, 1, charge); /* a request: ten minutes more */
	pass(10 * MINUTE_MS - 1);
	ledger_sweep(ledger, now);
	cr_assert_eq(used(charge), 1);
	pass(1);
	ledger_sweep(ledger, now);
	cr_assert_eq(used(charge), 0);
	/* Still known: the same recipient is charged anew, and once. */
	reserve(1, 1, 1, charge);
	reserve(1, 1, 1, charge);
	cr_assert_eq(used(charge), 1);
}

Test(ledger, not_where_it_does_not_settle)
{
	struct store_charge charge = gate("a", "anna", 10, HOUR_MS);

	reserve(1, 1, 1, charge);
	pass(14 * MINUTE_MS);
	ledger_sweep(ledger, now);
	cr_assert_eq(used(charge), 1);
	cr_assert_eq(ledger->txns->count, 1);
	/* Known at last, in time for the end. */
	settle(99, 1, 0, false);
	pass(MINUTE_MS);
	ledger_sweep(ledger, now);
	cr_assert_eq(ledger->txns->count, 0);
	cr_assert_eq(used(charge), 0);
}

Test(ledger, kept_two_minutes_after_the_end_of_the_message)
{
	struct store_charge charge = gate("a", "anna", 10, HOUR_MS);

	reserve(1, 1, 1, charge);
	settle(1, 1, 10, true);
	pass(2 * MINUTE_MS - 1);
	ledger_sweep(ledger, now);
	cr_assert_eq(ledger->txns->count, 1);
	pass(1);
	ledger_sweep(ledger, now);
	cr_assert_eq(ledger->txns->count, 0);
	cr_assert_eq(used(charge), 1);
}

Test(ledger, a_transaction_with_thousands_of_recipients)
{
	struct store_charge charges[2] = {
		gate("a", "anna", 100000, HOUR_MS), gate("a", "anna", 100000, 24 * HOUR_MS)};

	for (uint64_t i = 1; i <= 3000; i++) {
		cr_assert_eq(reserve_all(1, i, (unsigned)i, charges, 2), -1);
		if (i % 500 == 0)
			pass(MINUTE_MS);
	}
	cr_assert_eq(used(charges[0]), 3000);
	settle(1, 2999, 0, false);
	cr_assert_eq(used(charges[0]), 2999);
	cr_assert_eq(used(charges[1]), 2999);
	ledger_refund(ledger, id(1), now);
	cr_assert_eq(used(charges[0]), 0);
	cr_assert_eq(used(charges[1]), 0);
}

Test(ledger, a_transaction_with_thousands_of_subjects)
{
	static char subjects[5000][16];

	for (unsigned i = 0; i < 5000; i++) {
		struct store_charge charge;

		snprintf(subjects[i], sizeof(subjects[i]), "%u@x", i % 990);
		charge = gate("a", subjects[i], 100, HOUR_MS);
		charge.one_subject = true;
		cr_assert(reserve(1, i + 1, i + 1, charge));
	}
	ledger_refund(ledger, id(1), now);
	for (unsigned i = 0; i < 990; i++)
		/* Recipients beyond the cap were charged and are given back with their group all
		 * the same. */
		cr_assert_eq(used(gate("a", subjects[i], 100, HOUR_MS)), 0);
}

Test(ledger, a_counter_that_left_takes_its_charge_along)
{
	struct store_charge charge = gate("a", "anna", 10, HOUR_MS);
	struct counter_key key = charge.key;

	reserve(1, 1, 1, charge);
	table_remove(ledger->counters,
		table_find(ledger->counters, &key, table_hash(ledger->counters, &key)));
	reserve(2, 1, 1, charge); /* in the same slot, another life */
	ledger_refund(ledger, id(1), now);
	cr_assert_eq(used(charge), 1);
	cr_assert_not(settle(1, 5, 0, false).refused);
	cr_assert_eq(used(charge), 1);
}

Test(ledger, reset_empties_all_counters_of_a_subject)
{
	struct store_charge charges[2] = {
		gate("a", "anna", 1, HOUR_MS), gate("b", "anna", 1, HOUR_MS)};
	struct store_charge other = gate("a", "bert", 1, HOUR_MS);

	reserve_all(1, 1, 1, charges, 2);
	reserve(2, 1, 1, other);
	cr_assert_eq(ledger_reset(ledger, SLICE("anna"), now), 2);
	cr_assert_eq(ledger_reset(ledger, SLICE("anna"), now), 0);
	cr_assert_eq(used(charges[0]), 0);
	cr_assert_eq(used(other), 1);
	cr_assert(reserve(3, 1, 1, charges[0]));
	ledger_refund(ledger, id(1), now); /* what was reset is not given back again */
	cr_assert_eq(used(charges[1]), 0);
}

Test(ledger, a_full_table_of_transactions_forgets_the_longest_unused)
{
	struct store_charge charge = gate("a", "anna", 100000, HOUR_MS);

	for (uint64_t i = 1; i <= 1000; i++) {
		reserve(i, 1, 1, charge);
		pass(1);
	}
	reserve(1, 1, 1, charge);
	reserve(1001, 1, 1, charge); /* number 2 leaves, its charge stands */
	cr_assert_eq(used(charge), 1001);
	reserve(1, 1, 1, charge);
	cr_assert_eq(used(charge), 1001);
	reserve(2, 1, 1, charge);
	cr_assert_eq(used(charge), 1002);
	cr_assert_eq(ledger->txns->count, 1000);
	cr_assert_eq(ledger->txns->evictions, 2);
}

Test(ledger, a_full_table_of_counters_lets_the_rest_pass)
{
	char subject[32];

	for (unsigned i = 0; i < 1000; i++) {
		snprintf(subject, sizeof(subject), "s%u", i);
		cr_assert(reserve(0, 1, 1, gate("a", subject, 1, HOUR_MS)));
	}
	cr_assert(reserve(5000, 1, 1, gate("a", "late", 1, HOUR_MS)));
	cr_assert(reserve(5000, 1, 1, gate("a", "late", 1, HOUR_MS)));
	cr_assert_eq(ledger->counters->no_room, 2);
	cr_assert_not(reserve(0, 1, 1, gate("a", "s500", 1, HOUR_MS)));
}

Test(ledger, a_clock_set_back_counts_on)
{
	struct store_charge charge = gate("a", "anna", 2, HOUR_MS);

	reserve(1, 1, 1, charge);
	now.wall_ms -= 30 * MINUTE_MS;
	cr_assert(reserve(2, 1, 1, charge));
	cr_assert_not(reserve(3, 1, 1, charge));
	ledger_refund(ledger, id(2), now);
	cr_assert_eq(used(charge), 1);
}

/* ---- services ---- */

Test(services, are_learned_and_forgotten)
{
	struct services services;
	uint64_t wall_ms = UINT64_C(1700000000000);

	services_init(&services, LEDGER_SETTLE_AUTO);
	cr_assert_not(services_settles(&services, 1, wall_ms));
	services_settled(&services, 1, wall_ms);
	cr_assert(services.changed);
	cr_assert(services_settles(&services, 1, wall_ms + SERVICES_FORGET_MS - 1));
	cr_assert_not(services_settles(&services, 1, wall_ms + SERVICES_FORGET_MS));
	services.changed = false;
	services_settled(&services, 1, wall_ms + MINUTE_MS);
	cr_assert_not(services.changed);
	services_settled(&services, 1, wall_ms + 2 * HOUR_MS);
	cr_assert(services.changed);
}

Test(services, are_doubted_when_nothing_settles_any_more)
{
	struct services services;

	services_init(&services, LEDGER_SETTLE_AUTO);
	services_settled(&services, 1, 1000);
	for (unsigned i = 0; i < SERVICES_DOUBT; i++) {
		cr_assert(services_settles(&services, 1, 1000));
		services_unsettled(&services, 1);
	}
	cr_assert_not(services_settles(&services, 1, 1000));
	services_settled(&services, 1, 1000);
	cr_assert(services_settles(&services, 1, 1000));
}

Test(services, are_a_bounded_number)
{
	struct services services;

	services_init(&services, LEDGER_SETTLE_AUTO);
	for (uint64_t i = 1; i <= SERVICES_MAX + 1; i++)
		services_settled(&services, i, i * 10);
	cr_assert_not(services_settles(&services, 1, 1000));
	for (uint64_t i = 2; i <= SERVICES_MAX + 1; i++)
		cr_assert(services_settles(&services, i, 1000));
}

Test(services, can_be_said)
{
	struct services services;

	services_init(&services, LEDGER_SETTLE_DATA);
	cr_assert(services_settles(&services, 1, 1000));
	services_init(&services, LEDGER_SETTLE_NONE);
	services_settled(&services, 1, 1000);
	cr_assert_not(services_settles(&services, 1, 1000));
}

/* ---- the table of transactions ---- */

Test(txns, random_coming_and_going)
{
	enum { IDS = 400 };
	static bool there[IDS];
	struct txn_table *table = txn_table_new(IDS);
	uint64_t random = 3;

	for (unsigned step = 0; step < 40000; step++) {
		struct txn *txn;
		unsigned which;

		random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
		which = (unsigned)(random >> 33) % IDS;
		/* All begin at the same few places of the index. */
		txn = txn_find(table, (struct hash128){which % 7, which + 1});
		cr_assert_eq(txn != NULL, there[which]);
		if (!txn) {
			txn = txn_add(table, (struct hash128){which % 7, which + 1}, step);
			for (unsigned i = 0; i < which % 40; i++)
				txn_add_member(table, txn)->recipient = which;
		} else if (step % 3) {
			cr_assert_eq(txn->members, which % 40);
			for (unsigned i = 0; i < txn->members; i++)
				cr_assert_eq(txn_members(txn)[i].recipient, which);
			txn_touch(table, txn, step);
			continue;
		} else {
			txn_remove(table, txn);
		}
		there[which] = !there[which];
	}
	cr_assert_eq(table->evictions, 0);
	txn_table_free(&table);
}

Test(txns, heaps_are_bounded_together)
{
	struct txn_table *table = txn_table_new(10000);

	for (uint64_t i = 1; i <= 10000; i++) {
		struct txn *txn = txn_add(table, id(i), i);

		while (txn_add_group(table, txn))
			;
		cr_assert_eq(txn->groups, TXN_MAX_ITEMS);
		if (table->evictions)
			break;
	}
	cr_assert_gt(table->evictions, 0);
	cr_assert_leq(table->heap_bytes, (64 << 20) + 10000 * 256);
	txn_table_free(&table);
}
