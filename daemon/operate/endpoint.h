/* SPDX-License-Identifier: ISC */
/*
 * A small server for questions that are not Postfix's: the control socket and the metrics. A
 * client connects, sends one request, gets one answer (or a stream), and is closed. Bounded in all
 * it takes: connections, bytes of a request, bytes waiting for a slow reader, time.
 *
 * The handler is called once for each read until it has taken the request; after that the call is
 * the handler's until it answers, or until `gone` says that the peer has left. It never hears of
 * a call after that.
 */
#ifndef REEVE_DAEMON_OPERATE_ENDPOINT_H
#define REEVE_DAEMON_OPERATE_ENDPOINT_H

#include <sys/types.h>

#include "common/ip.h"
#include "daemon/loop/loop.h"

struct endpoint;
struct endpoint_call; /* one connection */

struct endpoint_handler {
	/* When so many are open a new one takes the place of the one that has said nothing whole for
	 * longest, if there is one, else it is closed. */
	size_t max_calls;
	/* So many more are taken from this user (unix), whose calls never give way. */
	size_t reserved_calls;
	uid_t reserved_uid;
	size_t request_bytes;
	size_t backlog_bytes; /* of a stream; who reads slower is closed */
	uint64_t deadline_ms; /* for the request to come, and for the answer to leave */
	/* Looks at all bytes so far; false: more are needed. A true call was answered, or will be. */
	bool (*take)(void *arg, struct endpoint_call *call, struct slice bytes);
	/* The peer has left a call that was taken and is not answered, or streams. NULL: nothing to do. */
	void (*gone)(void *arg, struct endpoint_call *call);
	void *arg;
};

struct endpoint_peer {
	bool is_unix;
	uid_t uid; /* unix */
	gid_t gid;
	pid_t pid;
	/* Does it belong to `group`? Looks at all its groups. */
	bool in_group;
};

struct endpoint_health {
	uint64_t accepted, refused, timed_out, dropped_slow;
	size_t calls; /* those that are being closed included */
};

struct endpoint *endpoint_new(struct loop *loop, const struct endpoint_handler *handler)
	__attribute__((warn_unused_result));
/* Once. A stale socket is replaced, a live one refused; false: `ret_why` names it and says why. */
bool endpoint_listen_unix(struct endpoint *endpoint, const char *path, mode_t mode,
	char ret_why[static 512]) __attribute__((warn_unused_result));
bool endpoint_listen_inet(struct endpoint *endpoint, const struct ip *ip, uint16_t port,
	char ret_why[static 512]) __attribute__((warn_unused_result));
/* Ends what is overdue; returns the next mono_ms, 0: none. */
uint64_t endpoint_expire(struct endpoint *endpoint, struct clock_now now);
void endpoint_health(const struct endpoint *endpoint, struct endpoint_health *ret);
/* Closes all; `gone` is called for calls under way. Run the loop before endpoint_free(). NULL is
 * fine. */
void endpoint_close(struct endpoint *endpoint);
void endpoint_free(struct endpoint **endpoint);

/* Of a unix socket: who is at the other end, by the kernel. `group` is the one to look for. */
struct endpoint_peer endpoint_peer(const struct endpoint_call *call, gid_t group);
/* Writes (the bytes are copied) and closes when they are out. The call is over for the handler. */
void endpoint_answer(struct endpoint_call *call, struct slice bytes);
/* Adds to a stream, which has no deadline; false: the reader was too slow, and the call is over
 * (`gone` is not called). */
bool endpoint_send(struct endpoint_call *call, struct slice bytes)
	__attribute__((warn_unused_result));
/* What belongs to the handler; NULL at first. */
void endpoint_set_data(struct endpoint_call *call, void *data);
void *endpoint_data(const struct endpoint_call *call);

#endif
