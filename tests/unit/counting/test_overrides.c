/* SPDX-License-Identifier: ISC */
/*
 * The table of live limits: found by rule and subject, ended by time, bounded, marked until
 * written; and against a plain list over random changes.
 */
#include "daemon/counting/overrides.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct override make(const char *rule, unsigned subject, uint64_t until_wall_ms)
{
	struct override override = {
		.rates = {{subject + 1, 3600000}}, .rate_count = 1, .until_wall_ms = until_wall_ms};

	snprintf(override.rule, sizeof(override.rule), "%s", rule);
	snprintf(override.subject, sizeof(override.subject), "user%u", subject);
	return override;
}

static bool has(
	const struct overrides *overrides, const char *rule, unsigned subject, uint64_t wall_ms)
{
	struct override wanted = make(rule, subject, 0);
	const struct override *found =
		overrides_find(overrides, slice_of(rule), slice_of(wanted.subject), wall_ms);

	if (found)
		cr_assert(found->rates[0].limit == subject + 1);
	return found != NULL;
}

static void put(struct overrides *overrides, const char *rule, unsigned subject, uint64_t until_ms)
{
	struct override override = make(rule, subject, until_ms);

	cr_assert(overrides_put(overrides, &override));
}

Test(overrides, is_bounded_and_room_comes_back)
{
	struct overrides *overrides = overrides_new(100);
	struct override more = make("a", 100, UINT64_MAX);

	for (unsigned i = 0; i < 100; i++)
		put(overrides, "a", i, UINT64_MAX);
	cr_assert_not(overrides_put(overrides, &more));
	put(overrides, "a", 5, UINT64_MAX); /* replacing needs no room */
	cr_assert(overrides_remove(overrides, SLICE("a"), SLICE("user7")));
	cr_assert(overrides_put(overrides, &more));
	cr_assert(has(overrides, "a", 100, 0));
	cr_assert_not(has(overrides, "a", 7, 0));
	cr_assert_not(has(overrides, "b", 100, 0));
	cr_assert_eq(overrides_count(overrides), 100);
	overrides_free(&overrides);
	cr_assert_null(overrides);
	overrides_free(&overrides);
	cr_assert_null(overrides_find(NULL, SLICE("a"), SLICE("b"), 0));
}

Test(overrides, ends_in_time)
{
	struct overrides *overrides = overrides_new(100);

	put(overrides, "a", 1, 1000);
	put(overrides, "a", 2, 2000);
	put(overrides, "a", 3, UINT64_MAX);
	cr_assert(has(overrides, "a", 1, 999));
	cr_assert_not(has(overrides, "a", 1, 1000));
	cr_assert_eq(overrides_expire(overrides, 999), 0);
	cr_assert_eq(overrides_expire(overrides, 1000), 1);
	cr_assert_eq(overrides_expire(overrides, 1999), 0);
	put(overrides, "a", 3, 1500); /* sooner than it was */
	cr_assert_eq(overrides_expire(overrides, 1999), 1);
	cr_assert_eq(overrides_expire(overrides, UINT64_MAX - 1), 1);
	cr_assert_eq(overrides_count(overrides), 0);
	overrides_free(&overrides);
}

Test(overrides, marks_what_changed)
{
	struct overrides *overrides = overrides_new(100);
	uint32_t slot;

	put(overrides, "a", 1, UINT64_MAX);
	put(overrides, "a", 2, UINT64_MAX);
	cr_assert_eq(overrides_next_dirty(overrides, 0), 0);
	cr_assert_eq(overrides_next_dirty(overrides, 1), 1);
	cr_assert_eq(overrides_next_dirty(overrides, 0), OVERRIDE_NONE);
	cr_assert_not(overrides_is_dirty(overrides));
	cr_assert(overrides_remove(overrides, SLICE("a"), SLICE("user1")));
	cr_assert(overrides_is_dirty(overrides));
	slot = overrides_next_dirty(overrides, 0);
	cr_assert_eq(slot, 0);
	cr_assert_null(overrides_at(overrides, slot));
	overrides_mark(overrides, slot);
	overrides_mark(overrides, slot);
	cr_assert_eq(overrides_next_dirty(overrides, 0), 0);
	cr_assert_eq(overrides_next_dirty(overrides, 0), OVERRIDE_NONE);
	overrides_free(&overrides);
}

Test(overrides, restores_into_slots)
{
	struct overrides *overrides = overrides_new(100);
	struct override first = make("a", 1, UINT64_MAX), second = make("a", 2, UINT64_MAX);

	cr_assert(overrides_restore(overrides, 40, &first));
	cr_assert_not(overrides_restore(overrides, 40, &second), "taken");
	cr_assert_not(overrides_restore(overrides, 41, &first), "known");
	cr_assert_not(overrides_restore(overrides, 100, &second), "too far");
	cr_assert(overrides_restore(overrides, 3, &second));
	overrides_restored(overrides);
	cr_assert_not(overrides_is_dirty(overrides));
	cr_assert(has(overrides, "a", 1, 0) && has(overrides, "a", 2, 0));
	put(overrides, "a", 3, UINT64_MAX);
	cr_assert_eq(overrides_next_dirty(overrides, 0), 0, "the first free slot");
	for (unsigned i = 4; i < 101; i++)
		put(overrides, "a", i, UINT64_MAX);
	cr_assert_eq(overrides_count(overrides), 100);
	overrides_free(&overrides);
}

#define SUBJECTS 300

Test(overrides, as_a_plain_list_would)
{
	struct overrides *overrides = overrides_new(SUBJECTS);
	bool there[SUBJECTS] = {false};
	uint64_t random = 88172645463325252u;
	size_t count = 0;

	for (unsigned step = 0; step < 20000; step++) {
		unsigned subject;
		struct override override;

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		subject = (unsigned)(random % SUBJECTS);
		override = make("rule", subject, UINT64_MAX);
		if (random >> 40 & 1) {
			cr_assert(overrides_put(overrides, &override));
			count += !there[subject];
			there[subject] = true;
		} else {
			cr_assert_eq(overrides_remove(
					     overrides, SLICE("rule"), slice_of(override.subject)),
				there[subject]);
			count -= there[subject];
			there[subject] = false;
		}
		cr_assert_eq(overrides_count(overrides), count);
		subject = (unsigned)(random >> 20) % SUBJECTS;
		cr_assert_eq(has(overrides, "rule", subject, 0), there[subject]);
	}
	overrides_free(&overrides);
}
