/* SPDX-License-Identifier: ISC */
/*
 * hiredis holds the socket, its buffers and the parser, used without its asynchronous half: that
 * one of 0.14 loses errors of sockets under libuv, has no deadlines, crashes where it is freed in
 * its connect callback and aborts when SUBSCRIBE and UNSUBSCRIBE meet. Its blocking half does not
 * block on a socket that does not.
 *
 * libuv tells POLLERR as a negative status and stops the handle, so that counts as readable and
 * writable: the error then comes out of read() or SO_ERROR. A poll handle is stopped at once and
 * let go of later, from a timer: closing it in its own callback is what libuv before 1.52 crashed
 * on. The descriptor stays open until then: letting go takes its number out of what the kernel
 * watches, whoever has that number by now.
 */
#include "daemon/store/redis/conn_uv.h"

#include <errno.h>
#include <hiredis/sds.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "common/alloc.h"
#include "daemon/store/redis/reply_reader.h"
#include "daemon/store/redis/tls.h"

#define READ_BYTES 16384 /* what hiredis reads at once */
#define MAX_READS 8      /* in one callback: others want their turn */
#define KEEPALIVE_S 30
#define KEEPALIVE_INTERVAL_S 10
#define KEEPALIVE_PROBES 3
#define USER_TIMEOUT_MS 10000

struct conn {
	uv_poll_t poll;
	uv_timer_t reaper;
	unsigned handles;
	int mask; /* what poll is started for */
	redisContext *redis;
	struct redis_tls *tls;
	struct reply_reader reader;
	const struct conn_events *events;
	void *arg;
	bool connecting, unsent, over;
	bool write_failed;
	int write_errno;
	uint64_t writes;
	char tls_host[256];
};

static void on_poll(uv_poll_t *poll, int status, int events);

uint64_t conn_mono_ms(const struct uv_loop_s *loop)
{
	return uv_now(loop);
}

/* ---- the end ---- */

static void on_closed(uv_handle_t *handle)
{
	struct conn *conn = handle->data;

	if (--conn->handles > 0)
		return;
	reply_reader_release(&conn->reader);
	free(conn);
}

static void on_reap(uv_timer_t *timer)
{
	struct conn *conn = timer->data;

	uv_close((uv_handle_t *)&conn->poll, on_closed);
	uv_close((uv_handle_t *)&conn->reaper, on_closed);
	redis_tls_end(&conn->tls, conn->redis);
	redisFree(conn->redis);
	conn->redis = NULL;
}

static void end(struct conn *conn)
{
	if (conn->over)
		return;
	conn->over = true;
	uv_poll_stop(&conn->poll);
	uv_timer_start(&conn->reaper, on_reap, 0, 0);
}

static void fail(struct conn *conn, enum redis_trouble why, const char *detail)
{
	char text[CONN_DETAIL_BYTES];

	snprintf(text, sizeof(text), "%s", detail);
	end(conn);
	conn->events->ended(conn->arg, why, text);
}

void conn_drop(struct conn **conn)
{
	if (!*conn)
		return;
	end(*conn);
	*conn = NULL;
}

/* ---- waiting ---- */

static void watch(struct conn *conn)
{
	int mask = UV_READABLE;

	if (conn->over)
		return;
	if (conn->connecting)
		mask = UV_WRITABLE;
	else if (conn->tls)
		mask = redis_tls_mask(conn->tls, conn->unsent, UV_READABLE, UV_WRITABLE);
	else if (conn->unsent)
		mask |= UV_WRITABLE;
	if (mask == conn->mask)
		return;
	conn->mask = mask;
	uv_poll_start(&conn->poll, mask, on_poll);
}

/* ---- bytes out ---- */

void conn_write(struct conn *conn, struct slice bytes)
{
	if (conn->over)
		return;
	conn->unsent = true;
	/* A command that is not in the buffer would leave the answers to the others: it ends. */
	if (redisAppendFormattedCommand(conn->redis, bytes.data, bytes.len) != REDIS_OK)
		conn->write_failed = true;
}

static void write_once(struct conn *conn)
{
	int done = 0;

	conn->writes++;
	if (conn->tls)
		redis_tls_before_io();
	if (redisBufferWrite(conn->redis, &done) != REDIS_OK) {
		conn->write_failed = true;
		return;
	}
	conn->unsent = !done;
}

void conn_flush(struct conn *conn)
{
	if (conn->over || conn->connecting || conn->write_failed || !conn->unsent ||
		(conn->mask & UV_WRITABLE))
		return;
	write_once(conn);
	watch(conn);
}

size_t conn_unsent(const struct conn *conn)
{
	return conn->over ? 0 : sdslen(conn->redis->obuf);
}

uint64_t conn_writes(const struct conn *conn)
{
	return conn->writes;
}

bool conn_wants_run(const struct conn *conn)
{
	return conn->write_failed && !conn->over;
}

bool conn_is_secured(const struct conn *conn)
{
	return !conn->tls_host[0] || (conn->tls && redis_tls_is_open(conn->tls));
}

/* Reading or writing failed. */
static void fail_io(struct conn *conn)
{
	enum redis_trouble why = conn_is_secured(conn) ? REDIS_TROUBLE_CLOSED : REDIS_TROUBLE_TLS;
	char detail[REDIS_TLS_DETAIL_BYTES];

	snprintf(detail, sizeof(detail), "%s", conn->redis->errstr);
	if (conn->tls)
		redis_tls_why(conn->tls, conn->redis->errstr, detail);
	fail(conn, why, detail);
}

void conn_run(struct conn *conn)
{
	if (conn_wants_run(conn))
		fail_io(conn);
}

/* ---- replies in ---- */

static void fail_protocol(struct conn *conn)
{
	const char *detail = conn->redis->reader->errstr;

	if (conn->reader.too_large)
		detail = "a reply is too large";
	else if (conn->reader.too_deep)
		detail = "a reply is nested too deep";
	fail(conn, REDIS_TROUBLE_PROTOCOL, detail);
}

/* Hands out what is whole. A callback may drop the connection. */
static void deliver(struct conn *conn)
{
	void *reply;

	while (!conn->over) {
		redisReader *reader = conn->redis->reader;

		if (redisReaderGetReply(reader, &reply) != REDIS_OK) {
			fail_protocol(conn);
			return;
		}
		if (!reply) {
			/* A string, or a line without an end, that goes on and on. */
			if (reader->len - reader->pos <= conn->reader.max_bytes)
				return;
			conn->reader.too_large = true;
			fail_protocol(conn);
			return;
		}
		conn->events->reply(conn->arg, reply);
		reply_reader_reset(&conn->reader);
	}
}

static void read_all(struct conn *conn)
{
	for (unsigned i = 0; i < MAX_READS && !conn->over; i++) {
		size_t before = conn->redis->reader->len, got;

		if (conn->tls)
			redis_tls_before_io();
		if (redisBufferRead(conn->redis) != REDIS_OK) {
			fail_io(conn);
			return;
		}
		got = conn->redis->reader->len - before;
		if (got == 0)
			return;
		deliver(conn);
		if (got < READ_BYTES &&
			!(conn->tls && !conn->over && redis_tls_has_more(conn->tls)))
			return;
	}
}

/* ---- connecting ---- */

static void begin_tls(struct conn *conn)
{
	char detail[CONN_DETAIL_BYTES];

	conn->tls = redis_tls_begin(conn->redis, conn->tls_host, detail);
	if (!conn->tls)
		fail(conn, REDIS_TROUBLE_TLS, detail);
}

static void finish_connecting(struct conn *conn)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(conn->redis->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		error = errno;
	if (error) {
		fail(conn, REDIS_TROUBLE_CONNECT, strerror(error));
		return;
	}
	conn->connecting = false;
	if (conn->tls_host[0])
		begin_tls(conn);
	if (!conn->over)
		conn->events->connected(conn->arg);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct conn *conn = poll->data;

	if (status < 0) {
		events = UV_READABLE | UV_WRITABLE;
		conn->mask = 0; /* libuv has stopped it */
	}
	if (conn->over)
		return;
	if (conn->connecting) {
		finish_connecting(conn);
	} else {
		if (conn->tls || (events & UV_READABLE))
			read_all(conn);
		if (!conn->over && !conn->write_failed && conn->unsent)
			write_once(conn);
	}
	watch(conn);
}

bool conn_turn(struct conn *conn, int timeout_ms)
{
	struct pollfd socket = {.events = POLLIN};

	conn_flush(conn);
	if (conn->over || conn->connecting || conn->write_failed)
		return false;
	socket.fd = conn->redis->fd;
	socket.events = (short)(POLLIN | (conn->unsent ? POLLOUT : 0));
	if (poll(&socket, 1, timeout_ms) <= 0)
		return false;
	uv_update_time(conn->poll.loop);
	if (conn->unsent && (socket.revents & POLLOUT))
		write_once(conn);
	if (socket.revents & (POLLIN | POLLERR | POLLHUP))
		read_all(conn);
	watch(conn);
	return !conn->over && !conn->write_failed;
}

static void set_options(int fd, bool tcp)
{
	int on = 1, idle = KEEPALIVE_S, interval = KEEPALIVE_INTERVAL_S, probes = KEEPALIVE_PROBES;
	unsigned timeout = USER_TIMEOUT_MS;

	if (!tcp)
		return;
	/* None of them is needed for anything but speed in finding a dead peer. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout));
}

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
};

/* 0: the path is too long for a socket. */
static socklen_t fill_address(const struct conn_place *place, union address *address)
{
	memset(address, 0, sizeof(*address));
	if (place->unix_path.len) {
		if (place->unix_path.len >= sizeof(address->un.sun_path))
			return 0;
		address->un.sun_family = AF_UNIX;
		memcpy(address->un.sun_path, place->unix_path.data, place->unix_path.len);
		return sizeof(address->un);
	}
	if (ip_is_v4(&place->ip)) {
		address->in.sin_family = AF_INET;
		address->in.sin_port = htons(place->port);
		memcpy(&address->in.sin_addr, place->ip.bytes + 12, 4);
		return sizeof(address->in);
	}
	address->in6.sin6_family = AF_INET6;
	address->in6.sin6_port = htons(place->port);
	memcpy(&address->in6.sin6_addr, place->ip.bytes, 16);
	return sizeof(address->in6);
}

/* -1, with errno: no. */
static int start_connecting(const struct conn_place *place)
{
	union address address;
	socklen_t len = fill_address(place, &address);
	int fd;

	if (!len) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	set_options(fd, !place->unix_path.len);
	if (connect(fd, &address.any, len) != 0 && errno != EINPROGRESS) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

/* NULL: no memory for it; the descriptor is closed. */
static redisContext *wrap(int fd)
{
	redisContext *redis = redisConnectFd(fd);

	if (!redis) {
		close(fd);
		return NULL;
	}
	redis->flags &= ~REDIS_BLOCK;
	return redis;
}

struct conn *conn_open(struct uv_loop_s *loop, const struct conn_place *place,
	size_t max_reply_bytes, const struct conn_events *events, void *arg,
	char ret_detail[static CONN_DETAIL_BYTES])
{
	int fd = start_connecting(place);
	redisContext *redis = fd < 0 ? NULL : wrap(fd);
	struct conn *conn;

	if (!redis) {
		snprintf(ret_detail, CONN_DETAIL_BYTES, "%s", strerror(errno));
		return NULL;
	}
	conn = mem_zalloc(sizeof(*conn));
	if (uv_poll_init(loop, &conn->poll, fd) != 0) {
		snprintf(ret_detail, CONN_DETAIL_BYTES, "no room for another descriptor");
		redisFree(redis);
		free(conn);
		return NULL;
	}
	uv_timer_init(loop, &conn->reaper);
	conn->handles = 2;
	conn->poll.data = conn->reaper.data = conn;
	conn->redis = redis;
	conn->events = events;
	conn->arg = arg;
	conn->connecting = true;
	snprintf(conn->tls_host, sizeof(conn->tls_host), "%.*s", SLICE_ARG(place->tls_host));
	reply_reader_init(&conn->reader, max_reply_bytes);
	reply_reader_attach(&conn->reader, redis->reader);
	watch(conn);
	return conn;
}
