/* SPDX-License-Identifier: ISC */
/*
 * One policy connection and what the server keeps of it. Only listener.c, connection.c and server.c share this.
 *
 * The buffer holds the current request from its first byte; the parsed
 * request points into it, so it neither moves nor grows while one is under way.
 */
#ifndef REEVE_DAEMON_SERVER_CONNECTION_H
#define REEVE_DAEMON_SERVER_CONNECTION_H

#include "common/arena.h"
#include "common/list.h"
#include "common/policy_repeat.h"
#include "daemon/server/server.h"

struct listener {
	union {
		uv_stream_t stream;
		uv_pipe_t pipe;
		uv_tcp_t tcp;
		uv_handle_t handle;
	} uv;
	struct server *server;
	const struct config_listener *config; /* of the configuration it was opened with, kept by daemon.c */
	bool open;
	bool pending;                /* libuv holds an accepted descriptor for us: we are full */
};

enum connection_wait {
	CONNECTION_IDLE,             /* nothing of a request has come */
	CONNECTION_READING,          /* a part of one */
	CONNECTION_BUSY,             /* a request is under way; the pipeline has the deadline */
	CONNECTION_WRITING           /* the peer does not take its answer */
};

struct connection {
	union {
		uv_stream_t stream;
		uv_pipe_t pipe;
		uv_tcp_t tcp;
		uv_handle_t handle;
	} uv;
	struct server *server;
	struct list node;            /* in the server's list of its wait, oldest first */
	enum connection_wait wait;
	uint64_t since_mono_ms;      /* when that wait began */
	struct pipeline_peer peer;
	struct policy_parser parser;
	struct policy_request request;
	struct policy_repeat repeat;
	struct request_memo memo;
	struct arena arena;
	struct ticket *ticket;
	char *buffer;
	size_t used, cap, consumed;  /* consumed: length of the request under way */
	uv_write_t write;
	bool reading;                /* uv_read_start is on */
	bool ended;                  /* end of file seen: answer once, then close */
	bool closing;
};

struct server {
	struct loop *loop;
	struct pipeline *pipeline;
	struct log_sink *log;
	struct listener *listeners;
	size_t listener_count;
	struct list waits[CONNECTION_WRITING + 1];
	size_t connections, max_connections;
	uint64_t next_id;
	uint64_t request_timeout_ms, idle_timeout_ms;
	bool draining;
	struct server_health health;
	uint64_t told_mono_ms;       /* when the last complaint about a peer was logged */
	uint64_t untold;
};

/* The accepted descriptor of `listener` becomes a connection (or is closed, if libuv fails). */
void connection_accept(struct listener *listener);
void connection_close(struct connection *connection);
/* false for a unix socket. */
bool connection_is_from(const struct connection *connection, const struct cidr *network);
/* A closed connection made room: take what libuv holds back. */
void listener_resume(struct server *server);
/* About a peer, at most one line in ten seconds, with the number of those left out. */
void server_complain(struct server *server, const char *event, const char *why,
		     struct slice sample);

#endif
