/* SPDX-License-Identifier: ISC */
/*
 * What every store promises, tested through struct store alone. A backend gives a factory; each
 * case gets a fresh store, asks through the helpers below (which wait for pending ops by
 * pumping), and may close it and open it again. A new backend needs one file: its factory and
 *
 * 	#define CASE(name) Test(mine, name) { contract_run(&backend, contract_##name); }
 * 	CONTRACT_CASES(CASE)
 */
#ifndef REEVE_TESTS_CONTRACT_CONTRACT_H
#define REEVE_TESTS_CONTRACT_CONTRACT_H

#include "daemon/store/store.h"

enum contract_settles { CONTRACT_AUTO, CONTRACT_DATA, CONTRACT_NONE };

struct contract_setup {
	size_t max_counters, max_transactions;
	enum contract_settles settles;
};

struct contract_backend {
	const char *name;
	void (*begin)(struct contract_backend *); /* once, before the case: an empty place */
	void (*end)(struct contract_backend *);
	struct store *(*open)(
		struct contract_backend *, const struct contract_setup *, struct clock_now);
	/* One turn of what makes pending ops end; false: there is nothing more that could. */
	bool (*pump)(struct contract_backend *);
	/* Everything that was charged is safe from kill -9 when this returns. */
	void (*sync)(struct contract_backend *, struct store *, struct clock_now);
	void *data;
};

struct contract {
	struct contract_backend *backend;
	struct contract_setup setup;
	struct store *store;
	struct clock_now now;
	bool dry; /* reserving and settling only look */
};

/* An empty store, the case, and all of it taken away. */
void contract_run(struct contract_backend *backend, void (*test)(struct contract *));
void contract_open(struct contract *contract);
void contract_close(struct contract *contract);
/* With other settings, keeping what is stored. */
void contract_reopen(struct contract *contract, struct contract_setup setup);
void contract_pass(struct contract *contract, uint64_t ms);
/* What was begun without waiting for it (giving back, resetting) is done when this returns. */
void contract_sync(struct contract *contract);
/* Runs `work` in a child that then kills itself with SIGKILL, its store open; ours is closed
 * meanwhile. */
void contract_in_killed_child(struct contract *contract, void (*work)(struct contract *));

#define MINUTE_MS UINT64_C(60000)
#define HOUR_MS (60 * MINUTE_MS)
#define CONTRACT_BEGINS_WALL_MS UINT64_C(1700000000000)
#define CONTRACT_SERVICE 25

struct hash128 contract_id(uint64_t number);
/* A gate of one hour that counts recipients. */
struct store_charge contract_gate(const char *rule, const char *subject, uint64_t limit);
/* All in one request; returns what `refused` says. */
int contract_reserve_all(struct contract *contract, uint64_t transaction, uint64_t recipient,
	unsigned asked, struct store_charge *charges, unsigned count);
/* One charge: was it granted (or had been)? */
bool contract_reserve(struct contract *contract, uint64_t transaction, uint64_t recipient,
	unsigned asked, struct store_charge charge);
struct store_settle contract_settle(struct contract *contract, uint64_t transaction,
	uint64_t recipients, uint64_t size_bytes, bool end_of_message);
struct store_usage contract_usage(struct contract *contract, struct store_charge charge);
uint64_t contract_used(struct contract *contract, struct store_charge charge);

/* For every store. */
#define CONTRACT_CASES(CASE)                           \
	CASE(a_charge_counts)                          \
	CASE(all_gates_or_none)                        \
	CASE(soft_ones_never_refuse)                   \
	CASE(a_repeat_charges_nothing)                 \
	CASE(without_transaction_repeats_count)        \
	CASE(warns_once)                               \
	CASE(says_when_to_come_back)                   \
	CASE(free_again_after_the_window)              \
	CASE(settle_lowers_and_is_idempotent)          \
	CASE(settle_raises_or_refuses)                 \
	CASE(settle_knows_free_recipients)             \
	CASE(settle_of_unknown)                        \
	CASE(messages_and_bytes)                       \
	CASE(one_subject_settles_where_it_can)         \
	CASE(refund_gives_all_back)                    \
	CASE(abandoned_where_the_service_settles)      \
	CASE(unsettled_ends_after_ten_minutes)         \
	CASE(reservations_stand_where_nothing_settles) \
	CASE(usage_reset_and_list)                     \
	CASE(scan_sees_all)                            \
	CASE(many_subjects)                            \
	CASE(hostile_subjects)                         \
	CASE(bans_are_put_replaced_and_removed)        \
	CASE(a_dry_charge_changes_nothing)             \
	CASE(a_dry_refusal_changes_nothing)            \
	CASE(a_dry_charge_says_what_is_free_when)      \
	CASE(a_dry_settlement_changes_nothing)         \
	CASE(overrides_are_put_replaced_and_removed)   \
	CASE(overrides_end)                            \
	CASE(follows_the_ledger)

/* For those that survive their process. */
#define CONTRACT_DURABLE_CASES(CASE)             \
	CASE(counters_survive_a_restart)         \
	CASE(transactions_survive_a_restart)     \
	CASE(learned_services_survive_a_restart) \
	CASE(a_dry_settlement_teaches_nothing)   \
	CASE(bans_survive_a_restart)             \
	CASE(all_survives_kill)                  \
	CASE(bans_survive_kill_at_once)          \
	CASE(overrides_survive_a_restart)        \
	CASE(overrides_survive_kill_at_once)     \
	CASE(settles_after_kill)

#define CONTRACT_DECLARE(name) void contract_##name(struct contract *contract);
CONTRACT_CASES(CONTRACT_DECLARE)
CONTRACT_DURABLE_CASES(CONTRACT_DECLARE)
#undef CONTRACT_DECLARE

#endif
