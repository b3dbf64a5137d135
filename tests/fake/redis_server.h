/* SPDX-License-Identifier: ISC */
/*
 * A real redis-server (or sentinel) of the test's own: in a private directory, on a unix socket
 * there and on a free port of loopback, keeping nothing on disk. It dies with the test, whatever
 * the test does.
 *
 * Everything here blocks, for 10 s at most, and ends the test when it does not work.
 */
#ifndef REEVE_TESTS_FAKE_REDIS_SERVER_H
#define REEVE_TESTS_FAKE_REDIS_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct redis_server;

/* `lines`: further lines of redis.conf, NULL for none. Ready to be asked when this returns. */
struct redis_server *redis_server_start(const char *lines) __attribute__((returns_nonnull));
/* A sentinel. `lines` has its `sentinel monitor ...` and the like. */
struct redis_server *redis_server_start_sentinel(const char *lines)
	__attribute__((returns_nonnull));
/* Ends it and removes its directory. */
void redis_server_end(struct redis_server **server);

const char *redis_server_socket(const struct redis_server *server); /* path */
const char *redis_server_folder(const struct redis_server *server);
uint16_t redis_server_port(const struct redis_server *server);
pid_t redis_server_pid(const struct redis_server *server);

/* SIGKILL, and waited for: the socket refuses afterwards. */
void redis_server_kill(struct redis_server *server);
/* Again, on the same socket and port, empty, with the lines it was started with. */
void redis_server_again(struct redis_server *server);
/* SIGSTOP, SIGCONT. A stopped one still takes connections. */
void redis_server_freeze(struct redis_server *server);
void redis_server_thaw(struct redis_server *server);

/* One command, its arguments up to NULL. The answer as text: a string as it is, a number in
 * decimal, "(nil)", an error with a "-" in front, the members of an array with blanks between
 * them. Valid until the next call. */
const char *redis_server_say(struct redis_server *server, ...) __attribute__((sentinel));
/* Sends it on a connection of its own and does not wait for the answer. */
void redis_server_tell(struct redis_server *server, ...) __attribute__((sentinel));
/* As the user `anna` with password `secret`, say, after `requirepass`; NULL, NULL: nobody again. */
void redis_server_log_in(struct redis_server *server, const char *user, const char *password);

#endif
