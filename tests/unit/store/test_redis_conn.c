/* SPDX-License-Identifier: ISC */
/*
 * One socket after the other, with the same number: what is left of the first must not be taken for
 * the second.
 */
#include "daemon/store/redis/conn_uv.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

static uv_loop_t loop;
static uv_prepare_t prepare;
static uv_timer_t alarm_timer;
static struct conn *first, *second;
static unsigned first_connected, second_connected, turns;
static uint16_t port;

static void on_first(void *arg)
{
	(void)arg;
	first_connected++;
}

static void on_second(void *arg)
{
	(void)arg;
	second_connected++;
}

static void on_reply(void *arg, const struct redis_reply *reply)
{
	(void)arg, (void)reply;
}

static void on_ended(void *arg, enum redis_trouble why, const char *detail)
{
	(void)why;
	*(struct conn **)arg = NULL;
	cr_log_info("%s", detail);
}

static const struct conn_events first_events = {on_first, on_reply, on_ended};
static const struct conn_events second_events = {on_second, on_reply, on_ended};

static struct conn *connect_to(const struct conn_events *events, struct conn **conn)
{
	struct conn_place place = {.unix_path = SLICE_EMPTY, .tls_host = SLICE_EMPTY};
	char detail[CONN_DETAIL_BYTES];

	cr_assert(ip_parse(SLICE("127.0.0.1"), &place.ip));
	place.port = port;
	return conn_open(&loop, &place, 0, events, conn, detail);
}

/* In the place where the daemon has its turn: behind the timers, before the loop waits. */
static void on_prepare(uv_prepare_t *handle)
{
	(void)handle;
	if (!first_connected || second)
		return;
	conn_drop(&first);
	second = connect_to(&second_events, &second);
}

static void on_alarm(uv_timer_t *timer)
{
	(void)timer;
	turns++;
}

/* So many connections are taken before one is accepted: the next one has to wait. */
static int listen_for(int backlog)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cr_assert(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	cr_assert(listen(fd, backlog) == 0);
	cr_assert(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
	port = ntohs(address.sin_port);
	return fd;
}

/* The second takes a while to connect, as it does between two machines. */
Test(redis_conn, one_right_after_the_other, .timeout = 30)
{
	int listener = listen_for(0);

	uv_loop_init(&loop);
	uv_prepare_init(&loop, &prepare);
	uv_timer_init(&loop, &alarm_timer);
	uv_prepare_start(&prepare, on_prepare);
	uv_timer_start(&alarm_timer, on_alarm, 10, 10);
	first = connect_to(&first_events, &first);
	while (!second)
		uv_run(&loop, UV_RUN_ONCE);
	for (unsigned begun = turns; turns < begun + 10;) /* the first one's handles are closed */
		uv_run(&loop, UV_RUN_ONCE);
	cr_assert(second_connected == 0, "it has to wait");
	close(accept(listener, NULL, NULL));
	while (!second_connected && turns < 1000)
		uv_run(&loop, UV_RUN_ONCE);
	cr_assert(second_connected == 1, "it was never heard of again");
	conn_drop(&second);
	uv_close((uv_handle_t *)&prepare, NULL);
	uv_close((uv_handle_t *)&alarm_timer, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	cr_assert(uv_loop_close(&loop) == 0);
	close(listener);
}
