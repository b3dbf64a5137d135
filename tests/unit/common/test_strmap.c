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

/* At each size, few keys or many: all that were set are found, and nothing of the same lengths beside them. */
Test(strmap, finds_all_at_each_size)
{
	struct strmap *map = strmap_new();
	static int values[200];
	char key[80];

	for (int count = 0; count < 200; count++) {
		for (int i = 0; i < 200; i++) {
			int len = snprintf(key, sizeof(key), "%0*d", 1 + i % 70, i);
			struct slice text = slice_make(key, (size_t)len);

			cr_assert_eq(strmap_get(map, text), i < count ? &values[i] : NULL);
			if (i == count) {
				strmap_set(map, text, &values[i]);
				break;
			}
			key[len - 1] = 'x';
			cr_assert_null(strmap_get(map, text));
		}
	}
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
