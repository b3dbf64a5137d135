/* SPDX-License-Identifier: ISC */
/*
 * Bytes to requests to answers, for one connection. Reading goes on while a
 * request is under way, so that a peer that has gone is seen; what it sends
 * early stays in the buffer until the answer is out. The reply goes out with
 * uv_try_write, which costs a quarter less than a write request; only what the socket does not take
 * is queued, and nothing is parsed until it has left.
 */
#include "daemon/server/connection.h"

#include <assert.h>

#include "common/alloc.h"

#define BUFFER_BYTES 4096
#define BUFFER_MAX_BYTES (POLICY_REQUEST_BYTES + BUFFER_BYTES)
#define ARENA_BYTES 24576

static void parse(struct connection *connection);

static void set_wait(struct connection *connection, enum connection_wait wait)
{
	connection->wait = wait;
	connection->since_mono_ms = loop_now(connection->server->loop).mono_ms;
	list_remove(&connection->node);
	list_append(&connection->server->waits[wait], &connection->node);
}

static void on_closed(uv_handle_t *handle)
{
	struct connection *connection = handle->data;
	struct server *server = connection->server;

	arena_release(&connection->arena);
	request_memo_release(&connection->memo);
	free(connection->buffer);
	free(connection);
	server->connections--;
	server->health.closed++;
	listener_resume(server);
}

void connection_close(struct connection *connection)
{
	if (connection->closing)
		return;
	connection->closing = true;
	pipeline_cancel(connection->server->pipeline, &connection->ticket);
	list_remove(&connection->node);
	uv_close(&connection->uv.handle, on_closed);
}

static bool make_room(struct connection *connection)
{
	size_t cap = connection->cap * 2;

	if (connection->used < connection->cap)
		return true;
	/* The request under way points into the buffer. */
	if (connection->wait == CONNECTION_BUSY || connection->wait == CONNECTION_WRITING)
		return false;
	if (connection->cap >= BUFFER_MAX_BYTES)
		return false;
	if (cap > BUFFER_MAX_BYTES)
		cap = BUFFER_MAX_BYTES;
	connection->buffer = mem_grow(connection->buffer, cap);
	connection->cap = cap;
	return true;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
	struct connection *connection = handle->data;

	(void)suggested;
	*ret = uv_buf_init(NULL, 0);
	if (make_room(connection))
		*ret = uv_buf_init(connection->buffer + connection->used,
				   (unsigned)(connection->cap - connection->used));
}

/* No answer to what is no request (SMTPD_POLICY_README): log and close. */
static void refuse_bytes(struct connection *connection, const char *why)
{
	struct server *server = connection->server;

	server->health.malformed++;
	server_complain(server, "malformed_request", why,
			slice_make(connection->buffer, connection->used < 80 ? connection->used : 80));
	connection_close(connection);
}

static void on_end(struct connection *connection)
{
	connection->ended = true;
	connection->reading = false;
	uv_read_stop(&connection->uv.stream);
	/* A request that runs is finished and answered once: the peer may have shut down one side only. */
	if (connection->wait != CONNECTION_BUSY && connection->wait != CONNECTION_WRITING)
		connection_close(connection);
}

static void on_read(uv_stream_t *stream, ssize_t bytes, const uv_buf_t *unused)
{
	struct connection *connection = stream->data;

	(void)unused;
	if (bytes == 0)
		return;
	if (bytes == UV_ENOBUFS) {
		/* The buffer is full of what came too early; read on when the answer is out. */
		connection->reading = false;
		uv_read_stop(stream);
		return;
	}
	if (bytes == UV_EOF) {
		on_end(connection);
		return;
	}
	if (bytes < 0) {
		connection_close(connection);
		return;
	}
	connection->used += (size_t)bytes;
	if (connection->wait == CONNECTION_IDLE || connection->wait == CONNECTION_READING)
		parse(connection);
}

static void start_reading(struct connection *connection)
{
	if (connection->reading || connection->ended || connection->closing)
		return;
	if (uv_read_start(&connection->uv.stream, on_alloc, on_read) != 0) {
		connection_close(connection);
		return;
	}
	connection->reading = true;
}

/* The answer is out: make ready for the next request, whose bytes may be there already. */
static void next_request(struct connection *connection)
{
	size_t rest = connection->used - connection->consumed;

	arena_reset(&connection->arena);
	policy_parser_reset(&connection->parser);
	if (rest)
		memmove(connection->buffer, connection->buffer + connection->consumed, rest);
	connection->used = rest;
	connection->consumed = 0;
	set_wait(connection, CONNECTION_IDLE);
	if (connection->ended && rest == 0) {
		connection_close(connection);
		return;
	}
	if (connection->server->draining) {
		connection_close(connection);
		return;
	}
	if (rest)
		parse(connection);
	if (!connection->closing)
		start_reading(connection);
}

static void on_written(uv_write_t *write, int status)
{
	struct connection *connection = write->data;

	if (status < 0)
		connection_close(connection); /* a write error is final */
	else if (!connection->closing)
		next_request(connection);
}

static void write_rest(struct connection *connection, struct slice rest)
{
	/* The reply lives in the arena, which is not reset before it has left. */
	uv_buf_t buf = { .base = (char *)(uintptr_t)rest.data, .len = rest.len };

	set_wait(connection, CONNECTION_WRITING);
	connection->write.data = connection;
	if (uv_write(&connection->write, &connection->uv.stream, &buf, 1, on_written) != 0)
		connection_close(connection);
}

static void on_answer(void *arg, struct slice reply, const struct verdict *verdict)
{
	struct connection *connection = arg;
	uv_buf_t buf = { .base = (char *)(uintptr_t)reply.data, .len = reply.len };
	int written;

	(void)verdict;
	connection->ticket = NULL;
	if (connection->closing)
		return;
	written = uv_try_write(&connection->uv.stream, &buf, 1);
	if (written == UV_EAGAIN)
		written = 0;
	if (written < 0)
		connection_close(connection);
	else if ((size_t)written < reply.len)
		write_rest(connection, slice_from(reply, (size_t)written));
	else
		next_request(connection);
}

static enum policy_feed read_request(struct connection *connection, const char **ret_why)
{
	enum policy_feed feed;

	if (policy_repeat_take(&connection->repeat, connection->buffer, connection->used,
			       &connection->request, &connection->consumed))
		return POLICY_READY;
	feed = policy_parser_feed(&connection->parser, connection->buffer, connection->used,
				  &connection->request, &connection->consumed, ret_why);
	if (feed == POLICY_READY)
		policy_repeat_learn(&connection->repeat, connection->buffer, connection->consumed,
				    &connection->request);
	return feed;
}

static void parse(struct connection *connection)
{
	struct server *server = connection->server;
	const char *why = NULL;

	switch (read_request(connection, &why)) {
	case POLICY_BAD:
		refuse_bytes(connection, why);
		return;
	case POLICY_MORE:
		if (connection->wait == CONNECTION_IDLE)
			set_wait(connection, CONNECTION_READING);
		if (connection->ended)
			connection_close(connection);
		return;
	case POLICY_READY:
		break;
	}
	set_wait(connection, CONNECTION_BUSY);
	connection->ticket = pipeline_submit(server->pipeline, &connection->request,
					     &connection->arena, &connection->peer,
					     loop_now(server->loop), on_answer, connection);
}

static struct connection *connection_new(struct listener *listener)
{
	struct server *server = listener->server;
	struct connection *connection = mem_zalloc(sizeof(*connection));
	uv_loop_t *uv = loop_uv(server->loop);

	if (listener->config->address.is_unix)
		uv_pipe_init(uv, &connection->uv.pipe, 0);
	else
		uv_tcp_init(uv, &connection->uv.tcp);
	connection->uv.handle.data = connection;
	connection->server = server;
	connection->peer.id = ++server->next_id;
	connection->peer.memo = &connection->memo;
	connection->cap = BUFFER_BYTES;
	connection->buffer = mem_alloc(BUFFER_BYTES);
	arena_init(&connection->arena, ARENA_BYTES);
	policy_parser_reset(&connection->parser);
	list_init(&connection->node);
	server->connections++;
	server->health.accepted++;
	return connection;
}

/* `ret_text` is the address, or empty if it is not known. */
static bool read_peer(const struct connection *connection, char ret_text[static IP_TEXT_BYTES],
		      struct ip *ret_ip)
{
	struct sockaddr_storage address;
	int length = sizeof(address);

	*ret_text = '\0';
	if (connection->uv.handle.type != UV_TCP ||
	    uv_tcp_getpeername(&connection->uv.tcp, (struct sockaddr *)&address, &length) != 0)
		return false;
	if (uv_ip_name((struct sockaddr *)&address, ret_text, IP_TEXT_BYTES) != 0)
		return false;
	return ip_parse(slice_of(ret_text), ret_ip);
}

static bool peer_is_allowed(const struct connection *connection, const struct listener *listener,
			    char ret_text[static IP_TEXT_BYTES])
{
	const struct cidr_set *allow = listener->config->allow;
	struct ip ip;

	*ret_text = '\0';
	if (listener->config->address.is_unix || !allow)
		return true;
	return read_peer(connection, ret_text, &ip) && cidr_set_contains(allow, &ip);
}

bool connection_is_from(const struct connection *connection, const struct cidr *network)
{
	char text[IP_TEXT_BYTES];
	struct ip ip;

	return read_peer(connection, text, &ip) && cidr_contains(network, &ip);
}

void connection_accept(struct listener *listener)
{
	struct server *server = listener->server;
	struct connection *connection = connection_new(listener);
	char peer[IP_TEXT_BYTES];

	if (uv_accept(&listener->uv.stream, &connection->uv.stream) != 0) {
		connection_close(connection);
		return;
	}
	if (!peer_is_allowed(connection, listener, peer)) {
		server->health.refused++;
		server_complain(server, "peer_not_allowed", "not in allow", slice_of(peer));
		connection_close(connection);
		return;
	}
	if (!listener->config->address.is_unix)
		uv_tcp_nodelay(&connection->uv.tcp, 1);
	set_wait(connection, CONNECTION_IDLE);
	start_reading(connection);
}
