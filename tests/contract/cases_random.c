/* SPDX-License-Identifier: ISC */
/*
 * A random walk: what the store answers is what the pure ledger (daemon/counting/) answers to the same
 * questions at the same times. Whatever a backend does by itself, in scripts of its own or through
 * tables and disks, is measured by that.
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "daemon/counting/ledger.h"
#include "tests/contract/contract.h"

#define STEPS 800
#define WALKS 2
#define MAX_COUNT 5
#define TRANSACTIONS 4
#define SUBJECTS 3

struct walk {
	struct contract *contract;
	struct ledger *ledger;
	uint64_t random, seed;
	unsigned step;
	uint64_t generation; /* of transactions: those before are not asked about any more */
	uint64_t since_mono_ms;
	unsigned refusals, raises_refused, already;
};

static const char *const rules[] = {"hourly", "minutely", "daily"};
static const uint64_t windows_ms[] = {HOUR_MS, MINUTE_MS, 24 * HOUR_MS};
static const char *const subjects[SUBJECTS] = {"anna@example.com", "bert", "\xc3\xa9|;=\n \x7f"};

/* splitmix64 */
static uint64_t draw(struct walk *walk, uint64_t below)
{
	uint64_t z = walk->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (z ^ z >> 31) % below;
}

static struct hash128 any_transaction(struct walk *walk)
{
	return contract_id(1 + walk->generation * TRANSACTIONS + draw(walk, TRANSACTIONS));
}

#define SAME(what)                                                                             \
	cr_assert_eq(ours->what, theirs->what, "seed %d step %u: " #what " is %lld, not %lld", \
		(int)walk->seed, walk->step, (long long)theirs->what, (long long)ours->what)

static void is_woken(struct waiter *waiter)
{
	(void)waiter;
}

static void wait_for(struct walk *walk, struct store_op *op)
{
	while (op->state == STORE_OP_PENDING)
		cr_assert(walk->contract->backend->pump(walk->contract->backend));
	cr_assert(op->state == STORE_OP_DONE && !op->failed);
}

/* ---- reserving ---- */

static void draw_charge(
	struct walk *walk, struct store_charge *charge, unsigned rule, uint64_t recipient)
{
	unsigned subject = (unsigned)draw(walk, SUBJECTS);

	*charge = (struct store_charge){
		.key = {slice_of(rules[rule]), slice_of(subjects[subject]),
			(enum counter_what)draw(walk, 3), windows_ms[rule]},
		.cost = 1,
		.limit = 3 + draw(walk, 12),
		.gate = draw(walk, 3) > 0,
		.one_subject = draw(walk, 4) == 0,
	};
	if (charge->key.what == COUNT_BYTES) {
		charge->limit *= 1000;
		charge->cost = draw(walk, 3000);
	} else if (charge->key.what == COUNT_RECIPIENTS && !recipient) {
		charge->cost = 1 + draw(walk, 4);
	}
	charge->warn_at = draw(walk, 2) ? charge->limit * 8 / 10 : 0;
}

/* Those of a rule beside each other; what they cost a counter is one thing. */
static unsigned draw_charges(
	struct walk *walk, struct store_charge charges[static MAX_COUNT], uint64_t recipient)
{
	unsigned count = 0;

	for (unsigned rule = 0; rule < 3 || !count; rule++)
		while (count < MAX_COUNT && draw(walk, 2)) {
			struct store_charge *charge = &charges[count++];

			draw_charge(walk, charge, rule % 3, recipient);
			for (struct store_charge *one = charges; one < charge; one++)
				if (slice_equal(one->key.rule, charge->key.rule) &&
					slice_equal(one->key.subject, charge->key.subject) &&
					one->key.what == charge->key.what) {
					charge->cost = one->cost;
					charge->one_subject = one->one_subject;
				}
		}
	return count;
}

static void same_charges(struct walk *walk, const struct store_charge *ours,
	const struct store_charge *theirs, unsigned count, bool dry)
{
	for (; count--; ours++, theirs++) {
		SAME(outcome);
		SAME(used);
		SAME(retry_ms);
		SAME(warn);
		if (dry) {
			SAME(free_ms);
			SAME(free_amount);
		}
		walk->already += ours->outcome == CHARGE_ALREADY;
	}
}

static void reserve(struct walk *walk)
{
	struct waiter waiter = {.wake = is_woken};
	struct ledger_request request = {
		.transaction = draw(walk, 10) ? any_transaction(walk) : contract_id(0),
		.service = CONTRACT_SERVICE,
		.recipient = draw(walk, 5),
		.asked = (unsigned)draw(walk, 5),
		.dry = draw(walk, 6) == 0};
	struct store_charge ours[MAX_COUNT], theirs[MAX_COUNT];
	struct store_reserve op = {.op.waiter = &waiter,
		.transaction = request.transaction,
		.service = request.service,
		.recipient = request.recipient,
		.asked = request.asked,
		.dry = request.dry,
		.charges = theirs};
	int refused;

	op.count = draw_charges(walk, ours, request.recipient);
	memcpy(theirs, ours, sizeof(theirs));
	refused = ledger_reserve(walk->ledger, &request, ours, op.count, walk->contract->now);
	store_reserve(walk->contract->store, &op, walk->contract->now);
	wait_for(walk, &op.op);
	cr_assert_eq(op.refused, refused, "seed %d step %u: refused is %d, not %d", (int)walk->seed,
		walk->step, op.refused, refused);
	same_charges(walk, ours, theirs, op.count, request.dry);
	walk->refusals += refused >= 0;
}

/* ---- settling, giving back ---- */

static void settle(struct walk *walk, struct hash128 transaction, bool dry)
{
	struct waiter waiter = {.wake = is_woken};
	struct ledger_settlement settlement = {.transaction = transaction,
		.service = CONTRACT_SERVICE,
		.recipient_count = draw(walk, 6),
		.asked = (unsigned)draw(walk, 6),
		.recipient = draw(walk, 5),
		.size_bytes = draw(walk, 5000),
		.end_of_message = draw(walk, 2) > 0,
		.dry = dry};
	struct store_settle op = {.op.waiter = &waiter,
		.transaction = settlement.transaction,
		.service = settlement.service,
		.recipient_count = settlement.recipient_count,
		.asked = settlement.asked,
		.recipient = settlement.recipient,
		.size_bytes = settlement.size_bytes,
		.end_of_message = settlement.end_of_message,
		.dry = settlement.dry};
	const struct ledger_settlement *ours = &settlement;
	const struct store_settle *theirs = &op;

	ledger_settle(walk->ledger, &settlement, walk->contract->now);
	store_settle(walk->contract->store, &op, walk->contract->now);
	wait_for(walk, &op.op);
	SAME(unknown);
	SAME(refused);
	if (!settlement.dry)
		SAME(refunded);
	if (!settlement.refused)
		return;
	SAME(used);
	SAME(limit);
	SAME(retry_ms);
	walk->raises_refused++;
}

static void give_back(struct walk *walk)
{
	struct contract *contract = walk->contract;
	struct hash128 transaction = any_transaction(walk);

	if (draw(walk, 2)) {
		ledger_refund(walk->ledger, transaction, contract->now);
		contract->store->ops->refund(contract->store, transaction, contract->now);
	} else {
		ledger_abandon(walk->ledger, transaction, contract->now);
		contract->store->ops->abandon(contract->store, transaction, contract->now);
	}
	contract_sync(contract);
}

/* Transactions that nobody settles end at different times in a cluster and on one machine, so none is
 * left behind. */
static void next_generation(struct walk *walk)
{
	for (unsigned i = 1; i <= TRANSACTIONS; i++)
		settle(walk, contract_id(walk->generation * TRANSACTIONS + i), false);
	walk->since_mono_ms = walk->contract->now.mono_ms;
	walk->generation++;
}

static void reset(struct walk *walk)
{
	struct contract *contract = walk->contract;
	struct slice subject = slice_of(subjects[draw(walk, SUBJECTS)]);

	ledger_reset(walk->ledger, subject, contract->now);
	contract->store->ops->reset(contract->store, subject, contract->now);
	contract_sync(contract);
}

/* ---- time ---- */

static void pass(struct walk *walk)
{
	static const uint64_t steps_ms[] = {1, 500, 5000, 5000, 20000, 60000, 10 * MINUTE_MS,
		11 * MINUTE_MS, HOUR_MS, HOUR_MS + 1, 25 * HOUR_MS};
	uint64_t ms = steps_ms[draw(walk, sizeof(steps_ms) / sizeof(steps_ms[0]))];
	struct contract *contract = walk->contract;

	if (contract->now.mono_ms + ms - walk->since_mono_ms > 90000)
		next_generation(walk);
	contract_pass(contract, ms);
	contract_sync(contract);
	ledger_sweep(walk->ledger, contract->now);
}

static void all_same(struct walk *walk)
{
	for (unsigned i = 0; i < 3 * SUBJECTS * 3; i++) {
		struct store_charge charge = {
			.key = {slice_of(rules[i % 3]), slice_of(subjects[i / 3 % SUBJECTS]),
				(enum counter_what)(i / 3 / SUBJECTS), windows_ms[i % 3]},
			.limit = UINT64_MAX};
		struct ledger_request request = {.dry = true};
		struct store_usage usage = contract_usage(walk->contract, charge);

		ledger_reserve(walk->ledger, &request, &charge, 1, walk->contract->now);
		cr_assert(usage.used == charge.used && usage.free_ms == charge.free_ms &&
				  usage.free_amount == charge.free_amount,
			"seed %d step %u: counter %u holds %lld (%lld in %lld ms), not %lld (%lld "
			"in %lld ms)",
			(int)walk->seed, walk->step, i, (long long)usage.used,
			(long long)usage.free_amount, (long long)usage.free_ms,
			(long long)charge.used, (long long)charge.free_amount,
			(long long)charge.free_ms);
	}
}

static void walk_on(struct walk *walk)
{
	uint64_t x = draw(walk, 100);

	if (x < 60)
		reserve(walk);
	else if (x < 80)
		settle(walk, any_transaction(walk), draw(walk, 6) == 0);
	else if (x < 85)
		give_back(walk);
	else if (x < 86)
		reset(walk);
	else
		pass(walk);
	if (walk->step % 10 == 0)
		all_same(walk);
}

static void one_walk(struct contract *contract, uint64_t seed)
{
	struct ledger_options options = {.max_counters = 10000,
		.max_transactions = 10000,
		.settle = LEDGER_SETTLE_DATA,
		.key = hash_key_random()};
	struct walk walk = {.contract = contract,
		.ledger = ledger_new(&options),
		.random = seed,
		.seed = seed,
		.generation = seed * 1000000,
		.since_mono_ms = contract->now.mono_ms};

	contract_pass(contract, 50 * HOUR_MS); /* nothing is left of the walk before */
	for (walk.step = 1; walk.step <= STEPS; walk.step++)
		walk_on(&walk);
	cr_assert(walk.refusals > 10 && walk.raises_refused > 10 && walk.already > 10,
		"%u refused, %u raises refused, %u charged already", walk.refusals,
		walk.raises_refused, walk.already);
	ledger_free(&walk.ledger);
}

/* SEED: another way. */
void contract_follows_the_ledger(struct contract *contract)
{
	struct contract_setup setup = contract->setup;
	const char *text = getenv("SEED");
	uint64_t seed = text ? strtoull(text, NULL, 10) : 1;

	setup.settles = CONTRACT_DATA;
	contract_reopen(contract, setup);
	for (uint64_t i = 0; i < WALKS; i++)
		one_walk(contract, seed + i);
}
