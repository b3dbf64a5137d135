/* SPDX-License-Identifier: ISC */
/*
 * See fixture.h. The loop's hooks are what daemon.c does with them, without signals.
 */
#include "tests/unit/server/fixture.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/alloc.h"
#include "daemon/store/embedded.h"

struct server_parts parts;

static const char rules[] =
	"rules:\n"
	"  - {name: names, check: helo, names: [\"bad*\"], default_exemptions: no, action: reject,\n"
	"     reply: \"550 5.7.1 {helo}\"}\n"
	"  - {name: slow, check: sender_domain, on_error: defer}\n";

static void keep_line(struct log_sink *sink, enum log_level level, struct slice line)
{
	size_t len = strlen(parts.log_text);

	(void)sink;
	if (slice_starts_with(line, SLICE("event=decision")))
		return;
	parts.log_lines++;
	snprintf(parts.log_text + len, sizeof(parts.log_text) - len, "%s %.*s\n",
		 log_level_name(level), SLICE_ARG(line));
}

static void on_turn(void *arg, struct clock_now now)
{
	(void)arg;
	if (parts.pipeline)
		pipeline_run(parts.pipeline, now);
}

static uint64_t on_expire(void *arg, struct clock_now now)
{
	(void)arg;
	if (!parts.server)
		return 0;
	dns_set_now(parts.dns, now);
	fake_dns_advance(parts.fake_dns, now.mono_ms);
	dns_expire(parts.dns);
	server_expire(parts.server, now);
	return pipeline_expire(parts.pipeline, now);
}

static void on_tick(void *arg, struct clock_now now)
{
	(void)arg;
	(void)now;
}

static void on_ban(struct bans_sink *sink, const struct bans_event *event, struct clock_now now)
{
	(void)sink;
	(void)event;
	(void)now;
}

void server_prepare(void)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(any);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (*parts.folder) {
		close(fd);
		return;
	}
	cr_assert(bind(fd, (struct sockaddr *)&any, len) == 0);
	cr_assert(getsockname(fd, (struct sockaddr *)&any, &len) == 0);
	close(fd);
	parts.port = ntohs(any.sin_port);
	snprintf(parts.folder, sizeof(parts.folder), "/tmp/reeve-server-XXXXXX");
	cr_assert(mkdtemp(parts.folder));
	snprintf(parts.socket_path, sizeof(parts.socket_path), "%s/sock", parts.folder);
}

static void make_text(struct buf *out, const char *listen, const char *top)
{
	buf_add_format(out, "listen: ");
	for (const char *at = listen ? listen : "\"unix:%D/sock\""; *at; at++) {
		if (at[0] == '%' && at[1] == 'P')
			buf_add_u64(out, parts.port);
		else if (at[0] == '%' && at[1] == 'D')
			buf_add(out, slice_of(parts.folder));
		else
			buf_add_char(out, *at);
		at += at[0] == '%';
	}
	buf_add_format(out, "\n%s%s\n", rules, top ? top : "");
}

static void load(const char *listen, const char *top)
{
	const struct config_check *const *checks;
	size_t count = ruleset_checks(&checks);
	struct config_errors *errors = config_errors_new();
	struct buf text;
	bool is_warning;

	buf_init(&text, 16384);
	make_text(&text, listen, top);
	parts.config = config_parse("f", buf_slice(&text), checks, count, errors);
	cr_assert(parts.config, "%s", config_errors_line(errors, 0, &is_warning));
	parts.ruleset = ruleset_new(parts.config, errors);
	cr_assert(parts.ruleset, "%s", config_errors_line(errors, 0, &is_warning));
	buf_release(&text);
	config_errors_free(&errors);
}

static void open_services(void)
{
	struct hash_key key = { 11, 12 };
	struct embedded_options store = { .max_counters = 100, .max_transactions = 100 };
	struct dns_options dns = { 1000, 10000, key, 1000 };
	static struct bans_sink bans_sink = { on_ban };
	struct pipeline_services services;
	char why[256];

	parts.store = store_embedded_open(&store, NULL, loop_now(parts.loop), why);
	parts.fake_dns = fake_dns_new();
	cr_assert(fake_dns_set(parts.fake_dns, DNS_MX, SLICE("good.example"), DNS_FOUND,
			       SLICE("10 mx.good.example"), 300000, 0, false));
	cr_assert(fake_dns_set(parts.fake_dns, DNS_A, SLICE("mx.good.example"), DNS_FOUND,
			       SLICE("192.0.2.1"), 300000, 0, false));
	cr_assert(fake_dns_set(parts.fake_dns, DNS_MX, SLICE("slow.example"), DNS_NXDOMAIN,
			       SLICE_EMPTY, 300000, 60, false));
	cr_assert(fake_dns_set(parts.fake_dns, DNS_MX, SLICE("silent.example"), DNS_UNKNOWN,
			       SLICE_EMPTY, 0, 0, true));
	parts.dns = dns_new(&dns, fake_dns_backend(parts.fake_dns));
	dns_set_now(parts.dns, loop_now(parts.loop));
	parts.bans = bans_new(key, &bans_sink);
	bans_configure(parts.bans, parts.config, loop_now(parts.loop));
	parts.connections = connections_new(100);
	parts.transactions = transactions_new(100);
	services = (struct pipeline_services){
		.store = parts.store, .dns = parts.dns, .bans = parts.bans,
		.connections = parts.connections, .transactions = parts.transactions,
		.log = &parts.log, .hash_key = key,
	};
	parts.pipeline = pipeline_new(&services);
	pipeline_set_ruleset(parts.pipeline, parts.ruleset);
}

bool server_start(const char *listen, const char *top)
{
	struct loop_hooks hooks = { .turn = on_turn, .expire = on_expire, .tick = on_tick };

	signal(SIGPIPE, SIG_IGN);
	server_prepare();
	parts.log = (struct log_sink){ keep_line, LOG_LEVEL_DEBUG };
	load(listen, top);
	parts.loop = loop_new(&hooks);
	open_services();
	parts.server = server_new(parts.loop, parts.pipeline, &parts.log);
	return server_listen(parts.server, parts.config, parts.why);
}

void server_stop(void)
{
	char command_path[128];

	server_close(parts.server);
	turn_until(server_is_drained(parts.server));
	cr_assert(pipeline_under_way(parts.pipeline) == 0);
	loop_free(&parts.loop);
	pipeline_free(&parts.pipeline);
	server_free(&parts.server);
	parts.store->ops->close(parts.store);
	dns_free(&parts.dns);
	fake_dns_free(&parts.fake_dns);
	bans_free(&parts.bans);
	connections_free(&parts.connections);
	transactions_free(&parts.transactions);
	ruleset_unref(&parts.ruleset);
	config_unref(&parts.config);
	snprintf(command_path, sizeof(command_path), "%s/sock", parts.folder);
	unlink(command_path);
	rmdir(parts.folder);
}

struct server_health health(void)
{
	struct server_health result;

	server_health(parts.server, &result);
	return result;
}

/* ---- clients ---- */

static struct client *client_new(int family, const struct sockaddr *address, socklen_t len)
{
	struct client *client = mem_zalloc(sizeof(*client));

	client->fd = socket(family, SOCK_STREAM, 0);
	cr_assert(client->fd >= 0);
	cr_assert(connect(client->fd, address, len) == 0, "connect: %s", strerror(errno));
	fcntl(client->fd, F_SETFL, O_NONBLOCK);
	return client;
}

struct client *client_unix(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", parts.socket_path);
	return client_new(AF_UNIX, (struct sockaddr *)&address, sizeof(address));
}

struct client *client_inet(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(parts.port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	return client_new(AF_INET, (struct sockaddr *)&address, sizeof(address));
}

void client_free(struct client **client)
{
	close((*client)->fd);
	mem_free(client);
}

size_t client_send_some(struct client *client, const char *bytes, size_t len)
{
	ssize_t sent = send(client->fd, bytes, len, MSG_NOSIGNAL);

	return sent > 0 ? (size_t)sent : 0;
}

void client_send(struct client *client, const char *bytes, size_t len)
{
	for (unsigned tries = 0; len; tries++) {
		size_t sent = client_send_some(client, bytes, len);

		cr_assert(tries < 10000);
		bytes += sent;
		len -= sent;
		if (len)
			turn(NULL);
	}
}

void client_text(struct client *client, const char *text)
{
	client_send(client, text, strlen(text));
}

void client_shutdown(struct client *client)
{
	shutdown(client->fd, SHUT_WR);
}

const char *request_text(const char *helo, const char *sender)
{
	static char text[1024];
	static unsigned port; /* an EHLO name that was refused would stick */

	snprintf(text, sizeof(text),
		 "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\n"
		 "client_address=198.51.100.7\nclient_port=%u\nhelo_name=%s\nsender=%s\n"
		 "recipient=r@example.com\ninstance=1.1\n\n",
		 port++ % 50000 + 10000, helo, sender);
	return text;
}

static void read_some(struct client *client)
{
	ssize_t got;

	while (!client->ended) {
		got = recv(client->fd, client->text + client->len,
			   sizeof(client->text) - 1 - client->len, 0);
		if (got < 0 && errno == EAGAIN)
			return;
		if (got <= 0)
			client->ended = true;
		else
			client->len += (size_t)got;
	}
}

void turn(struct client *client)
{
	uv_loop_t *uv = loop_uv(parts.loop);
	struct pollfd ready = { .fd = uv_backend_fd(uv), .events = POLLIN };

	uv_run(uv, UV_RUN_NOWAIT);
	if (client)
		read_some(client);
	/* A millisecond for timers, less if there is something to read. */
	poll(&ready, 1, 1);
}

void turns(void)
{
	for (unsigned i = 0; i < 10; i++)
		turn(NULL);
}

void read_until(struct client *client, size_t bytes)
{
	for (unsigned i = 0; client->len < bytes && !client->ended; i++) {
		cr_assert(i < 10000, "waited too long; read so far: %s", client->text);
		turn(client);
	}
}

void read_text(struct client *client, const char *expected)
{
	read_until(client, strlen(expected));
	turn(client);
	client->text[client->len] = '\0';
	cr_assert(strcmp(client->text, expected) == 0, "'%s' is not '%s'", client->text, expected);
	client->len = 0;
}

void read_end(struct client *client, const char *expected)
{
	for (unsigned i = 0; !client->ended; i++) {
		cr_assert(i < 10000, "waited too long for the end");
		turn(client);
	}
	read_text(client, expected);
}
