/* SPDX-License-Identifier: ISC */
#include "daemon/mail/recent.h"

#include <criterion/criterion.h>

static struct hash128 key_of(uint64_t lo)
{
	return (struct hash128){ lo, 7 };
}

Test(recent, the_longest_unused_comes_first)
{
	struct recent *recent = recent_new(3);
	uint32_t a = recent_add(recent, key_of(1), 10), b = recent_add(recent, key_of(2), 20);
	uint32_t c = recent_add(recent, key_of(3), 30);

	cr_assert(a == 0 && b == 1 && c == 2);
	cr_assert(recent_is_full(recent));
	cr_assert_eq(recent_oldest(recent), a);
	recent_touch(recent, a, 40);
	cr_assert_eq(recent_oldest(recent), b);
	cr_assert_eq(recent_last_use(recent, a), 40);
	recent_remove(recent, c);
	recent_remove(recent, b);
	cr_assert_eq(recent_oldest(recent), a);
	cr_assert_eq(recent_find(recent, key_of(2)), RECENT_NONE);
	cr_assert_eq(recent_add(recent, key_of(9), 50), b);
	recent_remove(recent, a);
	recent_remove(recent, b);
	cr_assert_eq(recent_oldest(recent), RECENT_NONE);
	cr_assert_eq(recent_count(recent), 0);
	recent_free(&recent);
	recent_free(&recent);
}

/* Against a plain array: few distinct homes, so that runs are long and wrap around. */
Test(recent, agrees_with_a_plain_array)
{
	enum { KEYS = 64, MAX = 24 };
	struct recent *recent = recent_new(MAX);
	uint64_t used_at[KEYS] = { 0 }, random = 1;

	for (uint64_t now = 1; now < 200000; now++) {
		size_t k;
		struct hash128 key;
		uint32_t entry;

		random = random * 6364136223846793005u + 1442695040888963407u;
		k = random >> 40 & (KEYS - 1);
		key = (struct hash128){ (k & 3) * 21 + 62, k };
		entry = recent_find(recent, key);
		cr_assert_eq(entry != RECENT_NONE, used_at[k] != 0);
		if (entry != RECENT_NONE && (random >> 60) < 6) {
			recent_remove(recent, entry);
			used_at[k] = 0;
			continue;
		}
		if (entry != RECENT_NONE) {
			recent_touch(recent, entry, now);
		} else {
			if (recent_is_full(recent)) {
				uint64_t oldest = recent_last_use(recent, recent_oldest(recent));

				for (size_t i = 0; i < KEYS; i++) {
					cr_assert(!used_at[i] || used_at[i] >= oldest);
					if (used_at[i] == oldest)
						used_at[i] = 0;
				}
				recent_remove(recent, recent_oldest(recent));
			}
			recent_add(recent, key, now);
		}
		used_at[k] = now;
	}
	recent_free(&recent);
}
