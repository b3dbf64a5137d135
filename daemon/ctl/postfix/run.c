/* SPDX-License-Identifier: ISC */
/*
 * posix_spawn(3), three pipes, one poll(2) loop.
 */
#include "daemon/ctl/postfix/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/buf.h"

#define MAX_ERR_BYTES ((size_t)64 * 1024)
#define MAX_PATH_BYTES 4096
#define SYSTEM_FOLDERS "/usr/sbin:/sbin:/usr/local/sbin"

extern char **environ;

enum { IN, OUT, ERR, PIPES };

struct running {
	pid_t pid;
	int ends[PIPES]; /* ours; -1: closed */
	struct slice input;
	struct buf out, err;
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The program's path; false: nowhere. */
static bool find_program(const char *name, char path[static MAX_PATH_BYTES])
{
	const char *folders = getenv("PATH");
	char all[MAX_PATH_BYTES];
	struct slice rest, folder;
	int len;

	if (strchr(name, '/')) {
		len = snprintf(path, MAX_PATH_BYTES, "%s", name);
		return len < MAX_PATH_BYTES && access(path, X_OK) == 0;
	}
	len = snprintf(all, sizeof(all), "%s:" SYSTEM_FOLDERS, folders ? folders : "/usr/bin");
	if (len < 0 || (size_t)len >= sizeof(all))
		return false;
	rest = slice_of(all);
	while (rest.len) {
		if (!slice_split(rest, ':', &folder, &rest)) {
			folder = rest;
			rest = SLICE_EMPTY;
		}
		/* Not from the present folder, whatever PATH says. */
		if (folder.len == 0 || folder.data[0] != '/')
			continue;
		len = snprintf(path, MAX_PATH_BYTES, "%.*s/%s", SLICE_ARG(folder), name);
		if (len > 0 && len < MAX_PATH_BYTES && access(path, X_OK) == 0)
			return true;
	}
	return false;
}

static void close_end(int *end)
{
	if (*end >= 0)
		(void)close(*end);
	*end = -1;
}

/* We ignore SIGPIPE; what we run shall not. */
static bool spawn_words(pid_t *ret_pid, const char *path, const posix_spawn_file_actions_t *actions,
	char *const *words)
{
	posix_spawnattr_t attributes;
	sigset_t signals;
	bool good;

	if (posix_spawnattr_init(&attributes) != 0)
		return false;
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGPIPE);
	good = posix_spawnattr_setsigdefault(&attributes, &signals) == 0 &&
	       posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF) == 0 &&
	       posix_spawn(ret_pid, path, actions, &attributes, words, environ) == 0;
	(void)posix_spawnattr_destroy(&attributes);
	return good;
}

static bool spawn(struct running *running, const char *path, const char *const *argv)
{
	int pairs[PIPES][2] = {{-1, -1}, {-1, -1}, {-1, -1}};
	char *words[64];
	posix_spawn_file_actions_t actions;
	bool good = true;
	size_t count = 0;

	while (count < 63 && argv[count]) {
		memcpy(&words[count], &argv[count],
			sizeof(words[count])); /* posix_spawn writes no argument */
		count++;
	}
	words[count] = NULL;
	good = argv[count] == NULL && posix_spawn_file_actions_init(&actions) == 0;
	if (!good)
		return false;
	for (int i = 0; i < PIPES && good; i++) {
		good = pipe2(pairs[i], O_CLOEXEC) == 0;
		if (good)
			good = posix_spawn_file_actions_adddup2(
				       &actions, pairs[i][i == IN ? 0 : 1], i) == 0;
	}
	good = good && spawn_words(&running->pid, path, &actions, words);
	(void)posix_spawn_file_actions_destroy(&actions);
	for (int i = 0; i < PIPES; i++) {
		close_end(&pairs[i][i == IN ? 0 : 1]);
		running->ends[i] = pairs[i][i == IN ? 1 : 0];
		if (good)
			(void)fcntl(running->ends[i], F_SETFL, O_NONBLOCK);
		else
			close_end(&running->ends[i]);
	}
	return good;
}

static void write_input(struct running *running)
{
	ssize_t written = write(running->ends[IN], running->input.data, running->input.len);

	if (written > 0)
		running->input = slice_from(running->input, (size_t)written);
	if (running->input.len == 0 || (written < 0 && errno != EAGAIN && errno != EINTR))
		close_end(&running->ends[IN]);
}

/* What does not fit is read and dropped; the bound of `out` ends the run, see below. */
static void read_output(struct running *running, int which)
{
	struct buf *to = which == OUT ? &running->out : &running->err;
	char memory[16384];
	ssize_t got = read(running->ends[which], memory, sizeof(memory));

	if (got > 0)
		buf_add(to, slice_make(memory, (size_t)got));
	else if (got == 0 || (errno != EAGAIN && errno != EINTR))
		close_end(&running->ends[which]);
}

/* NULL: all was read. */
static const char *talk(struct running *running, uint64_t until_ms)
{
	while (running->ends[OUT] >= 0 || running->ends[ERR] >= 0) {
		struct pollfd polls[PIPES];
		uint64_t now = now_ms();

		if (now >= until_ms)
			return "took too long";
		for (int i = 0; i < PIPES; i++)
			polls[i] = (struct pollfd){running->ends[i], i == IN ? POLLOUT : POLLIN, 0};
		if (poll(polls, PIPES, (int)(until_ms - now)) < 0 && errno != EINTR)
			return "poll failed";
		if (running->ends[IN] >= 0 && polls[IN].revents)
			write_input(running);
		for (int i = OUT; i <= ERR; i++)
			if (running->ends[i] >= 0 && polls[i].revents)
				read_output(running, i);
		if (running->out.overflow)
			return "printed too much";
	}
	return NULL;
}

/* The program has closed its output, so it is about to end; if not, it is made to. */
static int reap(pid_t pid, bool now, uint64_t until_ms)
{
	int status = 0;

	while (!now && now_ms() < until_ms) {
		pid_t gone = waitpid(pid, &status, WNOHANG);
		struct timespec pause = {0, 1000000};

		if (gone == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		if (gone < 0 && errno != EINTR)
			return 128;
		(void)nanosleep(&pause, NULL);
	}
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return 128 + SIGKILL;
}

bool run_program(struct arena *arena, const char *const *argv, struct slice input,
	struct run_output *ret_output, const char **ret_why)
{
	struct running running = {.ends = {-1, -1, -1}, .input = input};
	uint64_t until_ms = now_ms() + RUN_TIMEOUT_MS;
	char path[MAX_PATH_BYTES];
	const char *why;

	*ret_why = "is not installed";
	if (!find_program(argv[0], path))
		return false;
	*ret_why = "cannot be started";
	if (!spawn(&running, path, argv))
		return false;
	buf_init(&running.out, RUN_MAX_BYTES);
	buf_init(&running.err, MAX_ERR_BYTES);
	if (input.len == 0)
		close_end(&running.ends[IN]);
	why = talk(&running, until_ms);
	ret_output->status = reap(running.pid, why != NULL, until_ms);
	for (int i = 0; i < PIPES; i++)
		close_end(&running.ends[i]);
	ret_output->out = arena_dup(arena, buf_slice(&running.out));
	ret_output->err = arena_dup(arena, buf_slice(&running.err));
	buf_release(&running.out);
	buf_release(&running.err);
	*ret_why = why;
	return why == NULL;
}
