/* SPDX-License-Identifier: ISC */
#include "tests/unit/store/redis_nodes.h"

#include <signal.h>
#include <stdio.h>

#include "common/alloc.h"

struct nodes nodes;

/* ---- what a node is told ---- */

static struct ban *find(const struct node *node, const struct cidr *network)
{
	for (size_t i = 0; i < node->count; i++)
		if (node->bans[i].network.bits == network->bits &&
			ip_equal(&node->bans[i].network.ip, &network->ip))
			return &node->bans[i];
	return NULL;
}

static bool on_ban(struct store_watcher *watcher, const struct ban *ban)
{
	struct node *node = LIST_ENTRY(watcher, struct node, watcher);
	struct ban *old = node->room > 1000 ? NULL : find(node, &ban->network);

	node->puts++;
	if (ban->network.bits < 96 + 16) {
		node->absurd++;
		return false;
	}
	if (!old) {
		if (node->count == node->room) {
			node->room = node->room ? 2 * node->room : 64;
			node->bans = mem_grow(node->bans, node->room * sizeof(node->bans[0]));
		}
		old = &node->bans[node->count++];
	}
	*old = *ban;
	return true;
}

static void on_gone(struct store_watcher *watcher, const struct cidr *network)
{
	struct node *node = LIST_ENTRY(watcher, struct node, watcher);
	struct ban *old = find(node, network);

	node->gones++;
	if (old)
		*old = node->bans[--node->count];
}

/* ---- the links ---- */

static void on_up(void *arg, uint64_t connection)
{
	struct node *node = arg;

	(void)connection;
	lists_up(node->lists, nodes_now());
}

static void on_down(void *arg)
{
	lists_down(((struct node *)arg)->lists, nodes_now());
}

static void on_channel_up(void *arg, uint64_t connection)
{
	(void)connection;
	lists_channel(((struct node *)arg)->lists, true);
}

static void on_channel_down(void *arg)
{
	lists_channel(((struct node *)arg)->lists, false);
}

static void on_message(void *arg, struct slice payload)
{
	lists_hint(((struct node *)arg)->lists, payload);
}

static const struct redis_link_events events = {.up = on_up, .down = on_down};
static const struct redis_link_events channel_events = {
	.up = on_channel_up, .down = on_channel_down, .message = on_message};

static bool port_send(
	struct redis_port *port, struct redis_call *call, struct slice command, uint64_t timeout_ms)
{
	return redis_link_send(
		LIST_ENTRY(port, struct node, port)->link, call, command, timeout_ms);
}

static struct clock_now port_now(struct redis_port *port)
{
	return redis_link_now(LIST_ENTRY(port, struct node, port)->link);
}

/* ---- life ---- */

void nodes_setup(void)
{
	signal(SIGPIPE, SIG_IGN);
	memset(&nodes, 0, sizeof(nodes));
	uv_loop_init(&nodes.loop);
	uv_timer_init(&nodes.loop, &nodes.alarm);
	nodes.server = redis_server_start(NULL);
	nodes.scripts = scripts_new();
	nodes.where = (struct config_redis){.user = SLICE_EMPTY, .master = SLICE_EMPTY};
	nodes.where.unix_path = slice_of(redis_server_socket(nodes.server));
	nodes.max_bans = 100000;
}

struct node *nodes_start(void)
{
	struct node *node = &nodes.node[nodes.count++];
	struct redis_link_options options = {
		.loop = &nodes.loop,
		.where = &nodes.where,
		.password_file = SLICE_EMPTY,
		.timeout_ms = 300,
		.channel = SLICE_EMPTY,
		.events = &events,
		.arg = node,
	};
	struct lists_options lists = {
		.prefix = SLICE("reeve"),
		.timeout_ms = 300,
		.max_bans = nodes.max_bans,
		.keep_bans_ms = 60000,
		.hash_key = hash_key_random(),
	};

	*node = (struct node){
		.watcher = {.ban_put = on_ban, .ban_gone = on_gone}, .port = {port_send, port_now}};
	node->store.watcher = &node->watcher;
	node->link = redis_link_new(&options, nodes_now());
	options.channel = SLICE("{reeve}:hint");
	options.events = &channel_events;
	node->channel = redis_link_new(&options, nodes_now());
	node->lists = lists_new(&lists, &node->store, &node->port, nodes.scripts);
	return node;
}

void nodes_stop(struct node *node)
{
	redis_link_close(&node->link);
	redis_link_close(&node->channel);
	lists_free(&node->lists);
	mem_free(&node->bans);
	node->count = node->room = 0;
}

void nodes_teardown(void)
{
	for (unsigned i = 0; i < nodes.count; i++)
		nodes_stop(&nodes.node[i]);
	uv_close((uv_handle_t *)&nodes.alarm, NULL);
	uv_run(&nodes.loop, UV_RUN_DEFAULT);
	cr_assert(uv_loop_close(&nodes.loop) == 0);
	scripts_free(&nodes.scripts);
	redis_server_end(&nodes.server);
}

static void on_alarm(uv_timer_t *timer)
{
	(void)timer;
}

uint64_t nodes_mono_ms(void)
{
	uv_update_time(&nodes.loop);
	return uv_now(&nodes.loop);
}

struct clock_now nodes_now(void)
{
	uv_timeval64_t wall;

	uv_gettimeofday(&wall);
	return (struct clock_now){
		nodes_mono_ms(), (uint64_t)wall.tv_sec * 1000 + (uint64_t)wall.tv_usec / 1000};
}

void nodes_turn(void)
{
	struct clock_now now = nodes_now();

	for (unsigned i = 0; i < nodes.count; i++) {
		struct node *node = &nodes.node[i];

		if (!node->link)
			continue;
		redis_link_run(node->link, now);
		redis_link_run(node->channel, now);
		lists_run(node->lists, now);
		lists_flush(node->lists);
		redis_link_flush(node->link);
		redis_link_flush(node->channel);
	}
	uv_timer_start(&nodes.alarm, on_alarm, 5, 0);
	uv_run(&nodes.loop, UV_RUN_ONCE);
}

/* ---- bans ---- */

struct ban node_ban(const char *network, uint64_t for_ms)
{
	uint64_t wall_ms = nodes_now().wall_ms;
	struct ban ban = {.since_wall_ms = wall_ms,
		.times = 1,
		.by = "auto",
		.node = "mx1",
		.reason = "too many bad recipients"};
	const char *why;

	ban.until_wall_ms = for_ms == UINT64_MAX ? for_ms : wall_ms + for_ms;
	cr_assert(cidr_parse(slice_of(network), &ban.network, &why));
	return ban;
}

void node_put(struct node *node, const char *network, uint64_t for_ms)
{
	struct ban ban = node_ban(network, for_ms);

	lists_ban_put(node->lists, &ban, nodes_now());
}

void node_remove(struct node *node, const char *network)
{
	struct ban ban = node_ban(network, 1);

	lists_ban_remove(node->lists, &ban.network, nodes_now());
}

const struct ban *node_has(const struct node *node, const char *network)
{
	struct ban ban = node_ban(network, 1);

	return find(node, &ban.network);
}

struct shared_health node_health(const struct node *node)
{
	struct lists_health health;

	lists_health(node->lists, &health);
	return health.bans;
}

bool node_is_settled(const struct node *node)
{
	return node_health(node).complete && node_health(node).unsent == 0;
}
