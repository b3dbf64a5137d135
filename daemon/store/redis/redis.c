/* SPDX-License-Identifier: ISC */
/*
 * struct store over the link and the counters. Bans and live limits of this node are held in
 * memory.
 */
#include "daemon/store/redis.h"

#include "common/alloc.h"
#include "daemon/store/embedded/banlist.h"

#define MAX_BANS 1000000

struct redis_store {
	struct store store;
	struct counters_port port;
	struct redis_link *link;
	struct counters *counters;
	struct banlist *bans;
	struct overrides *overrides;
	struct redis_store_options options;
	struct clock_now now; /* of the last call */
};

static struct redis_store *of(struct store *store)
{
	return (struct redis_store *)(void *)store;
}

/* ---- between link and counters ---- */

static struct redis_store *of_port(struct counters_port *port)
{
	return LIST_ENTRY(port, struct redis_store, port);
}

static bool port_send(struct counters_port *port, struct redis_call *call, struct slice command,
	uint64_t timeout_ms)
{
	return redis_link_send(of_port(port)->link, call, command, timeout_ms);
}

static struct clock_now port_now(struct counters_port *port)
{
	struct redis_store *redis = of_port(port);

	return redis->options.given_time ? redis->now : redis_link_now(redis->link);
}

static void on_up(void *arg, uint64_t connection)
{
	(void)connection;
	counters_up(((struct redis_store *)arg)->counters);
}

static void on_down(void *arg)
{
	counters_down(((struct redis_store *)arg)->counters);
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

static void tick(struct store *store, struct clock_now now)
{
	struct redis_store *redis = of(store);

	redis->now = now;
	(void)overrides_expire(redis->overrides, now.wall_ms);
	counters_tick(redis->counters, now);
}

/* ---- bans and live limits ---- */

static void ban_put(struct store *store, const struct ban *ban, struct clock_now now)
{
	(void)now;
	(void)banlist_put(of(store)->bans, ban);
}

static void ban_remove(struct store *store, const struct cidr *network, struct clock_now now)
{
	(void)now;
	banlist_remove(of(store)->bans, network);
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

static bool override_put(struct store *store, const struct override *override, struct clock_now now)
{
	(void)now;
	return overrides_put(of(store)->overrides, override);
}

static bool override_remove(
	struct store *store, struct slice rule, struct slice subject, struct clock_now now)
{
	(void)now;
	return overrides_remove(of(store)->overrides, rule, subject);
}

/* ---- opening and closing ---- */

static void close_store(struct store *store)
{
	struct redis_store *redis = of(store);

	redis_link_close(&redis->link);
	counters_free(&redis->counters);
	banlist_free(&redis->bans);
	overrides_free(&redis->overrides);
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
	.override_put = override_put,
	.override_remove = override_remove,
	.tick = tick,
	.close = close_store,
	.list = list,
};

static void open_link(struct redis_store *redis, struct clock_now now)
{
	const struct config_store *config = redis->options.config;
	struct redis_link_options options = {
		.loop = redis->options.loop,
		.dns = redis->options.dns,
		.where = &config->redis,
		.password_file = config->password_file,
		.timeout_ms = config->timeout_ms,
		.channel = SLICE_EMPTY,
		.events = &link_events,
		.arg = redis,
	};

	redis->link = redis_link_new(&options, now);
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
	redis->port = (struct counters_port){port_send, port_now};
	redis->options = *options;
	redis->now = now;
	redis->counters = counters_new(&counters, &redis->port);
	redis->bans = banlist_new(MAX_BANS, hash_key_random());
	redis->overrides = overrides_new(OVERRIDES_MAX);
	redis->store.overrides = redis->overrides;
	open_link(redis, now);
	return &redis->store;
}

void store_redis_run(struct store *store, struct clock_now now)
{
	struct redis_store *redis = of(store);

	redis->now = redis->options.given_time ? redis->now : now;
	redis_link_run(redis->link, now);
	counters_run(redis->counters, redis->now);
}

void store_redis_flush(struct store *store)
{
	redis_link_flush(of(store)->link);
}

uint64_t store_redis_next(const struct store *store)
{
	const struct redis_store *redis = (const struct redis_store *)(const void *)store;
	uint64_t link = redis_link_next(redis->link), counters = counters_next(redis->counters);

	return link < counters ? link : counters;
}

void store_redis_health(const struct store *store, struct redis_store_health *ret)
{
	const struct redis_store *redis = (const struct redis_store *)(const void *)store;

	redis_link_health(redis->link, &ret->link);
	counters_health(redis->counters, &ret->counters);
	ret->asked = ret->counters.ready;
}

struct hash_key store_redis_hash_key(const struct config_store *config)
{
	static const struct hash_key fixed = {0, 0};
	struct hash128 hash = hash128(&fixed, config->prefix);

	return (struct hash_key){hash.lo, hash.hi};
}
