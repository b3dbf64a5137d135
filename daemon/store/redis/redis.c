/* SPDX-License-Identifier: ISC */
/*
 * struct store over two links: one for commands, with the counters and the lists behind it, and one
 * for the channel on which other nodes tell of changes to the lists.
 */
#include "daemon/store/redis.h"

#include "common/alloc.h"
#include "daemon/store/redis/lists.h"
#include "daemon/store/redis/tallies.h"

#define CHANNEL_BYTES 256
/* Of memory, for an answer: Redis may name all 1,024 counters of a transaction, up to 320 bytes each. */
#define MAX_REPLY_BYTES ((size_t)512 * 1024)
#define LEAVE_MS 1000 /* at the end, for what is still to be said */

struct redis_store {
	struct store store;
	struct redis_port port;
	struct redis_link *link, *channel;
	struct counters *counters;
	struct scripts *scripts;
	struct lists *lists;
	struct tallies *tallies;
	struct buf channel_name;
	struct redis_store_options options;
	struct clock_now now; /* of the last call */
};

static struct redis_store *of(struct store *store)
{
	return (struct redis_store *)(void *)store;
}

/* ---- between link and counters ---- */

static struct redis_store *of_port(struct redis_port *port)
{
	return LIST_ENTRY(port, struct redis_store, port);
}

static bool port_send(
	struct redis_port *port, struct redis_call *call, struct slice command, uint64_t timeout_ms)
{
	return redis_link_send(of_port(port)->link, call, command, timeout_ms);
}

static struct clock_now port_now(struct redis_port *port)
{
	struct redis_store *redis = of_port(port);

	return redis->options.given_time ? redis->now : redis_link_now(redis->link);
}

static void on_up(void *arg, uint64_t connection)
{
	struct redis_store *redis = arg;

	(void)connection;
	counters_up(redis->counters);
	lists_up(redis->lists, port_now(&redis->port));
	tallies_up(redis->tallies);
}

static void on_down(void *arg)
{
	struct redis_store *redis = arg;

	counters_down(redis->counters);
	lists_down(redis->lists, port_now(&redis->port));
}

static void on_notice(void *arg, enum redis_notice notice, struct slice detail)
{
	struct redis_store *redis = arg;

	if (redis->options.notice)
		redis->options.notice(redis->options.arg, notice, detail);
}

static const struct redis_link_events link_events = {
	.up = on_up,
	.down = on_down,
	.notice = on_notice,
};

/* ---- the channel ---- */

static void on_channel_up(void *arg, uint64_t connection)
{
	(void)connection;
	lists_channel(((struct redis_store *)arg)->lists, true);
}

static void on_channel_down(void *arg)
{
	lists_channel(((struct redis_store *)arg)->lists, false);
}

static void on_message(void *arg, struct slice payload)
{
	struct redis_store *redis = arg;

	lists_hint(redis->lists, payload);
	counters_hint(redis->counters, payload);
}

static const struct redis_link_events channel_events = {
	.up = on_channel_up,
	.down = on_channel_down,
	.message = on_message,
};

/* ---- counters ---- */

static void reserve(struct store *store, struct store_reserve *op, struct clock_now now)
{
	of(store)->now = now;
	counters_reserve(of(store)->counters, op, now);
}

static void settle(struct store *store, struct store_settle *op, struct clock_now now)
{
	of(store)->now = now;
	counters_settle(of(store)->counters, op, now);
}

static void refund(struct store *store, struct hash128 transaction, struct clock_now now)
{
	of(store)->now = now;
	counters_refund(of(store)->counters, transaction, now);
}

static void abandon(struct store *store, struct hash128 transaction, struct clock_now now)
{
	of(store)->now = now;
	counters_abandon(of(store)->counters, transaction, now);
}

static void usage(struct store *store, struct store_usage *op, struct clock_now now)
{
	of(store)->now = now;
	counters_usage(of(store)->counters, op, now);
}

static unsigned reset(struct store *store, struct slice subject, struct clock_now now)
{
	of(store)->now = now;
	return counters_reset(of(store)->counters, subject, now);
}

static void forget(struct store *store, struct store_op *op)
{
	counters_forget(of(store)->counters, op);
}

static void list(struct store *store, struct slice subject,
	void (*each)(void *arg, const struct store_counter *), void *arg, struct clock_now now)
{
	of(store)->now = now;
	counters_list(of(store)->counters, subject, each, arg, now);
}

static uint64_t scan(struct store *store, uint64_t cursor,
	void (*each)(void *arg, const struct store_counter *), void *arg, struct clock_now now)
{
	of(store)->now = now;
	return counters_scan(of(store)->counters, cursor, each, arg, now);
}

static void tick(struct store *store, struct clock_now now)
{
	of(store)->now = now;
	lists_tick(of(store)->lists, now);
	counters_tick(of(store)->counters, now);
}

/* ---- bans and live limits ---- */

static void ban_put(struct store *store, const struct ban *ban, struct clock_now now)
{
	of(store)->now = now;
	lists_ban_put(of(store)->lists, ban, now);
}

static void ban_remove(struct store *store, const struct cidr *network, struct clock_now now)
{
	of(store)->now = now;
	lists_ban_remove(of(store)->lists, network, now);
}

static void bans_each(struct store *store, void (*each)(void *arg, const struct ban *), void *arg)
{
	lists_bans_each(of(store)->lists, each, arg);
}

static bool strike(struct store *store, const struct store_strikes *strikes, struct clock_now now)
{
	of(store)->now = now;
	return tallies_add(of(store)->tallies, strikes, now);
}

static bool override_put(struct store *store, const struct override *override, struct clock_now now)
{
	of(store)->now = now;
	return lists_override_put(of(store)->lists, override, now);
}

static bool override_remove(
	struct store *store, struct slice rule, struct slice subject, struct clock_now now)
{
	of(store)->now = now;
	return lists_override_remove(of(store)->lists, rule, subject, now);
}

/* ---- opening and closing ---- */

/* What was given back or changed at the last moment goes out, and so does what is in doubt. */
static void leave(struct redis_store *redis)
{
	uint64_t mono_ms = redis_link_now(redis->link).mono_ms, end_ms = mono_ms + LEAVE_MS;

	do {
		struct clock_now now = port_now(&redis->port);

		counters_run(redis->counters, now);
		lists_run(redis->lists, now);
		lists_flush(redis->lists);
		redis_link_flush(redis->link);
		mono_ms = redis_link_now(redis->link).mono_ms;
	} while (mono_ms < end_ms && redis_link_turn(redis->link, end_ms - mono_ms));
}

/* Calls that are still out end here, unanswered: so the link is known until all have. */
static void close_store(struct store *store)
{
	struct redis_store *redis = of(store);
	struct redis_link *link = redis->link;

	leave(redis);
	redis_link_close(&redis->channel);
	redis_link_close(&link);
	redis->link = NULL;
	counters_free(&redis->counters);
	lists_free(&redis->lists);
	tallies_free(&redis->tallies);
	scripts_free(&redis->scripts);
	buf_release(&redis->channel_name);
	mem_free(&redis);
}

static const struct store_ops redis_ops = {
	.name = "redis",
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
	.strike = strike,
	.override_put = override_put,
	.override_remove = override_remove,
	.run = store_redis_run,
	.flush = store_redis_flush,
	.next = store_redis_next,
	.tick = tick,
	.close = close_store,
	.scan = scan,
	.list = list,
};

static void open_links(struct redis_store *redis, struct clock_now now)
{
	const struct config_store *config = redis->options.config;
	struct redis_link_options options = {
		.loop = redis->options.loop,
		.dns = redis->options.dns,
		.where = &config->redis,
		.password_file = config->password_file,
		.timeout_ms = config->timeout_ms,
		.channel = SLICE_EMPTY,
		.max_reply_bytes = MAX_REPLY_BYTES,
		.events = &link_events,
		.arg = redis,
	};

	redis->link = redis_link_new(&options, now);
	buf_init(&redis->channel_name, CHANNEL_BYTES);
	buf_add_format(&redis->channel_name, "{%.*s}:hint", SLICE_ARG(config->prefix));
	options.channel = buf_slice(&redis->channel_name);
	options.max_reply_bytes = 0;
	options.events = &channel_events;
	redis->channel = redis_link_new(&options, now);
}

static void open_lists(struct redis_store *redis)
{
	const struct config_store *config = redis->options.config;
	struct lists_options options = {
		.prefix = config->prefix,
		.timeout_ms = config->timeout_ms,
		.max_bans = redis->options.max_bans,
		.keep_bans_ms = redis->options.keep_bans_ms,
		.hash_key = hash_key_random(),
		.given_time = redis->options.given_time,
	};

	redis->scripts = scripts_new();
	redis->lists = lists_new(&options, &redis->store, &redis->port, redis->scripts);
	redis->tallies = tallies_new(&(struct tallies_options){
		.prefix = config->prefix,
		.timeout_ms = config->timeout_ms,
		.given_time = redis->options.given_time,
		.store = &redis->store,
		.port = &redis->port,
		.scripts = redis->scripts,
	});
}

struct store *store_redis_open(const struct redis_store_options *options, struct clock_now now)
{
	const struct config_store *config = options->config;
	struct redis_store *redis = mem_zalloc(sizeof(*redis));
	struct counters_options counters = {
		.prefix = config->prefix,
		.node = config->node,
		.timeout_ms = config->timeout_ms,
		.fail = config->on_failure != 0,
		.nodes = config->nodes,
		.slack = config->slack,
		.max_counters = config->max_keys,
		.max_transactions = options->max_transactions,
		.settle = options->settle,
		.given_time = options->given_time,
		.events = options->events,
		.arg = options->arg,
	};

	redis->store.ops = &redis_ops;
	redis->store.is_shared = true;
	redis->port = (struct redis_port){port_send, port_now};
	redis->options = *options;
	redis->now = now;
	redis->counters = counters_new(&counters, &redis->port);
	open_links(redis, now);
	open_lists(redis);
	return &redis->store;
}

void store_redis_configure(struct store *store, size_t max_bans, uint64_t keep_bans_ms)
{
	lists_configure(of(store)->lists, max_bans, keep_bans_ms);
}

void store_redis_know(struct store *store, const struct counter_key *key)
{
	counters_know(of(store)->counters, key);
}

void store_redis_run(struct store *store, struct clock_now now)
{
	struct redis_store *redis = of(store);

	redis->now = redis->options.given_time ? redis->now : now;
	redis_link_run(redis->link, now);
	redis_link_run(redis->channel, now);
	counters_run(redis->counters, redis->now);
	lists_run(redis->lists, redis->now);
}

void store_redis_flush(struct store *store)
{
	struct redis_store *redis = of(store);

	lists_flush(redis->lists);
	redis_link_flush(redis->link);
	redis_link_flush(redis->channel);
}

/* 0 and UINT64_MAX: nothing. */
static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a - 1 < b - 1 ? a : b;
}

uint64_t store_redis_next(const struct store *store)
{
	const struct redis_store *redis = (const struct redis_store *)(const void *)store;
	uint64_t next = earlier(redis_link_next(redis->link), redis_link_next(redis->channel));

	next = earlier(next, lists_next(redis->lists));
	next = earlier(next, counters_next(redis->counters));
	return next == UINT64_MAX ? 0 : next;
}

bool store_redis_is_asked(const struct store *store)
{
	return counters_are_ready(((const struct redis_store *)(const void *)store)->counters);
}

void store_redis_health(const struct store *store, struct redis_store_health *ret)
{
	const struct redis_store *redis = (const struct redis_store *)(const void *)store;

	redis_link_health(redis->link, &ret->link);
	redis_link_health(redis->channel, &ret->channel);
	counters_health(redis->counters, &ret->counters);
	lists_health(redis->lists, &ret->lists);
	ret->asked = ret->counters.ready;
	ret->config = redis->options.config;
}

struct hash_key store_redis_hash_key(const struct config_store *config)
{
	static const struct hash_key fixed = {0, 0};
	struct hash128 hash = hash128(&fixed, config->prefix);

	return (struct hash_key){hash.lo, hash.hi};
}
