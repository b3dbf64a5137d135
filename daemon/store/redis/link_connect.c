/* SPDX-License-Identifier: ISC */
/*
 * The way up: sentinels, name, socket, greeting. Each step that fails gives up, and the next
 * attempt begins from the start.
 */
#include "daemon/store/redis/link_parts.h"

#include <stdio.h>

#include "daemon/store/redis/secret.h"

#define GREETING_BYTES 4096

/* ---- greeting ---- */

static void on_connected(void *arg)
{
	struct redis_link *link = arg;
	char secret[SECRET_BYTES], why[SECRET_WHY_BYTES], memory[GREETING_BYTES];
	struct greeting_options options = {
		.user = link->options.where->user,
		.password = SLICE_EMPTY,
		.db = link->options.where->db,
		.channel = link->options.channel,
	};
	struct buf out;
	size_t len;

	if (link->options.password_file.len) {
		if (!secret_read(link->options.password_file, secret, &len, why)) {
			link_give_up(link, REDIS_TROUBLE_PASSWORD, why);
			return;
		}
		options.password = slice_make(secret, len);
	}
	buf_init_fixed(&out, memory, sizeof(memory));
	greeting_begin(&link->greeting, &options, &out);
	conn_write(link->conn, buf_slice(&out));
	conn_flush(link->conn);
	secret_wipe(secret);
	explicit_bzero(memory, sizeof(memory));
	link->state = STATE_GREETING;
	link->step_mono_ms = link_mono_ms(link) + link->step_ms;
}

static void tell_greeting(struct redis_link *link)
{
	const struct greeting *greeting = &link->greeting;
	struct slice detail = slice_of(greeting->detail);
	bool *told = slice_is(detail, "ROLE") ? &link->told_role : &link->told_info;

	if (greeting->notice == REDIS_NOTICE_UNCHECKED) {
		if (*told)
			return;
		*told = true;
	}
	link_notify(link, greeting->notice, detail);
}

static void read_greeting(struct redis_link *link, const struct redis_reply *reply)
{
	enum greeting_result result = greeting_answer(&link->greeting, reply);

	if (link->greeting.has_notice)
		tell_greeting(link);
	if (result == GREETING_FAILED)
		link_give_up(link, link->greeting.trouble, link->greeting.detail);
	else if (result == GREETING_DONE)
		link_come_up(link);
}

/* ---- the connection's events ---- */

static void on_reply(void *arg, const struct redis_reply *reply)
{
	struct redis_link *link = arg;

	link->heard_mono_ms = link->waiting_mono_ms = link_mono_ms(link);
	if (link->state == STATE_UP)
		link_read(link, reply);
	else if (link->state == STATE_GREETING)
		read_greeting(link, reply);
	else /* before anything was asked */
		link_give_up(link, REDIS_TROUBLE_PROTOCOL, redis_reply_text(reply).data);
}

static void on_ended(void *arg, enum redis_trouble why, const char *detail)
{
	struct redis_link *link = arg;

	link_leave_conn(link);
	link_give_up(link, why, detail);
}

static const struct conn_events conn_events = {on_connected, on_reply, on_ended};

/* ---- on the way up ---- */

static void open_place(struct redis_link *link, const struct conn_place *place)
{
	char detail[CONN_DETAIL_BYTES];

	link->health.attempts++;
	link->state = STATE_CONNECTING;
	link->step_mono_ms = link_mono_ms(link) + link->step_ms;
	link->conn = conn_open(link->options.loop, place, link->options.max_reply_bytes,
		&conn_events, link, detail);
	if (!link->conn)
		link_give_up(link, REDIS_TROUBLE_CONNECT, detail);
}

static void open_unix(struct redis_link *link)
{
	struct conn_place place = {
		.unix_path = link->options.where->unix_path,
		.tls_host = SLICE_EMPTY,
	};

	snprintf(link->health.address, sizeof(link->health.address), "unix:%.*s",
		SLICE_ARG(slice_first(place.unix_path, sizeof(link->health.address) - 6)));
	open_place(link, &place);
}

static void open_ip(struct redis_link *link, const struct ip *ip)
{
	const struct config_redis *where = link->options.where;
	struct conn_place place = {
		.unix_path = SLICE_EMPTY,
		.ip = *ip,
		.port = link->port,
		.tls_host = where->tls ? where->hosts[0].host : SLICE_EMPTY,
	};
	char text[IP_TEXT_BYTES];
	bool v4 = ip_is_v4(ip);

	link->ip = *ip;
	ip_format(ip, text);
	snprintf(link->health.address, sizeof(link->health.address), v4 ? "%s:%u" : "[%s]:%u", text,
		(unsigned)link->port);
	open_place(link, &place);
}

static void look_up(struct redis_link *link)
{
	link->state = STATE_LOOKING_UP;
	lookup_start(&link->lookup, link->options.dns, slice_of(link->host));
}

/* An address of the master; true: another one than before. */
static bool set_host(struct redis_link *link, struct slice host, uint16_t port)
{
	if (slice_is(host, link->host) && port == link->port)
		return false;
	snprintf(link->host, sizeof(link->host), "%.*s",
		SLICE_ARG(slice_first(host, sizeof(link->host) - 1)));
	link->port = port;
	link->has_good_ip = false;
	return true;
}

static void begin(struct redis_link *link)
{
	const struct config_redis *where = link->options.where;

	if (link->sentinels) {
		link->state = STATE_FINDING;
		sentinels_start(link->sentinels, link_mono_ms(link));
	} else if (where->unix_path.len) {
		open_unix(link);
	} else {
		set_host(link, where->hosts[0].host, where->hosts[0].port);
		look_up(link);
	}
}

static void tell_master(struct redis_link *link)
{
	char text[LINK_HOST_BYTES + 8];

	snprintf(text, sizeof(text), "%s:%u", link->host, (unsigned)link->port);
	link_notify(link, REDIS_NOTICE_MASTER, slice_of(text));
}

/* Where no sentinel answers, the master of before may still be one. */
static void run_finding(struct redis_link *link)
{
	struct sentinels *sentinels = link->sentinels;
	bool first = !link->host[0];

	sentinels_run(sentinels, link_mono_ms(link));
	if (sentinels_state(sentinels) == SENTINELS_KNOWN) {
		if (set_host(link, sentinels_host(sentinels), sentinels_port(sentinels)) && !first)
			tell_master(link);
	} else if (sentinels_state(sentinels) != SENTINELS_NOBODY) {
		return;
	} else if (first) {
		link_give_up(link, REDIS_TROUBLE_NO_MASTER, sentinels_detail(sentinels));
		return;
	}
	sentinels_run(sentinels, link_mono_ms(link));
	look_up(link);
}

/* A name that cannot be looked up has not changed for that. */
static void look_up_failed(struct redis_link *link)
{
	struct ip ip = link->good_ip;

	if (link->has_good_ip)
		open_ip(link, &ip);
	else
		link_give_up(link, REDIS_TROUBLE_NAME, "its name cannot be looked up");
}

static void run_lookup(struct redis_link *link)
{
	struct ip ip;

	if (!lookup_is_woken(&link->lookup))
		return;
	switch (lookup_step(&link->lookup, link->failures, &ip)) {
	case LOOKUP_PENDING:
		break;
	case LOOKUP_FOUND:
		open_ip(link, &ip);
		break;
	case LOOKUP_ABSENT:
		link_give_up(link, REDIS_TROUBLE_NAME, "no such name");
		break;
	case LOOKUP_FAILED:
		look_up_failed(link);
		break;
	}
}

static void run_step(struct redis_link *link)
{
	conn_run(link->conn);
	if (!link->conn || link_mono_ms(link) < link->step_mono_ms)
		return;
	if (link->state == STATE_CONNECTING)
		link_give_up(link, REDIS_TROUBLE_TIMEOUT, "no connection in time");
	else if (!conn_is_secured(link->conn))
		link_give_up(link, REDIS_TROUBLE_TLS,
			"connected, but no answer in time; is there TLS on that port?");
	else
		link_give_up(link, REDIS_TROUBLE_TIMEOUT, "connected, but no answer in time");
}

void link_connect(struct redis_link *link)
{
	switch (link->state) {
	case STATE_AWAY:
		begin(link);
		break;
	case STATE_FINDING:
		run_finding(link);
		break;
	case STATE_LOOKING_UP:
		run_lookup(link);
		break;
	case STATE_CONNECTING:
	case STATE_GREETING:
		run_step(link);
		break;
	case STATE_UP:
		break;
	}
}
