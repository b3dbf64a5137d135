/* SPDX-License-Identifier: ISC */
/*
 * The real server on the real loop, with the real rules, an in-memory store and a DNS out of a
 * table; clients are sockets of the same process, which never block: the loop turns until what a
 * test waits for has come, or ten seconds are over.
 *
 * There is one fixture at a time (Criterion runs each test in a process of its own).
 */
#ifndef REEVE_TESTS_UNIT_SERVER_FIXTURE_H
#define REEVE_TESTS_UNIT_SERVER_FIXTURE_H

#include "daemon/server/server.h"
#include "tests/fake/fake_dns.h"

struct client {
	int fd;
	char text[1 << 20];  /* all that was read */
	size_t len;
	bool ended;          /* end of file, or reset */
};

struct server_parts {
	char folder[64];     /* for sockets; removed at the end */
	char socket_path[96];
	uint16_t port;       /* free on 127.0.0.1 when the fixture began */
	struct loop *loop;
	struct config *config;
	struct ruleset *ruleset;
	struct store *store;
	struct fake_dns *fake_dns;
	struct dns *dns;
	struct bans *bans;
	struct connections *connections;
	struct transactions *transactions;
	struct pipeline *pipeline;
	struct server *server;
	struct log_sink log;
	char log_text[65536];
	unsigned log_lines;
	char why[512];       /* of a server that did not listen */
};

extern struct server_parts parts;

/*
 * `listen` is the text behind `listen:`; NULL: a unix socket at parts.socket_path. `%P` in it
 * stands for the port, `%D` for the folder. `top` is what else the configuration says. The rules: `names`
 * refuses each EHLO name that begins with "bad", telling it; `slow` looks up the sender's domain. false: it does not listen, see `why`.
 */
bool server_start(const char *listen, const char *top);
void server_stop(void);
/* The folder and the port, for what a test prepares before it starts. */
void server_prepare(void);
/* Hands back what struct server_health says. */
struct server_health health(void);

/* Connected; on the unix socket, or on 127.0.0.1 at the port. */
struct client *client_unix(void);
struct client *client_inet(void);
void client_free(struct client **client);
/* Sends what the socket takes; returns how much. */
size_t client_send_some(struct client *client, const char *bytes, size_t len);
void client_send(struct client *client, const char *bytes, size_t len);
void client_text(struct client *client, const char *text);
void client_shutdown(struct client *client);
/* A whole request with this EHLO name and sender. */
const char *request_text(const char *helo, const char *sender);

/* The loop turns once, without waiting; clients read what has come. */
void turn(struct client *client);
/* Turns until `bytes` were read, or the client has seen the end. */
void read_until(struct client *client, size_t bytes);
void read_text(struct client *client, const char *expected);
/* Turns until it has seen the end; what was read by then is `expected`. */
void read_end(struct client *client, const char *expected);
/* Some turns in which nothing is to happen. */
void turns(void);
/* Turns until the condition holds. */
#define turn_until(condition) \
	do { \
		for (unsigned turn_count = 0; !(condition); turn_count++) { \
			cr_assert(turn_count < 10000, "waited too long for " #condition); \
			turn(NULL); \
		} \
	} while (0)

#endif
