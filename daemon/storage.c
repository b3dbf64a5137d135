/* SPDX-License-Identifier: ISC */
/*
 * Two kinds of trouble have their lines here: a disk that fails behind the embedded store, and a
 * Redis that is away. Of Redis, a fault that hops (a full memory that takes some writes) is one fault:
 * it is over when Redis has been of use for BACK_AFTER_MS.
 */
#include "daemon/storage.h"

#include "common/alloc.h"
#include "common/list.h"
#include "daemon/store/redis.h"

#define SLOW_START_MS 1000 /* connected, but not asked for so long: a fault */
#define BACK_AFTER_MS 1000

/* A fault of Redis, from its line to the one that says that it is over. */
struct away {
	bool told;
	uint64_t since_mono_ms;
	uint64_t asked_mono_ms;  /* last seen of use */
	uint64_t useful_mono_ms; /* since then it has been, without a break */
	uint64_t local_before;   /* decisions made here, when all was well */
};

struct storage {
	struct store_watcher watcher;
	struct bans_share share;
	struct counters_events counters_events;
	struct storage_options options;
	struct config *config;
	struct store *store;
	struct bans *bans;
	bool is_redis;
	bool disk_failing; /* told so */
	uint64_t disk_failing_since_ms;
	struct away away;
	bool name_taken; /* told so */
};

static void log_number(struct storage *storage, enum log_level level, const char *event,
	const char *key, uint64_t value)
{
	char memory[256];
	struct buf line;

	buf_init_fixed(&line, memory, sizeof(memory));
	logline_text(&line, "event", event);
	logline_u64(&line, key, value);
	storage->options.log->write(storage->options.log, level, buf_slice(&line));
}

/* ---- bans ---- */

static struct storage *of_watcher(struct store_watcher *watcher)
{
	return LIST_ENTRY(watcher, struct storage, watcher);
}

static bool on_ban_put(struct store_watcher *watcher, const struct ban *ban)
{
	struct storage *storage = of_watcher(watcher);

	return bans_restore(storage->bans, ban, loop_now(storage->options.loop));
}

static void on_ban_gone(struct store_watcher *watcher, const struct cidr *network)
{
	bans_forget(of_watcher(watcher)->bans, network);
}

static void on_struck(struct store_watcher *watcher, const struct store_strikes *asked,
	const struct store_totals *totals)
{
	struct storage *storage = of_watcher(watcher);

	bans_struck(storage->bans, asked, totals, loop_now(storage->options.loop));
}

static bool on_strike(
	struct bans_share *share, const struct store_strikes *strikes, struct clock_now now)
{
	struct storage *storage = LIST_ENTRY(share, struct storage, share);

	return store_redis_is_asked(storage->store) &&
	       storage->store->ops->strike(storage->store, strikes, now);
}

static void restore_ban(void *arg, const struct ban *ban)
{
	(void)on_ban_put(arg, ban);
}

void storage_attach(struct storage *storage, struct bans *bans)
{
	storage->bans = bans;
	storage->watcher = (struct store_watcher){on_ban_put, on_ban_gone, on_struck};
	storage->store->watcher = &storage->watcher;
	storage->store->ops->bans_each(storage->store, restore_ban, &storage->watcher);
	storage->share.strike = on_strike;
	if (storage->store->ops->strike)
		bans_set_share(bans, &storage->share);
}

static void know_rule(struct storage *storage, const struct rule *rule)
{
	struct rule_counting counting;

	if (!rule->ops->counting)
		return;
	counting = rule->ops->counting(rule);
	for (unsigned i = 0; i < counting.window_count; i++) {
		const struct counter_key key = {
			rule->name, SLICE_EMPTY, counting.what, counting.windows_ms[i]};

		store_redis_know(storage->store, &key);
	}
}

void storage_configure(struct storage *storage, const struct ruleset *ruleset)
{
	const struct config_bans *bans = &ruleset->config->bans;

	if (!storage->is_redis)
		return;
	store_redis_configure(storage->store, bans->max_entries, bans->max_duration_ms);
	for (unsigned i = 0; i < ruleset->count; i++)
		know_rule(storage, &ruleset->rules[i]);
}

/* What ends here alone, for want of room or by its own time, other nodes see to themselves. */
static bool is_removal(const struct storage *storage, const struct bans_event *event)
{
	return event->kind == BANS_REMOVED &&
	       (!storage->store->is_shared || strcmp(event->why, "removed") == 0);
}

void storage_note_ban(struct storage *storage, const struct bans_event *event, struct clock_now now)
{
	struct store *store = storage->store;

	if (event->kind == BANS_BANNED || event->kind == BANS_EXTENDED)
		store->ops->ban_put(store, event->ban, now);
	else if (is_removal(storage, event))
		store->ops->ban_remove(store, &event->ban->network, now);
}

/* ---- the disk ---- */

static void watch_disk(struct storage *storage, struct clock_now now)
{
	struct embedded_health health;

	store_embedded_health(storage->store, &health);
	if (health.disk_failing == storage->disk_failing)
		return;
	storage->disk_failing = health.disk_failing;
	if (health.disk_failing) {
		storage->disk_failing_since_ms = now.mono_ms;
		log_event(storage->options.log, LOG_LEVEL_ERROR, "store_write_failed", "why",
			slice_of(health.last_error));
	} else {
		log_number(storage, LOG_LEVEL_NOTICE, "store_write_works", "failing_ms",
			now.mono_ms - storage->disk_failing_since_ms);
	}
}

/* ---- Redis ---- */

static bool is_trouble(const struct storage *storage, const struct redis_store_health *health,
	struct clock_now now)
{
	if (health->link.trouble != REDIS_TROUBLE_NONE &&
		health->link.trouble != REDIS_TROUBLE_STARTING)
		return true;
	return !health->asked && now.mono_ms - storage->away.asked_mono_ms >= SLOW_START_MS;
}

static void log_away(struct storage *storage, const struct redis_store_health *health)
{
	const struct redis_link_health *link = &health->link;
	char memory[512];
	struct buf line;

	buf_init_fixed(&line, memory, sizeof(memory));
	logline_text(&line, "event", "store_away");
	logline_text(
		&line, "why", link->trouble ? redis_trouble_name(link->trouble) : "not_answering");
	if (link->detail[0])
		logline_text(&line, "detail", link->detail);
	if (link->address[0])
		logline_text(&line, "address", link->address);
	logline_u64(&line, "nodes", health->counters.nodes);
	storage->options.log->write(storage->options.log, LOG_LEVEL_ERROR, buf_slice(&line));
}

static void log_back(
	struct storage *storage, const struct redis_store_health *health, uint64_t away_ms)
{
	char memory[512];
	struct buf line;

	buf_init_fixed(&line, memory, sizeof(memory));
	logline_text(&line, "event", "store_back");
	logline_u64(&line, "seconds", (away_ms + 500) / 1000);
	logline_u64(&line, "local", health->counters.local - storage->away.local_before);
	if (health->link.address[0])
		logline_text(&line, "address", health->link.address);
	storage->options.log->write(storage->options.log, LOG_LEVEL_NOTICE, buf_slice(&line));
}

static void note_use(struct away *away, const struct redis_store_health *health, uint64_t mono_ms)
{
	if (health->asked)
		away->asked_mono_ms = mono_ms;
	if (!health->asked || health->link.trouble != REDIS_TROUBLE_NONE)
		away->useful_mono_ms = 0;
	else if (!away->useful_mono_ms)
		away->useful_mono_ms = mono_ms;
}

static void watch_redis(struct storage *storage, struct clock_now now)
{
	struct away *away = &storage->away;
	struct redis_store_health health;

	store_redis_health(storage->store, &health);
	note_use(away, &health, now.mono_ms);
	if (!away->told && is_trouble(storage, &health, now)) {
		away->told = true;
		away->since_mono_ms = now.mono_ms;
		log_away(storage, &health);
	} else if (away->told && away->useful_mono_ms &&
		   now.mono_ms - away->useful_mono_ms >= BACK_AFTER_MS) {
		away->told = false;
		log_back(storage, &health, away->useful_mono_ms - away->since_mono_ms);
		away->local_before = health.counters.local;
	} else if (!away->told && away->useful_mono_ms) {
		away->local_before = health.counters.local;
	}
}

static void on_notice(void *arg, enum redis_notice notice, struct slice detail)
{
	struct storage *storage = arg;
	struct log_sink *log = storage->options.log;

	switch (notice) {
	case REDIS_NOTICE_EVICTION:
		log_event(log, LOG_LEVEL_ERROR, "store_evicts", "policy", detail);
		break;
	case REDIS_NOTICE_UNCHECKED:
		log_event(log, LOG_LEVEL_WARNING, "store_unchecked", "command", detail);
		break;
	case REDIS_NOTICE_MASTER:
		log_event(log, LOG_LEVEL_NOTICE, "store_master", "address", detail);
		break;
	}
}

static void on_bad_key(void *arg, struct slice key)
{
	struct storage *storage = arg;

	log_event(storage->options.log, LOG_LEVEL_ERROR, "store_bad_key", "key", key);
}

static void on_name_taken(void *arg)
{
	struct storage *storage = arg;

	if (storage->name_taken)
		return;
	storage->name_taken = true;
	log_event(storage->options.log, LOG_LEVEL_ERROR, "node_name_taken", "node",
		storage->config->store.node);
	storage->options.name_taken(storage->options.arg);
}

/* ---- opening and closing ---- */

static void open_redis(struct storage *storage)
{
	const struct config *config = storage->config;
	struct clock_now now = loop_now(storage->options.loop);
	struct redis_store_options options = {
		.config = &config->store,
		.loop = loop_uv(storage->options.loop),
		.dns = storage->options.dns,
		.max_transactions = storage->options.max_transactions,
		.settle = (enum ledger_settle)config->settle,
		.max_bans = config->bans.max_entries,
		.keep_bans_ms = config->bans.max_duration_ms,
		.events = &storage->counters_events,
		.notice = on_notice,
		.arg = storage,
	};

	storage->counters_events = (struct counters_events){on_bad_key, on_name_taken};
	storage->away.asked_mono_ms = now.mono_ms;
	storage->store = store_redis_open(&options, now);
}

static void open_embedded(struct storage *storage)
{
	const struct config *config = storage->config;
	struct embedded_options options = {
		.folder = config->store.path,
		.max_counters = config->store.max_keys,
		.max_transactions = storage->options.max_transactions,
		.settle = (enum embedded_settle)config->settle,
		.hash_key = hash_key_random(),
	};
	char why[256];

	storage->store = store_embedded_open(
		&options, storage->options.worker, loop_now(storage->options.loop), why);
	if (!storage->store)
		log_event(storage->options.log, LOG_LEVEL_ERROR, "store_failed", "why",
			slice_of(why));
}

struct storage *storage_open(const struct storage_options *options)
{
	struct storage *storage = mem_zalloc(sizeof(*storage));

	storage->options = *options;
	storage->config = config_ref(options->config);
	storage->is_redis = options->config->store.kind == CONFIG_STORE_REDIS;
	if (storage->is_redis)
		open_redis(storage);
	else
		open_embedded(storage);
	if (!storage->store)
		storage_close(&storage);
	return storage;
}

void storage_close(struct storage **storage)
{
	struct storage *old = *storage;

	if (!old)
		return;
	if (old->store)
		old->store->ops->close(old->store);
	config_unref(&old->config);
	mem_free(storage);
}

struct store *storage_store(const struct storage *storage)
{
	return storage->store;
}

struct hash_key storage_hash_key(const struct storage *storage)
{
	return storage->is_redis ? store_redis_hash_key(&storage->config->store)
				 : store_embedded_hash_key(storage->store);
}

/* ---- turns ---- */

void storage_run(struct storage *storage, struct clock_now now)
{
	store_run(storage->store, now);
	if (storage->is_redis && store_redis_is_asked(storage->store) == storage->away.told)
		watch_redis(storage, now);
}

void storage_tick(struct storage *storage, struct clock_now now)
{
	storage->store->ops->tick(storage->store, now);
	if (storage->is_redis)
		watch_redis(storage, now);
	else
		watch_disk(storage, now);
}
