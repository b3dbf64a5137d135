/* SPDX-License-Identifier: ISC */
/*
 * Two nodes on a real redis-server, with times that are handed in: one was asked about a message's
 * recipients, the other settled it. What the first one does when its own time for it is over must
 * not touch what was settled.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <uv.h>

#include "daemon/store/redis.h"
#include "tests/fake/redis_server.h"

#define MINUTE_MS UINT64_C(60000)
#define NODES 2
#define TOO_LONG_MS 10000

static struct redis_server *server;
static uv_loop_t loop;
static uv_timer_t alarm_timer;
static struct config_store configs[NODES];
static struct store *stores[NODES];
static struct clock_now now = {5000000, UINT64_C(1700000000000)};
static const struct hash128 id = {7, 7};

static void on_alarm(uv_timer_t *timer)
{
	(void)timer;
}

static uint64_t real_mono_ms(void)
{
	uv_update_time(&loop);
	return uv_now(&loop);
}

static void turn(void)
{
	for (unsigned i = 0; i < NODES; i++) {
		store_redis_run(stores[i], (struct clock_now){real_mono_ms(), 0});
		store_redis_flush(stores[i]);
	}
	uv_timer_start(&alarm_timer, on_alarm, 5, 0);
	uv_run(&loop, UV_RUN_ONCE);
}

/* Every node is greeted, and nothing is under way. */
static bool is_quiet(void)
{
	for (unsigned i = 0; i < NODES; i++) {
		struct redis_store_health health;

		store_redis_health(stores[i], &health);
		if (!health.asked || health.link.out > 0)
			return false;
	}
	return true;
}

static void until_quiet(void)
{
	uint64_t begun_ms = real_mono_ms();

	do {
		turn();
		cr_assert(real_mono_ms() - begun_ms < TOO_LONG_MS, "Redis is not asked");
	} while (!is_quiet());
}

static void setup(void)
{
	signal(SIGPIPE, SIG_IGN);
	server = redis_server_start(NULL);
	uv_loop_init(&loop);
	uv_timer_init(&loop, &alarm_timer);
	for (unsigned i = 0; i < NODES; i++) {
		struct redis_store_options options = {
			.config = &configs[i],
			.loop = &loop,
			.max_transactions = 1000,
			.settle = LEDGER_SETTLE_DATA,
			.max_bans = 1000,
			.keep_bans_ms = MINUTE_MS,
			.given_time = true,
		};

		configs[i] = (struct config_store){
			.kind = CONFIG_STORE_REDIS,
			.redis = {.user = SLICE_EMPTY,
				.unix_path = slice_of(redis_server_socket(server)),
				.master = SLICE_EMPTY},
			.password_file = SLICE_EMPTY,
			.prefix = SLICE("reeve"),
			.node = i ? SLICE("mx2") : SLICE("mx1"),
			.timeout_ms = 5000, /* sanitizers, and others on the machine */
			.slack = 1,
			.max_keys = 1000,
		};
		stores[i] = store_redis_open(&options, now);
	}
	until_quiet();
}

static void teardown(void)
{
	for (unsigned i = 0; i < NODES; i++)
		stores[i]->ops->close(stores[i]);
	uv_close((uv_handle_t *)&alarm_timer, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	cr_assert(uv_loop_close(&loop) == 0);
	redis_server_end(&server);
}

TestSuite(redis_idle, .init = setup, .fini = teardown);

/* ---- what is asked ---- */

static void wake(struct waiter *waiter)
{
	(void)waiter;
}

static struct waiter waiter = {.wake = wake};

static struct store_charge gate(void)
{
	return (struct store_charge){
		.key = {SLICE("daily"), SLICE("anna"), COUNT_RECIPIENTS, 24 * 60 * MINUTE_MS},
		.limit = 100,
		.cost = 1,
		.gate = true,
	};
}

static void reserve(unsigned node, uint64_t recipient)
{
	struct store_charge charge = gate();
	struct store_reserve op = {.op.waiter = &waiter,
		.transaction = id,
		.service = 25,
		.recipient = recipient,
		.asked = (unsigned)recipient,
		.charges = &charge,
		.count = 1};

	store_reserve(stores[node], &op, now);
	until_quiet();
	cr_assert(op.op.state == STORE_OP_DONE && !op.op.failed && op.refused == -1);
}

static void settle(unsigned node, uint64_t recipients)
{
	struct store_settle op = {.op.waiter = &waiter,
		.transaction = id,
		.service = 25,
		.recipient_count = recipients,
		.end_of_message = true};

	store_settle(stores[node], &op, now);
	until_quiet();
	cr_assert(op.op.state == STORE_OP_DONE && !op.op.failed && !op.unknown && !op.refused);
}

static uint64_t used(unsigned node)
{
	struct store_charge charge = gate();
	struct store_usage op = {.op.waiter = &waiter, .key = charge.key, .limit = charge.limit};

	store_usage(stores[node], &op, now);
	until_quiet();
	cr_assert(op.op.state == STORE_OP_DONE && !op.op.failed);
	return op.used;
}

/* Not a second at a time: what is due at its end is seen in one tick. */
static void pass(uint64_t ms)
{
	now.mono_ms += ms;
	now.wall_ms += ms;
	for (unsigned i = 0; i < NODES; i++)
		stores[i]->ops->tick(stores[i], now);
	until_quiet();
}

static uint64_t kept_ms(void)
{
	return strtoull(redis_server_say(
				server, "PTTL", "{reeve}:x:00000000000000070000000000000007", NULL),
		NULL, 10);
}

/* ---- the tests ---- */

Test(redis_idle, what_another_node_settled_stays)
{
	struct redis_store_health health;

	reserve(0, 1);
	reserve(0, 2);
	settle(1, 2);
	cr_assert(used(0) == 2 && used(1) == 2);
	/* Redis' own clock does not follow ours, so that the key would outlast anything here. */
	cr_assert(kept_ms() > 16 * MINUTE_MS, "%llu", (unsigned long long)kept_ms());
	for (unsigned minutes = 1; minutes <= 40; minutes++) {
		pass(MINUTE_MS);
		cr_assert(used(1) == 2, "given back after %u minutes", minutes);
	}
	for (unsigned i = 0; i < NODES; i++) {
		store_redis_health(stores[i], &health);
		cr_assert(health.counters.local == 0 && health.counters.in_doubt == 0);
	}
}

Test(redis_idle, what_nobody_settled_is_given_back_after_ten_minutes)
{
	reserve(0, 1);
	reserve(1, 2);
	cr_assert_eq(used(1), 2);
	pass(10 * MINUTE_MS - 1);
	cr_assert_eq(used(1), 2);
	pass(1);
	cr_assert_eq(used(1), 0);
}

/* The node that settled asks about one more recipient; the ten minutes begin anew. */
Test(redis_idle, one_node_is_idle_and_the_other_is_not)
{
	reserve(0, 1);
	pass(6 * MINUTE_MS);
	reserve(1, 2);
	pass(4 * MINUTE_MS);
	cr_assert_eq(used(1), 2, "idle here, not in Redis");
	settle(1, 2);
	pass(15 * MINUTE_MS);
	cr_assert_eq(used(1), 2);
}
