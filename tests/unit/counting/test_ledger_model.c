/* SPDX-License-Identifier: ISC */
/*
 * The ledger against a model that keeps every single charge in a list and adds up anew for each
 * question. Six rules with every kind of counter, three logins, five recipients in two domains,
 * random requests, repeats, settlings, refunds, abandoned and forgotten transactions, on a clock
 * that goes from milliseconds to days. After each step all answers must be equal, and no gate's
 * true window may hold more than its limit. The seed is printed; REEVE_SEED=N runs that one
 * again.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "daemon/counting/ledger.h"

#define STEPS 100000
#define MINUTE_MS UINT64_C(60000)
#define HOUR_MS (60 * MINUTE_MS)
#define LOGINS 3
#define DOMAINS 2
#define RECIPIENTS 5
#define LIMITS 8 /* of all rules together */
#define SUBJECTS 3
#define COUNTERS (LIMITS * SUBJECTS)
#define TXNS 12 /* at a time */
#define SERVICE 77
#define OLDEST_MS TABLE_LINGER_MS /* of a transaction: so long its counters are sure to be kept */

/* One limit of a rule; those of one rule stand together. */
static const struct limit {
	const char *rule;
	enum counter_what what;
	uint64_t window_ms, limit;
	bool gate, per_domain;
	unsigned free_recipient; /* this one is free of the rule; RECIPIENTS: none is */
} limits[LIMITS] = {
	{"hourly", COUNT_RECIPIENTS, HOUR_MS, 20, true, false, 4},
	{"hourly", COUNT_RECIPIENTS, 24 * HOUR_MS, 90, true, false, 4},
	{"watched", COUNT_RECIPIENTS, HOUR_MS, 9, false, false, RECIPIENTS},
	{"messages", COUNT_MESSAGES, HOUR_MS, 15, true, false, RECIPIENTS},
	{"bytes", COUNT_BYTES, 24 * HOUR_MS, 30000, true, false, RECIPIENTS},
	{"domains", COUNT_RECIPIENTS, 10 * MINUTE_MS, 25, true, true, RECIPIENTS},
	{"domain-mails", COUNT_MESSAGES, HOUR_MS, 12, false, true, RECIPIENTS},
	{"short", COUNT_RECIPIENTS, 1000, 6, true, false, RECIPIENTS},
};

static const char *const logins[LOGINS] = {"anna@example.com", "bert@example.com", "c"};
static const char *const domains[DOMAINS] = {"example.net", "example.org"};

struct charge {
	uint64_t at_ms, bucket, amount;
	int txn; /* number of its transaction, -1: none */
};

struct counter {
	struct charge *charges;
	unsigned count, room;
	bool exists; /* the ledger has made it too */
	bool has_warned;
	uint64_t warned;
};

/* What a transaction knows of one counter. */
struct part {
	bool known, charged;
	bool ever[RECIPIENTS], stands[RECIPIENTS];
	uint64_t net, claim;
};

struct mtxn {
	int number; /* -1: free */
	unsigned login;
	uint64_t used_ms, born_ms;
	uint64_t claim;
	bool asked[RECIPIENTS];
	bool in_ledger, settled, ended;
	struct part parts[COUNTERS];
};

static struct {
	uint64_t random, seed;
	struct clock_now now;
	struct ledger *ledger;
	bool settles;
	struct counter counters[COUNTERS];
	struct mtxn txns[TXNS];
	int numbers;
	uint64_t granted, refused, settled, settle_refused, refunded, already;
} m;

static uint64_t rnd(uint64_t below)
{
	m.random ^= m.random << 13;
	m.random ^= m.random >> 7;
	m.random ^= m.random << 17;
	return (m.random >> 11) % below;
}

static uint64_t bucket_ms(unsigned limit)
{
	return (limits[limit].window_ms + 59) / 60;
}

static uint64_t bucket_now(unsigned limit)
{
	return m.now.wall_ms / bucket_ms(limit);
}

static unsigned counter_of(unsigned limit, unsigned login, unsigned recipient)
{
	return limit * SUBJECTS + (limits[limit].per_domain ? recipient % DOMAINS : login);
}

static uint64_t used_at(unsigned counter, uint64_t bucket)
{
	const struct counter *c = &m.counters[counter];
	uint64_t used = 0;

	for (unsigned i = 0; i < c->count; i++)
		if (c->charges[i].bucket + 60 >= bucket)
			used += c->charges[i].amount;
	return used;
}

static uint64_t used(unsigned counter)
{
	return used_at(counter, bucket_now(counter / SUBJECTS));
}

static uint64_t wait_ms(unsigned counter, uint64_t cost)
{
	unsigned limit = counter / SUBJECTS;

	if (cost > limits[limit].limit)
		return UINT64_MAX;
	for (uint64_t bucket = bucket_now(limit);; bucket++)
		if (used_at(counter, bucket) + cost <= limits[limit].limit)
			return bucket == bucket_now(limit)
				       ? 0
				       : bucket * bucket_ms(limit) - m.now.wall_ms;
}

static void charge(unsigned counter, int txn, uint64_t amount)
{
	struct counter *c = &m.counters[counter];

	c->exists = true;
	if (!amount)
		return;
	if (c->count == c->room) {
		c->room = c->room ? c->room * 2 : 64;
		c->charges = mem_grow(c->charges, c->room * sizeof(*c->charges));
	}
	c->charges[c->count++] =
		(struct charge){m.now.wall_ms, bucket_now(counter / SUBJECTS), amount, txn};
}

/* From the newest of the transaction's charges on, whether they still count or not. */
static void give_back(unsigned counter, int txn, uint64_t amount)
{
	struct counter *c = &m.counters[counter];

	for (unsigned i = c->count; i-- > 0 && amount;) {
		uint64_t part = amount < c->charges[i].amount ? amount : c->charges[i].amount;

		if (c->charges[i].txn != txn)
			continue;
		c->charges[i].amount -= part;
		amount -= part;
	}
}

static void forget_old_charges(void)
{
	for (unsigned i = 0; i < COUNTERS; i++) {
		struct counter *c = &m.counters[i];
		unsigned kept = 0;

		for (unsigned k = 0; k < c->count; k++)
			if (c->charges[k].amount &&
				c->charges[k].bucket + 60 >= bucket_now(i / SUBJECTS))
				c->charges[kept++] = c->charges[k];
		c->count = kept;
	}
}

static void check_true_windows(void)
{
	for (unsigned i = 0; i < COUNTERS; i++) {
		const struct limit *limit = &limits[i / SUBJECTS];
		const struct counter *c = &m.counters[i];
		uint64_t sum = 0;

		if (!limit->gate)
			continue;
		for (unsigned k = 0; k < c->count; k++)
			if (c->charges[k].at_ms + limit->window_ms > m.now.wall_ms)
				sum += c->charges[k].amount;
		cr_assert(sum <= limit->limit, "seed %" PRIu64 ": %s holds %" PRIu64, m.seed,
			limit->rule, sum);
	}
}

/* ---- transactions ---- */

static struct hash128 id_of(const struct mtxn *txn)
{
	return (struct hash128){(uint64_t)txn->number * UINT64_C(0x9e3779b97f4a7c15) + 1, 5};
}

static void refund_all(struct mtxn *txn)
{
	for (unsigned i = 0; i < COUNTERS; i++) {
		struct part *part = &txn->parts[i];

		give_back(i, txn->number, UINT64_MAX);
		part->net = 0;
		part->charged = false;
		memset(part->stands, 0, sizeof(part->stands));
	}
	txn->settled = false;
	m.refunded++;
}

static bool anything_charged(const struct mtxn *txn)
{
	for (unsigned i = 0; i < COUNTERS; i++)
		if (txn->parts[i].charged)
			return true;
	return false;
}

static void end_unsettled(struct mtxn *txn)
{
	if (m.settles && !txn->settled && anything_charged(txn))
		refund_all(txn);
}

static void begin(struct mtxn *txn)
{
	*txn = (struct mtxn){.number = ++m.numbers,
		.login = (unsigned)rnd(LOGINS),
		.claim = rnd(3) ? rnd(3000) : 0,
		.born_ms = m.now.mono_ms};
}

/* Nobody asks about it again. It must come to rest first, or the ledger alone refunds it later. */
static void leave(struct mtxn *txn)
{
	if (txn->in_ledger) {
		ledger_abandon(m.ledger, id_of(txn), m.now);
		end_unsettled(txn);
	}
	begin(txn);
}

static void age_transactions(void)
{
	for (unsigned i = 0; i < TXNS; i++) {
		struct mtxn *txn = &m.txns[i];
		uint64_t idle_ms = m.now.mono_ms - txn->used_ms;

		if (!txn->in_ledger) {
			if (m.now.mono_ms - txn->born_ms > OLDEST_MS)
				begin(txn);
			continue;
		}
		if (!txn->ended && idle_ms >= TXN_UNSETTLED_MS)
			end_unsettled(txn);
		if (idle_ms >= (uint64_t)(txn->ended ? TXN_ENDED_MS : TXN_IDLE_MS)) {
			end_unsettled(txn);
			begin(txn);
		} else if (m.now.mono_ms - txn->born_ms > OLDEST_MS) {
			leave(txn);
		}
	}
}

/* ---- reserving ---- */

static unsigned build(const struct mtxn *txn, unsigned recipient, struct store_charge *charges,
	unsigned *limit_of)
{
	unsigned count = 0;

	for (unsigned i = 0; i < LIMITS; i++) {
		if (limits[i].free_recipient == recipient)
			continue;
		limit_of[count] = i;
		charges[count++] = (struct store_charge){
			.key = {slice_of(limits[i].rule),
				slice_of(limits[i].per_domain ? domains[recipient % DOMAINS]
							      : logins[txn->login]),
				limits[i].what, limits[i].window_ms},
			.limit = limits[i].limit,
			.cost = limits[i].what == COUNT_BYTES ? txn->claim : 1,
			.warn_at = limits[i].limit * 8 / 10,
			.gate = limits[i].gate,
			.one_subject = limits[i].per_domain,
		};
	}
	return count;
}

static bool was_charged(const struct mtxn *txn, unsigned limit, unsigned recipient)
{
	const struct part *part = &txn->parts[counter_of(limit, txn->login, recipient)];

	return limits[limit].what == COUNT_RECIPIENTS ? part->stands[recipient] : part->charged;
}

static bool warns(unsigned counter, uint64_t used_now)
{
	struct counter *c = &m.counters[counter];
	uint64_t bucket = bucket_now(counter / SUBJECTS);

	if (used_now < limits[counter / SUBJECTS].limit * 8 / 10)
		return false;
	if (c->has_warned && bucket - c->warned < 61)
		return false;
	c->has_warned = true;
	c->warned = bucket;
	return true;
}

static void expect_charged(
	struct mtxn *txn, unsigned limit, unsigned recipient, const struct store_charge *got)
{
	unsigned counter = counter_of(limit, txn->login, recipient);
	struct part *part = &txn->parts[counter];
	bool over = used(counter) + got->cost > limits[limit].limit;

	if (was_charged(txn, limit, recipient)) {
		cr_assert_eq(got->outcome, CHARGE_ALREADY);
		cr_assert_eq(got->used, used(counter));
		cr_assert_not(got->warn);
		m.already++;
	} else {
		cr_assert_eq(got->outcome, over ? CHARGE_OVER : CHARGE_GRANTED);
		cr_assert_eq(got->retry_ms, over ? wait_ms(counter, got->cost) : 0);
		charge(counter, txn->number, got->cost);
		cr_assert_eq(got->used, used(counter),
			"seed %" PRIu64 ": %s used %" PRIu64 " not %" PRIu64, m.seed,
			limits[limit].rule, got->used, used(counter));
		cr_assert_eq(got->warn, warns(counter, used(counter)));
		part->net += got->cost;
		part->claim = got->cost;
	}
	part->known = part->charged = true;
	part->ever[recipient] = part->stands[recipient] = true;
}

static int expected_refusal(const struct mtxn *txn, unsigned recipient,
	const struct store_charge *charges, const unsigned *limit_of, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (charges[i].gate && !was_charged(txn, limit_of[i], recipient) &&
			used(counter_of(limit_of[i], txn->login, recipient)) + charges[i].cost >
				charges[i].limit)
			return (int)i;
	return -1;
}

static void expect_refused(const struct mtxn *txn, unsigned recipient,
	const struct store_charge *charges, const unsigned *limit_of, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		unsigned counter = counter_of(limit_of[i], txn->login, recipient);
		bool already = was_charged(txn, limit_of[i], recipient);
		bool over = !already && charges[i].gate &&
			    used(counter) + charges[i].cost > charges[i].limit;

		cr_assert_eq(charges[i].outcome, already ? CHARGE_ALREADY
						 : over  ? CHARGE_OVER
							 : CHARGE_NONE);
		cr_assert_eq(charges[i].used, used(counter));
		if (over)
			cr_assert_eq(charges[i].retry_ms, wait_ms(counter, charges[i].cost));
	}
	m.refused++;
}

static unsigned asked_of(const struct mtxn *txn)
{
	unsigned asked = 0;

	for (unsigned i = 0; i < RECIPIENTS; i++)
		asked += txn->asked[i];
	return asked;
}

static void step_reserve(struct mtxn *txn)
{
	unsigned recipient = (unsigned)rnd(RECIPIENTS), count, limit_of[LIMITS];
	struct store_charge charges[LIMITS];
	struct ledger_request request = {
		.transaction = id_of(txn), .service = SERVICE, .recipient = recipient + 1};
	bool was_asked = txn->asked[recipient];
	int expected, refused;

	count = build(txn, recipient, charges, limit_of);
	expected = expected_refusal(txn, recipient, charges, limit_of, count);
	txn->asked[recipient] = true;
	request.asked = asked_of(txn);
	refused = ledger_reserve(m.ledger, &request, charges, count, m.now);
	cr_assert_eq(refused, expected, "seed %" PRIu64 ": refused %d, not %d", m.seed, refused,
		expected);
	if (txn->in_ledger)
		txn->used_ms = m.now.mono_ms;
	if (refused >= 0) {
		expect_refused(txn, recipient, charges, limit_of, count);
		txn->asked[recipient] = was_asked;
		return;
	}
	txn->in_ledger = true;
	txn->used_ms = m.now.mono_ms;
	for (unsigned i = 0; i < count; i++)
		expect_charged(txn, limit_of[i], recipient, &charges[i]);
	m.granted++;
}

/* ---- settling ---- */

static uint64_t members(const struct part *part)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < RECIPIENTS; i++)
		count += part->ever[i];
	return count;
}

static uint64_t target(
	struct mtxn *txn, unsigned counter, const struct ledger_settlement *settlement)
{
	const struct limit *limit = &limits[counter / SUBJECTS];
	struct part *part = &txn->parts[counter];
	uint64_t count = settlement->recipient_count, have = members(part);
	bool some_free = asked_of(txn) > have;

	if (limit->per_domain && count == 1 && settlement->recipient &&
		!part->ever[settlement->recipient - 1])
		return 0;
	if (limit->per_domain && count > 1 && some_free)
		return limit->what == COUNT_MESSAGES ? 1 : have;
	if (limit->what == COUNT_MESSAGES)
		return 1;
	if (limit->what == COUNT_RECIPIENTS)
		return some_free && have < count ? have : count;
	if (settlement->end_of_message)
		part->claim = settlement->size_bytes;
	return part->claim;
}

static void settle_parts(struct mtxn *txn, const uint64_t *targets)
{
	for (unsigned i = 0; i < COUNTERS; i++) {
		struct part *part = &txn->parts[i];

		if (!part->known)
			continue;
		if (targets[i] > part->net)
			charge(i, txn->number, targets[i] - part->net);
		else
			give_back(i, txn->number, part->net - targets[i]);
		part->net = targets[i];
		part->charged = true;
		memcpy(part->stands, part->ever, sizeof(part->stands));
	}
	txn->settled = true;
	m.settled++;
}

static void step_settle(struct mtxn *txn, bool end_of_message)
{
	struct ledger_settlement settlement = {.transaction = id_of(txn),
		.service = SERVICE,
		.recipient_count = 1 + rnd(6),
		.asked = rnd(3) ? asked_of(txn) : 0,
		.size_bytes = end_of_message ? rnd(4000) : 0,
		.end_of_message = end_of_message};
	uint64_t targets[COUNTERS], longest = 0;
	bool fits = true;

	if (settlement.recipient_count == 1 && rnd(2))
		settlement.recipient = 1 + rnd(RECIPIENTS);
	for (unsigned i = 0; i < COUNTERS; i++) {
		const struct limit *limit = &limits[i / SUBJECTS];
		const struct part *part = &txn->parts[i];
		uint64_t more;

		if (!part->known)
			continue;
		targets[i] = target(txn, i, &settlement);
		more = targets[i] > part->net ? targets[i] - part->net : 0;
		if (limit->gate && more && used(i) + more > limit->limit) {
			fits = false;
			longest = wait_ms(i, more) > longest ? wait_ms(i, more) : longest;
		}
	}
	ledger_settle(m.ledger, &settlement, m.now);
	cr_assert_eq(settlement.unknown, !txn->in_ledger);
	if (settlement.unknown)
		return;
	txn->used_ms = m.now.mono_ms;
	txn->ended = txn->ended || end_of_message;
	cr_assert_eq(settlement.refused, !fits, "seed %" PRIu64, m.seed);
	if (fits) {
		settle_parts(txn, targets);
	} else {
		cr_assert_eq(settlement.retry_ms, longest);
		refund_all(txn);
		m.settle_refused++;
	}
}

/* ---- steps ---- */

static void check_usage(void)
{
	for (unsigned i = 0; i < COUNTERS; i++) {
		const struct limit *limit = &limits[i / SUBJECTS];
		const char *subject =
			limit->per_domain ? domains[i % SUBJECTS % DOMAINS] : logins[i % SUBJECTS];
		struct counter_key key = {
			slice_of(limit->rule), slice_of(subject), limit->what, limit->window_ms};
		struct window window;
		uint32_t slot =
			table_find(m.ledger->counters, &key, table_hash(m.ledger->counters, &key));

		if (limit->per_domain && i % SUBJECTS >= DOMAINS)
			continue;
		if (slot == TABLE_NONE) {
			cr_assert_eq(used(i), 0);
			continue;
		}
		table_load(m.ledger->counters, slot, m.now.wall_ms, &window);
		cr_assert_eq(window.total, used(i),
			"seed %" PRIu64 ": %s of %s: %" PRIu64 ", not %" PRIu64, m.seed,
			limit->rule, subject, window.total, used(i));
	}
}

static void advance(void)
{
	static const uint64_t most[] = {
		5, 300, 2000, 20000, 20000, MINUTE_MS, 3 * MINUTE_MS, 11 * MINUTE_MS};
	uint64_t ms = rnd(most[rnd(8)]);

	if (rnd(400) == 0)
		ms = rnd(30 * HOUR_MS);
	m.now.mono_ms += ms;
	m.now.wall_ms += ms;
	age_transactions();
	for (int i = 0; i < 4; i++)
		ledger_sweep(m.ledger, m.now);
	forget_old_charges();
}

static void one_step(void)
{
	struct mtxn *txn = &m.txns[rnd(TXNS)];
	uint64_t kind = rnd(100);

	if (kind < 20) {
		advance();
	} else if (kind < 80) {
		step_reserve(txn);
	} else if (kind < 92) {
		step_settle(txn, rnd(3) == 0);
	} else if (kind < 95) {
		ledger_refund(m.ledger, id_of(txn), m.now);
		if (txn->in_ledger) {
			txn->used_ms = m.now.mono_ms;
			refund_all(txn);
		}
	} else if (kind < 97) {
		ledger_abandon(m.ledger, id_of(txn), m.now);
		if (txn->in_ledger)
			end_unsettled(txn);
	} else if (txn->ended || rnd(3) == 0) {
		leave(txn);
	}
}

static uint64_t wanted_seed(void)
{
	const char *wanted = getenv("REEVE_SEED");

	return wanted ? strtoull(wanted, NULL, 10) : hash_key_random().k0 >> 16;
}

static void run(uint64_t seed, bool settles, unsigned steps)
{
	struct ledger_options options = {.max_counters = 1000,
		.max_transactions = 20000,
		.settle = settles ? LEDGER_SETTLE_DATA : LEDGER_SETTLE_NONE,
		.key = {seed, 1}};

	memset(&m, 0, sizeof(m));
	m.seed = seed;
	m.random = seed * 2 + 1;
	m.settles = settles;
	m.now = (struct clock_now){1000 * HOUR_MS, UINT64_C(1700000000000) + rnd(HOUR_MS)};
	m.ledger = ledger_new(&options);
	for (unsigned i = 0; i < TXNS; i++)
		begin(&m.txns[i]);
	for (unsigned i = 0; i < steps; i++) {
		one_step();
		check_true_windows();
		if (i % 16 == 0)
			check_usage();
	}
	fprintf(stderr,
		"ledger model: seed %" PRIu64 ": granted %" PRIu64 ", already %" PRIu64
		", refused %" PRIu64 ", settled %" PRIu64 " and refused %" PRIu64
		", refunded %" PRIu64 "\n",
		seed, m.granted, m.already, m.refused, m.settled, m.settle_refused, m.refunded);
	cr_assert(m.granted > steps / 50 && m.already > steps / 50 && m.refused > steps / 50 &&
		  m.settled > steps / 100 && m.settle_refused > steps / 1000 &&
		  m.refunded > steps / 100);
	ledger_free(&m.ledger);
	for (unsigned i = 0; i < COUNTERS; i++)
		mem_free(&m.counters[i].charges);
}

Test(ledger_model, where_the_service_settles)
{
	run(wanted_seed(), true, STEPS / 2);
}

Test(ledger_model, where_reservations_stand)
{
	run(wanted_seed() + 1, false, STEPS / 2);
}
