/* SPDX-License-Identifier: ISC */
#include "daemon/dns/cache.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static const struct hash_key key = { 1, 2 };
static struct dns_cache cache;

static uint64_t hash_of(const char *name)
{
	return hash64(&key, slice_of(name));
}

static void put(const char *name, enum dns_status status, uint64_t expires_ms)
{
	struct dns_answer answer = { .status = status };
	struct dns_entry *entry =
		dns_entry_new(DNS_A, slice_of(name), hash_of(name), &answer, expires_ms);

	dns_cache_put(&cache, entry);
	dns_entry_unref(&entry);
}

static const struct dns_answer *get(const char *name, uint64_t now_ms)
{
	struct dns_entry *entry =
		dns_cache_get(&cache, DNS_A, slice_of(name), hash_of(name), now_ms);

	return entry ? entry->answer : NULL;
}

static const struct dns_answer *recall(const char *name, uint64_t now_ms)
{
	struct dns_entry *entry = dns_cache_recall(&cache, DNS_A, slice_of(name), now_ms);

	return entry ? entry->answer : NULL;
}

static void teardown(void)
{
	dns_cache_release(&cache);
}

TestSuite(dns_cache, .fini = teardown);

Test(dns_cache, an_entry_lives_until_it_expires)
{
	dns_cache_init(&cache, 10);
	put("a.test", DNS_NODATA, 1000);
	cr_assert_eq(get("a.test", 999)->status, DNS_NODATA);
	cr_assert_null(get("b.test", 999));
	cr_assert_null(get("a.test", 1000));
	cr_assert_eq(cache.count, 0);
	cr_assert_eq(cache.bytes, 0);
}

Test(dns_cache, types_are_apart)
{
	dns_cache_init(&cache, 10);
	put("a.test", DNS_NODATA, 1000);
	cr_assert_null(dns_cache_get(&cache, DNS_MX, SLICE("a.test"), hash_of("a.test"), 1));
}

Test(dns_cache, the_newer_answer_replaces_the_older)
{
	dns_cache_init(&cache, 10);
	put("a.test", DNS_NODATA, 1000);
	put("a.test", DNS_NXDOMAIN, 2000);
	cr_assert_eq(cache.count, 1);
	cr_assert_eq(get("a.test", 1500)->status, DNS_NXDOMAIN);
}

Test(dns_cache, the_least_recently_used_leaves)
{
	dns_cache_init(&cache, 3);
	put("a.test", DNS_NODATA, 1000);
	put("b.test", DNS_NODATA, 1000);
	put("c.test", DNS_NODATA, 1000);
	cr_assert_not_null(get("a.test", 1));
	put("d.test", DNS_NODATA, 1000);
	cr_assert_eq(cache.count, 3);
	cr_assert_not_null(get("a.test", 1));
	cr_assert_null(get("b.test", 1));
}

Test(dns_cache, a_reference_outlives_the_cache)
{
	struct dns_answer answer = { .status = DNS_NXDOMAIN };
	struct dns_entry *entry =
		dns_entry_new(DNS_A, SLICE("a.test"), hash_of("a.test"), &answer, 5);

	dns_cache_init(&cache, 0);
	dns_cache_put(&cache, entry);
	cr_assert_eq(cache.count, 0);
	cr_assert_eq(entry->answer->status, DNS_NXDOMAIN);
	dns_entry_unref(&entry);
	cr_assert_null(entry);
}

Test(dns_cache, big_answers_are_bounded_by_bytes)
{
	static const char long_name[] =
		"a-very-long-name-that-somebody-made-to-fill-our-memory-with.example.org";
	struct dns_answer *answer = calloc(1, sizeof(*answer) + 16 * sizeof(struct dns_record));
	char name[64];

	answer->count = 16;
	for (unsigned i = 0; i < 16; i++)
		answer->records[i].name = slice_of(long_name);
	dns_cache_init(&cache, 1000);
	for (unsigned i = 0; i < 1000; i++) {
		struct dns_entry *entry;

		snprintf(name, sizeof(name), "%u.test", i);
		entry = dns_entry_new(DNS_MX, slice_of(name), hash_of(name), answer, 1000);
		dns_cache_put(&cache, entry);
		cr_assert_eq(entry->answer->records[15].name.len, sizeof(long_name) - 1);
		dns_entry_unref(&entry);
		cr_assert_leq(cache.bytes, 1000u * DNS_CACHE_ENTRY_BYTES);
	}
	cr_assert_lt(cache.count, 1000);
	cr_assert_gt(cache.count, 200);
	free(answer);
}

Test(dns_cache, sweeping_drops_what_is_too_old)
{
	char name[64];

	dns_cache_init(&cache, 1000);
	for (unsigned i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "%u.test", i);
		put(name, DNS_NODATA, i % 2 ? 1000 : UINT64_MAX);
	}
	for (uint64_t now_ms = 1000; now_ms < 1000 + 64 * 5000; now_ms += 1000)
		dns_cache_sweep(&cache, now_ms);
	cr_assert_eq(cache.count, 250);
}

Test(dns_cache, what_was_got_a_moment_ago_is_recalled_until_it_expires)
{
	dns_cache_init(&cache, 10);
	put("mx1.a.test", DNS_NODATA, 1000);
	cr_assert_null(recall("mx1.a.test", 1), "never asked for");
	cr_assert_eq(get("mx1.a.test", 1)->status, DNS_NODATA);
	cr_assert_eq(recall("mx1.a.test", 999), get("mx1.a.test", 999));
	cr_assert_null(dns_cache_recall(&cache, DNS_MX, SLICE("mx1.a.test"), 1));
	cr_assert_null(recall("mx2.a.test", 1));
	cr_assert_null(recall("MX1.a.test", 1));
	cr_assert_null(recall("mx1.a.test", 1000));
}

/* ASan sees to it that none of these looks at what is gone. */
Test(dns_cache, what_has_gone_is_not_recalled)
{
	dns_cache_init(&cache, 2);
	put("mx1.a.test", DNS_NODATA, 1000);
	cr_assert_not_null(get("mx1.a.test", 1));
	put("mx1.a.test", DNS_NXDOMAIN, 2000);
	cr_assert_null(recall("mx1.a.test", 1), "replaced");
	cr_assert_eq(get("mx1.a.test", 1)->status, DNS_NXDOMAIN);
	cr_assert_eq(recall("mx1.a.test", 1), get("mx1.a.test", 1));
	put("mx1.b.test", DNS_NODATA, 1000);
	put("mx1.c.test", DNS_NODATA, 1000);
	cr_assert_null(recall("mx1.a.test", 1), "pushed out");
	cr_assert_not_null(get("mx1.b.test", 1));
	cr_assert_null(get("mx1.b.test", 1000), "too old");
	cr_assert_null(recall("mx1.b.test", 1));
}

/* All short names share a place, and so do long ones that differ only between begin, middle and end. */
Test(dns_cache, names_in_one_place_are_not_mixed_up)
{
	static const char *const names[] = { "", "a", "b", "a.test", "b.test", "a.b.c.d",
		"12345678.1.234567890.123.12345678", "12345678.2.234567890.123.12345678" };
	size_t count = sizeof(names) / sizeof(names[0]);

	dns_cache_init(&cache, 20);
	for (size_t i = 0; i < count; i++)
		put(names[i], DNS_NODATA, 1000);
	for (size_t i = 0; i < count; i++) {
		const struct dns_answer *answer = get(names[i], 1);

		cr_assert_not_null(answer);
		for (size_t j = 0; j < count; j++) {
			const struct dns_answer *recalled = recall(names[j], 1);

			cr_assert(i == j ? recalled == answer
					 : !recalled || recalled == get(names[j], 1));
			cr_assert_eq(get(names[i], 1), answer);
		}
	}
}

/* As the mail hosts of a provider's domains; one in ten may share its place with another one. */
Test(dns_cache, names_that_differ_in_the_middle_have_places_of_their_own)
{
	char names[32][40];
	unsigned recalled = 0;

	dns_cache_init(&cache, 40);
	for (unsigned i = 0; i < 32; i++) {
		snprintf(names[i], sizeof(names[i]), "mx1.mail.customer%u.provider.example", i);
		put(names[i], DNS_NODATA, 1000);
		cr_assert_not_null(get(names[i], 1));
	}
	for (unsigned i = 0; i < 32; i++)
		recalled += recall(names[i], 1) != NULL;
	cr_assert_geq(recalled, 28);
}

Test(dns_cache, to_be_recalled_is_to_be_used)
{
	dns_cache_init(&cache, 2);
	put("mx1.a.test", DNS_NODATA, 1000);
	put("mx1.b.test", DNS_NODATA, 1000);
	cr_assert_not_null(get("mx1.a.test", 1));
	cr_assert_not_null(get("mx1.b.test", 1));
	cr_assert_not_null(recall("mx1.a.test", 1));
	put("mx1.c.test", DNS_NODATA, 1000);
	cr_assert_not_null(get("mx1.a.test", 1));
	cr_assert_null(get("mx1.b.test", 1));
}
