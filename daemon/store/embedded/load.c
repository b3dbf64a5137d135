/* SPDX-License-Identifier: ISC */
/*
 * Counters are read before the transactions that refer to them. What is dropped is deleted in one
 * transaction at the end; if that fails (a full disk), it is dropped again at the next start.
 */
#include "daemon/store/embedded/load.h"

#include <stdio.h>

#include "daemon/store/embedded/codec.h"

/* ---- meta ---- */

struct meta {
	bool has_format, is_format, has_key;
	struct hash_key key;
};

static void read_meta(void *arg, uint32_t key, struct slice value)
{
	struct meta *meta = arg;

	if (key == META_FORMAT) {
		meta->has_format = true;
		meta->is_format = codec_is_format(value);
	} else if (key == META_HASH_KEY) {
		meta->has_key = codec_get_hash_key(value, &meta->key);
	}
}

static bool write_meta(struct disk *disk, struct hash_key key, char why[static DISK_WHY_BYTES])
{
	struct batch batch;
	bool written;
	char *at;

	batch_init(&batch);
	at = batch_begin(&batch, BATCH_META, META_FORMAT, CODEC_FORMAT_BYTES);
	batch_end(&batch, codec_put_format(at));
	at = batch_begin(&batch, BATCH_META, META_HASH_KEY, CODEC_HASH_KEY_BYTES);
	batch_end(&batch, codec_put_hash_key(at, key));
	written = disk_write(disk, &batch, why);
	batch_release(&batch);
	return written;
}

bool load_hash_key(struct disk *disk, struct hash_key fallback, struct hash_key *ret_key,
	char ret_why[static DISK_WHY_BYTES])
{
	struct meta meta = {.has_format = false};

	if (!disk_read(disk, BATCH_META, read_meta, &meta, ret_why))
		return false;
	if (meta.has_format && !meta.is_format) {
		snprintf(ret_why, DISK_WHY_BYTES,
			"store %.120s: written by another version of Reeve; move it away to begin afresh",
			disk_folder(disk));
		return false;
	}
	if (!meta.has_format || !meta.has_key) {
		meta.key = fallback.k0 || fallback.k1 ? fallback : hash_key_random();
		if (!write_meta(disk, meta.key, ret_why))
			return false;
	}
	*ret_key = meta.key;
	return true;
}

/* ---- tables ---- */

struct load {
	struct ledger *ledger;
	struct banlist *bans;
	struct overrides *overrides;
	struct clock_now now;
	struct load_result *result;
	struct batch drops;
	struct table_record record;
};

static void drop(struct load *load, enum batch_db db, uint32_t key)
{
	batch_remove(&load->drops, db, key);
	load->result->dropped++;
}

static bool is_long_over(const struct table_record *record, uint64_t wall_ms)
{
	uint64_t over_ms =
		(record->newest + WINDOW_BUCKETS) * window_bucket_ms(record->key.window_ms);

	return wall_ms > over_ms && wall_ms - over_ms > TABLE_LINGER_MS;
}

static void read_counter(void *arg, uint32_t key, struct slice value)
{
	struct load *load = arg;

	if (!codec_get_counter(value, &load->record) ||
		is_long_over(&load->record, load->now.wall_ms) ||
		!table_restore(load->ledger->counters, key, &load->record)) {
		drop(load, BATCH_COUNTERS, key);
		return;
	}
	load->result->counters++;
	/* The operator made the table smaller: it lives in another slot now, and goes to disk
	 * from there. */
	if (key >= load->ledger->counters->max)
		batch_remove(&load->drops, BATCH_COUNTERS, key);
}

static void read_transaction(void *arg, uint32_t key, struct slice value)
{
	struct load *load = arg;
	struct txn *txn;

	if (!codec_get_transaction(value, load->ledger->txns, key, load->now)) {
		drop(load, BATCH_TRANSACTIONS, key);
		return;
	}
	txn = txn_at(load->ledger->txns, key);
	for (unsigned i = 0; i < txn->groups; i++)
		table_reserve_births(load->ledger->counters, txn_groups(txn)[i].birth);
	load->result->transactions++;
}

static void read_ban(void *arg, uint32_t key, struct slice value)
{
	struct load *load = arg;
	struct ban ban;

	if (!codec_get_ban(value, &ban) || !banlist_restore(load->bans, key, &ban))
		drop(load, BATCH_BANS, key);
}

static void read_override(void *arg, uint32_t key, struct slice value)
{
	struct load *load = arg;
	struct override override;

	if (!codec_get_override(value, &override) || override.until_wall_ms <= load->now.wall_ms ||
		!overrides_restore(load->overrides, key, &override))
		drop(load, BATCH_OVERRIDES, key);
}

static void read_services(void *arg, uint32_t key, struct slice value)
{
	struct load *load = arg;

	if (key == META_SERVICES && !codec_get_services(value, &load->ledger->services))
		drop(load, BATCH_META, key);
}

static bool read_all(struct disk *disk, struct load *load, char why[static DISK_WHY_BYTES])
{
	if (!disk_read(disk, BATCH_META, read_services, load, why) ||
		!disk_read(disk, BATCH_COUNTERS, read_counter, load, why))
		return false;
	table_restored(load->ledger->counters);
	if (!disk_read(disk, BATCH_TRANSACTIONS, read_transaction, load, why))
		return false;
	txn_restored(load->ledger->txns);
	if (!disk_read(disk, BATCH_BANS, read_ban, load, why))
		return false;
	banlist_restored(load->bans);
	if (!disk_read(disk, BATCH_OVERRIDES, read_override, load, why))
		return false;
	overrides_restored(load->overrides);
	return true;
}

bool load_tables(struct disk *disk, const struct snapshot_tables *tables, struct clock_now now,
	struct load_result *ret, char ret_why[static DISK_WHY_BYTES])
{
	struct load load = {.ledger = tables->ledger,
		.bans = tables->bans,
		.overrides = tables->overrides,
		.now = now,
		.result = ret};
	char ignored[DISK_WHY_BYTES];
	bool read;

	*ret = (struct load_result){0};
	batch_init(&load.drops);
	read = read_all(disk, &load, ret_why);
	if (read && load.drops.records)
		(void)!disk_write(disk, &load.drops, ignored);
	batch_release(&load.drops);
	disk_unload(disk);
	return read;
}
