/* SPDX-License-Identifier: ISC */
#include "tests/unit/store/redis_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/buf.h"
#include "daemon/store/redis/resp.h"

struct rig rig;

static char files[4][64];
static unsigned file_count;

/* ---- what the link tells ---- */

static void on_up(void *arg, uint64_t connection)
{
	(void)arg;
	cr_assert(connection > rig.connection, "connection numbers only rise");
	cr_assert(redis_link_is_up(rig.link) && redis_link_connection(rig.link) == connection);
	rig.connection = connection;
	rig.ups++;
}

static void on_down(void *arg)
{
	(void)arg;
	cr_assert(!redis_link_is_up(rig.link));
	rig.downs++;
	cr_assert(rig.downs == rig.ups, "down comes once for each up");
}

static void on_message(void *arg, struct slice payload)
{
	(void)arg;
	rig.messages++;
	snprintf(rig.message, sizeof(rig.message), "%.*s", SLICE_ARG(payload));
}

static void on_notice(void *arg, enum redis_notice notice, struct slice detail)
{
	(void)arg;
	rig.notices++;
	rig.notice = notice;
	snprintf(rig.notice_detail, sizeof(rig.notice_detail), "%.*s", SLICE_ARG(detail));
}

static const struct redis_link_events events = {on_up, on_down, on_message, on_notice};

/* ---- the loop ---- */

void rig_setup(void)
{
	signal(SIGPIPE, SIG_IGN);
	memset(&rig, 0, sizeof(rig));
	uv_loop_init(&rig.loop);
	uv_timer_init(&rig.loop, &rig.alarm);
	rig.where.hosts = rig.hosts;
	rig.where.user = rig.where.unix_path = rig.where.master = SLICE_EMPTY;
	rig.options = (struct redis_link_options){
		.loop = &rig.loop,
		.where = &rig.where,
		.password_file = SLICE_EMPTY,
		.timeout_ms = 300,
		.channel = SLICE_EMPTY,
		.events = &events,
	};
}

void rig_teardown(void)
{
	redis_link_close(&rig.link);
	cr_assert(!rig.link);
	redis_link_close(&rig.link);
	peer_hang_up();
	uv_close((uv_handle_t *)&rig.alarm, NULL);
	uv_run(&rig.loop, UV_RUN_DEFAULT);
	cr_assert(uv_loop_close(&rig.loop) == 0, "a handle is left open");
	for (unsigned i = 0; i < file_count; i++)
		unlink(files[i]);
}

void rig_to_unix(const char *path)
{
	rig.where.unix_path = slice_of(path);
}

void rig_to_port(uint16_t port)
{
	rig.where.host_count = 1;
	rig.hosts[0] = (struct config_redis_host){SLICE("127.0.0.1"), port};
}

void rig_link(void)
{
	rig.link = redis_link_new(&rig.options, (struct clock_now){.mono_ms = 1});
	cr_assert(!redis_link_is_up(rig.link));
}

struct slice rig_file(const char *text)
{
	char *path = files[file_count++];
	int fd;

	snprintf(path, sizeof(files[0]), "/tmp/reeve-rig-XXXXXX");
	fd = mkstemp(path);
	cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
	return slice_of(path);
}

static void on_alarm(uv_timer_t *timer)
{
	(void)timer;
}

/* As the daemon's loop: run, then what sends, then flush, then sleep no longer than it says. */
void rig_turn(void)
{
	uint64_t next, wait_ms = 20;

	uv_update_time(&rig.loop);
	redis_link_run(rig.link, redis_link_now(rig.link));
	redis_link_flush(rig.link);
	next = redis_link_next(rig.link);
	if (next && next < uv_now(&rig.loop) + wait_ms)
		wait_ms = next > uv_now(&rig.loop) ? next - uv_now(&rig.loop) : 0;
	uv_timer_start(&rig.alarm, on_alarm, wait_ms, 0);
	uv_run(&rig.loop, UV_RUN_ONCE);
}

uint64_t rig_mono_ms(void)
{
	uv_update_time(&rig.loop);
	return uv_now(&rig.loop);
}

struct redis_link_health rig_health(void)
{
	struct redis_link_health health;

	redis_link_health(rig.link, &health);
	return health;
}

/* ---- calls ---- */

static void on_answered(struct redis_call *call, const struct redis_reply *reply)
{
	struct probe *probe = LIST_ENTRY(call, struct probe, call);

	probe->answered++;
	probe->answered_mono_ms = rig_mono_ms();
	probe->ended = !reply;
	probe->type = redis_reply_type(reply);
	probe->error = redis_reply_error(reply);
	probe->integer = redis_reply_integer(reply);
	snprintf(probe->text, sizeof(probe->text), "%.*s",
		SLICE_ARG(slice_first(redis_reply_text(reply), sizeof(probe->text) - 1)));
	if (probe->then)
		probe->then_sent = probe_send(probe->then, 1000, "PING", NULL);
}

static void on_overdue(struct redis_call *call)
{
	struct probe *probe = LIST_ENTRY(call, struct probe, call);

	cr_assert(probe->answered == 0);
	probe->overdue++;
}

bool probe_send(struct probe *probe, uint64_t timeout_ms, ...)
{
	const char *texts[16];
	size_t count = 0;
	struct buf out;
	va_list list;
	bool sent;

	va_start(list, timeout_ms);
	while (count < 15 && (texts[count] = va_arg(list, const char *)) != NULL)
		count++;
	va_end(list);
	texts[count] = NULL;
	buf_init(&out, (size_t)1 << 20);
	resp_texts(&out, texts);
	probe->call.answered = on_answered;
	probe->call.overdue = on_overdue;
	sent = redis_link_send(rig.link, &probe->call, buf_slice(&out), timeout_ms);
	buf_release(&out);
	return sent;
}

/* ---- the peer ---- */

static char peer_path[64];
static int listener = -1, peer = -1;

void peer_listen(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct slice file = rig_file("");

	snprintf(peer_path, sizeof(peer_path), "%.*s", SLICE_ARG(file));
	unlink(peer_path);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", peer_path);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	cr_assert(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0);
	cr_assert(listen(listener, 8) == 0);
	rig_to_unix(peer_path);
}

static void close_peer(void)
{
	if (peer >= 0)
		close(peer);
	peer = -1;
}

void peer_hang_up(void)
{
	close_peer();
	if (!rig.link && listener >= 0) {
		close(listener);
		listener = -1;
	}
}

void peer_accept(void)
{
	close_peer();
	RIG_UNTIL((peer = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0);
}

void peer_expect(const char *text)
{
	char memory[4096];
	size_t len = 0, want = strlen(text);
	ssize_t got;

	cr_assert(want < sizeof(memory));
	RIG_UNTIL(
		((got = read(peer, memory + len, want - len)) > 0 && (len += (size_t)got) == want));
	memory[len] = '\0';
	cr_assert_str_eq(memory, text);
}

void peer_skip(size_t len)
{
	char memory[4096];

	while (len) {
		size_t want = len < sizeof(memory) ? len : sizeof(memory);
		ssize_t got;

		RIG_UNTIL((got = read(peer, memory, want)) > 0);
		len -= (size_t)got;
	}
}

void peer_say(const char *bytes, size_t len)
{
	while (len) {
		ssize_t put = write(peer, bytes, len);

		if (put < 0 && errno == EAGAIN) {
			rig_turn();
			continue;
		}
		cr_assert(put > 0);
		bytes += put;
		len -= (size_t)put;
	}
}

void peer_greet(void)
{
	unsigned ups = rig.ups;

	peer_accept();
	peer_expect("*1\r\n$4\r\nROLE\r\n*2\r\n$4\r\nINFO\r\n$6\r\nmemory\r\n");
	PEER_SAY("*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n");
	PEER_SAY("$39\r\n# Memory\r\nmaxmemory_policy:noeviction\r\n\r\n");
	RIG_UNTIL(rig.ups > ups);
}
