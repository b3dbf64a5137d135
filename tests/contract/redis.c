/* SPDX-License-Identifier: ISC */
/*
 * The Redis store against a real redis-server of the test's own, with times that are handed in.
 * Whatever survives a process there survives it in the server.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include <uv.h>

#include "daemon/store/redis.h"
#include "tests/contract/contract.h"
#include "tests/fake/redis_server.h"

#define TOO_LONG_MS 10000

struct place {
	struct redis_server *server;
	uv_loop_t loop;
	uv_timer_t alarm;
	struct config_store config;
	struct store *store; /* the open one */
	pid_t pid;           /* whose loop it is */
};

static void on_alarm(uv_timer_t *timer)
{
	(void)timer;
}

static struct clock_now real_now(struct place *place)
{
	uv_update_time(&place->loop);
	return (struct clock_now){uv_now(&place->loop), 0};
}

/* One turn, of 10 ms at most. */
static void turn(struct place *place)
{
	store_redis_run(place->store, real_now(place));
	store_redis_flush(place->store);
	uv_timer_start(&place->alarm, on_alarm, 10, 0);
	uv_run(&place->loop, UV_RUN_ONCE);
}

static void begin(struct contract_backend *backend)
{
	struct place *place = backend->data;

	signal(SIGPIPE, SIG_IGN);
	place->pid = getpid();
	place->server = redis_server_start(NULL);
	uv_loop_init(&place->loop);
	uv_timer_init(&place->loop, &place->alarm);
}

static void end(struct contract_backend *backend)
{
	struct place *place = backend->data;

	uv_close((uv_handle_t *)&place->alarm, NULL);
	uv_run(&place->loop, UV_RUN_DEFAULT);
	cr_assert_eq(uv_loop_close(&place->loop), 0);
	redis_server_end(&place->server);
}

static void wait_until_all_is_there(struct place *place)
{
	uint64_t end_ms = real_now(place).mono_ms + TOO_LONG_MS;
	struct redis_store_health health;

	do {
		turn(place);
		store_redis_health(place->store, &health);
		cr_assert(real_now(place).mono_ms < end_ms, "Redis is not asked: %s %s",
			redis_trouble_name(health.link.trouble), health.link.detail);
	} while (!health.asked || !health.lists.bans.complete || !health.lists.overrides.complete);
}

static struct store *open_store(
	struct contract_backend *backend, const struct contract_setup *setup, struct clock_now now)
{
	static const enum ledger_settle settles[] = {
		[CONTRACT_AUTO] = LEDGER_SETTLE_AUTO,
		[CONTRACT_DATA] = LEDGER_SETTLE_DATA,
		[CONTRACT_NONE] = LEDGER_SETTLE_NONE,
	};
	struct place *place = backend->data;
	struct redis_store_options options = {
		.config = &place->config,
		.loop = &place->loop,
		.max_transactions = setup->max_transactions,
		.settle = settles[setup->settles],
		.max_bans = 1000,
		.keep_bans_ms = 24 * UINT64_C(3600000),
		.given_time = true,
	};

	place->config = (struct config_store){
		.kind = CONFIG_STORE_REDIS,
		.redis = {.user = SLICE_EMPTY,
			.unix_path = slice_of(redis_server_socket(place->server)),
			.master = SLICE_EMPTY},
		.password_file = SLICE_EMPTY,
		.prefix = SLICE("reeve"),
		.node = SLICE("mx1"),
		.timeout_ms = 5000, /* sanitizers, and others on the machine */
		.slack = 1,
		.max_keys = setup->max_counters,
	};
	if (place->pid != getpid()) /* a child's polling is not to be its parent's */
		cr_assert_eq(uv_loop_fork(&place->loop), 0);
	place->store = store_redis_open(&options, now);
	wait_until_all_is_there(place);
	return place->store;
}

static bool pump(struct contract_backend *backend)
{
	struct place *place = backend->data;
	struct redis_store_health health;

	store_redis_health(place->store, &health);
	turn(place);
	return health.link.out > 0 || !health.asked;
}

/* What was answered is in Redis; the rest is when all answers have come. */
static void sync_store(struct contract_backend *backend, struct store *store, struct clock_now now)
{
	store->ops->tick(store, now);
	do
		turn(backend->data);
	while (pump(backend));
}

static struct place redis_place;
static struct contract_backend redis = {
	"redis", begin, end, open_store, pump, sync_store, &redis_place};

#define CASE(name)                                     \
	Test(redis, name)                              \
	{                                              \
		contract_run(&redis, contract_##name); \
	}
CONTRACT_CASES(CASE)
CONTRACT_DURABLE_CASES(CASE)
#undef CASE

/* ---- what only this store has to bear ---- */

#define MANY 1000

static unsigned connections(void)
{
	struct redis_store_health health;

	store_redis_health(redis_place.store, &health);
	return (unsigned)health.link.connections;
}

static struct store_charge nth_gate(char subject[static 96], unsigned i)
{
	snprintf(subject, 96, "a-recipient-with-a-rather-long-name-%u@example.com", i);
	return contract_gate("each-recipient", subject, 7);
}

/* A message to very many, each with a counter of its own, is given back by a run that knows nothing
 * of it: Redis names all counters, and then what it took from each. */
static void a_message_of_many_counters(struct contract *contract)
{
	char subject[96];

	for (unsigned i = 0; i < MANY; i++)
		cr_assert(contract_reserve(contract, 1, i + 1, i + 1, nth_gate(subject, i)));
	contract_close(contract);
	contract_open(contract);
	contract->store->ops->refund(contract->store, contract_id(1), contract->now);
	contract_sync(contract);
	for (unsigned i = 0; i < MANY; i += 111)
		cr_assert_eq(contract_used(contract, nth_gate(subject, i)), 0);
	cr_assert_eq(connections(), 1, "no answer was too large");
}

/* And one that uses its limits in all their buckets is reset. */
static void a_reset_of_many_buckets(struct contract *contract)
{
	struct store_charge charges[12];
	char rules[12][16];

	for (unsigned i = 0; i < 12; i++) {
		snprintf(rules[i], sizeof(rules[i]), "rule-%u", i);
		charges[i] = contract_gate(rules[i], "anna", 1000);
	}
	for (unsigned bucket = 0; bucket < 61; bucket++) {
		cr_assert_eq(contract_reserve_all(contract, bucket + 1, 1, 1, charges, 12), -1);
		contract_pass(contract, MINUTE_MS);
	}
	cr_assert_eq(
		contract->store->ops->reset(contract->store, SLICE("anna"), contract->now), 12);
	for (unsigned i = 0; i < 12; i++)
		cr_assert_eq(contract_used(contract, charges[i]), 0);
	cr_assert_eq(connections(), 1, "no answer was too large");
}

#define OWN_CASE(name)                      \
	Test(redis, name)                   \
	{                                   \
		contract_run(&redis, name); \
	}
OWN_CASE(a_message_of_many_counters)
OWN_CASE(a_reset_of_many_buckets)
