/* SPDX-License-Identifier: ISC */
/*
 * Listeners and policy connections. Postfix asks one question at a time on a connection and
 * reads exactly one answer to each (postfix.md d1, c20), so a connection has
 * at most one request under way, writes once for each, and never at any other time.
 *
 * A connection is never closed early: only when the peer closes, sends what is no
 * request, stalls in the middle of one for request_timeout, or is idle for idle_timeout.
 */
#ifndef REEVE_DAEMON_SERVER_SERVER_H
#define REEVE_DAEMON_SERVER_SERVER_H

#include <uv.h>

#include "common/logline.h"
#include "daemon/engine/pipeline.h"
#include "daemon/loop/loop.h"

struct server;

struct server_health {
	uint64_t accepted, closed, malformed, timed_out, refused;
	size_t connections, max_connections;
	bool full;
};

struct server *server_new(struct loop *loop, struct pipeline *pipeline, struct log_sink *log)
	__attribute__((warn_unused_result));
/* Opens all listeners of the configuration; false: `ret_why` (512 bytes) names the one that failed, and why. Nothing
 * is accepted before. Call once. */
bool server_listen(struct server *server, const struct config *config, char ret_why[static 512])
	__attribute__((warn_unused_result));
/* Fewer connections than the configuration says: descriptors are short. */
void server_limit(struct server *server, size_t max_connections);
/* Timeouts after a reload. */
void server_configure(struct server *server, const struct config *config);
/* Ends what is overdue; returns the next mono_ms, 0: none. */
uint64_t server_expire(struct server *server, struct clock_now now);
/* Stops accepting, closes idle connections; those with a request under way close after its answer. */
void server_drain(struct server *server);
bool server_is_drained(const struct server *server);
/* Cuts what is left. Memory is freed once libuv has closed its handles: run the loop before server_free(). */
void server_close(struct server *server);
void server_free(struct server **server);
/* Is one of the connected clients (not those of unix sockets) in this network? */
bool server_has_peer(const struct server *server, const struct cidr *network);
void server_health(const struct server *server, struct server_health *ret);

#endif
