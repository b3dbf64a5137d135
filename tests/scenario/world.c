/* SPDX-License-Identifier: ISC */
/*
 * See world.h. What daemon.c does with the loop's hooks is done here by world_pass().
 */
#include "tests/scenario/world.h"

#include <stdio.h>

#include "common/alloc.h"

#define STEP_MS 10
#define TICK_MS 1000

static void keep_line(struct log_sink *sink, enum log_level level, struct slice line)
{
	struct world *world = (struct world *)(void *)((char *)sink - offsetof(struct world, log));

	buf_add(&world->log_text, slice_of(log_level_name(level)));
	buf_add_char(&world->log_text, ' ');
	buf_add(&world->log_text, line);
	buf_add_char(&world->log_text, '\n');
	if (slice_starts_with(line, SLICE("event=decision")))
		snprintf(world->last_decision, sizeof(world->last_decision), "%.*s",
			 SLICE_ARG(line));
}

static void keep_ban_event(struct bans_sink *sink, const struct bans_event *event,
			   struct clock_now now)
{
	static const char *const names[] = {
		"ban", "would_ban", "ban_extended", "unban", "ban_storm_begin", "ban_storm_end",
		"ban_spared", "login_alarm", "ban_ended",
	};
	struct world *world =
		(struct world *)(void *)((char *)sink - offsetof(struct world, bans_sink));
	char memory[512], text[CIDR_TEXT_BYTES];
	struct buf line;

	(void)now;
	buf_init_fixed(&line, memory, sizeof(memory));
	logline_text(&line, "event", names[event->kind]);
	if (event->ban) {
		logline_slice(&line, "client", cidr_format(&event->ban->network, text));
		logline_text(&line, "reason", event->ban->reason);
		logline_u64(&line, "for_s",
			    (event->ban->until_wall_ms - event->ban->since_wall_ms) / 1000);
	}
	if (event->login.len)
		logline_slice(&line, "login", event->login);
	if (event->why)
		logline_text(&line, "why", event->why);
	keep_line(&world->log, LOG_LEVEL_WARNING, buf_slice(&line));
}

struct world *world_new(void)
{
	struct world *world = mem_zalloc(sizeof(*world));
	struct hash_key key = { 0x0123456789abcdef, 0xfedcba9876543210 };
	struct embedded_options store = { .max_counters = 10000, .max_transactions = 10000,
					  .hash_key = key };
	struct dns_options dns = { .cache_entries = 1000, .total_ms = 2000, .hash_key = key,
				   .max_in_flight = 1000 };
	struct pipeline_services services;
	char why[256];

	world->now = (struct clock_now){ 1000000, WORLD_START_WALL_MS };
	world->log = (struct log_sink){ keep_line, LOG_LEVEL_DEBUG };
	buf_init(&world->log_text, 64U << 20);
	world->fake_dns = fake_dns_new();
	world->dns = dns_new(&dns, fake_dns_backend(world->fake_dns));
	dns_set_now(world->dns, world->now);
	world->store = store_embedded_open(&store, NULL, world->now, why);
	world->bans_sink.event = keep_ban_event;
	world->bans = bans_new(key, &world->bans_sink);
	world->connections = connections_new(10000);
	world->transactions = transactions_new(10000);
	services = (struct pipeline_services){
		.store = world->store, .dns = world->dns, .bans = world->bans,
		.connections = world->connections, .transactions = world->transactions,
		.log = &world->log, .hash_key = key,
	};
	world->pipeline = pipeline_new(&services);
	for (unsigned i = 0; i < 64; i++)
		world->peers[i].id = i + 1;
	world->asked = mem_zalloc_array(WORLD_MAX_ASKED, sizeof(*world->asked));
	return world;
}

void world_free(struct world **world)
{
	struct world *old = *world;

	for (size_t i = 0; i < old->asked_count; i++) {
		pipeline_cancel(old->pipeline, &old->asked[i].ticket);
		arena_release(&old->asked[i].arena);
	}
	free(old->asked);
	pipeline_free(&old->pipeline);
	old->store->ops->close(old->store);
	dns_free(&old->dns);
	fake_dns_free(&old->fake_dns);
	bans_free(&old->bans);
	connections_free(&old->connections);
	transactions_free(&old->transactions);
	buf_release(&old->log_text);
	mem_free(world);
}

const char *world_configure(struct world *world, struct slice yaml)
{
	static char text[8192];
	const struct config_check *const *checks;
	size_t count = ruleset_checks(&checks);
	struct config_errors *errors = config_errors_new();
	struct config *config = config_parse("scenario.yaml", yaml, checks, count, errors);
	struct ruleset *ruleset = config ? ruleset_new(config, errors) : NULL;
	struct buf out;
	bool is_warning;
	const char *line;

	buf_init_fixed(&out, text, sizeof(text) - 1);
	for (size_t i = 0; (line = config_errors_line(errors, i, &is_warning)) != NULL; i++) {
		if (!is_warning)
			buf_add_format(&out, "%s\n", line);
	}
	text[out.len] = '\0';
	if (ruleset) {
		pipeline_set_ruleset(world->pipeline, ruleset);
		bans_configure(world->bans, config, world->now);
	}
	ruleset_unref(&ruleset);
	config_unref(&config);
	config_errors_free(&errors);
	return out.len ? text : NULL;
}

static void on_answer(void *arg, struct slice reply, const struct verdict *verdict)
{
	struct asked *asked = arg;

	(void)verdict;
	asked->done = true;
	asked->ticket = NULL;
	snprintf(asked->reply, sizeof(asked->reply), "%.*s", SLICE_ARG(reply));
}

static void run(struct world *world)
{
	uint64_t due_ms;

	dns_set_now(world->dns, world->now);
	do { /* an answer without delay comes in the next turn of the same moment */
		fake_dns_advance(world->fake_dns, world->now.mono_ms);
		dns_expire(world->dns);
		pipeline_expire(world->pipeline, world->now);
		pipeline_run(world->pipeline, world->now);
		due_ms = fake_dns_next(world->fake_dns);
	} while (due_ms && due_ms <= world->now.mono_ms);
}

struct asked *world_ask(struct world *world, const char *name,
			char *const values[POLICY_ATTR_COUNT], unsigned peer)
{
	struct asked *asked;

	if (world->asked_count == WORLD_MAX_ASKED)
		return NULL;
	asked = &world->asked[world->asked_count++];
	asked->world = world;
	snprintf(asked->name, sizeof(asked->name), "%s", name);
	arena_init(&asked->arena, 16384);
	for (unsigned i = 0; i < POLICY_ATTR_COUNT; i++) {
		asked->request.attr[i] = SLICE_EMPTY;
		if (!values[i])
			continue;
		asked->request.attr[i] = arena_dup(&asked->arena, slice_of(values[i]));
		asked->request.present |= (uint64_t)1 << i;
	}
	asked->request.state = policy_state_of(asked->request.attr[POLICY_PROTOCOL_STATE]);
	asked->ticket = pipeline_submit(world->pipeline, &asked->request, &asked->arena,
					&world->peers[peer % 64], world->now, on_answer, asked);
	run(world);
	return asked;
}

struct asked *world_find(struct world *world, const char *name)
{
	for (size_t i = world->asked_count; i-- > 0;) {
		if (strcmp(world->asked[i].name, name) == 0)
			return &world->asked[i];
	}
	return NULL;
}

void world_pass(struct world *world, uint64_t ms)
{
	uint64_t end_ms = world->now.mono_ms + ms;

	while (world->now.mono_ms < end_ms) {
		uint64_t left = end_ms - world->now.mono_ms;
		/* Long waits in whole seconds, or a day of mail would take a while. */
		uint64_t step = ms > 20000 ? TICK_MS : STEP_MS;

		if (step > left)
			step = left;
		world->now.mono_ms += step;
		world->now.wall_ms += step;
		run(world);
		if (world->now.mono_ms % TICK_MS < step) {
			world->store->ops->tick(world->store, world->now);
			bans_tick(world->bans, world->now);
		}
	}
	run(world);
}
