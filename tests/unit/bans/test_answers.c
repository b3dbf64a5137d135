/* SPDX-License-Identifier: ISC */
#include "daemon/bans/answers.h"

#include <criterion/criterion.h>

static struct ip client = { { [10] = 0xff, [11] = 0xff, 198, 51, 100, 7 } };
static struct ip other = { { [10] = 0xff, [11] = 0xff, 198, 51, 100, 8 } };

Test(answers, the_process_is_the_first_field_of_the_instance)
{
	cr_expect_eq(answers_process(SLICE("1a2b.65000000.1.0")), 0x1a2b);
	cr_expect_eq(answers_process(SLICE("3fffff.1.1.0")), 4194303, "the largest of Linux");
	cr_expect_eq(answers_process(SLICE("")), 0);
	cr_expect_eq(answers_process(SLICE(".1.1.0")), 0);
	cr_expect_eq(answers_process(SLICE("1a2b")), 0);
	cr_expect_eq(answers_process(SLICE("1a2B.1.1.0")), 0);
	cr_expect_eq(answers_process(SLICE("x.1.1.0")), 0);
	cr_expect_eq(answers_process(SLICE("123456789.1.1.0")), 0, "too long");
}

Test(answers, an_entry_is_of_one_process_and_client)
{
	struct answers *answers = answers_new((struct hash_key){ 1, 2 });

	cr_expect_null(answers_find(answers, 5, &client, 1000));
	answers_get(answers, 5, &client, 1000)->strikes = 3;
	cr_expect_eq(answers_get(answers, 5, &client, 2000)->strikes, 3);
	cr_expect_null(answers_find(answers, 6, &client, 2000));
	cr_expect_null(answers_find(answers, 5, &other, 2000));
	answers_drop(answers, 5, &other);
	answers_drop(answers, 5, &client);
	cr_expect_null(answers_find(answers, 5, &client, 2000));
	cr_expect_eq(answers_get(answers, 5, &client, 2000)->strikes, 0, "begins anew");
	answers_free(&answers);
	cr_expect_null(answers);
	answers_free(&answers);
}

Test(answers, what_nobody_asks_for_dies_after_an_hour)
{
	struct answers *answers = answers_new((struct hash_key){ 1, 2 });

	answers_get(answers, 5, &client, 1000)->strikes = 3;
	cr_expect_not_null(answers_find(answers, 5, &client, 1000 + ANSWERS_IDLE_MS - 1));
	cr_expect_null(answers_find(answers, 5, &client, 1000 + 2 * ANSWERS_IDLE_MS));
	answers_free(&answers);
}

Test(answers, the_longest_unused_leaves_a_full_table)
{
	struct answers *answers = answers_new((struct hash_key){ 1, 2 });

	for (uint32_t i = 1; i <= ANSWERS_MAX_ENTRIES; i++)
		answers_get(answers, i, &client, 1000 + i)->strikes = i;
	cr_expect_not_null(answers_find(answers, 1, &client, 30000), "used again");
	answers_get(answers, ANSWERS_MAX_ENTRIES + 1, &client, 30001);
	cr_expect_eq(answers_count(answers), ANSWERS_MAX_ENTRIES);
	cr_expect_not_null(answers_find(answers, 1, &client, 30002));
	cr_expect_null(answers_find(answers, 2, &client, 30002));
	answers_free(&answers);
}
