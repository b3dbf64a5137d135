/* SPDX-License-Identifier: ISC */
#include "daemon/bans/list.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const struct hash_key key = { 1, 2 };

static struct cidr network(const char *text)
{
	struct cidr cidr = { 0 };
	const char *why = NULL;

	cr_assert(cidr_parse(slice_of(text), &cidr, &why), "%s: %s", text, why);
	return cidr;
}

static struct ip address(const char *text)
{
	struct ip ip = { 0 };

	cr_assert(ip_parse(slice_of(text), &ip));
	return ip;
}

static struct ban ban_of(const char *text, uint64_t until, bool manual)
{
	return (struct ban){ .network = network(text), .until_wall_ms = until, .manual = manual, .times = 1 };
}

static bool put(struct ban_list *list, const char *text, uint64_t until, bool manual)
{
	struct ban ban = ban_of(text, until, manual);

	return ban_list_put(list, &ban) != NULL;
}

/* The end of the ban found; 0: none. */
static uint64_t found(const struct ban_list *list, const char *ip_text, uint64_t now)
{
	struct ip ip = address(ip_text);
	const struct ban *ban = ban_list_find(list, &ip, now, true);

	return ban ? ban->until_wall_ms : 0;
}

Test(ban_list, finds_what_covers_and_lasts_longest)
{
	struct ban_list *list = ban_list_new(key, 100);

	cr_expect(put(list, "192.0.2.1/32", 100, false));
	cr_expect(put(list, "192.0.2.0/24", 200, true));
	cr_expect(put(list, "2001:db8:1:2::/64", 300, false));
	cr_expect(put(list, "2001:db8:1::/48", 150, false));
	cr_expect_eq(found(list, "192.0.2.1", 50), 200);
	cr_expect_eq(found(list, "192.0.2.9", 50), 200);
	cr_expect_eq(found(list, "192.0.3.1", 50), 0);
	cr_expect_eq(found(list, "2001:db8:1:2::5", 50), 300);
	cr_expect_eq(found(list, "2001:db8:1:3::5", 50), 150);
	cr_expect_eq(found(list, "2001:db8:2::5", 50), 0);
	ban_list_free(&list);
	cr_expect_null(list);
}

Test(ban_list, never_finds_what_has_ended_or_automatic_ones_where_they_do_not_count)
{
	struct ban_list *list = ban_list_new(key, 100);
	struct ip ip = address("192.0.2.1");

	put(list, "192.0.2.1/32", 100, false);
	cr_expect_eq(found(list, "192.0.2.1", 99), 100);
	cr_expect_eq(found(list, "192.0.2.1", 100), 0);
	cr_expect_null(ban_list_find(list, &ip, 50, false));
	put(list, "192.0.2.1/32", 100, true);
	cr_expect_not_null(ban_list_find(list, &ip, 50, false));
	cr_expect_eq(ban_list_count(list), 1);
	ban_list_free(&list);
}

Test(ban_list, ended_automatic_bans_are_remembered_but_not_live)
{
	struct ban_list *list = ban_list_new(key, 100);
	struct cidr one = network("192.0.2.1/32");
	struct ban gone;

	put(list, "192.0.2.1/32", 100, false);
	put(list, "192.0.2.2/32", 100, true);
	cr_expect(ban_list_expire(list, 100, &gone), "told, and kept");
	cr_expect_not(gone.manual);
	cr_expect(ban_list_expire(list, 100, &gone), "the one by hand comes out");
	cr_expect(gone.manual);
	cr_expect_not(ban_list_expire(list, 100, &gone));
	cr_expect_eq(ban_list_count(list), 0);
	cr_expect_not_null(ban_list_get(list, &one));
	cr_expect_not(ban_list_forget(list, 99, &gone));
	cr_expect(ban_list_forget(list, 100, &gone));
	cr_expect_eq(gone.until_wall_ms, 100);
	cr_expect_null(ban_list_get(list, &one));
	cr_expect_not(ban_list_forget(list, 1000, &gone));
	ban_list_free(&list);
}

Test(ban_list, a_former_ban_lives_again)
{
	struct ban_list *list = ban_list_new(key, 100);
	struct ban gone;

	put(list, "192.0.2.1/32", 100, false);
	cr_expect(ban_list_expire(list, 150, &gone));
	cr_expect_not(ban_list_expire(list, 150, &gone));
	cr_expect(put(list, "192.0.2.1/32", 300, false));
	cr_expect_eq(found(list, "192.0.2.1", 200), 300);
	cr_expect_not(ban_list_forget(list, 1000, &gone));
	ban_list_free(&list);
}

Test(ban_list, when_full_former_leave_first_then_the_soonest_to_end_and_those_by_hand_never)
{
	struct ban_list *list = ban_list_new(key, 4);
	struct ban gone;
	bool was_live;

	put(list, "192.0.2.1/32", 10, false);
	ban_list_expire(list, 20, &gone);
	put(list, "192.0.2.2/32", 500, false);
	put(list, "192.0.2.3/32", 400, false);
	put(list, "192.0.2.4/32", 300, true);
	cr_expect(ban_list_is_full(list));
	cr_expect_not(put(list, "192.0.2.5/32", 600, false));
	cr_expect(put(list, "192.0.2.2/32", 700, false), "a known network needs no room");
	cr_expect(ban_list_evict(list, &gone, &was_live));
	cr_expect_eq(gone.until_wall_ms, 10);
	cr_expect_not(was_live);
	cr_expect(ban_list_evict(list, &gone, &was_live));
	cr_expect_eq(gone.until_wall_ms, 400);
	cr_expect(was_live);
	cr_expect(ban_list_evict(list, &gone, &was_live));
	cr_expect_eq(gone.until_wall_ms, 700);
	cr_expect_not(ban_list_evict(list, &gone, &was_live));
	cr_expect_eq(ban_list_count(list), 1);
	ban_list_free(&list);
}

Test(ban_list, knows_when_a_lower_maximum_is_passed)
{
	struct ban_list *list = ban_list_new(key, 10);
	struct ban gone;
	bool was_live;

	for (unsigned i = 0; i < 10; i++) {
		char text[32];

		snprintf(text, sizeof(text), "192.0.2.%u/32", i);
		put(list, text, 100 + i, false);
	}
	ban_list_set_max(list, 7);
	while (ban_list_is_over(list))
		cr_assert(ban_list_evict(list, &gone, &was_live));
	cr_expect_eq(gone.until_wall_ms, 102);
	cr_expect_eq(ban_list_count(list), 7);
	cr_expect_eq(found(list, "192.0.2.9", 0), 109);
	ban_list_free(&list);
}

Test(ban_list, counts_networks_within_a_wider_one)
{
	struct ban_list *list = ban_list_new(key, 100);
	struct cidr wide = network("2001:db8:7::/48");
	struct cidr one = network("2001:db8:7:3::/64");
	char text[64];

	for (unsigned i = 0; i < 8; i++) {
		snprintf(text, sizeof(text), "2001:db8:7:%x::/64", i);
		put(list, text, 100, false);
		snprintf(text, sizeof(text), "2001:db8:8:%x::/64", i);
		put(list, text, 100, true);
		cr_expect_eq(ban_list_has_within(list, &wide, 64, 8), i == 7);
	}
	wide = network("2001:db8:8::/48");
	cr_expect_not(ban_list_has_within(list, &wide, 64, 1), "by hand is not counted");
	wide = network("2001:db8:7::/48");
	cr_expect(ban_list_remove(list, &one, NULL));
	cr_expect_not(ban_list_remove(list, &one, NULL));
	cr_expect_not(ban_list_has_within(list, &wide, 64, 8));
	ban_list_free(&list);
}

static void count_one(void *arg, const struct ban *ban)
{
	(void)ban;
	++*(size_t *)arg;
}

/* Every way in and out, against a plain array. */
Test(ban_list, agrees_with_a_model)
{
	enum { NETWORKS = 300 };
	static uint64_t model[NETWORKS]; /* end; 0: not there */
	static bool model_manual[NETWORKS], model_former[NETWORKS];
	struct ban_list *list = ban_list_new(key, NETWORKS);
	uint64_t random = 88172645463325252U, now = 1;

	for (unsigned step = 0; step < 60000; step++) {
		struct ban ban = { .times = 1 }, gone;
		size_t i, live = 0, seen = 0;

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		i = random % NETWORKS;
		ban.network.bits = i % 3 == 0 ? 64 : 128;
		ban.network.ip.bytes[0] = 0x20;
		ban.network.ip.bytes[6] = (uint8_t)(i >> 8);
		ban.network.ip.bytes[7] = (uint8_t)i;
		ban.until_wall_ms = now + 1 + random / NETWORKS % 400;
		ban.manual = random >> 40 & 1;
		switch (random >> 50 & 3) {
		case 0:
		case 1:
			cr_assert(ban_list_put(list, &ban));
			model[i] = ban.until_wall_ms;
			model_manual[i] = ban.manual;
			model_former[i] = false;
			break;
		case 2:
			cr_assert_eq(ban_list_remove(list, &ban.network, &gone), model[i] != 0);
			model[i] = 0;
			break;
		default:
			now += random >> 60;
			while (ban_list_expire(list, now, &gone))
				cr_assert(gone.until_wall_ms <= now);
			for (size_t j = 0; j < NETWORKS; j++) {
				if (!model[j] || model[j] > now)
					continue;
				if (model_manual[j])
					model[j] = 0;
				else
					model_former[j] = true;
			}
		}
		cr_assert_eq(ban_list_get(list, &ban.network) != NULL, model[i] != 0);
		if (step % 64 != 0)
			continue;
		for (size_t j = 0; j < NETWORKS; j++) {
			struct ip ip = { .bytes = { [0] = 0x20, [6] = (uint8_t)(j >> 8), [7] = (uint8_t)j } };
			const struct ban *ban_found = ban_list_find(list, &ip, now, true);
			bool is_live = model[j] && !model_former[j];

			live += is_live;
			cr_assert_eq(ban_found ? ban_found->until_wall_ms : 0,
				     is_live && model[j] > now ? model[j] : 0);
		}
		ban_list_each(list, count_one, &seen);
		cr_assert_eq(seen, live);
		cr_assert_eq(ban_list_count(list), live);
	}
	ban_list_free(&list);
}
