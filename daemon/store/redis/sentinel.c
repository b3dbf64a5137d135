/* SPDX-License-Identifier: ISC */
/*
 * A sentinel may have a password of its own or none, so the one for Redis is shown only to one
 * that asks for it. Sentinels go on naming a dead master until they have agreed on a new one;
 * whether it is a master at all is for the link to find out.
 */
#include "daemon/store/redis/sentinel.h"

#include <stdio.h>

#include "common/alloc.h"
#include "daemon/store/redis/conn_uv.h"
#include "daemon/store/redis/lookup.h"
#include "daemon/store/redis/resp.h"
#include "daemon/store/redis/secret.h"

#define MIN_TIMEOUT_MS 300
#define MAX_HOST_BYTES 256
#define COMMAND_BYTES 2048
#define AT_ONCE 1 /* any time that is over */

enum stage { STAGE_LOOKUP, STAGE_ANSWER };

struct sentinels {
	const struct redis_link_options *options;
	uint64_t timeout_ms;
	enum sentinels_state state;
	enum stage stage;
	size_t first;   /* the one that knew it last */
	size_t asked;   /* how many of this round */
	bool next_one;  /* the present one is done with */
	bool logged_in; /* AUTH was sent to the present one */
	uint64_t deadline_mono_ms;
	struct lookup lookup;
	struct conn *conn;
	char host[MAX_HOST_BYTES], detail[160];
	uint16_t port;
};

struct sentinels *sentinels_new(const struct redis_link_options *options)
{
	struct sentinels *sentinels = mem_zalloc(sizeof(*sentinels));

	sentinels->options = options;
	sentinels->timeout_ms =
		options->timeout_ms > MIN_TIMEOUT_MS ? options->timeout_ms : MIN_TIMEOUT_MS;
	return sentinels;
}

void sentinels_stop(struct sentinels *sentinels)
{
	lookup_cancel(&sentinels->lookup);
	conn_drop(&sentinels->conn);
	sentinels->next_one = false;
	sentinels->state = SENTINELS_IDLE;
}

void sentinels_doubt(struct sentinels *sentinels)
{
	sentinels->first = (sentinels->first + 1) % sentinels->options->where->host_count;
}

void sentinels_free(struct sentinels **sentinels)
{
	if (!*sentinels)
		return;
	sentinels_stop(*sentinels);
	mem_free(sentinels);
}

static const struct config_redis_host *present(const struct sentinels *sentinels)
{
	const struct config_redis *where = sentinels->options->where;

	return &where->hosts[(sentinels->first + sentinels->asked) % where->host_count];
}

static void begin_lookup(struct sentinels *sentinels)
{
	sentinels->next_one = false;
	sentinels->stage = STAGE_LOOKUP;
	lookup_start(&sentinels->lookup, sentinels->options->dns, present(sentinels)->host);
}

void sentinels_start(struct sentinels *sentinels, uint64_t mono_ms)
{
	(void)mono_ms;
	sentinels_stop(sentinels);
	sentinels->state = SENTINELS_ASKING;
	sentinels->asked = 0;
	snprintf(sentinels->detail, sizeof(sentinels->detail), "no sentinel answers");
	begin_lookup(sentinels);
}

/* The present one is of no use; the next turn goes on. What was said last is what is told. */
static void give_up(struct sentinels *sentinels, const char *why)
{
	const struct config_redis_host *host = present(sentinels);

	snprintf(sentinels->detail, sizeof(sentinels->detail), "sentinel %.*s:%u: %.90s",
		SLICE_ARG(slice_first(host->host, 48)), (unsigned)host->port, why);
	sentinels->next_one = true;
}

/* ---- the question ---- */

static void send_question(struct sentinels *sentinels)
{
	char memory[COMMAND_BYTES];
	struct buf out;

	buf_init_fixed(&out, memory, sizeof(memory));
	resp_command(&out, 3);
	resp_slice(&out, SLICE("SENTINEL"));
	resp_slice(&out, SLICE("get-master-addr-by-name"));
	resp_slice(&out, sentinels->options->where->master);
	conn_write(sentinels->conn, buf_slice(&out));
	conn_flush(sentinels->conn);
}

static void on_connected(void *arg)
{
	send_question(arg);
}

/* It wants a password: the one for Redis, once. */
static void log_in(struct sentinels *sentinels)
{
	const struct redis_link_options *options = sentinels->options;
	char secret[SECRET_BYTES], why[SECRET_WHY_BYTES], memory[COMMAND_BYTES];
	struct buf out;
	size_t len;

	if (sentinels->logged_in || !options->password_file.len ||
		!secret_read(options->password_file, secret, &len, why)) {
		give_up(sentinels, "wants a password");
		return;
	}
	sentinels->logged_in = true;
	buf_init_fixed(&out, memory, sizeof(memory));
	resp_command(&out, options->where->user.len ? 3 : 2);
	resp_slice(&out, SLICE("AUTH"));
	if (options->where->user.len)
		resp_slice(&out, options->where->user);
	resp_slice(&out, slice_make(secret, len));
	conn_write(sentinels->conn, buf_slice(&out));
	secret_wipe(secret);
	explicit_bzero(memory, sizeof(memory));
	send_question(sentinels);
}

static bool read_address(struct sentinels *sentinels, const struct redis_reply *reply)
{
	struct slice host = redis_reply_text(redis_reply_item(reply, 0));
	uint64_t port;

	if (redis_reply_count(reply) != 2 || !host.len || host.len >= MAX_HOST_BYTES ||
		!redis_reply_u64(redis_reply_item(reply, 1), &port) || !port || port > 65535)
		return false;
	memcpy(sentinels->host, host.data, host.len);
	sentinels->host[host.len] = '\0';
	sentinels->port = (uint16_t)port;
	return true;
}

static void on_reply(void *arg, const struct redis_reply *reply)
{
	struct sentinels *sentinels = arg;

	if (sentinels->next_one || sentinels->state != SENTINELS_ASKING)
		return;
	if (redis_reply_type(reply) == REDIS_TYPE_STATUS)
		return; /* AUTH is done */
	if (redis_reply_error(reply) == REDIS_ERROR_NOAUTH) {
		log_in(sentinels);
	} else if (redis_reply_type(reply) == REDIS_TYPE_ERROR) {
		/* What is answered to AUTH may hold what was sent. */
		give_up(sentinels, sentinels->logged_in ? "refuses us after AUTH"
							: redis_reply_text(reply).data);
	} else if (redis_reply_type(reply) == REDIS_TYPE_NIL) {
		give_up(sentinels, "knows no master of that name");
	} else if (!read_address(sentinels, reply)) {
		give_up(sentinels, "is no sentinel");
	} else {
		sentinels->first = (sentinels->first + sentinels->asked) %
				   sentinels->options->where->host_count;
		sentinels->asked = 0;
		sentinels->state = SENTINELS_KNOWN;
	}
}

static void on_ended(void *arg, enum redis_trouble why, const char *detail)
{
	struct sentinels *sentinels = arg;

	(void)why;
	sentinels->conn = NULL;
	if (sentinels->state == SENTINELS_ASKING && !sentinels->next_one)
		give_up(sentinels, detail);
}

static const struct conn_events events = {on_connected, on_reply, on_ended};

/* ---- one after the other ---- */

static void connect_to(struct sentinels *sentinels, const struct ip *ip, uint64_t mono_ms)
{
	struct conn_place place = {
		.unix_path = SLICE_EMPTY,
		.ip = *ip,
		.port = present(sentinels)->port,
		.tls_host = SLICE_EMPTY,
	};
	char detail[CONN_DETAIL_BYTES];

	sentinels->stage = STAGE_ANSWER;
	sentinels->logged_in = false;
	sentinels->deadline_mono_ms = mono_ms + sentinels->timeout_ms;
	sentinels->conn =
		conn_open(sentinels->options->loop, &place, 0, &events, sentinels, detail);
	if (!sentinels->conn)
		give_up(sentinels, detail);
}

static void step_lookup(struct sentinels *sentinels, uint64_t mono_ms)
{
	struct ip ip;

	if (!lookup_is_woken(&sentinels->lookup))
		return;
	switch (lookup_step(&sentinels->lookup, 0, &ip)) {
	case LOOKUP_PENDING:
		break;
	case LOOKUP_FOUND:
		connect_to(sentinels, &ip, mono_ms);
		break;
	case LOOKUP_ABSENT:
		give_up(sentinels, "no such name");
		break;
	case LOOKUP_FAILED:
		give_up(sentinels, "its name cannot be looked up");
		break;
	}
}

static void step_present(struct sentinels *sentinels, uint64_t mono_ms)
{
	if (sentinels->stage == STAGE_LOOKUP)
		step_lookup(sentinels, mono_ms);
	else if (sentinels->conn && conn_wants_run(sentinels->conn))
		conn_run(sentinels->conn);
	if (sentinels->stage == STAGE_ANSWER && !sentinels->next_one &&
		mono_ms >= sentinels->deadline_mono_ms)
		give_up(sentinels, "does not answer");
}

void sentinels_run(struct sentinels *sentinels, uint64_t mono_ms)
{
	if (sentinels->state == SENTINELS_KNOWN)
		conn_drop(&sentinels->conn);
	while (sentinels->state == SENTINELS_ASKING) {
		step_present(sentinels, mono_ms);
		if (!sentinels->next_one)
			return;
		conn_drop(&sentinels->conn);
		if (++sentinels->asked == sentinels->options->where->host_count) {
			sentinels->asked = 0;
			sentinels->next_one = false;
			sentinels->state = SENTINELS_NOBODY;
			return;
		}
		begin_lookup(sentinels);
	}
}

enum sentinels_state sentinels_state(const struct sentinels *sentinels)
{
	return sentinels->state;
}

uint64_t sentinels_next(const struct sentinels *sentinels)
{
	if (sentinels->state != SENTINELS_ASKING)
		return 0;
	if (sentinels->next_one || (sentinels->conn && conn_wants_run(sentinels->conn)) ||
		(sentinels->stage == STAGE_LOOKUP && lookup_is_woken(&sentinels->lookup)))
		return AT_ONCE;
	return sentinels->stage == STAGE_ANSWER ? sentinels->deadline_mono_ms : 0;
}

struct slice sentinels_host(const struct sentinels *sentinels)
{
	return slice_of(sentinels->host);
}

uint16_t sentinels_port(const struct sentinels *sentinels)
{
	return sentinels->port;
}

const char *sentinels_detail(const struct sentinels *sentinels)
{
	return sentinels->detail;
}
