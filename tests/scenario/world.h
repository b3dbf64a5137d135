/* SPDX-License-Identifier: ISC */
/*
 * The real pipeline, store, bans and rules in a world without sockets: DNS is
 * fake_dns, time stands still until a script moves it, log lines are kept. One
 * world runs one scenario.
 */
#ifndef REEVE_TESTS_SCENARIO_WORLD_H
#define REEVE_TESTS_SCENARIO_WORLD_H

#include "daemon/engine/pipeline.h"
#include "daemon/store/embedded.h"
#include "tests/fake/fake_dns.h"

#define WORLD_MAX_ASKED 4096
#define WORLD_START_WALL_MS 1800000000000 /* a whole hour */

struct asked {
	char name[32];
	bool done;
	char reply[512];
	struct policy_request request;
	struct arena arena;
	struct ticket *ticket;
	struct world *world;
};

struct world {
	struct clock_now now;
	struct fake_dns *fake_dns;
	struct dns *dns;
	struct store *store;
	struct bans *bans;
	struct bans_sink bans_sink;
	struct connections *connections;
	struct transactions *transactions;
	struct pipeline *pipeline;
	struct log_sink log;
	struct buf log_text;         /* all lines since the start */
	char last_decision[4096];
	struct pipeline_peer peers[64];
	struct asked *asked;
	size_t asked_count;
};

struct world *world_new(void);
void world_free(struct world **world);
/* NULL: good; else the errors, one a line, in memory of the world until the next call. */
const char *world_configure(struct world *world, struct slice yaml);
/* Values by attribute; what is NULL is missing. `peer` numbers the policy connection (0 to 63). */
struct asked *world_ask(struct world *world, const char *name,
			char *const values[POLICY_ATTR_COUNT], unsigned peer);
struct asked *world_find(struct world *world, const char *name);
/* Time goes by in steps of 10 ms, so that time-outs come in order. */
void world_pass(struct world *world, uint64_t ms);

#endif
