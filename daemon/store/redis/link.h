/* SPDX-License-Identifier: ISC */
/*
 * One connection to Redis that heals itself. It looks the name up, asks the sentinels where there
 * are any, connects, logs in, makes sure that the other side is a master, and is then UP under a
 * new connection number; when the connection ends it is AWAY and begins again, with pauses. While
 * it is AWAY redis_link_send() refuses at once: no caller waits for what cannot come.
 *
 * A connection is given up when it ends, when three calls in a row are overdue, when something is
 * out and nothing has come for a second, when a reply is too large, too deep or no reply at all,
 * and when an error says that this is not (or no longer) the master or that the password is wrong.
 *
 * Callbacks (answered, overdue, and those of struct redis_link_events) are made from the loop's
 * I/O and from redis_link_run(), never from inside redis_link_send() or redis_link_flush(). They
 * may send, forget and ask, but not close. A turn of the loop: redis_link_run() first, then
 * whatever sends, then redis_link_flush() (one write for all that was sent in the turn), and
 * redis_link_next() says when the loop must not sleep longer.
 */
#ifndef REEVE_DAEMON_STORE_REDIS_LINK_H
#define REEVE_DAEMON_STORE_REDIS_LINK_H

#include "common/clock.h"
#include "common/list.h"
#include "config/config.h"
#include "daemon/store/redis/reply.h"

struct uv_loop_s;
struct dns;
struct redis_link;

/* Lives in the caller's memory from redis_link_send() to `answered` (or redis_link_forget()). */
struct redis_call {
	/* Exactly once: the reply, an error included, valid until the callback returns; NULL: the
	 * connection ended first, and whether the command was done is not known. */
	void (*answered)(struct redis_call *call, const struct redis_reply *reply);
	/* Once at most, when the deadline passes without a reply; the call is still out, and
	 * `answered` follows. May be NULL. */
	void (*overdue)(struct redis_call *call);
	/* A reply that is no error proves that Redis accepts writes (see redis_link_health). */
	bool writes;
	/* private */
	bool out;
	uint64_t deadline_mono_ms;
	struct list node, due;
};

enum redis_trouble {
	REDIS_TROUBLE_NONE,
	REDIS_TROUBLE_STARTING,       /* not connected yet, nothing wrong so far */
	REDIS_TROUBLE_NAME,           /* the DNS does not know it */
	REDIS_TROUBLE_CONNECT,        /* refused, unreachable, no such socket */
	REDIS_TROUBLE_TIMEOUT,        /* no connection, or no answer to the log-in, in time */
	REDIS_TROUBLE_SILENT,         /* calls overdue, or nothing for a second */
	REDIS_TROUBLE_CLOSED,         /* the other side closed, or reset */
	REDIS_TROUBLE_PROTOCOL,       /* no Redis, or a reply beyond the bounds */
	REDIS_TROUBLE_PASSWORD,       /* WRONGPASS, NOAUTH, or password_file cannot be read */
	REDIS_TROUBLE_FORBIDDEN,      /* NOPERM for what is needed to begin */
	REDIS_TROUBLE_NO_MASTER,      /* a replica; or no sentinel answers, or knows a master */
	REDIS_TROUBLE_LOADING,        /* LOADING, BUSY, MASTERDOWN */
	REDIS_TROUBLE_CLUSTER,        /* Redis Cluster is not supported */
	REDIS_TROUBLE_TLS,            /* the certificate, or no TLS on that port */
	REDIS_TROUBLE_REFUSES_WRITES, /* still UP: OOM, NOREPLICAS, MISCONF */
	REDIS_TROUBLES
};
/* "starting", "name", "connect", ...: for log lines and metrics. */
const char *redis_trouble_name(enum redis_trouble trouble);

enum redis_notice {
	/* maxmemory-policy is not noeviction: counters can vanish. `detail`: the policy. */
	REDIS_NOTICE_EVICTION,
	/* The user may not ask: `detail` is the command ("ROLE", "INFO"). Once each. */
	REDIS_NOTICE_UNCHECKED,
	/* The sentinels named another master. `detail`: its address. */
	REDIS_NOTICE_MASTER
};

struct redis_link_events {
	/* UP. `connection` is 1 at first and never used twice by one link. */
	void (*up)(void *arg, uint64_t connection);
	/* No longer UP; all calls that were out have had `answered(NULL)`. Once for each `up`. */
	void (*down)(void *arg);
	/* Something was published on options.channel. */
	void (*message)(void *arg, struct slice payload);
	void (*notice)(void *arg, enum redis_notice notice, struct slice detail);
};

struct redis_link_options {
	struct uv_loop_s *loop;
	struct dns *dns;                  /* NULL: names are not looked up */
	const struct config_redis *where; /* outlives the link, as all slices here do */
	struct slice password_file;       /* empty: no password. Read at each connection */
	uint64_t timeout_ms;              /* connecting and logging in: this, at least 500, each */
	/* Empty: commands. Else a subscriber: messages only, and redis_link_send() refuses. */
	struct slice channel;
	size_t max_reply_bytes;                 /* of memory, in sum; 0: 64 KiB */
	const struct redis_link_events *events; /* NULL, or members NULL: not told */
	void *arg;
};

/* Nothing is called before the first redis_link_run(). */
struct redis_link *redis_link_new(const struct redis_link_options *options, struct clock_now now)
	__attribute__((warn_unused_result));
/* All that is out gets `answered(NULL)`, here and now, and no event follows. The memory goes when
 * libuv has closed its handles: run the loop until then. Not from a callback. */
void redis_link_close(struct redis_link **link);

/* The first thing of a turn: ends what is overdue, gives up, begins again. */
void redis_link_run(struct redis_link *link, struct clock_now now);
/* The last: one write. */
void redis_link_flush(struct redis_link *link);
/* At the end of a process, when the loop does not turn any more: sends, and blocks until replies
 * come, `timeout_ms` at most. Callbacks come as from I/O. false: nothing is out, nothing came, or
 * the link is not UP. */
bool redis_link_turn(struct redis_link *link, uint64_t timeout_ms);
/* The next mono_ms at which redis_link_run() has something to do. */
uint64_t redis_link_next(const struct redis_link *link) __attribute__((warn_unused_result));
/* Now, also inside callbacks from I/O, where the turn's time is old. */
struct clock_now redis_link_now(const struct redis_link *link);

/* Takes `command`, one whole command (resp.h), copied. Its reply is due `timeout_ms` from
 * redis_link_now() on. false: the link is not UP, or too much is out (REDIS_MAX_OUT calls, 16 MiB
 * unsent): nothing was taken, and nothing will be called. */
bool redis_link_send(struct redis_link *link, struct redis_call *call, struct slice command,
	uint64_t timeout_ms) __attribute__((warn_unused_result));
#define REDIS_MAX_OUT 65536
/* The caller's memory ends before the reply: neither callback comes any more. Nothing happens if
 * the call is not out. */
void redis_link_forget(struct redis_link *link, struct redis_call *call);
static inline bool redis_call_is_out(const struct redis_call *call)
{
	return call->out;
}

/* What those send through that know no connection: redis.c puts the link behind it, and tests what
 * they like. */
struct redis_port {
	/* As redis_link_send(). */
	bool (*send)(struct redis_port *port, struct redis_call *call, struct slice command,
		uint64_t timeout_ms);
	/* As redis_link_now(); in tests the time that counts. */
	struct clock_now (*now)(struct redis_port *port);
};

bool redis_link_is_up(const struct redis_link *link);
uint64_t redis_link_connection(const struct redis_link *link); /* 0: not UP */

struct redis_link_health { /* for metrics and log lines */
	bool up;
	enum redis_trouble trouble; /* why it is not up, or of no use: REFUSES_WRITES */
	char detail[160];           /* for people: what was said */
	uint64_t since_mono_ms;     /* when it last changed between up, useless and away */
	char address[96];           /* of the present or last connection */
	uint64_t connections, attempts, calls, replies, overdue, errors[REDIS_ERROR_KINDS];
	uint64_t writes; /* to the socket */
	size_t out;      /* calls without a reply */
};
void redis_link_health(const struct redis_link *link, struct redis_link_health *ret);

/* false: rediss:// needs hiredis 1.0 or later, which this program was not built with. */
bool redis_link_has_tls(void);

#endif
