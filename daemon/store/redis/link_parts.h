/* SPDX-License-Identifier: ISC */
/*
 * The link in two files: link_connect.c brings it up, link.c uses it and gives it up.
 */
#ifndef REEVE_DAEMON_STORE_REDIS_LINK_PARTS_H
#define REEVE_DAEMON_STORE_REDIS_LINK_PARTS_H

#include "daemon/store/redis/calls.h"
#include "daemon/store/redis/conn_uv.h"
#include "daemon/store/redis/greeting.h"
#include "daemon/store/redis/link.h"
#include "daemon/store/redis/lookup.h"
#include "daemon/store/redis/sentinel.h"

#define LINK_HOST_BYTES 256

enum link_state {
	STATE_AWAY,
	STATE_FINDING,
	STATE_LOOKING_UP,
	STATE_CONNECTING,
	STATE_GREETING,
	STATE_UP
};

struct redis_link {
	struct redis_link_options options;
	uint64_t step_ms; /* for connecting, and for the greeting */
	enum link_state state;
	struct sentinels *sentinels; /* NULL: none */
	struct lookup lookup;
	struct conn *conn;
	struct greeting greeting;
	struct calls calls;
	struct redis_call ping;
	uint64_t retry_mono_ms; /* AWAY */
	uint64_t step_mono_ms;  /* CONNECTING, GREETING: the deadline */
	uint64_t up_mono_ms, heard_mono_ms, waiting_mono_ms, ask_mono_ms;
	unsigned failures; /* in a row */
	uint64_t random;
	uint64_t connection;
	char host[LINK_HOST_BYTES]; /* with sentinels: the master they named last */
	uint16_t port;
	struct ip ip, good_ip; /* of the host: the present one, and the last that was UP */
	bool has_good_ip;
	bool told_role, told_info;
	enum redis_trouble refusing; /* UP, but of no use for writes; else NONE */
	struct redis_link_health health;
};

uint64_t link_mono_ms(const struct redis_link *link);
/* Back to AWAY, whatever it was; all calls end. */
void link_give_up(struct redis_link *link, enum redis_trouble trouble, const char *detail);
/* GREETING is over. */
void link_come_up(struct redis_link *link);
void link_notify(struct redis_link *link, enum redis_notice notice, struct slice detail);
/* A reply while it is UP. */
void link_read(struct redis_link *link, const struct redis_reply *reply);
void link_leave_conn(struct redis_link *link);

/* One step of FINDING, LOOKING_UP, CONNECTING or GREETING; from AWAY it begins. */
void link_connect(struct redis_link *link);

#endif
