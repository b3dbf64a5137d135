/* SPDX-License-Identifier: ISC */
/*
 * Started with fork() and exec(), watched by its number. The kernel ends it when the test's
 * process ends.
 */
#include "tests/fake/redis_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ftw.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "common/hash.h"

#define PATIENCE_MS 10000
#define STEP_MS 2
#define MAX_ARGUMENTS 64
#define MAX_ANSWER_BYTES ((size_t)64 << 20)

struct redis_server {
	char folder[64], socket[96], config[96];
	uint16_t port;
	bool is_sentinel;
	pid_t pid; /* 0: not running */
	redisContext *redis, *told;
	char *user, *password;
	struct buf answer;
};

static void die(const char *what, const char *detail)
{
	fprintf(stderr, "redis-server of the test: %s: %s\n", what, detail);
	abort();
}

static void pass_a_moment(void)
{
	nanosleep(&(struct timespec){.tv_nsec = STEP_MS * 1000000L}, NULL);
}

/* Above the range that outgoing connections are given their ports from. */
static uint16_t free_port(void)
{
	for (unsigned tries = 0; tries < 200; tries++) {
		uint16_t port = (uint16_t)(61000 + hash_key_random().k0 % 4500);
		struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), result;

		address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		result = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&address, sizeof(address));
		close(fd);
		if (result == 0)
			return port;
	}
	die("no free port", strerror(errno));
	return 0;
}

static void write_config(const struct redis_server *server, const char *lines)
{
	FILE *file = fopen(server->config, "we");

	if (!file)
		die(server->config, strerror(errno));
	fprintf(file, "bind 127.0.0.1\nport %u\nunixsocket %s\ndir %s\nlogfile %s/log\n",
		(unsigned)server->port, server->socket, server->folder, server->folder);
	if (!server->is_sentinel)
		fprintf(file,
			"save \"\"\nappendonly no\ndaemonize no\nrepl-diskless-sync-delay 0\n");
	fprintf(file, "%s\n", lines ? lines : "");
	fclose(file);
}

static void run(const struct redis_server *server)
{
	const char *log = "/dev/null";
	sigset_t none;

	/* Criterion's worker may have blocked or ignored some. */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!freopen(log, "r", stdin) || !freopen(log, "w", stdout))
		_exit(127);
	execlp("redis-server", "redis-server", server->config,
		server->is_sentinel ? "--sentinel" : NULL, (char *)NULL);
	_exit(127);
}

static bool try_to_connect(struct redis_server *server)
{
	redisReply *reply;
	bool ready;

	server->redis = redisConnectUnix(server->socket);
	if (!server->redis || server->redis->err) {
		redisFree(server->redis);
		server->redis = NULL;
		return false;
	}
	/* It must be the one in that folder, and done with loading; a wish for a password is an
	 * answer, too. */
	reply = redisCommand(server->redis, "PING");
	ready = reply &&
		(reply->type == REDIS_REPLY_STATUS || strncmp(reply->str, "NOAUTH", 6) == 0);
	freeReplyObject(reply);
	return ready;
}

static void disconnect(struct redis_server *server)
{
	redisFree(server->redis);
	redisFree(server->told);
	server->redis = server->told = NULL;
}

static void launch(struct redis_server *server)
{
	server->pid = fork();
	if (server->pid < 0)
		die("fork", strerror(errno));
	if (server->pid == 0)
		run(server);
	for (int waited = 0; !try_to_connect(server); waited += STEP_MS) {
		int status;

		disconnect(server);
		if (waitpid(server->pid, &status, WNOHANG) == server->pid)
			die("it ended at once; is it installed?", server->folder);
		if (waited > PATIENCE_MS)
			die("it does not answer", server->folder);
		pass_a_moment();
	}
}

static struct redis_server *start(const char *lines, bool is_sentinel)
{
	struct redis_server *server = mem_zalloc(sizeof(*server));

	snprintf(server->folder, sizeof(server->folder), "/tmp/reeve-redis-XXXXXX");
	if (!mkdtemp(server->folder))
		die("mkdtemp", strerror(errno));
	snprintf(server->socket, sizeof(server->socket), "%s/sock", server->folder);
	snprintf(server->config, sizeof(server->config), "%s/redis.conf", server->folder);
	server->is_sentinel = is_sentinel;
	server->port = free_port();
	buf_init(&server->answer, MAX_ANSWER_BYTES);
	write_config(server, lines);
	launch(server);
	return server;
}

struct redis_server *redis_server_start(const char *lines)
{
	return start(lines, false);
}

struct redis_server *redis_server_start_sentinel(const char *lines)
{
	return start(lines, true);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *ftw)
{
	(void)status, (void)kind, (void)ftw;
	return remove(path);
}

void redis_server_kill(struct redis_server *server)
{
	if (!server->pid)
		return;
	kill(server->pid, SIGKILL);
	while (waitpid(server->pid, NULL, 0) < 0 && errno == EINTR)
		;
	server->pid = 0;
	disconnect(server);
}

void redis_server_again(struct redis_server *server)
{
	if (!server->pid)
		launch(server);
}

void redis_server_end(struct redis_server **server)
{
	struct redis_server *old = *server;

	if (!old)
		return;
	redis_server_kill(old);
	nftw(old->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	buf_release(&old->answer);
	free(old->user);
	free(old->password);
	mem_free(server);
}

void redis_server_freeze(struct redis_server *server)
{
	int status;

	kill(server->pid, SIGSTOP);
	while (waitpid(server->pid, &status, WUNTRACED) < 0 && errno == EINTR)
		;
}

void redis_server_thaw(struct redis_server *server)
{
	kill(server->pid, SIGCONT);
}

const char *redis_server_socket(const struct redis_server *server)
{
	return server->socket;
}

const char *redis_server_folder(const struct redis_server *server)
{
	return server->folder;
}

uint16_t redis_server_port(const struct redis_server *server)
{
	return server->port;
}

pid_t redis_server_pid(const struct redis_server *server)
{
	return server->pid;
}

/* ---- commands ---- */

static void add_text(struct buf *answer, const redisReply *reply)
{
	switch (reply->type) {
	case REDIS_REPLY_ERROR:
		buf_add_char(answer, '-');
		buf_add(answer, slice_make(reply->str, reply->len));
		break;
	case REDIS_REPLY_INTEGER:
		buf_add_i64(answer, reply->integer);
		break;
	case REDIS_REPLY_NIL:
		buf_add(answer, SLICE("(nil)"));
		break;
	case REDIS_REPLY_ARRAY:
		for (size_t i = 0; i < reply->elements; i++) {
			if (i)
				buf_add_char(answer, ' ');
			add_text(answer, reply->element[i]);
		}
		break;
	default:
		buf_add(answer, slice_make(reply->str, reply->len));
		break;
	}
}

static redisContext *connect_to(const struct redis_server *server)
{
	redisContext *redis = redisConnectUnix(server->socket);

	if (!redis || redis->err)
		die("it is away", server->folder);
	if (server->password)
		freeReplyObject(redisCommand(redis, "AUTH %s %s",
			server->user ? server->user : "default", server->password));
	return redis;
}

static int collect(const char **texts, va_list list)
{
	int count = 0;

	while (count < MAX_ARGUMENTS && (texts[count] = va_arg(list, const char *)) != NULL)
		count++;
	return count;
}

const char *redis_server_say(struct redis_server *server, ...)
{
	const char *texts[MAX_ARGUMENTS];
	redisReply *reply;
	va_list list;
	int count;

	va_start(list, server);
	count = collect(texts, list);
	va_end(list);
	reply = server->redis ? redisCommandArgv(server->redis, count, texts, NULL) : NULL;
	/* Not yet connected, or it closed the line, as it does when its role changes. */
	if (!reply) {
		redisFree(server->redis);
		server->redis = connect_to(server);
		reply = redisCommandArgv(server->redis, count, texts, NULL);
	}
	if (!reply)
		die("no answer", server->redis->errstr);
	buf_reset(&server->answer);
	add_text(&server->answer, reply);
	buf_add_char(&server->answer, '\0');
	freeReplyObject(reply);
	return server->answer.data;
}

void redis_server_tell(struct redis_server *server, ...)
{
	const char *texts[MAX_ARGUMENTS];
	va_list list;
	int count, done = 0;

	va_start(list, server);
	count = collect(texts, list);
	va_end(list);
	if (!server->told)
		server->told = connect_to(server);
	if (redisAppendCommandArgv(server->told, count, texts, NULL) != REDIS_OK)
		die("no command", server->told->errstr);
	while (!done)
		if (redisBufferWrite(server->told, &done) != REDIS_OK)
			die("no answer", server->told->errstr);
}

void redis_server_log_in(struct redis_server *server, const char *user, const char *password)
{
	mem_free(&server->user);
	mem_free(&server->password);
	server->user = user ? mem_dup(slice_of(user)) : NULL;
	server->password = password ? mem_dup(slice_of(password)) : NULL;
	disconnect(server);
}
