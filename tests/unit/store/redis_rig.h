/* SPDX-License-Identifier: ISC */
/*
 * A loop, one link and what it told: what link tests share. Also a peer that a test plays by
 * hand, in place of a Redis, on a unix socket. One of each, since every test is a process of its
 * own.
 */
#ifndef REEVE_TESTS_UNIT_STORE_REDIS_RIG_H
#define REEVE_TESTS_UNIT_STORE_REDIS_RIG_H

#include <criterion/criterion.h>
#include <uv.h>

#include "daemon/store/redis/link.h"
#include "tests/fake/redis_server.h"

struct rig {
	uv_loop_t loop;
	uv_timer_t alarm;
	struct config_redis where;
	struct config_redis_host hosts[4];
	struct redis_link_options options;
	struct redis_link *link;
	unsigned ups, downs, messages, notices;
	uint64_t connection;
	enum redis_notice notice;
	char message[128], notice_detail[128];
};

extern struct rig rig;

/* For TestSuite. */
void rig_setup(void);
void rig_teardown(void);

/* Set rig.where or rig.options further before rig_link(). */
void rig_to_unix(const char *path);
void rig_to_port(uint16_t port);
void rig_link(void);
/* A private file with this text, removed at the end. */
struct slice rig_file(const char *text);

/* One turn of the loop, 20 ms at most. */
void rig_turn(void);
uint64_t rig_mono_ms(void);
struct redis_link_health rig_health(void);

/* Turns until it is so, for 15 s at most. */
#define RIG_UNTIL(condition)                                                                   \
	do {                                                                                   \
		uint64_t begun_ms = rig_mono_ms();                                             \
		while (!(condition)) {                                                         \
			cr_assert(rig_mono_ms() - begun_ms < 15000, "not in time: %s; %s: %s", \
				#condition, redis_trouble_name(rig_health().trouble),          \
				rig_health().detail);                                          \
			rig_turn();                                                            \
		}                                                                              \
	} while (0)

/* A call that remembers. */
struct probe {
	struct redis_call call;
	unsigned answered, overdue;
	bool ended; /* answered with NULL */
	enum redis_type type;
	enum redis_error error;
	int64_t integer;
	uint64_t answered_mono_ms;
	char text[128];
	struct probe *then; /* sent from within `answered` */
	bool then_sent;
};

/* One command, its arguments up to NULL. false: refused. */
bool probe_send(struct probe *probe, uint64_t timeout_ms, ...) __attribute__((sentinel));

/* ---- the peer ---- */

/* Listens; the link is sent there. */
void peer_listen(void);
/* Waits for a connection, in place of the one before. */
void peer_accept(void);
/* Waits until so much has come and compares it. */
void peer_expect(const char *text);
/* Waits for so many bytes and drops them. */
void peer_skip(size_t len);
void peer_say(const char *bytes, size_t len);
#define PEER_SAY(literal) peer_say(literal, sizeof(literal) - 1)
void peer_hang_up(void);
/* Accepts, and answers as an empty Redis without a password does: the link is up. */
void peer_greet(void);

#endif
