/* SPDX-License-Identifier: ISC */
/*
 * The server as a whole: time-outs, draining, closing. Each wait has a list
 * in which connections stand in the order in which they began to wait, so only the heads are ever
 * looked at.
 */
#include "daemon/server/server.h"

#include <assert.h>

#include "common/alloc.h"
#include "daemon/server/connection.h"

#define COMPLAIN_EVERY_MS 10000

struct server *server_new(struct loop *loop, struct pipeline *pipeline, struct log_sink *log)
{
	struct server *server = mem_zalloc(sizeof(*server));

	server->loop = loop;
	server->pipeline = pipeline;
	server->log = log;
	for (int i = 0; i <= CONNECTION_WRITING; i++)
		list_init(&server->waits[i]);
	return server;
}

void server_configure(struct server *server, const struct config *config)
{
	server->request_timeout_ms = config->request_timeout_ms;
	server->idle_timeout_ms = config->idle_timeout_ms;
}

void server_limit(struct server *server, size_t max_connections)
{
	server->max_connections = max_connections;
}

void server_complain(struct server *server, const char *event, const char *why,
		     struct slice sample)
{
	uint64_t now_ms = loop_now(server->loop).mono_ms;
	char memory[1024];
	struct buf line;

	if (server->told_mono_ms && now_ms - server->told_mono_ms < COMPLAIN_EVERY_MS) {
		server->untold++;
		return;
	}
	buf_init_fixed(&line, memory, sizeof(memory));
	logline_text(&line, "event", event);
	logline_text(&line, "why", why);
	logline_slice(&line, "sample", sample);
	if (server->untold)
		logline_u64(&line, "left_out", server->untold);
	server->told_mono_ms = now_ms;
	server->untold = 0;
	if (log_wants(server->log, LOG_LEVEL_WARNING))
		server->log->write(server->log, LOG_LEVEL_WARNING, buf_slice(&line));
}

/* Closes those that have waited too long; returns when the next one has, 0: nobody waits. */
static uint64_t expire_wait(struct server *server, enum connection_wait wait, uint64_t timeout_ms,
			    struct clock_now now)
{
	struct list *head = &server->waits[wait];

	while (!list_is_empty(head)) {
		struct connection *connection =
			LIST_ENTRY(head->next, struct connection, node);
		uint64_t end_ms = connection->since_mono_ms + timeout_ms;

		if (end_ms > now.mono_ms)
			return end_ms;
		server->health.timed_out++;
		if (wait == CONNECTION_READING)
			server_complain(server, "slow_peer", "request_timeout",
					slice_make(connection->buffer,
						   connection->used < 80 ? connection->used : 80));
		connection_close(connection);
	}
	return 0;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	if (a == 0 || b == 0)
		return a ? a : b;
	return a < b ? a : b;
}

uint64_t server_expire(struct server *server, struct clock_now now)
{
	uint64_t next = expire_wait(server, CONNECTION_READING, server->request_timeout_ms, now);

	next = earlier(next, expire_wait(server, CONNECTION_WRITING, server->request_timeout_ms, now));
	return earlier(next, expire_wait(server, CONNECTION_IDLE, server->idle_timeout_ms, now));
}

static void close_listeners(struct server *server)
{
	for (size_t i = 0; i < server->listener_count; i++) {
		struct listener *listener = &server->listeners[i];

		if (listener->open && !uv_is_closing(&listener->uv.handle))
			uv_close(&listener->uv.handle, NULL); /* removes a unix socket's path too */
	}
}

static void close_waiting(struct server *server, enum connection_wait wait)
{
	struct list *head = &server->waits[wait];

	while (!list_is_empty(head))
		connection_close(LIST_ENTRY(head->next, struct connection, node));
}

void server_drain(struct server *server)
{
	server->draining = true;
	close_listeners(server);
	close_waiting(server, CONNECTION_IDLE);
	close_waiting(server, CONNECTION_READING);
}

bool server_is_drained(const struct server *server)
{
	return server->draining && server->connections == 0;
}

void server_close(struct server *server)
{
	server_drain(server);
	close_waiting(server, CONNECTION_BUSY);
	close_waiting(server, CONNECTION_WRITING);
}

void server_free(struct server **server)
{
	struct server *old = *server;

	if (!old)
		return;
	assert(old->connections == 0);
	free(old->listeners);
	mem_free(server);
}

static bool wait_has_peer(const struct list *head, const struct cidr *network)
{
	for (struct list *node = head->next; node != head; node = node->next) {
		if (connection_is_from(LIST_ENTRY(node, struct connection, node), network))
			return true;
	}
	return false;
}

bool server_has_peer(const struct server *server, const struct cidr *network)
{
	for (int i = 0; i <= CONNECTION_WRITING; i++) {
		if (wait_has_peer(&server->waits[i], network))
			return true;
	}
	return false;
}

void server_health(const struct server *server, struct server_health *ret)
{
	*ret = server->health;
	ret->connections = server->connections;
	ret->max_connections = server->max_connections;
}
