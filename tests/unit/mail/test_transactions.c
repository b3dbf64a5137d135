/* SPDX-License-Identifier: ISC */
#include "daemon/mail/transactions.h"

#include <criterion/criterion.h>

static const struct hash128 zero;

static struct hash128 id_of(uint64_t i)
{
	return (struct hash128){ i * 0x9e3779b97f4a7c15u, i + 1 };
}

Test(transactions, the_zero_id_is_never_remembered)
{
	struct transactions *table = transactions_new(10);

	cr_assert_null(transactions_find(table, zero, 1));
	cr_assert_null(transactions_get(table, zero, 1));
	cr_assert_eq(transactions_count(table), 0);
	transactions_free(&table);
	cr_assert_null(table);
	transactions_free(&table);
}

Test(transactions, distinct_recipients_are_counted)
{
	struct transactions *table = transactions_new(10);
	struct transaction *transaction = transactions_get(table, id_of(1), 1);

	cr_assert_eq(transaction_recipients(transaction), 0);
	cr_assert_eq(transaction_recipients_with(transaction, 0), 1);
	transaction_add_recipient(transaction, 0);
	transaction_add_recipient(transaction, 0);
	cr_assert_eq(transaction_recipients(transaction), 1);
	cr_assert_eq(transaction_recipients_with(transaction, 0), 1);
	cr_assert_eq(transaction_recipients_with(transaction, 5), 2);
	for (uint64_t i = 0; i < 100; i++)
		transaction_add_recipient(transaction, i);
	cr_assert_eq(transaction_recipients(transaction), 100);
	for (uint64_t i = 0; i < 100; i += 2)
		transaction_remove_recipient(transaction, i);
	transaction_remove_recipient(transaction, 0);
	cr_assert_eq(transaction_recipients(transaction), 50);
	cr_assert_eq(transaction_recipients_with(transaction, 99), 50);
	cr_assert_eq(transaction_recipients_with(transaction, 98), 51);
	cr_assert_eq(transactions_find(table, id_of(1), 2), transaction);
	transactions_free(&table);
}

Test(transactions, recipients_past_the_cap_are_counted_only)
{
	struct transactions *table = transactions_new(10000);
	struct transaction *transaction = transactions_get(table, id_of(1), 1);

	for (uint64_t i = 0; i < TRANSACTIONS_MAX_RECIPIENTS + 10; i++)
		transaction_add_recipient(transaction, i);
	transaction_add_recipient(transaction, TRANSACTIONS_MAX_RECIPIENTS + 1);
	cr_assert_eq(transaction_recipients(transaction), TRANSACTIONS_MAX_RECIPIENTS + 11);
	/* Refused: it may never have been added. */
	transaction_remove_recipient(transaction, TRANSACTIONS_MAX_RECIPIENTS + 1);
	transaction_remove_recipient(transaction, TRANSACTIONS_MAX_RECIPIENTS + 99);
	cr_assert_eq(transaction_recipients(transaction), TRANSACTIONS_MAX_RECIPIENTS + 11);
	transactions_free(&table);
}

Test(transactions, each_mark_is_first_once)
{
	struct transactions *table = transactions_new(10);
	struct transaction *transaction = transactions_get(table, id_of(1), 1);

	for (uint32_t what = 0; what < 32; what++) {
		cr_assert(transaction_is_first(transaction, what));
		cr_assert(transaction_first(transaction, what));
		cr_assert_not(transaction_is_first(transaction, what));
		cr_assert_not(transaction_first(transaction, what));
		cr_assert_not(transaction_first(transaction, 0));
	}
	cr_assert_not(transaction_is_first(transaction, 99));
	cr_assert_not(transaction_first(transaction, 99));
	transaction = transactions_get(table, id_of(2), 1);
	cr_assert(transaction_first(transaction, 0));
	transactions_free(&table);
}

Test(transactions, kept_fifteen_minutes_or_two_after_the_end)
{
	struct transactions *table = transactions_new(10);
	uint64_t now = 5;

	transaction_add_recipient(transactions_get(table, id_of(1), now), 7);
	now += TRANSACTIONS_IDLE_MS - 1;
	cr_assert_eq(transaction_recipients(transactions_get(table, id_of(1), now)), 1);
	now += TRANSACTIONS_IDLE_MS;
	cr_assert_null(transactions_find(table, id_of(1), now));
	cr_assert_eq(transactions_count(table), 0);
	transaction_add_recipient(transactions_get(table, id_of(1), now), 7);
	transaction_end(transactions_get(table, id_of(1), now));
	now += TRANSACTIONS_ENDED_MS - 1;
	cr_assert_not_null(transactions_find(table, id_of(1), now));
	now += TRANSACTIONS_ENDED_MS;
	cr_assert_null(transactions_find(table, id_of(1), now));
	cr_assert_eq(transaction_recipients(transactions_get(table, id_of(1), now)), 0);
	transactions_free(&table);
}

Test(transactions, the_longest_unused_leaves_when_full)
{
	struct transactions *table = transactions_new(3);

	for (uint64_t i = 1; i <= 3; i++) {
		for (uint64_t r = 0; r < 5; r++)
			transaction_add_recipient(transactions_get(table, id_of(i), i), r);
	}
	transactions_find(table, id_of(1), 4);
	transactions_get(table, id_of(4), 5);
	cr_assert_eq(transactions_count(table), 3);
	cr_assert_null(transactions_find(table, id_of(2), 5));
	cr_assert_eq(transaction_recipients(transactions_find(table, id_of(1), 5)), 5);
	cr_assert_eq(transaction_recipients(transactions_find(table, id_of(4), 5)), 0);
	transactions_free(&table);
}

Test(transactions, recipients_of_all_are_bounded_together)
{
	struct transactions *table = transactions_new(1000);

	for (uint64_t i = 0; i < 100; i++) {
		struct transaction *transaction = transactions_get(table, id_of(i), i);

		for (uint64_t r = 0; r < 1024; r++)
			transaction_add_recipient(transaction, r);
	}
	/* 8,000 fit: seven of these, and the one that went over the bound. */
	cr_assert_leq(transactions_count(table), 9);
	cr_assert_eq(transaction_recipients(transactions_find(table, id_of(99), 100)), 1024);
	transactions_free(&table);
}

Test(transactions, a_million_stay_bounded)
{
	struct transactions *table = transactions_new(2000);

	for (uint64_t i = 0; i < 1000000; i++) {
		struct transaction *transaction = transactions_get(table, id_of(i), i / 8);

		for (uint64_t r = 0; r < i % 4; r++)
			transaction_add_recipient(transaction, r);
		transaction_first(transaction, (uint32_t)i);
		if (i % 3 == 0)
			transaction_end(transaction);
	}
	cr_assert_leq(transactions_count(table), 2000);
	cr_assert_not_null(transactions_find(table, id_of(999999), 125000));
	transactions_free(&table);
}
