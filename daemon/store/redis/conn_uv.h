/* SPDX-License-Identifier: ISC */
/*
 * One socket to a Redis or a sentinel: connecting, TLS, bytes out, replies in. It knows nothing
 * of commands, deadlines or trying again, and ends once.
 */
#ifndef REEVE_DAEMON_STORE_REDIS_CONN_UV_H
#define REEVE_DAEMON_STORE_REDIS_CONN_UV_H

#include "common/ip.h"
#include "daemon/store/redis/link.h"

#define CONN_DETAIL_BYTES 128

struct conn;

struct conn_place {
	struct slice unix_path; /* empty: ip and port */
	struct ip ip;
	uint16_t port;
	struct slice tls_host; /* not empty: TLS, and the certificate must be for this name or IP */
};

/* Called from libuv's poll or from conn_run(). Inside them the connection may be written to and
 * dropped. */
struct conn_events {
	void (*connected)(void *arg);
	void (*reply)(void *arg, const struct redis_reply *reply);
	/* It is over; the owner forgets its pointer. `detail` is gone when this returns. */
	void (*ended)(void *arg, enum redis_trouble why, const char *detail);
};

/* NULL: not even begun; `ret_detail` (CONN_DETAIL_BYTES) says why. No event comes from inside
 * this call. */
struct conn *conn_open(struct uv_loop_s *loop, const struct conn_place *place,
	size_t max_reply_bytes, const struct conn_events *events, void *arg,
	char ret_detail[static CONN_DETAIL_BYTES]) __attribute__((warn_unused_result));
/* Silent. The memory goes when libuv has let go of it. */
void conn_drop(struct conn **conn);

/* false: TLS is asked for, and is not agreed on. */
bool conn_is_secured(const struct conn *conn);

/* Goes out with the next conn_flush(). */
void conn_write(struct conn *conn, struct slice bytes);
/* One write for all there is; what the socket does not take goes out when it can. Nothing is
 * called from here: an error is kept for conn_run(). */
void conn_flush(struct conn *conn);
size_t conn_unsent(const struct conn *conn);
uint64_t conn_writes(const struct conn *conn);
/* Ends the connection if conn_flush() met an error. */
void conn_run(struct conn *conn);
bool conn_wants_run(const struct conn *conn);

/* Without the loop: writes what it can, waits at most `timeout_ms` for bytes, and hands out the
 * replies in them. false: nothing came, or it is over. */
bool conn_turn(struct conn *conn, int timeout_ms);

uint64_t conn_mono_ms(const struct uv_loop_s *loop);

#endif
