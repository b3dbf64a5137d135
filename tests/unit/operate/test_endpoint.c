/* SPDX-License-Identifier: ISC */
/* A real loop, and clients in the same process. The handler takes what ends with '\n'. */
#include "daemon/operate/endpoint.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define TURNS 2000
#define REQUEST_BYTES 64
#define BACKLOG_BYTES 65536
#define DEADLINE_MS 10000
#define MAX_CALLS 4
#define NOBODY ((uid_t)54321)

static struct {
	struct loop *loop;
	struct endpoint *endpoint;
	struct endpoint_call *taken; /* the last one that was not answered at once */
	char dir[64], path[96];
	unsigned takes, gone;
	bool closed;
} t;

static void begin_stream(struct endpoint_call *call)
{
	t.taken = call;
	cr_assert(endpoint_send(call, SLICE("begin\n")));
}

/* "keep" is kept, "stream" begins a stream, anything else is answered with itself. */
static bool take(void *arg, struct endpoint_call *call, struct slice bytes)
{
	cr_assert_eq(arg, &t);
	t.takes++;
	if (bytes.len == REQUEST_BYTES) {
		endpoint_answer(call, SLICE("too long\n"));
		return true;
	}
	if (!slice_ends_with(bytes, SLICE("\n")))
		return false;
	endpoint_set_data(call, &t);
	if (slice_is(bytes, "keep\n"))
		t.taken = call;
	else if (slice_is(bytes, "stream\n"))
		begin_stream(call);
	else
		endpoint_answer(call, bytes);
	return true;
}

static void gone(void *arg, struct endpoint_call *call)
{
	cr_assert_eq(arg, &t);
	cr_assert_eq(endpoint_data(call), &t);
	t.gone++;
	if (call == t.taken)
		t.taken = NULL;
}

static void no_turn(void *arg, struct clock_now now)
{
	(void)arg;
	(void)now;
}

static uint64_t no_expire(void *arg, struct clock_now now)
{
	(void)arg;
	(void)now;
	return 0;
}

static void no_signal(void *arg, int signum, struct clock_now now)
{
	(void)arg;
	(void)signum;
	(void)now;
}

static void make(uid_t reserved_uid)
{
	const struct loop_hooks hooks = {no_turn, no_expire, no_turn, no_signal, NULL};
	const struct endpoint_handler handler = {
		.max_calls = MAX_CALLS,
		.reserved_calls = 1,
		.reserved_uid = reserved_uid,
		.request_bytes = REQUEST_BYTES,
		.backlog_bytes = BACKLOG_BYTES,
		.deadline_ms = DEADLINE_MS,
		.take = take,
		.gone = gone,
		.arg = &t,
	};

	memset(&t, 0, sizeof(t));
	signal(SIGPIPE, SIG_IGN);
	snprintf(t.dir, sizeof(t.dir), "/tmp/reeve-endpoint-XXXXXX");
	cr_assert(mkdtemp(t.dir));
	snprintf(t.path, sizeof(t.path), "%s/socket", t.dir);
	t.loop = loop_new(&hooks);
	t.endpoint = endpoint_new(t.loop, &handler);
}

static void start_for(uid_t reserved_uid)
{
	char why[512] = "";

	make(reserved_uid);
	cr_assert(endpoint_listen_unix(t.endpoint, t.path, 0660, why), "%s", why);
}

static void start(void)
{
	start_for(NOBODY);
}

static void stop(void)
{
	if (!t.closed)
		endpoint_close(t.endpoint);
	loop_free(&t.loop);
	endpoint_free(&t.endpoint);
	cr_assert_null(t.endpoint);
	cr_assert(access(t.path, F_OK) != 0, "the socket goes with the endpoint");
	cr_assert_eq(rmdir(t.dir), 0);
}

static void turn(void)
{
	uv_run(loop_uv(t.loop), UV_RUN_NOWAIT);
}

static int dial(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(address.sun_path, t.path, strlen(t.path) + 1);
	cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0, "%s",
		strerror(errno));
	return fd;
}

static struct endpoint_health health(void)
{
	struct endpoint_health health;

	endpoint_health(t.endpoint, &health);
	return health;
}

static int dial_and_wait(void)
{
	uint64_t before = health().accepted;
	int fd = dial();

	for (unsigned i = 0; i < TURNS && health().accepted == before; i++)
		turn();
	cr_assert_eq(health().accepted, before + 1);
	return fd;
}

static void say(int fd, const char *text)
{
	unsigned before = t.takes;

	cr_assert_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
	for (unsigned i = 0; i < TURNS && t.takes == before; i++)
		turn();
	cr_assert_eq(t.takes, before + 1);
}

/* Reads until the other side closes, which it must. */
static const char *read_to_end(int fd)
{
	static char text[REQUEST_BYTES * 4];
	size_t len = 0;

	for (unsigned i = 0; i < TURNS; i++) {
		ssize_t got = recv(fd, text + len, sizeof(text) - 1 - len, 0);

		turn();
		if (got == 0 || (got < 0 && errno == ECONNRESET)) {
			text[len] = '\0';
			close(fd);
			return text;
		}
		len += got > 0 ? (size_t)got : 0;
	}
	cr_assert_fail("it was not closed");
	return NULL;
}

static bool is_open(int fd)
{
	char byte;

	turn();
	turn();
	return recv(fd, &byte, 1, MSG_PEEK) < 0 && errno == EAGAIN;
}

static struct clock_now in_ms(uint64_t ms)
{
	struct clock_now now = loop_now(t.loop);

	now.mono_ms += ms;
	return now;
}

Test(endpoint, a_question_in_pieces_is_answered_and_closed)
{
	struct stat status;
	int fd;

	start();
	cr_assert_eq(stat(t.path, &status), 0);
	cr_assert_eq(status.st_mode & 0777, 0660);
	fd = dial_and_wait();
	say(fd, "how ");
	say(fd, "are you\n");
	cr_assert_str_eq(read_to_end(fd), "how are you\n");
	cr_assert_eq(t.gone, 0);
	stop();
}

Test(endpoint, what_is_too_long_never_grows)
{
	char text[2 * REQUEST_BYTES + 1];
	int fd;

	start();
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	fd = dial_and_wait();
	say(fd, text);
	cr_assert_str_eq(read_to_end(fd), "too long\n");
	stop();
}

/* Until the loop's clock shows another time than this. */
static void pass(uint64_t mono_ms)
{
	while (loop_now(t.loop).mono_ms == mono_ms)
		turn();
}

Test(endpoint, who_drips_gains_no_time)
{
	uint64_t first_ms, second_ms;
	int first, second;

	start();
	first = dial_and_wait();
	first_ms = endpoint_expire(t.endpoint, in_ms(0));
	pass(first_ms - DEADLINE_MS);
	second = dial_and_wait();
	say(first, "d");
	cr_assert_eq(endpoint_expire(t.endpoint, in_ms(0)), first_ms);
	second_ms = endpoint_expire(t.endpoint, (struct clock_now){.mono_ms = first_ms});
	cr_assert(second_ms > first_ms);
	cr_assert_str_eq(read_to_end(first), "");
	cr_assert(is_open(second));
	cr_assert_eq(endpoint_expire(t.endpoint, (struct clock_now){.mono_ms = second_ms}), 0);
	cr_assert_str_eq(read_to_end(second), "");
	cr_assert_eq(health().timed_out, 2);
	stop();
}

Test(endpoint, who_leaves_is_told_of_once)
{
	int fd;

	start();
	fd = dial_and_wait();
	say(fd, "stream\n");
	cr_assert(t.taken);
	close(fd);
	for (unsigned i = 0; i < TURNS && !t.gone; i++)
		turn();
	cr_assert_eq(t.gone, 1);
	cr_assert_eq(health().calls, 0);
	stop();
	cr_assert_eq(t.gone, 1);
}

Test(endpoint, a_reader_that_is_too_slow_is_closed)
{
	static const char much[8192] = "much";
	unsigned sent = 0;
	int fd;

	start();
	fd = dial_and_wait();
	say(fd, "stream\n");
	while (sent < 10000 && endpoint_send(t.taken, slice_make(much, sizeof(much)))) {
		turn();
		sent++;
	}
	cr_assert(sent < 10000);
	cr_assert_eq(health().dropped_slow, 1);
	cr_assert_eq(t.gone, 0, "endpoint_send() has said so");
	close(fd);
	stop();
}

Test(endpoint, a_shut_down_writer_gets_its_answer)
{
	int fd;

	start();
	fd = dial_and_wait();
	say(fd, "keep\n");
	cr_assert_eq(shutdown(fd, SHUT_WR), 0);
	turn();
	turn();
	cr_assert_eq(t.gone, 0);
	endpoint_answer(t.taken, SLICE("late\n"));
	cr_assert_str_eq(read_to_end(fd), "late\n");
	stop();
}

Test(endpoint, closing_tells_of_calls_in_hand)
{
	int kept, idle;

	start();
	kept = dial_and_wait();
	idle = dial_and_wait();
	say(kept, "keep\n");
	endpoint_close(t.endpoint);
	t.closed = true;
	cr_assert_eq(t.gone, 1);
	stop();
	close(kept);
	close(idle);
}

Test(endpoint, idle_clients_give_way)
{
	int idle[MAX_CALLS], late;

	start();
	for (unsigned i = 0; i < MAX_CALLS; i++)
		idle[i] = dial_and_wait();
	late = dial_and_wait();
	say(late, "hello\n");
	cr_assert_str_eq(read_to_end(late), "hello\n");
	cr_assert_str_eq(read_to_end(idle[0]), "", "the one that has been idle for longest");
	for (unsigned i = 1; i < MAX_CALLS; i++) {
		cr_assert(is_open(idle[i]));
		close(idle[i]);
	}
	cr_assert_eq(health().refused, 1);
	stop();
}

Test(endpoint, a_place_is_kept_for_one_user)
{
	int busy[MAX_CALLS + 1], late;

	start_for(geteuid());
	for (unsigned i = 0; i < MAX_CALLS + 1; i++) {
		busy[i] = dial_and_wait();
		say(busy[i], "keep\n");
	}
	late = dial_and_wait();
	cr_assert_str_eq(read_to_end(late), "");
	for (unsigned i = 0; i < MAX_CALLS + 1; i++) {
		cr_assert(is_open(busy[i]));
		close(busy[i]);
	}
	stop();
	cr_assert_eq(t.gone, MAX_CALLS + 1);
}

Test(endpoint, nobody_else_has_that_place)
{
	int busy[MAX_CALLS], late;

	start();
	for (unsigned i = 0; i < MAX_CALLS; i++) {
		busy[i] = dial_and_wait();
		say(busy[i], "keep\n");
	}
	late = dial_and_wait();
	cr_assert_str_eq(read_to_end(late), "");
	for (unsigned i = 0; i < MAX_CALLS; i++)
		close(busy[i]);
	stop();
}

Test(endpoint, those_of_that_user_do_not_give_way)
{
	int idle[MAX_CALLS + 1], late;

	start_for(geteuid());
	for (unsigned i = 0; i < MAX_CALLS + 1; i++)
		idle[i] = dial_and_wait();
	late = dial_and_wait();
	cr_assert_str_eq(read_to_end(late), "");
	for (unsigned i = 0; i < MAX_CALLS + 1; i++) {
		cr_assert(is_open(idle[i]));
		close(idle[i]);
	}
	stop();
}

Test(endpoint, the_kernel_says_who_asks)
{
	struct endpoint_peer peer;
	int fd;

	start();
	fd = dial_and_wait();
	say(fd, "keep\n");
	peer = endpoint_peer(t.taken, getegid());
	cr_assert(peer.is_unix && peer.in_group);
	cr_assert_eq(peer.uid, geteuid());
	cr_assert_eq(peer.pid, getpid());
	cr_assert_not(endpoint_peer(t.taken, (gid_t)54321).in_group);
	endpoint_answer(t.taken, SLICE_EMPTY);
	cr_assert_str_eq(read_to_end(fd), "");
	stop();
}

Test(endpoint, a_file_in_the_way_stays)
{
	char why[512] = "";
	int fd;

	make(NOBODY);
	fd = open(t.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(fd);
	cr_assert_not(endpoint_listen_unix(t.endpoint, t.path, 0660, why));
	cr_assert(strstr(why, "no socket"), "%s", why);
	cr_assert_eq(unlink(t.path), 0);
	stop();
}
