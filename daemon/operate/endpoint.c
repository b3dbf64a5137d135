/* SPDX-License-Identifier: ISC */
/*
 * Connections whose time is counted stand in one list in the order of their deadlines, which are
 * all equally long, so that only its head is looked at; calls in the handler's hands and streams
 * have none, and stand in lists of their own.
 */
#include "daemon/operate/endpoint.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/alloc.h"
#include "common/list.h"
#include "daemon/server/unix_path.h"

#define BACKLOG 128
#define MAX_GROUPS 256

struct endpoint {
	struct loop *loop;
	struct endpoint_handler handler;
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_pipe_t pipe;
		uv_tcp_t tcp;
	} uv;
	bool open, is_unix;
	struct list waiting, taken, streaming;
	size_t open_calls;
	struct endpoint_health health;
};

enum call_state { CALL_READING, CALL_TAKEN, CALL_STREAMING, CALL_ANSWERED };

struct endpoint_call {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_pipe_t pipe;
		uv_tcp_t tcp;
	} uv;
	struct endpoint *endpoint;
	struct list node;
	enum call_state state;
	uint64_t until_mono_ms;
	char *buffer;
	size_t used, room;
	bool closing, is_reserved;
	void *data;
};

struct write {
	uv_write_t request;
	struct endpoint_call *call;
	char bytes[];
};

struct endpoint *endpoint_new(struct loop *loop, const struct endpoint_handler *handler)
{
	struct endpoint *endpoint = mem_zalloc(sizeof(*endpoint));

	endpoint->loop = loop;
	endpoint->handler = *handler;
	list_init(&endpoint->waiting);
	list_init(&endpoint->taken);
	list_init(&endpoint->streaming);
	return endpoint;
}

static void on_closed(uv_handle_t *handle)
{
	struct endpoint_call *call = handle->data;

	call->endpoint->health.calls--;
	free(call->buffer);
	free(call);
}

static void close_call(struct endpoint_call *call)
{
	if (call->closing)
		return;
	call->closing = true;
	call->endpoint->open_calls--;
	list_remove(&call->node);
	uv_close(&call->uv.handle, on_closed);
}

/* The peer's doing, or ours at the end: the handler is told if the call is in its hands. */
static void lose_call(struct endpoint_call *call)
{
	struct endpoint *endpoint = call->endpoint;
	bool is_theirs = call->state == CALL_TAKEN || call->state == CALL_STREAMING;

	if (call->closing)
		return;
	close_call(call);
	if (is_theirs && endpoint->handler.gone)
		endpoint->handler.gone(endpoint->handler.arg, call);
}

static void move_to(struct endpoint_call *call, struct list *list)
{
	list_remove(&call->node);
	list_append(list, &call->node);
}

static void begin_deadline(struct endpoint_call *call)
{
	struct endpoint *endpoint = call->endpoint;

	call->until_mono_ms = loop_now(endpoint->loop).mono_ms + endpoint->handler.deadline_ms;
	move_to(call, &endpoint->waiting);
}

/* What comes after the request is read, to see the peer leave, and forgotten. */
static char unheard[4096];

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
	struct endpoint_call *call = handle->data;
	size_t max = call->endpoint->handler.request_bytes;

	(void)suggested;
	if (call->state != CALL_READING) {
		*ret = uv_buf_init(unheard, sizeof(unheard));
		return;
	}
	if (call->used == call->room && call->room < max) {
		call->room = call->room ? call->room * 4 : 1024;
		if (call->room > max)
			call->room = max;
		call->buffer = mem_grow(call->buffer, call->room);
	}
	*ret = uv_buf_init(call->buffer + call->used, (unsigned)(call->room - call->used));
}

/* A call that is not whole keeps its place among those that wait: who drips gains no time. */
static void hear(struct endpoint_call *call)
{
	struct endpoint *endpoint = call->endpoint;

	call->state = CALL_TAKEN;
	if (!endpoint->handler.take(
		    endpoint->handler.arg, call, slice_make(call->buffer, call->used)))
		call->state = CALL_READING;
	else if (call->state == CALL_TAKEN && !call->closing)
		move_to(call, &endpoint->taken);
}

static void on_read(uv_stream_t *stream, ssize_t bytes, const uv_buf_t *unused)
{
	struct endpoint_call *call = stream->data;

	(void)unused;
	if (bytes > 0 && call->state == CALL_READING) {
		call->used += (size_t)bytes;
		hear(call);
	} else if (bytes == UV_EOF && (call->state == CALL_TAKEN || call->state == CALL_ANSWERED)) {
		uv_read_stop(stream); /* it may have shut down its side only, and wait */
	} else if (bytes < 0) {
		lose_call(call);
	}
}

/* The one that has not said a whole request for longest; NULL: all have. */
static struct endpoint_call *longest_idle(const struct endpoint *endpoint)
{
	for (struct list *node = endpoint->waiting.next; node != &endpoint->waiting;
		node = node->next) {
		struct endpoint_call *call = LIST_ENTRY(node, struct endpoint_call, node);

		if (call->state == CALL_READING && !call->is_reserved)
			return call;
	}
	return NULL;
}

/* Is there a place for one more, or can one be made? */
static bool find_place(struct endpoint *endpoint, const struct endpoint_call *call)
{
	const struct endpoint_handler *handler = &endpoint->handler;
	struct endpoint_call *idle;

	if (endpoint->open_calls <= handler->max_calls)
		return true;
	idle = longest_idle(endpoint);
	if (idle) {
		endpoint->health.refused++;
		lose_call(idle);
		return true;
	}
	return call->is_reserved &&
	       endpoint->open_calls <= handler->max_calls + handler->reserved_calls;
}

static void accept_call(struct endpoint *endpoint)
{
	struct endpoint_call *call = mem_zalloc(sizeof(*call));
	uv_loop_t *uv = loop_uv(endpoint->loop);

	if (endpoint->is_unix)
		uv_pipe_init(uv, &call->uv.pipe, 0);
	else
		uv_tcp_init(uv, &call->uv.tcp);
	call->uv.handle.data = call;
	call->endpoint = endpoint;
	list_init(&call->node);
	endpoint->health.calls++;
	endpoint->open_calls++;
	if (uv_accept(&endpoint->uv.stream, &call->uv.stream) != 0) {
		close_call(call);
		return;
	}
	endpoint->health.accepted++;
	call->is_reserved = endpoint_peer(call, 0).uid == endpoint->handler.reserved_uid;
	if (!find_place(endpoint, call)) {
		endpoint->health.refused++;
		close_call(call);
		return;
	}
	begin_deadline(call);
	if (uv_read_start(&call->uv.stream, on_alloc, on_read) != 0)
		close_call(call);
}

static void on_connection(uv_stream_t *stream, int status)
{
	if (status == 0)
		accept_call(stream->data);
}

bool endpoint_listen_unix(
	struct endpoint *endpoint, const char *path, mode_t mode, char ret_why[static 512])
{
	int status;

	uv_pipe_init(loop_uv(endpoint->loop), &endpoint->uv.pipe, 0);
	endpoint->uv.handle.data = endpoint;
	endpoint->open = endpoint->is_unix = true;
	if (!unix_path_bind(&endpoint->uv.pipe, path, ret_why))
		return false;
	if (chmod(path, mode) != 0) {
		snprintf(ret_why, 512, "unix:%s: chmod: %s", path, strerror(errno));
		return false;
	}
	status = uv_listen(&endpoint->uv.stream, BACKLOG, on_connection);
	if (status != 0)
		snprintf(ret_why, 512, "unix:%s: %s", path, uv_strerror(status));
	return status == 0;
}

bool endpoint_listen_inet(
	struct endpoint *endpoint, const struct ip *ip, uint16_t port, char ret_why[static 512])
{
	char text[IP_TEXT_BYTES];
	struct sockaddr_in6 v6;
	struct sockaddr_in v4;
	int status;

	ip_format(ip, text);
	uv_tcp_init(loop_uv(endpoint->loop), &endpoint->uv.tcp);
	endpoint->uv.handle.data = endpoint;
	endpoint->open = true;
	if (ip_is_v4(ip)) {
		uv_ip4_addr(text, port, &v4);
		status = uv_tcp_bind(&endpoint->uv.tcp, (struct sockaddr *)&v4, 0);
	} else {
		uv_ip6_addr(text, port, &v6);
		status = uv_tcp_bind(&endpoint->uv.tcp, (struct sockaddr *)&v6, UV_TCP_IPV6ONLY);
	}
	if (status == 0)
		status = uv_listen(&endpoint->uv.stream, BACKLOG, on_connection);
	if (status != 0)
		snprintf(ret_why, 512, "inet:%s:%u: %s", text, port, uv_strerror(status));
	return status == 0;
}

uint64_t endpoint_expire(struct endpoint *endpoint, struct clock_now now)
{
	while (!list_is_empty(&endpoint->waiting)) {
		struct endpoint_call *call =
			LIST_ENTRY(endpoint->waiting.next, struct endpoint_call, node);

		if (call->until_mono_ms > now.mono_ms)
			return call->until_mono_ms;
		endpoint->health.timed_out++;
		lose_call(call);
	}
	return 0;
}

void endpoint_health(const struct endpoint *endpoint, struct endpoint_health *ret)
{
	*ret = endpoint->health;
}

static void lose_all(struct list *list)
{
	while (!list_is_empty(list))
		lose_call(LIST_ENTRY(list->next, struct endpoint_call, node));
}

void endpoint_close(struct endpoint *endpoint)
{
	if (!endpoint)
		return;
	if (endpoint->open && !uv_is_closing(&endpoint->uv.handle))
		uv_close(&endpoint->uv.handle, NULL); /* removes a unix socket's path too */
	lose_all(&endpoint->waiting);
	lose_all(&endpoint->taken);
	lose_all(&endpoint->streaming);
}

void endpoint_free(struct endpoint **endpoint)
{
	struct endpoint *old = *endpoint;

	if (!old)
		return;
	assert(old->health.calls == 0);
	mem_free(endpoint);
}

static bool has_group(int fd, gid_t group)
{
	gid_t groups[MAX_GROUPS];
	socklen_t bytes = sizeof(groups);

	/* ERANGE, more groups than there is room for: not seen in full, so not believed. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &bytes) != 0)
		return false;
	for (size_t i = 0; i < bytes / sizeof(groups[0]); i++) {
		if (groups[i] == group)
			return true;
	}
	return false;
}

struct endpoint_peer endpoint_peer(const struct endpoint_call *call, gid_t group)
{
	struct endpoint_peer peer = {.uid = (uid_t)-1, .gid = (gid_t)-1};
	struct ucred who;
	socklen_t bytes = sizeof(who);
	uv_os_fd_t fd;

	if (!call->endpoint->is_unix || uv_fileno(&call->uv.handle, &fd) != 0 ||
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &bytes) != 0)
		return peer;
	peer = (struct endpoint_peer){
		.is_unix = true,
		.uid = who.uid,
		.gid = who.gid,
		.pid = who.pid,
		.in_group = who.gid == group || has_group(fd, group),
	};
	return peer;
}

static void on_written(uv_write_t *request, int status)
{
	struct write *write = LIST_ENTRY(request, struct write, request);
	struct endpoint_call *call = write->call;

	free(write);
	if (status < 0)
		lose_call(call);
	else if (call->state == CALL_ANSWERED)
		close_call(call);
}

static void write_bytes(struct endpoint_call *call, struct slice bytes)
{
	struct write *write = mem_alloc(sizeof(*write) + bytes.len);
	uv_buf_t buf = uv_buf_init(write->bytes, (unsigned)bytes.len);

	write->call = call;
	if (bytes.len)
		memcpy(write->bytes, bytes.data, bytes.len);
	if (uv_write(&write->request, &call->uv.stream, &buf, 1, on_written) != 0) {
		free(write);
		close_call(call);
	}
}

void endpoint_answer(struct endpoint_call *call, struct slice bytes)
{
	assert(!call->closing && call->state != CALL_ANSWERED);
	call->state = CALL_ANSWERED;
	begin_deadline(call);
	write_bytes(call, bytes);
}

bool endpoint_send(struct endpoint_call *call, struct slice bytes)
{
	struct endpoint *endpoint = call->endpoint;

	assert(!call->closing && call->state != CALL_ANSWERED);
	if (call->state != CALL_STREAMING) {
		call->state = CALL_STREAMING;
		move_to(call, &endpoint->streaming);
	}
	if (uv_stream_get_write_queue_size(&call->uv.stream) + bytes.len >
		endpoint->handler.backlog_bytes) {
		endpoint->health.dropped_slow++;
		close_call(call);
		return false;
	}
	write_bytes(call, bytes);
	return !call->closing;
}

void endpoint_set_data(struct endpoint_call *call, void *data)
{
	call->data = data;
}

void *endpoint_data(const struct endpoint_call *call)
{
	return call->data;
}
