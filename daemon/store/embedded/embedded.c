/* SPDX-License-Identifier: ISC */
/*
 * The embedded store: answers come from the ledger at once; the disk only follows. One batch is
 * under way at most, made on the loop, written on the worker, and when it comes back either done
 * with or marked again. Between two calls into the worker nothing here is shared with it but that
 * batch.
 */
#include "daemon/store/embedded.h"

#include <stdio.h>
#include <time.h>

#include "common/alloc.h"
#include "daemon/store/embedded/banlist.h"
#include "daemon/store/embedded/disk.h"
#include "daemon/store/embedded/load.h"
#include "daemon/store/embedded/snapshot.h"

#define COMMIT_EVERY_MS \
	900 /* a tick comes about once a second; none is to be missed for a few ms */
#define RETRY_FIRST_MS 1000
#define SYNC_MS 5000 /* who waits for the disk is told so long after at the latest */

struct embedded {
	struct store store;
	struct ledger *ledger;
	struct banlist *bans;
	struct overrides *overrides;
	struct hash_key key;
	struct disk *disk; /* NULL: memory only */
	struct worker *worker;
	/* the batch under way, the worker's between run() and done() */
	struct batch batch;
	bool under_way;
	bool written;
	uint64_t took_ms;
	char why[DISK_WHY_BYTES];
	/* the loop's */
	struct clock_now now; /* of the last call */
	bool more;            /* the last snapshot was full */
	uint64_t batches;     /* the number of the last one that was taken */
	struct list syncs;    /* who waits for a batch to be on the disk, in order */
	uint64_t next_commit_mono_ms, retry_ms;
	struct embedded_health health;
};

static struct embedded *of(struct store *store)
{
	return (struct embedded *)(void *)store;
}

static struct snapshot_tables tables_of(const struct embedded *embedded)
{
	return (struct snapshot_tables){embedded->ledger, embedded->bans, embedded->overrides};
}

/* ---- the disk ---- */

static uint64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* On the worker. */
static void write_batch(void *arg)
{
	struct embedded *embedded = arg;
	uint64_t begun_ms = clock_ms();

	embedded->written = disk_write(embedded->disk, &embedded->batch, embedded->why);
	embedded->took_ms = clock_ms() - begun_ms;
}

static void note_written(struct embedded *embedded)
{
	struct embedded_health *health = &embedded->health;

	health->commits++;
	health->last_commit_wall_ms = embedded->now.wall_ms;
	health->last_commit_ms = embedded->took_ms;
	health->disk_failing = false;
	embedded->retry_ms = 0;
}

static void note_failed(struct embedded *embedded)
{
	struct embedded_health *health = &embedded->health;
	struct snapshot_tables tables = tables_of(embedded);

	health->commit_failures++;
	health->disk_failing = true;
	snprintf(health->last_error, sizeof(health->last_error), "%.127s", embedded->why);
	snapshot_undo(&embedded->batch, &tables);
	embedded->retry_ms = embedded->retry_ms ? embedded->retry_ms * 2 : RETRY_FIRST_MS;
	if (embedded->retry_ms > EMBEDDED_RETRY_MS)
		embedded->retry_ms = EMBEDDED_RETRY_MS;
	embedded->next_commit_mono_ms = embedded->now.mono_ms + embedded->retry_ms;
}

/* ---- who waits for the disk ---- */

static void end_sync(struct store_sync *sync, bool failed)
{
	list_remove(&sync->node);
	sync->op.failed = failed;
	sync->op.state = STORE_OP_DONE;
	waiter_forget(sync->op.waiter);
	waiter_wake(sync->op.waiter);
}

/* Those of batches up to `number`; and whose time is over. */
static void end_syncs(struct embedded *embedded, uint64_t number, bool failed, uint64_t mono_ms)
{
	struct list *node, *next;

	for (node = embedded->syncs.next; node != &embedded->syncs; node = next) {
		struct store_sync *sync = LIST_ENTRY(node, struct store_sync, node);

		next = node->next;
		if (sync->number <= number)
			end_sync(sync, failed);
		else if (sync->until_mono_ms <= mono_ms)
			end_sync(sync, true);
	}
}

static void batch_over(struct embedded *embedded)
{
	embedded->under_way = false;
	if (embedded->written)
		note_written(embedded);
	else
		note_failed(embedded);
	end_syncs(embedded, embedded->written ? embedded->batches : UINT64_MAX, !embedded->written,
		0);
	batch_reset(&embedded->batch);
}

static void start_batch(struct embedded *embedded, bool urgent_only);

static bool has_urgent(const struct embedded *embedded)
{
	struct snapshot_tables tables = tables_of(embedded);

	return snapshot_is_urgent(&tables);
}

/* Back on the loop. Bans and live limits that came meanwhile, and what had no room, do not wait
 * for the next tick. */
static void batch_done(void *arg)
{
	struct embedded *embedded = arg;

	batch_over(embedded);
	if (embedded->health.disk_failing)
		return;
	if (embedded->more || has_urgent(embedded))
		start_batch(embedded, !embedded->more);
}

/* What they wait for may not have found room. */
static void delay_syncs(struct embedded *embedded)
{
	for (struct list *node = embedded->syncs.next; node != &embedded->syncs;
		node = node->next) {
		struct store_sync *sync = LIST_ENTRY(node, struct store_sync, node);

		if (sync->number <= embedded->batches)
			sync->number = embedded->batches + 1;
	}
}

static bool take_batch(struct embedded *embedded, bool urgent_only)
{
	struct snapshot_tables tables = tables_of(embedded);
	enum snapshot_part part = urgent_only      ? SNAPSHOT_URGENT
				  : embedded->more ? SNAPSHOT_REST
						   : SNAPSHOT_ALL;
	bool more = snapshot_take(&embedded->batch, &tables, part, embedded->now);

	embedded->more = urgent_only ? embedded->more : more;
	if (!embedded->batch.records)
		return false;
	embedded->batches++;
	if (has_urgent(embedded))
		delay_syncs(embedded);
	return true;
}

static void start_batch(struct embedded *embedded, bool urgent_only)
{
	if (!take_batch(embedded, urgent_only))
		return;
	embedded->under_way = true;
	if (embedded->worker) {
		embedded->worker->run(embedded->worker, write_batch, batch_done, embedded);
		return;
	}
	/* In place, and without calling itself: a full snapshot may be followed by many. */
	do {
		write_batch(embedded);
		batch_over(embedded);
	} while (embedded->written && (embedded->more || has_urgent(embedded)) &&
		 take_batch(embedded, !embedded->more));
}

static void tick(struct store *store, struct clock_now now)
{
	struct embedded *embedded = of(store);

	embedded->now = now;
	ledger_sweep(embedded->ledger, now);
	(void)overrides_expire(embedded->overrides, now.wall_ms);
	end_syncs(embedded, 0, false, now.mono_ms);
	if (!embedded->disk || embedded->under_way || now.mono_ms < embedded->next_commit_mono_ms)
		return;
	embedded->next_commit_mono_ms = now.mono_ms + COMMIT_EVERY_MS;
	start_batch(embedded, false);
}

static void write_rest(struct embedded *embedded)
{
	if (embedded->worker && embedded->under_way)
		embedded->worker->wait(embedded->worker);
	while (take_batch(embedded, false)) {
		write_batch(embedded);
		batch_over(embedded);
		if (!embedded->written)
			return;
	}
}

static void release(struct embedded *embedded)
{
	disk_close(&embedded->disk);
	ledger_free(&embedded->ledger);
	banlist_free(&embedded->bans);
	overrides_free(&embedded->overrides);
	batch_release(&embedded->batch);
	free(embedded);
}

static void close_store(struct store *store)
{
	struct embedded *embedded = of(store);

	if (embedded->disk)
		write_rest(embedded);
	release(embedded);
}

/* ---- counters ---- */

static void reserve(struct store *store, struct store_reserve *op, struct clock_now now)
{
	struct ledger_request request = {.transaction = op->transaction,
		.service = op->service,
		.recipient = op->recipient,
		.asked = op->asked,
		.dry = op->dry};
	unsigned count = op->count < STORE_MAX_CHARGES ? op->count : STORE_MAX_CHARGES;

	op->refused = ledger_reserve(of(store)->ledger, &request, op->charges, count, now);
	op->op.failed = false;
	op->op.state = STORE_OP_DONE;
}

static void name_refused(const struct ledger *ledger, uint32_t slot, struct store_settle *op)
{
	struct table_record record;

	if (!table_read(ledger->counters, slot, &record))
		return;
	snprintf(op->refused_rule, sizeof(op->refused_rule), "%.*s", SLICE_ARG(record.key.rule));
	memcpy(op->refused_subject, record.key.subject.data, record.key.subject.len);
	op->refused_subject[record.key.subject.len] = '\0';
	op->refused_key = record.key;
	op->refused_key.rule = slice_of(op->refused_rule);
	op->refused_key.subject = slice_make(op->refused_subject, record.key.subject.len);
}

static void settle(struct store *store, struct store_settle *op, struct clock_now now)
{
	struct ledger *ledger = of(store)->ledger;
	struct ledger_settlement settlement = {.transaction = op->transaction,
		.service = op->service,
		.recipient_count = op->recipient_count,
		.asked = op->asked,
		.recipient = op->recipient,
		.size_bytes = op->size_bytes,
		.end_of_message = op->end_of_message,
		.dry = op->dry};

	ledger_settle(ledger, &settlement, now);
	op->unknown = settlement.unknown;
	op->refused = settlement.refused;
	op->used = settlement.used;
	op->limit = settlement.limit;
	op->retry_ms = settlement.retry_ms;
	op->refunded = settlement.refunded;
	op->refused_rule[0] = op->refused_subject[0] = '\0';
	if (settlement.refused)
		name_refused(ledger, settlement.refused_slot, op);
	op->op.failed = false;
	op->op.state = STORE_OP_DONE;
}

static void refund(struct store *store, struct hash128 transaction, struct clock_now now)
{
	ledger_refund(of(store)->ledger, transaction, now);
}

static void abandon(struct store *store, struct hash128 transaction, struct clock_now now)
{
	ledger_abandon(of(store)->ledger, transaction, now);
}

static void usage(struct store *store, struct store_usage *op, struct clock_now now)
{
	const struct counter_table *counters = of(store)->ledger->counters;
	uint32_t slot = table_find(counters, &op->key, table_hash(counters, &op->key));

	op->used = op->free_ms = op->free_amount = 0;
	if (slot != TABLE_NONE) {
		struct window window;

		table_load(counters, slot, now.wall_ms, &window);
		op->used = window.total;
		op->free_ms = window_next_ms(&window, now.wall_ms, &op->free_amount);
	}
	op->op.failed = false;
	op->op.state = STORE_OP_DONE;
}

static unsigned reset(struct store *store, struct slice subject, struct clock_now now)
{
	return ledger_reset(of(store)->ledger, subject, now);
}

struct listing {
	const struct counter_table *counters;
	void (*each)(void *arg, const struct store_counter *);
	void *arg;
	uint64_t wall_ms;
};

static void list_slot(const struct listing *listing, uint32_t slot)
{
	struct store_counter counter;
	struct table_record record;
	struct window window;

	if (!table_read(listing->counters, slot, &record))
		return;
	table_load(listing->counters, slot, listing->wall_ms, &window);
	if (!window.total)
		return;
	counter = (struct store_counter){record.key, window.total, record.limit};
	listing->each(listing->arg, &counter);
}

static void list(struct store *store, struct slice subject,
	void (*each)(void *arg, const struct store_counter *), void *arg, struct clock_now now)
{
	const struct counter_table *counters = of(store)->ledger->counters;
	struct listing listing = {counters, each, arg, now.wall_ms};
	struct counter_key key;

	if (subject.len == 0) {
		for (uint32_t slot = 0; slot < counters->high; slot++)
			list_slot(&listing, slot);
		return;
	}
	for (uint16_t i = 0; (i = table_next_series(counters, i, &key)) != SERIES_NONE; i++) {
		uint32_t slot;

		key.subject = subject;
		slot = table_find(counters, &key, table_hash(counters, &key));
		if (slot != TABLE_NONE)
			list_slot(&listing, slot);
	}
}

#define SCAN_AT_ONCE 4096u

static uint64_t scan(struct store *store, uint64_t cursor,
	void (*each)(void *arg, const struct store_counter *), void *arg, struct clock_now now)
{
	const struct counter_table *counters = of(store)->ledger->counters;
	struct listing listing = {counters, each, arg, now.wall_ms};
	uint64_t end =
		cursor + SCAN_AT_ONCE < counters->high ? cursor + SCAN_AT_ONCE : counters->high;

	for (uint64_t slot = cursor; slot < end; slot++)
		list_slot(&listing, (uint32_t)slot);
	return end < counters->high ? end : 0;
}

/* Only a sync is ever pending. */
static void forget(struct store *store, struct store_op *op)
{
	struct list *syncs = &of(store)->syncs;

	for (struct list *node = syncs->next; node != syncs; node = node->next) {
		if (&LIST_ENTRY(node, struct store_sync, node)->op != op)
			continue;
		list_remove(node);
		waiter_forget(op->waiter);
		op->state = STORE_OP_IDLE;
		return;
	}
}

/* ---- bans ---- */

static void write_soon(struct embedded *embedded, struct clock_now now)
{
	embedded->now = now;
	if (embedded->disk && !embedded->under_way && !embedded->health.disk_failing)
		start_batch(embedded, true);
}

static void ban_put(struct store *store, const struct ban *ban, struct clock_now now)
{
	if (banlist_put(of(store)->bans, ban))
		write_soon(of(store), now);
}

static void ban_remove(struct store *store, const struct cidr *network, struct clock_now now)
{
	banlist_remove(of(store)->bans, network);
	write_soon(of(store), now);
}

static void bans_each(struct store *store, void (*each)(void *arg, const struct ban *), void *arg)
{
	const struct banlist *bans = of(store)->bans;

	for (uint32_t slot = 0; slot < banlist_high(bans); slot++) {
		const struct ban *ban = banlist_at(bans, slot);

		if (ban)
			each(arg, ban);
	}
}

/* ---- live limits ---- */

static bool override_put(struct store *store, const struct override *override, struct clock_now now)
{
	if (!overrides_put(of(store)->overrides, override))
		return false;
	write_soon(of(store), now);
	return true;
}

static bool override_remove(
	struct store *store, struct slice rule, struct slice subject, struct clock_now now)
{
	if (!overrides_remove(of(store)->overrides, rule, subject))
		return false;
	write_soon(of(store), now);
	return true;
}

/* What changed is in the batch under way, or goes into the next one. */
static void sync(struct store *store, struct store_sync *op, struct clock_now now)
{
	struct embedded *embedded = of(store);
	bool waits = embedded->disk && (embedded->under_way || has_urgent(embedded));

	op->op.failed = waits && embedded->health.disk_failing;
	op->op.state = waits && !op->op.failed ? STORE_OP_PENDING : STORE_OP_DONE;
	if (op->op.state == STORE_OP_DONE)
		return;
	op->number = embedded->batches + has_urgent(embedded);
	op->until_mono_ms = now.mono_ms + SYNC_MS;
	waiter_expect(op->op.waiter);
	list_append(&embedded->syncs, &op->node);
}

/* ---- opening ---- */

static const struct store_ops embedded_ops = {
	.name = "embedded",
	.reserve = reserve,
	.settle = settle,
	.refund = refund,
	.abandon = abandon,
	.usage = usage,
	.reset = reset,
	.forget = forget,
	.ban_put = ban_put,
	.ban_remove = ban_remove,
	.bans_each = bans_each,
	.override_put = override_put,
	.override_remove = override_remove,
	.sync = sync,
	.tick = tick,
	.close = close_store,
	.list = list,
	.scan = scan,
};

/* A counter takes around 130 bytes and a transaction 250, the room that pages leave included;
 * pages that a write leaves are used again. Twice that, and room to move. */
static size_t map_bytes_for(const struct embedded_options *options)
{
	uint64_t bytes = ((uint64_t)256 << 20) + (uint64_t)options->max_counters * 1024 +
			 (uint64_t)options->max_transactions * 2048;

	return bytes < SIZE_MAX / 4 ? (size_t)bytes : SIZE_MAX / 4;
}

static void make_tables(struct embedded *embedded, const struct embedded_options *options)
{
	static const enum ledger_settle modes[] = {
		[EMBEDDED_SETTLE_AUTO] = LEDGER_SETTLE_AUTO,
		[EMBEDDED_SETTLE_DATA] = LEDGER_SETTLE_DATA,
		[EMBEDDED_SETTLE_NONE] = LEDGER_SETTLE_NONE,
	};
	struct ledger_options ledger_options = {
		.max_counters = options->max_counters,
		.max_transactions = options->max_transactions,
		.settle = modes[options->settle],
		.key = embedded->key,
	};

	embedded->ledger = ledger_new(&ledger_options);
	embedded->bans = banlist_new(EMBEDDED_MAX_BANS, embedded->key);
	embedded->overrides = overrides_new(OVERRIDES_MAX);
	embedded->store.overrides = embedded->overrides;
}

static bool open_disk(struct embedded *embedded, const struct embedded_options *options,
	struct clock_now now, char why[static DISK_WHY_BYTES])
{
	struct load_result loaded;
	struct snapshot_tables tables;

	embedded->disk = disk_open(options->folder, map_bytes_for(options), why);
	if (!embedded->disk ||
		!load_hash_key(embedded->disk, options->hash_key, &embedded->key, why))
		return false;
	make_tables(embedded, options);
	tables = tables_of(embedded);
	if (!load_tables(embedded->disk, &tables, now, &loaded, why))
		return false;
	embedded->health.loaded_counters = loaded.counters;
	embedded->health.loaded_transactions = loaded.transactions;
	embedded->health.dropped_records = loaded.dropped;
	return true;
}

struct store *store_embedded_open(const struct embedded_options *options, struct worker *worker,
	struct clock_now now, char ret_why[static 256])
{
	struct embedded *embedded = mem_zalloc(sizeof(*embedded));
	struct hash_key key = options->hash_key;

	embedded->store.ops = &embedded_ops;
	embedded->worker = worker;
	embedded->now = now;
	batch_init(&embedded->batch);
	list_init(&embedded->syncs);
	if (options->folder.len == 0) {
		embedded->key = key.k0 || key.k1 ? key : hash_key_random();
		make_tables(embedded, options);
		return &embedded->store;
	}
	if (open_disk(embedded, options, now, ret_why))
		return &embedded->store;
	release(embedded);
	return NULL;
}

void store_embedded_health(const struct store *store, struct embedded_health *ret)
{
	const struct embedded *embedded = (const struct embedded *)(const void *)store;
	const struct ledger *ledger = embedded->ledger;

	*ret = embedded->health;
	ret->counters = ledger->counters->count;
	ret->evictions = ledger->counters->evictions;
	ret->uncounted = ledger->counters->no_room;
	ret->transactions = ledger->txns->count;
	ret->transaction_evictions = ledger->txns->evictions;
	ret->bytes = table_bytes(ledger->counters) + txn_table_bytes(ledger->txns);
	ret->bans = banlist_count(embedded->bans);
}

struct hash_key store_embedded_hash_key(const struct store *store)
{
	return ((const struct embedded *)(const void *)store)->key;
}
