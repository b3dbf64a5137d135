/* SPDX-License-Identifier: ISC */
/*
 * What reserving and settling share: layers, giving back, and the ends of transactions.
 */
#include "daemon/counting/ledger.h"

#include "common/alloc.h"

#define SWEEP_TXNS 4096     /* transactions aged in one sweep */
#define SWEEP_REFUNDS 16384 /* groups given back in one sweep, before it stops */
#define SWEEP_COUNTERS 8192 /* counters looked at in one sweep */

struct ledger *ledger_new(const struct ledger_options *options)
{
	struct ledger *ledger = mem_zalloc(sizeof(*ledger));

	ledger->counters = table_new(options->max_counters, options->key);
	ledger->txns = txn_table_new(options->max_transactions);
	services_init(&ledger->services, options->settle);
	return ledger;
}

void ledger_free(struct ledger **ledger)
{
	if (!*ledger)
		return;
	table_free(&(*ledger)->counters);
	txn_table_free(&(*ledger)->txns);
	mem_free(ledger);
}

/* ---- layers ---- */

void ledger_add_layer(
	struct ledger *ledger, struct txn *txn, uint16_t group, uint64_t bucket, uint64_t amount)
{
	struct txn_layer *layers = txn_layers(txn);
	struct txn_layer *layer = NULL;

	if (!amount)
		return;
	for (unsigned i = txn->layers; i-- > 0;)
		if (layers[i].group == group) {
			layer = &layers[i];
			break;
		}
	if (layer && layer->bucket == (uint32_t)bucket) {
		layer->amount += amount;
		return;
	}
	if (txn->layers < TXN_MAX_ITEMS)
		layer = txn_add_layer(ledger->txns, txn);
	else if (layer) { /* full: the group's newest stands for both */
		layer->amount += amount;
		return;
	}
	if (layer)
		*layer = (struct txn_layer){amount, (uint32_t)bucket, group};
}

/* Takes from one bucket of a counter, if that life of it goes on. */
static void take_from(struct ledger *ledger, const struct txn_group *group,
	const struct txn_layer *layer, uint64_t amount, uint64_t wall_ms)
{
	struct window window;
	uint64_t age;

	if (!table_is_alive(ledger->counters, group->slot, group->birth))
		return;
	table_load(ledger->counters, group->slot, wall_ms, &window);
	age = (uint32_t)window.newest - layer->bucket;
	if (age >= WINDOW_BUCKETS ||
		!window_take(&window, window.newest - (age & UINT32_MAX), amount))
		return;
	table_store(ledger->counters, group->slot, &window, wall_ms);
}

void ledger_take_back(struct ledger *ledger, struct txn *txn, uint64_t wall_ms)
{
	const struct txn_group *groups = txn_groups(txn);
	struct txn_layer *layers = txn_layers(txn);
	uint16_t kept = 0;

	for (unsigned i = txn->layers; i-- > 0;) {
		uint64_t *wanted = &ledger->amounts[layers[i].group];
		uint64_t amount = *wanted < layers[i].amount ? *wanted : layers[i].amount;

		if (!amount)
			continue;
		take_from(ledger, &groups[layers[i].group], &layers[i], amount, wall_ms);
		*wanted -= amount;
		layers[i].amount -= amount;
	}
	for (unsigned i = 0; i < txn->layers; i++)
		if (layers[i].amount)
			layers[kept++] = layers[i];
	txn->layers = kept;
}

uint64_t ledger_refund_all(struct ledger *ledger, struct txn *txn, uint64_t wall_ms)
{
	struct txn_group *groups = txn_groups(txn);
	struct txn_member *members = txn_members(txn);
	uint64_t refunded = 0;

	for (unsigned i = 0; i < txn->groups; i++) {
		if (groups[i].what == COUNT_RECIPIENTS && groups[i].net > refunded)
			refunded = groups[i].net;
		ledger->amounts[i] = UINT64_MAX;
		groups[i].net = 0;
		groups[i].charged = false;
	}
	for (unsigned i = 0; i < txn->members; i++)
		members[i].refunded = true;
	txn->any_refunded = txn->members > 0;
	ledger_take_back(ledger, txn, wall_ms);
	txn->settled = false;
	txn_mark(ledger->txns, txn);
	return refunded;
}

/* ---- ends ---- */

void ledger_refund(struct ledger *ledger, struct hash128 transaction, struct clock_now now)
{
	struct txn *txn = txn_find(ledger->txns, transaction);

	if (!txn)
		return;
	txn_touch(ledger->txns, txn, (int64_t)now.mono_ms);
	ledger_refund_all(ledger, txn, now.wall_ms);
}

static bool is_charged(struct txn *txn)
{
	const struct txn_group *groups = txn_groups(txn);

	for (unsigned i = 0; i < txn->groups; i++)
		if (groups[i].charged)
			return true;
	return false;
}

/* Over without having settled: was that to be expected? */
static void end_unsettled(struct ledger *ledger, struct txn *txn, uint64_t wall_ms)
{
	if (txn->settled || !services_settles(&ledger->services, txn->service, wall_ms) ||
		!is_charged(txn))
		return;
	ledger_refund_all(ledger, txn, wall_ms);
	services_unsettled(&ledger->services, txn->service);
}

void ledger_abandon(struct ledger *ledger, struct hash128 transaction, struct clock_now now)
{
	struct txn *txn = txn_find(ledger->txns, transaction);

	if (txn)
		end_unsettled(ledger, txn, now.wall_ms);
}

/* Ten minutes unused: over, but remembered a little longer. */
static unsigned sweep_active(struct ledger *ledger, unsigned budget, struct clock_now now)
{
	unsigned refunds = 0;
	struct txn *txn;

	while (budget && refunds < SWEEP_REFUNDS &&
		(txn = txn_oldest(ledger->txns, TXN_ACTIVE)) != NULL &&
		(int64_t)now.mono_ms - txn->used_ms >= TXN_UNSETTLED_MS) {
		refunds += txn->groups;
		end_unsettled(ledger, txn, now.wall_ms);
		txn_set_age(ledger->txns, txn, TXN_UNSETTLED);
		budget--;
	}
	return budget;
}

/* Once more before it is forgotten: its service may have become known since. */
static unsigned sweep_old(struct ledger *ledger, enum txn_age age, int64_t keep_ms, unsigned budget,
	struct clock_now now)
{
	unsigned refunds = 0;
	struct txn *txn;

	while (budget && refunds < SWEEP_REFUNDS && (txn = txn_oldest(ledger->txns, age)) != NULL &&
		(int64_t)now.mono_ms - txn->used_ms >= keep_ms) {
		refunds += txn->groups;
		end_unsettled(ledger, txn, now.wall_ms);
		txn_remove(ledger->txns, txn);
		budget--;
	}
	return budget;
}

void ledger_sweep(struct ledger *ledger, struct clock_now now)
{
	unsigned budget = SWEEP_TXNS;

	budget = sweep_active(ledger, budget, now);
	budget = sweep_old(ledger, TXN_UNSETTLED, TXN_IDLE_MS, budget, now);
	sweep_old(ledger, TXN_ENDED, TXN_ENDED_MS, budget, now);
	table_sweep(ledger->counters, SWEEP_COUNTERS, now.wall_ms);
}

unsigned ledger_reset(struct ledger *ledger, struct slice subject, struct clock_now now)
{
	struct counter_key key;
	unsigned emptied = 0;

	for (uint16_t i = 0; (i = table_next_series(ledger->counters, i, &key)) != SERIES_NONE;
		i++) {
		struct window window;
		uint32_t slot;

		key.subject = subject;
		slot = table_find(ledger->counters, &key, table_hash(ledger->counters, &key));
		if (slot == TABLE_NONE)
			continue;
		table_load(ledger->counters, slot, now.wall_ms, &window);
		emptied += window.total > 0;
		window.total = window.live = 0;
		table_store(ledger->counters, slot, &window, now.wall_ms);
		table_forget_warning(ledger->counters, slot);
	}
	return emptied;
}
