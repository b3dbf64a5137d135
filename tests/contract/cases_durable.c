/* SPDX-License-Identifier: ISC */
/*
 * Bans, and what outlives the process: an orderly restart, and kill -9.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/contract/contract.h"

/* ---- bans ---- */

static struct ban ban_of(const char *network, uint32_t times)
{
	struct ban ban = {.since_wall_ms = CONTRACT_BEGINS_WALL_MS - MINUTE_MS,
		.until_wall_ms = CONTRACT_BEGINS_WALL_MS + HOUR_MS,
		.times = times};
	const char *why;

	cr_assert(cidr_parse(slice_of(network), &ban.network, &why));
	snprintf(ban.by, sizeof(ban.by), "auto");
	snprintf(ban.node, sizeof(ban.node), "mx1.example.com");
	snprintf(ban.reason, sizeof(ban.reason), "40 strikes within 1 h");
	return ban;
}

struct found {
	unsigned count;
	struct ban wanted, found;
};

static void look_for(void *arg, const struct ban *ban)
{
	struct found *found = arg;

	found->count++;
	if (ip_equal(&ban->network.ip, &found->wanted.network.ip) &&
		ban->network.bits == found->wanted.network.bits)
		found->found = *ban;
}

/* How many there are; `ret` is the one for `network`, times 0 if there is none. */
static unsigned bans(struct contract *contract, const char *network, struct ban *ret)
{
	struct found found = {.wanted = ban_of(network, 0)};

	contract->store->ops->bans_each(contract->store, look_for, &found);
	*ret = found.found;
	return found.count;
}

static void put(struct contract *contract, struct ban ban)
{
	contract->store->ops->ban_put(contract->store, &ban, contract->now);
}

void contract_bans_are_put_replaced_and_removed(struct contract *contract)
{
	struct ban ban = ban_of("192.0.2.1/32", 1), got;
	char network[32];

	put(contract, ban);
	put(contract, ban_of("2001:db8::/64", 2));
	put(contract, ban_of("2001:db8::/48", 3));
	cr_assert_eq(bans(contract, "192.0.2.1/32", &got), 3);
	cr_assert_eq(got.times, 1);
	cr_assert_str_eq(got.reason, ban.reason);
	cr_assert_eq(got.until_wall_ms, CONTRACT_BEGINS_WALL_MS + HOUR_MS);
	ban.times = 7;
	ban.manual = true;
	ban.until_wall_ms = UINT64_MAX;
	put(contract, ban);
	cr_assert_eq(bans(contract, "192.0.2.1/32", &got), 3);
	cr_assert_eq(got.times, 7);
	cr_assert(got.manual);
	cr_assert_eq(got.until_wall_ms, UINT64_MAX);
	contract->store->ops->ban_remove(contract->store, &ban.network, contract->now);
	contract->store->ops->ban_remove(contract->store, &ban.network, contract->now);
	cr_assert_eq(bans(contract, "2001:db8::/48", &got), 2);
	cr_assert_eq(got.times, 3);
	for (unsigned i = 0; i < 500; i++) {
		snprintf(network, sizeof(network), "10.0.%u.%u/32", i / 250, i % 250);
		put(contract, ban_of(network, i + 1));
	}
	cr_assert_eq(bans(contract, "10.0.1.7/32", &got), 502);
	cr_assert_eq(got.times, 258);
}

void contract_bans_survive_a_restart(struct contract *contract)
{
	struct ban removed = ban_of("192.0.2.1/32", 1), manual = ban_of("198.51.100.0/24", 2), got;

	put(contract, removed);
	manual.manual = true;
	manual.until_wall_ms = UINT64_MAX;
	put(contract, manual);
	put(contract, ban_of("2001:db8::/64", 3));
	contract->store->ops->ban_remove(contract->store, &removed.network, contract->now);
	contract_reopen(contract, contract->setup);
	cr_assert_eq(bans(contract, "198.51.100.0/24", &got), 2);
	cr_assert_eq(got.times, 2);
	cr_assert(got.manual);
	cr_assert_eq(got.until_wall_ms, UINT64_MAX);
	cr_assert_str_eq(got.by, "auto");
	cr_assert_str_eq(got.node, "mx1.example.com");
	cr_assert_str_eq(got.reason, "40 strikes within 1 h");
	cr_assert_eq(bans(contract, "2001:db8::/64", &got), 2);
	cr_assert_eq(got.times, 3);
}

static void ban_and_pump(struct contract *contract)
{
	struct ban removed = ban_of("192.0.2.1/32", 1);

	put(contract, removed);
	put(contract, ban_of("192.0.2.2/32", 2));
	contract->store->ops->ban_remove(contract->store, &removed.network, contract->now);
	/* No tick: they go out by themselves. */
	while (contract->backend->pump(contract->backend))
		;
}

void contract_bans_survive_kill_at_once(struct contract *contract)
{
	struct ban got;

	contract_in_killed_child(contract, ban_and_pump);
	cr_assert_eq(bans(contract, "192.0.2.2/32", &got), 1);
	cr_assert_eq(got.times, 2);
}

/* ---- counting ---- */

void contract_counters_survive_a_restart(struct contract *contract)
{
	struct store_charge charge = contract_gate("hourly", "anna@example.com", 500);
	struct store_charge daily = charge;
	struct store_charge bytes = contract_gate("volume", "bert@example.com", UINT64_C(1) << 40);

	daily.key.window_ms = 24 * HOUR_MS;
	daily.warn_at = 3;
	bytes.key.what = COUNT_BYTES;
	bytes.cost = UINT64_C(123456789012);
	for (uint64_t i = 0; i < 70; i++) {
		struct store_charge charges[2] = {charge, daily};

		contract_reserve_all(contract, 0, 1, 1, charges, 2);
		contract_pass(contract, MINUTE_MS);
	}
	contract_reserve(contract, 0, 1, 1, bytes);
	contract_reopen(contract, contract->setup);
	cr_assert_eq(contract_used(contract, charge), 60);
	cr_assert_eq(contract_used(contract, daily), 70);
	cr_assert_eq(contract_used(contract, bytes), UINT64_C(123456789012));
	contract_reserve_all(contract, 0, 1, 1, &daily, 1);
	cr_assert_not(daily.warn, "it had warned before the restart");
	/* Each bucket is where it was. */
	contract_pass(contract, 30 * MINUTE_MS);
	contract_reopen(contract, contract->setup);
	cr_assert_eq(contract_used(contract, charge), 30);
	contract_pass(contract, 40 * HOUR_MS);
	contract_reopen(contract, contract->setup);
	cr_assert_eq(contract_used(contract, daily), 0);
}

void contract_transactions_survive_a_restart(struct contract *contract)
{
	struct store_charge charges[2] = {
		contract_gate("a", "anna", 9), contract_gate("b", "anna", 9)};
	struct contract_setup setup = contract->setup;

	setup.settles = CONTRACT_DATA;
	charges[1].key.what = COUNT_BYTES;
	contract_reserve_all(contract, 1, 1, 1, charges, 2);
	contract_reserve_all(contract, 1, 2, 2, charges, 2);
	contract_reserve_all(contract, 2, 1, 1, charges, 1);
	contract_reserve_all(contract, 3, 1, 1, charges, 1);
	contract->store->ops->refund(contract->store, contract_id(3), contract->now);
	contract_reopen(contract, setup);
	contract_reserve_all(contract, 1, 2, 2, charges, 2);
	cr_assert_eq(charges[0].outcome, CHARGE_ALREADY);
	cr_assert_eq(charges[1].outcome, CHARGE_ALREADY);
	contract_reserve_all(contract, 3, 1, 1, charges, 1);
	cr_assert_eq(charges[0].outcome, CHARGE_GRANTED, "it was refunded");
	contract_reserve_all(contract, 1, 3, 3, charges, 2);
	cr_assert_eq(contract_used(contract, charges[0]), 5);
	contract_settle(contract, 1, 2, 0, false);
	cr_assert_eq(contract_used(contract, charges[0]), 4);
	contract_pass(contract, 10 * MINUTE_MS);
	contract_sync(contract);
	cr_assert_eq(contract_used(contract, charges[0]), 2, "2 and 3 never settled");
}

void contract_learned_services_survive_a_restart(struct contract *contract)
{
	struct store_charge charge = contract_gate("a", "anna", 9);

	contract_settle(contract, 50, 1, 0, false);
	contract_reserve(contract, 1, 1, 1, charge);
	contract_reopen(contract, contract->setup);
	contract->store->ops->abandon(contract->store, contract_id(1), contract->now);
	contract_sync(contract);
	cr_assert_eq(contract_used(contract, charge), 0);
}

/* Neither here nor, where they share what they learn, for other nodes. */
void contract_a_dry_settlement_teaches_nothing(struct contract *contract)
{
	struct store_charge charge = contract_gate("a", "anna", 9);

	contract->dry = true;
	contract_settle(contract, 50, 1, 0, false);
	contract->dry = false;
	contract_reserve(contract, 1, 1, 1, charge);
	contract_reopen(contract, contract->setup);
	contract->store->ops->abandon(contract->store, contract_id(1), contract->now);
	contract_sync(contract);
	cr_assert_eq(contract_used(contract, charge), 1);
}

static void charge_and_sync(struct contract *contract)
{
	contract_reserve(contract, 1, 1, 1, contract_gate("a", "anna", 9));
	contract_reserve(contract, 1, 2, 2, contract_gate("a", "anna", 9));
	contract_reserve(contract, 2, 1, 1, contract_gate("a", "bert", 9));
	contract->backend->sync(contract->backend, contract->store, contract->now);
}

void contract_all_survives_kill(struct contract *contract)
{
	struct store_charge charge = contract_gate("a", "anna", 9);

	contract_in_killed_child(contract, charge_and_sync);
	cr_assert_eq(contract_used(contract, charge), 2);
	cr_assert_eq(contract_used(contract, contract_gate("a", "bert", 9)), 1);
	contract_reserve_all(contract, 1, 2, 2, &charge, 1);
	cr_assert_eq(charge.outcome, CHARGE_ALREADY);
	contract_in_killed_child(contract, charge_and_sync);
	cr_assert_eq(contract_used(contract, charge), 2);
}

void contract_settles_after_kill(struct contract *contract)
{
	struct store_charge charge = contract_gate("a", "anna", 9);

	contract_in_killed_child(contract, charge_and_sync);
	cr_assert_eq(contract_settle(contract, 1, 1, 0, false).refunded, 1);
	cr_assert_eq(contract_used(contract, charge), 1);
	contract_settle(contract, 1, 4, 100, true);
	cr_assert_eq(contract_used(contract, charge), 4);
}
