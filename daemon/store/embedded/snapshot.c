/* SPDX-License-Identifier: ISC */
/*
 * Order matters only when there is more than one snapshot holds: a transaction never goes before
 * the counters that it charged, so a crash between two snapshots can at worst leave a counter
 * with the charge of a transaction that is not known yet (a repeat would count twice), never the
 * other way round.
 *
 * Counters first, all of them, is what is cheapest to write (see batch.h); if they do not fit,
 * the transactions wait for the next snapshot, which then begins with them and the counters of
 * each: so neither waits for ever, however much changes. They go some at a time, their counters
 * in front of them, so that transactions beside each other are written as one value.
 */
#include "daemon/store/embedded/snapshot.h"

#include "daemon/store/embedded/codec.h"

/* By so many a full snapshot may grow: a few groups of them. */
#define TXN_RUN 64

static bool is_full(const struct batch *batch)
{
	return batch->len >= SNAPSHOT_BYTES || batch->values >= SNAPSHOT_VALUES;
}

static bool take_bans(struct batch *batch, struct banlist *bans)
{
	uint32_t slot = 0;

	while (!is_full(batch) && (slot = banlist_next_dirty(bans, slot)) != BANLIST_NONE) {
		const struct ban *ban = banlist_at(bans, slot);

		if (ban)
			batch_end(batch,
				codec_put_ban(batch_begin(batch, BATCH_BANS, slot, CODEC_BAN_BYTES),
					ban));
		else
			batch_remove(batch, BATCH_BANS, slot);
		slot++;
	}
	return banlist_is_dirty(bans);
}

static bool take_overrides(struct batch *batch, struct overrides *overrides)
{
	uint32_t slot = 0;

	while (!is_full(batch) && (slot = overrides_next_dirty(overrides, slot)) != OVERRIDE_NONE) {
		const struct override *override = overrides_at(overrides, slot);

		char *at;

		if (override) {
			at = batch_begin(batch, BATCH_OVERRIDES, slot, CODEC_OVERRIDE_BYTES);
			batch_end(batch, codec_put_override(at, override));
		} else {
			batch_remove(batch, BATCH_OVERRIDES, slot);
		}
		slot++;
	}
	return overrides_is_dirty(overrides);
}

static void take_services(struct batch *batch, struct services *services)
{
	char *at;

	if (!services->changed)
		return;
	at = batch_begin(batch, BATCH_META, META_SERVICES, CODEC_SERVICES_BYTES);
	batch_end(batch, codec_put_services(at, services));
	services->changed = false;
}

static void take_counter(struct batch *batch, const struct counter_table *counters, uint32_t slot)
{
	struct table_record record;
	char *at;

	if (!table_read(counters, slot, &record)) {
		batch_remove(batch, BATCH_COUNTERS, slot);
		return;
	}
	at = batch_begin(batch, BATCH_COUNTERS, slot, CODEC_COUNTER_BYTES);
	batch_end(batch, codec_put_counter(at, &record));
}

static void take_charged(struct batch *batch, struct counter_table *counters, struct txn *txn)
{
	const struct txn_group *groups = txn_groups(txn);

	for (unsigned i = 0; i < txn->groups; i++) {
		uint32_t slot = groups[i].slot;

		if (!table_is_alive(counters, slot, groups[i].birth) ||
			!table_is_dirty(counters, slot))
			continue;
		table_unmark(counters, slot);
		take_counter(batch, counters, slot);
	}
}

static void take_transaction(
	struct batch *batch, struct ledger *ledger, uint32_t slot, struct clock_now now)
{
	struct txn *txn = txn_at(ledger->txns, slot);
	char *at;

	if (!txn) {
		batch_remove(batch, BATCH_TRANSACTIONS, slot);
		return;
	}
	at = batch_begin(batch, BATCH_TRANSACTIONS, slot, codec_transaction_bytes(txn));
	batch_end(batch, codec_put_transaction(at, txn, now));
}

/* The counters of the next dirty transactions from `*slot` on, until the snapshot is full; returns how many those are. */
static unsigned take_counters_of_run(struct batch *batch, struct ledger *ledger, uint32_t *slot,
	uint32_t ret_run[static TXN_RUN])
{
	unsigned count = 0;

	while (count < TXN_RUN && !is_full(batch) &&
		(*slot = txn_next_dirty(ledger->txns, *slot)) != TXN_NONE) {
		struct txn *txn = txn_at(ledger->txns, *slot);

		if (txn)
			take_charged(batch, ledger->counters, txn);
		ret_run[count++] = (*slot)++;
	}
	return count;
}

static void take_transactions(struct batch *batch, struct ledger *ledger, struct clock_now now)
{
	uint32_t run[TXN_RUN], slot = 0;
	unsigned count;

	do {
		count = take_counters_of_run(batch, ledger, &slot, run);
		for (unsigned i = 0; i < count; i++)
			take_transaction(batch, ledger, run[i], now);
	} while (count == TXN_RUN);
}

static void take_counters(struct batch *batch, struct counter_table *counters)
{
	uint32_t slot = 0;

	while (!is_full(batch) && (slot = table_next_dirty(counters, slot)) != TABLE_NONE)
		take_counter(batch, counters, slot++);
}

bool snapshot_take(struct batch *batch, const struct snapshot_tables *tables,
	enum snapshot_part part, struct clock_now now)
{
	bool more = take_bans(batch, tables->bans);

	more = take_overrides(batch, tables->overrides) || more;
	if (part == SNAPSHOT_URGENT)
		return more;
	take_services(batch, &tables->ledger->services);
	if (part == SNAPSHOT_ALL)
		take_counters(batch, tables->ledger->counters);
	take_transactions(batch, tables->ledger, now);
	take_counters(batch, tables->ledger->counters);
	return is_full(batch);
}

bool snapshot_is_urgent(const struct snapshot_tables *tables)
{
	return banlist_is_dirty(tables->bans) || overrides_is_dirty(tables->overrides);
}

void snapshot_undo(const struct batch *batch, const struct snapshot_tables *tables)
{
	struct batch_record record;
	size_t at = 0;

	while (batch_next(batch, &at, &record)) {
		switch (record.db) {
		case BATCH_COUNTERS:
			table_mark(tables->ledger->counters, record.key);
			break;
		case BATCH_TRANSACTIONS:
			txn_mark_slot(tables->ledger->txns, record.key);
			break;
		case BATCH_BANS:
			banlist_mark(tables->bans, record.key);
			break;
		case BATCH_OVERRIDES:
			overrides_mark(tables->overrides, record.key);
			break;
		case BATCH_META:
			tables->ledger->services.changed = true;
			break;
		case BATCH_DBS:
			break;
		}
	}
}
