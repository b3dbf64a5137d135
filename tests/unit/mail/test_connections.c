/* SPDX-License-Identifier: ISC */
#include "daemon/mail/connections.h"

#include <criterion/criterion.h>

static struct hash128 key_of(unsigned i)
{
	return (struct hash128){ i * UINT64_C(0x9e3779b97f4a7c15), i + 1 };
}

Test(connections, kept_until_ten_idle_minutes_have_passed)
{
	struct connections *connections = connections_new(10);
	struct hash128 key = key_of(1);
	uint64_t now = 1000;

	cr_assert_null(connections_find(connections, key, now));
	connections_get(connections, key, now)->strikes = 3;
	now += CONNECTIONS_IDLE_MS - 1;
	cr_assert_eq(connections_get(connections, key, now)->strikes, 3);
	now += CONNECTIONS_IDLE_MS - 1;
	cr_assert_eq(connections_find(connections, key, now)->strikes, 3);
	now += CONNECTIONS_IDLE_MS;
	cr_assert_null(connections_find(connections, key, now));
	cr_assert_eq(connections_count(connections), 0);
	cr_assert_eq(connections_get(connections, key, now)->strikes, 0);
	cr_assert_not_null(connections_find(connections, key, now - 500), "an earlier time is no trouble");
	connections_free(&connections);
}

Test(connections, the_longest_idle_leaves_when_full)
{
	struct connections *connections = connections_new(3);
	struct hash128 keys[4];

	for (unsigned i = 0; i < 4; i++)
		keys[i] = key_of(i);
	for (int i = 0; i < 3; i++)
		connections_get(connections, keys[i], 10)->strikes = 1;
	connections_find(connections, keys[0], 11);
	connections_get(connections, keys[3], 12);
	cr_assert_eq(connections_count(connections), 3);
	cr_assert_not_null(connections_find(connections, keys[0], 12));
	cr_assert_null(connections_find(connections, keys[1], 12));
	cr_assert_not_null(connections_find(connections, keys[2], 12));
	connections_free(&connections);
}

Test(connections, those_that_are_over_are_cleared_a_few_at_a_time)
{
	struct connections *connections = connections_new(100);
	uint64_t later = CONNECTIONS_IDLE_MS + 1000;

	for (unsigned i = 0; i < 12; i++)
		connections_get(connections, key_of(i), 10);
	connections_get(connections, key_of(100), later);
	cr_assert_eq(connections_count(connections), 10);
	for (unsigned i = 0; i < 6; i++)
		connections_get(connections, key_of(101 + i), later);
	cr_assert_eq(connections_count(connections), 7);
	connections_free(&connections);
}

Test(connections, a_million_stay_bounded)
{
	struct connections *connections = connections_new(1000);

	for (uint64_t i = 0; i < 1000000; i++)
		connections_get(connections, (struct hash128){ i * 0x9e3779b97f4a7c15u, i + 1 }, i)->strikes = 1;
	cr_assert_eq(connections_count(connections), 1000);
	cr_assert_not_null(connections_find(connections,
					    (struct hash128){ 999000 * 0x9e3779b97f4a7c15u, 999001 }, 1000000));
	cr_assert_null(connections_find(connections,
					(struct hash128){ 998999 * 0x9e3779b97f4a7c15u, 999000 }, 1000000));
	connections_free(&connections);
}
