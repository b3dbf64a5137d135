/* SPDX-License-Identifier: ISC */
/*
 * The life of the connection:
 *
 *   AWAY -> (FINDING, with sentinels) -> LOOKING_UP -> CONNECTING -> GREETING -> UP -> AWAY
 *
 * link_give_up() is the only way back to AWAY, and the only place where calls end without a reply.
 * The way up is in link_connect.c; everything that follows from time is done in redis_link_run().
 *
 * A stopped Redis still takes connections, so UP is reached by its answer to ROLE, and kept by
 * answers: to calls, or to a PING where nothing else is out.
 */
#include "daemon/store/redis/link_parts.h"

#include <stdio.h>
#include <time.h>

#include "common/alloc.h"
#include "common/hash.h"

#define MIN_STEP_MS 500
#define SILENCE_MS 1000
#define PING_EVERY_MS 1000
#define MAX_OVERDUE_ROW 3
#define MAX_UNSENT_BYTES ((size_t)16 << 20)
#define FIRST_PAUSE_MS 50
#define MAX_PAUSE_MS 1000
#define SENTINEL_PAUSE_MS 250
#define LONG_PAUSE_MS 10000 /* where only a person can help */
#define SHORT_LIFE_MS 2000  /* a connection that ends sooner does not shorten the pauses */
#define ASK_SENTINELS_EVERY_MS 5000
#define AT_ONCE 1 /* any time that is over */

static const char *const trouble_names[REDIS_TROUBLES] = {
	[REDIS_TROUBLE_NONE] = "none",
	[REDIS_TROUBLE_STARTING] = "starting",
	[REDIS_TROUBLE_NAME] = "name",
	[REDIS_TROUBLE_CONNECT] = "connect",
	[REDIS_TROUBLE_TIMEOUT] = "timeout",
	[REDIS_TROUBLE_SILENT] = "silent",
	[REDIS_TROUBLE_CLOSED] = "closed",
	[REDIS_TROUBLE_PROTOCOL] = "protocol",
	[REDIS_TROUBLE_PASSWORD] = "password",
	[REDIS_TROUBLE_FORBIDDEN] = "forbidden",
	[REDIS_TROUBLE_NO_MASTER] = "no_master",
	[REDIS_TROUBLE_LOADING] = "loading",
	[REDIS_TROUBLE_CLUSTER] = "cluster",
	[REDIS_TROUBLE_TLS] = "tls",
	[REDIS_TROUBLE_REFUSES_WRITES] = "refuses_writes",
};

const char *redis_trouble_name(enum redis_trouble trouble)
{
	return trouble < REDIS_TROUBLES ? trouble_names[trouble] : "unknown";
}

uint64_t link_mono_ms(const struct redis_link *link)
{
	return conn_mono_ms(link->options.loop);
}

struct clock_now redis_link_now(const struct redis_link *link)
{
	struct timespec wall;

	clock_gettime(CLOCK_REALTIME, &wall);
	return (struct clock_now){
		.mono_ms = link_mono_ms(link),
		.wall_ms = (uint64_t)wall.tv_sec * 1000 + (uint64_t)wall.tv_nsec / 1000000,
	};
}

static bool is_subscriber(const struct redis_link *link)
{
	return link->options.channel.len > 0;
}

/* ---- what is told ---- */

static void set_trouble(struct redis_link *link, enum redis_trouble trouble, const char *detail)
{
	struct redis_link_health *health = &link->health;
	bool was_of_use = health->up && health->trouble == REDIS_TROUBLE_NONE;
	bool is_of_use = link->state == STATE_UP && trouble == REDIS_TROUBLE_NONE;

	if (was_of_use != is_of_use || health->up != (link->state == STATE_UP))
		health->since_mono_ms = link_mono_ms(link);
	health->up = link->state == STATE_UP;
	health->trouble = trouble;
	snprintf(health->detail, sizeof(health->detail), "%s", detail);
}

void link_notify(struct redis_link *link, enum redis_notice notice, struct slice detail)
{
	const struct redis_link_events *events = link->options.events;

	if (events && events->notice)
		events->notice(link->options.arg, notice, detail);
}

/* ---- the end of a connection ---- */

static uint64_t pause_ms(struct redis_link *link, enum redis_trouble trouble)
{
	uint64_t pause = FIRST_PAUSE_MS;

	if (trouble == REDIS_TROUBLE_PASSWORD || trouble == REDIS_TROUBLE_FORBIDDEN ||
		trouble == REDIS_TROUBLE_CLUSTER)
		return LONG_PAUSE_MS;
	if (link->sentinels)
		pause = SENTINEL_PAUSE_MS;
	else
		for (unsigned i = 1; i < link->failures && pause < MAX_PAUSE_MS; i++)
			pause *= 2;
	if (pause > MAX_PAUSE_MS)
		pause = MAX_PAUSE_MS;
	/* A cluster must not come back in step: between 3/4 and 5/4 of it. */
	link->random = hash64_mix(link->random, link->failures + link_mono_ms(link));
	return pause - pause / 4 + link->random % (pause / 2 + 1);
}

void link_leave_conn(struct redis_link *link)
{
	if (!link->conn)
		return;
	link->health.writes += conn_writes(link->conn);
	conn_drop(&link->conn);
}

void link_give_up(struct redis_link *link, enum redis_trouble trouble, const char *detail)
{
	const struct redis_link_events *events = link->options.events;
	bool was_up = link->state == STATE_UP;

	if (link->sentinels && link->state > STATE_FINDING && !was_up)
		sentinels_doubt(link->sentinels);
	if (was_up && link_mono_ms(link) - link->up_mono_ms >= SHORT_LIFE_MS)
		link->failures = 0;
	link->failures++;
	link->state = STATE_AWAY;
	link->refusing = REDIS_TROUBLE_NONE;
	link->retry_mono_ms = link_mono_ms(link) + pause_ms(link, trouble);
	set_trouble(link, trouble, detail);
	lookup_cancel(&link->lookup);
	if (link->sentinels)
		sentinels_stop(link->sentinels);
	link_leave_conn(link);
	calls_end(&link->calls);
	if (was_up && events && events->down)
		events->down(link->options.arg);
}

/* ---- up ---- */

void link_come_up(struct redis_link *link)
{
	const struct redis_link_events *events = link->options.events;

	link->state = STATE_UP;
	link->connection++;
	link->good_ip = link->ip;
	link->has_good_ip = !link->options.where->unix_path.len;
	link->health.connections++;
	link->up_mono_ms = link->heard_mono_ms = link->waiting_mono_ms = link_mono_ms(link);
	link->ask_mono_ms = link->up_mono_ms + ASK_SENTINELS_EVERY_MS;
	set_trouble(link, REDIS_TROUBLE_NONE, "");
	if (events && events->up)
		events->up(link->options.arg, link->connection);
}

/* ---- replies ---- */

static void note_error(struct redis_link *link, enum redis_error error, struct slice text)
{
	link->health.errors[error]++;
	if (error == REDIS_ERROR_OOM || error == REDIS_ERROR_NOREPLICAS ||
		error == REDIS_ERROR_MISCONF)
		link->refusing = REDIS_TROUBLE_REFUSES_WRITES;
	else if (error == REDIS_ERROR_NOPERM)
		link->refusing = REDIS_TROUBLE_FORBIDDEN;
	else if (error == REDIS_ERROR_BUSY)
		link->refusing = REDIS_TROUBLE_LOADING;
	else
		return;
	set_trouble(link, link->refusing, text.data);
}

static void note_accepted(struct redis_link *link)
{
	if (link->refusing == REDIS_TROUBLE_NONE)
		return;
	link->refusing = REDIS_TROUBLE_NONE;
	set_trouble(link, REDIS_TROUBLE_NONE, "");
}

static void read_reply(struct redis_link *link, const struct redis_reply *reply)
{
	enum redis_error error = redis_reply_error(reply);
	enum redis_trouble trouble = greeting_trouble_of(error);
	char detail[sizeof(link->health.detail)];

	if (error != REDIS_NO_ERROR) {
		note_error(link, error, redis_reply_text(reply));
		snprintf(detail, sizeof(detail), "%s", redis_reply_text(reply).data);
	} else if (calls_oldest_writes(&link->calls)) {
		note_accepted(link);
	}
	if (!calls_answer(&link->calls, reply, link->heard_mono_ms))
		link_give_up(link, REDIS_TROUBLE_PROTOCOL, "a reply that nothing was asked for");
	else if (trouble != REDIS_TROUBLE_NONE && link->state == STATE_UP)
		link_give_up(link, trouble, detail);
}

static void read_message(struct redis_link *link, const struct redis_reply *reply)
{
	const struct redis_link_events *events = link->options.events;
	struct slice kind = redis_reply_text(redis_reply_item(reply, 0));

	if (redis_reply_type(reply) == REDIS_TYPE_ERROR) {
		enum redis_trouble trouble = greeting_trouble_of(redis_reply_error(reply));

		link_give_up(link, trouble ? trouble : REDIS_TROUBLE_PROTOCOL,
			redis_reply_text(reply).data);
	} else if (slice_is(kind, "pong")) {
		(void)!calls_answer(&link->calls, reply, link->heard_mono_ms);
	} else if (slice_is(kind, "message") && redis_reply_count(reply) == 3 && events &&
		   events->message) {
		events->message(link->options.arg, redis_reply_text(redis_reply_item(reply, 2)));
	}
}

void link_read(struct redis_link *link, const struct redis_reply *reply)
{
	if (is_subscriber(link))
		read_message(link, reply);
	else
		read_reply(link, reply);
}

/* ---- while it is up ---- */

static void add_call(
	struct redis_link *link, struct redis_call *call, struct slice command, uint64_t timeout_ms)
{
	if (link->calls.count == 0)
		link->waiting_mono_ms = link_mono_ms(link);
	calls_add(&link->calls, call, link_mono_ms(link) + timeout_ms);
	conn_write(link->conn, command);
	link->health.calls++;
}

static void on_pong(struct redis_call *call, const struct redis_reply *reply)
{
	(void)call, (void)reply;
}

static void send_ping(struct redis_link *link)
{
	link->ping.answered = on_pong;
	add_call(link, &link->ping, SLICE("*1\r\n$4\r\nPING\r\n"), link->options.timeout_ms);
}

/* A master that was cut off from the others may not know that it no longer is the one. */
static void ask_sentinels(struct redis_link *link)
{
	struct sentinels *sentinels = link->sentinels;

	sentinels_run(sentinels, link_mono_ms(link));
	if (sentinels_state(sentinels) == SENTINELS_KNOWN &&
		(!slice_equal(sentinels_host(sentinels), slice_of(link->host)) ||
			sentinels_port(sentinels) != link->port)) {
		link_give_up(link, REDIS_TROUBLE_NO_MASTER, "the sentinels name another master");
		return;
	}
	if (sentinels_state(sentinels) == SENTINELS_ASKING ||
		link_mono_ms(link) < link->ask_mono_ms)
		return;
	link->ask_mono_ms = link_mono_ms(link) + ASK_SENTINELS_EVERY_MS;
	sentinels_start(sentinels, link_mono_ms(link));
	sentinels_run(sentinels, link_mono_ms(link));
}

static void run_up(struct redis_link *link)
{
	conn_run(link->conn);
	if (link->state != STATE_UP)
		return;
	calls_expire(&link->calls, link_mono_ms(link));
	if (link->calls.overdue_row >= MAX_OVERDUE_ROW) {
		link_give_up(link, REDIS_TROUBLE_SILENT,
			"three calls in a row without an answer in time");
		return;
	}
	if (link->calls.count && link_mono_ms(link) - link->waiting_mono_ms >= SILENCE_MS) {
		link_give_up(link, REDIS_TROUBLE_SILENT, "no answer for a second");
		return;
	}
	if (!link->calls.count && link_mono_ms(link) - link->heard_mono_ms >= PING_EVERY_MS)
		send_ping(link);
	if (link->sentinels)
		ask_sentinels(link);
}

/* ---- for the owner ---- */

struct redis_link *redis_link_new(const struct redis_link_options *options, struct clock_now now)
{
	struct redis_link *link = mem_zalloc(sizeof(*link));

	(void)now;
	link->options = *options;
	link->step_ms = options->timeout_ms > MIN_STEP_MS ? options->timeout_ms : MIN_STEP_MS;
	link->state = STATE_AWAY;
	link->random = hash_key_random().k0;
	calls_init(&link->calls);
	if (options->where->master.len)
		link->sentinels = sentinels_new(&link->options);
	link->retry_mono_ms = AT_ONCE;
	link->health.since_mono_ms = link_mono_ms(link);
	link->health.trouble = REDIS_TROUBLE_STARTING;
	return link;
}

void redis_link_close(struct redis_link **link)
{
	struct redis_link *old = *link;

	if (!old)
		return;
	*link = NULL;
	old->state = STATE_AWAY;
	old->options.events = NULL;
	lookup_cancel(&old->lookup);
	sentinels_free(&old->sentinels);
	link_leave_conn(old);
	calls_end(&old->calls);
	free(old);
}

static void run_state(struct redis_link *link)
{
	if (link->state == STATE_UP)
		run_up(link);
	else if (link->state != STATE_AWAY || link_mono_ms(link) >= link->retry_mono_ms)
		link_connect(link);
}

/* A step that is done at once leads on to the next one in the same turn. */
void redis_link_run(struct redis_link *link, struct clock_now now)
{
	enum link_state before;

	(void)now;
	do {
		before = link->state;
		run_state(link);
	} while (link->state != before && link->state != STATE_AWAY);
}

void redis_link_flush(struct redis_link *link)
{
	if (link->conn)
		conn_flush(link->conn);
}

bool redis_link_turn(struct redis_link *link, uint64_t timeout_ms)
{
	if (link->state != STATE_UP || link->calls.count == 0)
		return false;
	return conn_turn(link->conn, timeout_ms < INT32_MAX ? (int)timeout_ms : INT32_MAX);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	if (a == 0 || b == 0)
		return a ? a : b;
	return a < b ? a : b;
}

static uint64_t next_while_up(const struct redis_link *link)
{
	uint64_t next = calls_next(&link->calls);

	if (link->calls.count)
		next = earlier(next, link->waiting_mono_ms + SILENCE_MS);
	else
		next = earlier(next, link->heard_mono_ms + PING_EVERY_MS);
	if (link->sentinels)
		next = earlier(next, earlier(link->ask_mono_ms, sentinels_next(link->sentinels)));
	return next;
}

uint64_t redis_link_next(const struct redis_link *link)
{
	if (link->conn && conn_wants_run(link->conn))
		return AT_ONCE;
	switch (link->state) {
	case STATE_AWAY:
		return link->retry_mono_ms;
	case STATE_FINDING:
		return sentinels_state(link->sentinels) == SENTINELS_ASKING
			       ? sentinels_next(link->sentinels)
			       : AT_ONCE;
	case STATE_LOOKING_UP:
		return lookup_is_woken(&link->lookup) ? AT_ONCE : 0;
	case STATE_CONNECTING:
	case STATE_GREETING:
		return link->step_mono_ms;
	case STATE_UP:
		return next_while_up(link);
	}
	return 0;
}

bool redis_link_send(
	struct redis_link *link, struct redis_call *call, struct slice command, uint64_t timeout_ms)
{
	if (link->state != STATE_UP || is_subscriber(link) || link->calls.count >= REDIS_MAX_OUT ||
		conn_unsent(link->conn) + command.len > MAX_UNSENT_BYTES)
		return false;
	add_call(link, call, command, timeout_ms);
	return true;
}

void redis_link_forget(struct redis_link *link, struct redis_call *call)
{
	calls_forget(&link->calls, call);
}

bool redis_link_is_up(const struct redis_link *link)
{
	return link->state == STATE_UP;
}

uint64_t redis_link_connection(const struct redis_link *link)
{
	return link->state == STATE_UP ? link->connection : 0;
}

void redis_link_health(const struct redis_link *link, struct redis_link_health *ret)
{
	*ret = link->health;
	ret->replies = link->calls.replies;
	ret->overdue = link->calls.overdue;
	ret->out = link->calls.count;
	if (link->conn)
		ret->writes += conn_writes(link->conn);
}
