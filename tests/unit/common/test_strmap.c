/* SPDX-License-Identifier: ISC */
#include "common/strmap.h"

#include <criterion/criterion.h>
#include <stdio.h>

Test(strmap, finds_what_was_set_and_nothing_else)
{
	struct strmap *map = strmap_new();
	int a, b, c;

	cr_assert_null(strmap_get(map, SLICE("a")));
	strmap_set(map, SLICE("a"), &a);
	strmap_set(map, SLICE_EMPTY, &b);
	cr_assert_eq(strmap_get(map, SLICE("a")), &a);
	cr_assert_eq(strmap_get(map, SLICE_EMPTY), &b);
	cr_assert_eq(strmap_get(map, slice_make(NULL, 0)), &b);
	cr_assert_null(strmap_get(map, SLICE("A")));
	cr_assert_null(strmap_get(map, slice_make("a", 2)));
	strmap_set(map, SLICE("a"), &c);
	cr_assert_eq(strmap_get(map, SLICE("a")), &c);
	cr_assert_eq(strmap_count(map), 2);
	strmap_free(&map);
	cr_assert_null(map);
	strmap_free(&map);
}

Test(strmap, keys_are_copies)
{
	struct strmap *map = strmap_new();
	char key[] = "key";
	int value;

	strmap_set(map, slice_of(key), &value);
	key[0] = 'K';
	cr_assert_eq(strmap_get(map, SLICE("key")), &value);
	cr_assert_null(strmap_get(map, slice_of(key)));
	strmap_free(&map);
}

Test(strmap, holds_many)
{
	struct strmap *map = strmap_new();
	static int values[50000];
	char key[32];

	for (int i = 0; i < 50000; i++)
		strmap_set(map, slice_make(key, (size_t)snprintf(key, sizeof(key), "name-%d", i)), &values[i]);
	cr_assert_eq(strmap_count(map), 50000);
	for (int i = 0; i < 50000; i++)
		cr_assert_eq(strmap_get(map, slice_make(key, (size_t)snprintf(key, sizeof(key), "name-%d", i))),
			     &values[i]);
	cr_assert_null(strmap_get(map, SLICE("name-50000")));
	strmap_free(&map);
}
