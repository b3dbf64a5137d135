/* SPDX-License-Identifier: ISC */
/*
 * Several nodes of a cluster in one loop, each with its links, its lists and a watcher that keeps
 * what it is told; and one real Redis.
 */
#ifndef REEVE_TESTS_UNIT_STORE_REDIS_NODES_H
#define REEVE_TESTS_UNIT_STORE_REDIS_NODES_H

#include <criterion/criterion.h>
#include <uv.h>

#include "daemon/bans/bans.h"
#include "daemon/store/redis/lists.h"
#include "tests/fake/redis_server.h"

#define NODES 4

struct node {
	struct store store;
	struct store_watcher watcher;
	struct redis_link *link, *channel;
	struct redis_port port; /* to `link` */
	struct lists *lists;
	unsigned puts, gones, absurd;
	/* What it holds, by network. */
	struct ban *bans;
	size_t count, room;
};

struct nodes {
	uv_loop_t loop;
	uv_timer_t alarm;
	struct config_redis where;
	struct redis_server *server;
	struct scripts *scripts;
	struct node node[NODES];
	unsigned count;
	size_t max_bans;
};

extern struct nodes nodes;

/* For TestSuite. */
void nodes_setup(void);
void nodes_teardown(void);
struct node *nodes_start(void);
void nodes_stop(struct node *node);
void nodes_turn(void);
uint64_t nodes_mono_ms(void);
struct clock_now nodes_now(void);

#define NODES_UNTIL(condition)                                                           \
	do {                                                                             \
		uint64_t begun_ms = nodes_mono_ms();                                     \
		while (!(condition)) {                                                   \
			cr_assert(nodes_mono_ms() - begun_ms < 15000, "not in time: %s", \
				#condition);                                             \
			nodes_turn();                                                    \
		}                                                                        \
	} while (0)

/* A ban of this address for so long, as the node's own bans would make it. */
struct ban node_ban(const char *network, uint64_t for_ms);
void node_put(struct node *node, const char *network, uint64_t for_ms);
void node_remove(struct node *node, const char *network);
/* NULL: the node was not told of it. Own ones are not told. */
const struct ban *node_has(const struct node *node, const char *network);
struct shared_health node_health(const struct node *node);
/* Everything read, nothing unsent. */
bool node_is_settled(const struct node *node);

#endif
