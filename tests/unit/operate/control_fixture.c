/* SPDX-License-Identifier: ISC */
/*
 * See control_fixture.h. The log is real, so standard error is a file while a test runs.
 */
#include "tests/unit/operate/control_fixture.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/alloc.h"
#include "daemon/store/embedded.h"

#define TURNS 20000

struct control_parts parts;

static int stderr_before;

static void on_turn(void *arg, struct clock_now now)
{
	(void)arg;
	control_run(parts.control);
	if (parts.operate.pipeline)
		pipeline_run(parts.operate.pipeline, now);
	if (parts.operate.log)
		log_flush(parts.operate.log);
}

static uint64_t on_expire(void *arg, struct clock_now now)
{
	(void)arg;
	if (!parts.control)
		return 0;
	dns_set_now(parts.operate.dns, now);
	fake_dns_advance(parts.fake_dns, now.mono_ms);
	dns_expire(parts.operate.dns);
	(void)control_expire(parts.control, now);
	return pipeline_expire(parts.operate.pipeline, now);
}

static void on_tick(void *arg, struct clock_now now)
{
	(void)arg;
	(void)now;
}

static void on_signal(void *arg, int signum, struct clock_now now)
{
	(void)arg;
	(void)signum;
	(void)now;
}

static void load(const char *rules, const char *top)
{
	const struct config_check *const *checks;
	size_t count = ruleset_checks(&checks);
	struct config_errors *errors = config_errors_new();
	char text[4096];
	bool is_warning;

	snprintf(
		text, sizeof(text), "control: \"unix:%s\"\nrules:\n%s%s", parts.socket, rules, top);
	parts.config = config_parse("f", slice_of(text), checks, count, errors);
	cr_assert(parts.config, "%s", config_errors_line(errors, 0, &is_warning));
	parts.ruleset = ruleset_new(parts.config, errors);
	cr_assert(parts.ruleset, "%s", config_errors_line(errors, 0, &is_warning));
	config_errors_free(&errors);
}

static void open_log(void)
{
	int fd = open(parts.log, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);

	cr_assert(fd >= 0);
	stderr_before = dup(STDERR_FILENO);
	cr_assert_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	close(fd);
	parts.operate.log = log_new(LOG_TO_STDERR, LOG_LEVEL_NOTICE);
}

static uint64_t reload(void *host)
{
	cr_assert_eq(host, &parts);
	return ++parts.reloads;
}

static void maillog(void *host, struct operate_maillog *ret)
{
	cr_assert_eq(host, &parts);
	*ret = (struct operate_maillog){"file:/var/log/mail.log", false, "no such file", 30, 4, 1};
}

static void open_services(void)
{
	struct hash_key key = {11, 12};
	struct embedded_options store = {.max_counters = 100, .max_transactions = 100};
	struct dns_options dns = {1000, 10000, key, 1000};
	struct operate *operate = &parts.operate;
	struct clock_now now = loop_now(operate->loop);
	struct pipeline_services services;
	char why[256];

	operate->store = store_embedded_open(&store, NULL, now, why);
	parts.fake_dns = fake_dns_new();
	operate->dns = dns_new(&dns, fake_dns_backend(parts.fake_dns));
	dns_set_now(operate->dns, now);
	operate->bans = bans_new(key, NULL);
	bans_configure(operate->bans, parts.config, now);
	parts.connections = connections_new(100);
	parts.transactions = transactions_new(100);
	services = (struct pipeline_services){
		.store = operate->store,
		.dns = operate->dns,
		.bans = operate->bans,
		.connections = parts.connections,
		.transactions = parts.transactions,
		.log = log_sink(operate->log),
		.hash_key = key,
	};
	operate->pipeline = pipeline_new(&services);
	pipeline_set_ruleset(operate->pipeline, parts.ruleset);
	operate->server = server_new(operate->loop, operate->pipeline, log_sink(operate->log));
}

void parts_start(const char *rules, const char *top)
{
	const struct loop_hooks hooks = {
		.turn = on_turn, .expire = on_expire, .tick = on_tick, .signal = on_signal};
	struct load first = {.good = true, .wall_ms = 1};

	memset(&parts, 0, sizeof(parts));
	signal(SIGPIPE, SIG_IGN);
	snprintf(parts.dir, sizeof(parts.dir), "/tmp/reeve-control-XXXXXX");
	cr_assert(mkdtemp(parts.dir));
	snprintf(parts.socket, sizeof(parts.socket), "%s/socket", parts.dir);
	snprintf(parts.log, sizeof(parts.log), "%s/log", parts.dir);
	load(rules, top);
	parts.operate.loop = loop_new(&hooks);
	open_log();
	open_services();
	loads_note(&parts.loads, &first);
	parts.operate.loads = &parts.loads;
	parts.operate.file = "/etc/reeve/reeve.yaml";
	parts.operate.started = loop_now(parts.operate.loop);
	parts.operate.reload = reload;
	parts.operate.maillog = maillog;
	parts.operate.host = &parts;
	parts.control = control_new(&parts.operate);
	control_listen(parts.control, parts.config);
}

void parts_stop(void)
{
	struct operate *operate = &parts.operate;

	server_close(operate->server);
	control_close(parts.control);
	operate->store->ops->close(operate->store);
	dns_free(&operate->dns);
	fake_dns_free(&parts.fake_dns);
	loop_free(&operate->loop);
	control_free(&parts.control);
	pipeline_free(&operate->pipeline);
	server_free(&operate->server);
	bans_free(&operate->bans);
	connections_free(&parts.connections);
	transactions_free(&parts.transactions);
	ruleset_unref(&parts.ruleset);
	config_unref(&parts.config);
	loads_release(&parts.loads);
	log_free(&operate->log);
	dup2(stderr_before, STDERR_FILENO);
	close(stderr_before);
	cr_assert_eq(unlink(parts.log), 0);
	cr_assert_eq(rmdir(parts.dir), 0);
}

void turn(void)
{
	uv_run(loop_uv(parts.operate.loop), UV_RUN_NOWAIT);
}

int ask_only(const char *command, const char *fields)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char text[4096];

	memcpy(address.sun_path, parts.socket, strlen(parts.socket) + 1);
	cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0, "%s",
		strerror(errno));
	snprintf(text, sizeof(text), "reeve=1\ncommand=%s\n%s\n", command, fields);
	cr_assert_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
	return fd;
}

const char *answer_of(int fd)
{
	static char text[65536];
	size_t len = 0;

	for (unsigned i = 0; i < TURNS; i++) {
		ssize_t got = recv(fd, text + len, sizeof(text) - 1 - len, 0);

		if (got == 0 || (got < 0 && errno != EAGAIN)) {
			text[len] = '\0';
			close(fd);
			return text;
		}
		len += got > 0 ? (size_t)got : 0;
		turn();
	}
	cr_assert_fail("no whole answer");
	return NULL;
}

const char *ask(const char *command, const char *fields)
{
	return answer_of(ask_only(command, fields));
}

/* NULL: none. */
static const char *last_line_with(const char *part)
{
	static char found[2048];
	char line[2048];
	FILE *file = fopen(parts.log, "re");
	bool any = false;

	cr_assert(file);
	while (fgets(line, sizeof(line), file)) {
		if (!strstr(line, part))
			continue;
		any = true;
		memcpy(found, line, sizeof(found));
	}
	fclose(file);
	return any ? found : NULL;
}

bool is_logged(const char *text)
{
	turn();
	turn();
	return last_line_with(text) != NULL;
}

const char *logged(const char *text)
{
	const char *line = NULL;

	for (unsigned i = 0; i < TURNS && !line; i++) {
		turn();
		line = last_line_with(text);
	}
	cr_assert(line, "not in the log: %s", text);
	return line;
}

static void set(struct policy_request *in, enum policy_attr attr, const char *value)
{
	in->attr[attr] = slice_of(value);
	in->present |= UINT64_C(1) << attr;
}

static void decided(void *arg, struct slice reply, const struct verdict *verdict)
{
	(void)reply;
	(void)verdict;
	*(bool *)arg = true;
}

void decide(const char *client, const char *login, const char *recipient)
{
	static uint64_t number;
	struct pipeline_peer peer = {.id = ++number};
	struct policy_request in = {.state = POLICY_STATE_RCPT};
	struct arena arena;
	char instance[32];
	bool done = false;

	for (unsigned i = 0; i < POLICY_ATTR_COUNT; i++)
		in.attr[i] = SLICE_EMPTY;
	snprintf(instance, sizeof(instance), "%llx.1.1", (unsigned long long)number);
	set(&in, POLICY_REQUEST, "smtpd_access_policy");
	set(&in, POLICY_PROTOCOL_STATE, "RCPT");
	set(&in, POLICY_CLIENT_ADDRESS, client);
	set(&in, POLICY_SENDER, "s@example.net");
	set(&in, POLICY_RECIPIENT, recipient);
	set(&in, POLICY_SASL_USERNAME, login);
	set(&in, POLICY_INSTANCE, instance);
	arena_init(&arena, 4096);
	(void)!pipeline_submit(parts.operate.pipeline, &in, &arena, &peer,
		loop_now(parts.operate.loop), decided, &done);
	for (unsigned i = 0; i < TURNS && !done; i++)
		turn();
	cr_assert(done);
	arena_release(&arena);
}
