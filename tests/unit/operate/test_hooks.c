/* SPDX-License-Identifier: ISC */
/* A real loop; the programs are scripts that append what they get to a file. */
#include "daemon/operate/hooks.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define BOUND_MS 20000

static struct {
	struct loop *loop;
	struct hooks *hooks;
	struct log_sink log;
	char dir[64], script[96], out[96], logged[4096], text[8192];
	uint64_t until_ms;
} t;

static void keep(struct log_sink *sink, enum log_level level, struct slice line)
{
	size_t len = strlen(t.logged);

	(void)level;
	cr_assert_eq(sink, &t.log);
	snprintf(t.logged + len, sizeof(t.logged) - len, "%.*s\n", SLICE_ARG(line));
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

/* The script is hook, and sendmail too. */
static void start(void)
{
	static const char body[] = "#!/bin/sh\ncd \"${0%/*}\"\n{ echo \"<$*>\"; cat; } >>out\n";
	const struct loop_hooks hooks = { no_turn, no_expire, no_turn, no_signal, NULL };
	int fd;

	memset(&t, 0, sizeof(t));
	snprintf(t.dir, sizeof(t.dir), "/tmp/reeve-hooks-XXXXXX");
	cr_assert(mkdtemp(t.dir));
	snprintf(t.script, sizeof(t.script), "%s/hook", t.dir);
	snprintf(t.out, sizeof(t.out), "%s/out", t.dir);
	fd = open(t.script, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	cr_assert_eq(write(fd, body, sizeof(body) - 1), sizeof(body) - 1);
	close(fd);
	signal(SIGPIPE, SIG_IGN);
	t.log = (struct log_sink){ keep, LOG_LEVEL_ERROR };
	t.loop = loop_new(&hooks);
	t.hooks = hooks_new(t.loop, &t.log, t.script);
}

static void configure(const char *text)
{
	struct config_errors *errors = config_errors_new();
	struct config *config = config_parse("f", slice_of(text), NULL, 0, errors);

	cr_assert(config, "%s", config_errors_line(errors, 0, &(bool){ 0 }));
	hooks_configure(t.hooks, config);
	config_unref(&config);
	config_errors_free(&errors);
}

static void stop(void)
{
	hooks_close(t.hooks);
	loop_free(&t.loop);
	hooks_free(&t.hooks);
	cr_expect_null(t.hooks);
	unlink(t.script);
	unlink(t.out);
	rmdir(t.dir);
}

static const char *output(void)
{
	int fd = open(t.out, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? 0 : read(fd, t.text, sizeof(t.text) - 1);

	t.text[got > 0 ? got : 0] = '\0';
	if (fd >= 0)
		close(fd);
	return t.text;
}

static const char *wait_for(const char *text)
{
	uint64_t until_ms = uv_hrtime() / 1000000 + BOUND_MS;

	while (!strstr(output(), text)) {
		cr_assert_lt(uv_hrtime() / 1000000, until_ms, "'%s' is not in:\n%s", text, output());
		uv_run(loop_uv(t.loop), UV_RUN_NOWAIT);
	}
	return output();
}

static void ban(enum bans_event_kind kind, const char *why)
{
	struct ban ban = { .since_wall_ms = 1800000000000, .until_wall_ms = 1800003600000,
			   .times = 1, .by = "auto", .node = "mx1", .reason = "x" };
	struct bans_event event = { .kind = kind, .ban = &ban, .why = why };
	const char *unused;

	cr_assert(cidr_parse(SLICE("198.51.100.7"), &ban.network, &unused));
	hooks_ban(t.hooks, &event, (struct clock_now){ 1, 1800000000000 });
}

static void say(enum log_level level, struct slice line)
{
	struct log_sink *sink = hooks_log(t.hooks);

	if (log_wants(sink, level))
		sink->write(sink, level, line);
}

Test(hooks, on_ban_gets_each_change_in_order)
{
	char text[512];
	const char *first, *second;

	start();
	snprintf(text, sizeof(text), "bans: { on_ban: [\"%s\", \"an argument\", \"$(id)\"] }\n", t.script);
	configure(text);
	ban(BANS_BANNED, "strikes");
	ban(BANS_SPARED, "bad_share");
	ban(BANS_ENDED, "expired");
	second = wait_for("\"event\":\"unban\"");
	first = strstr(second, "<an argument $(id)>\n{\"event\":\"ban\",\"network\":\"198.51.100.7/32\",");
	cr_expect_not_null(first, "%s", second);
	cr_expect_lt(first, strstr(second, "\"unban\""));
	configure("bans: { mode: enforce }\n");
	ban(BANS_BANNED, "strikes");
	cr_expect_null(strstr(strstr(output(), "unban"), "\"event\":\"ban\""));
	stop();
}

Test(hooks, notifications_go_to_the_command_and_by_mail)
{
	char text[512];
	const char *got;

	start();
	snprintf(text, sizeof(text), "store: { node: mx1 }\nnotify: { command: [\"%s\", x], mail_to: [a@example.com, b@example.com] }\n",
		 t.script);
	configure(text);
	say(LOG_LEVEL_WARNING, SLICE("event=login_alarm login=alice"));
	say(LOG_LEVEL_WARNING, SLICE("event=ban client=198.51.100.7/32"));
	say(LOG_LEVEL_ERROR, SLICE("event=store_failed why=x"));
	got = wait_for("under LOG");
	cr_expect_not_null(strstr(got, "<x>\n{\"event\":\"login_alarm\",\"level\":\"warning\",\"node\":\"mx1\","), "%s", got);
	cr_expect_not_null(strstr(got, "<-i -- a@example.com b@example.com>\nTo: a@example.com,\n\tb@example.com\nSubject: Reeve on "
				       "mx1: login_alarm login=alice\n"), "%s", got);
	cr_expect_null(strstr(got, "store_failed"));
	cr_expect_null(strstr(got, "event=ban"));
	cr_expect_str_eq(t.logged, "event=store_failed why=x\n", "the level of the log is what it was");
	stop();
}

Test(hooks, without_notify_the_level_is_that_of_the_log)
{
	start();
	configure("{}\n");
	cr_expect_not(log_wants(hooks_log(t.hooks), LOG_LEVEL_WARNING));
	t.log.level = LOG_LEVEL_DEBUG;
	configure("{}\n");
	cr_expect(log_wants(hooks_log(t.hooks), LOG_LEVEL_DEBUG));
	say(LOG_LEVEL_DEBUG, SLICE("event=x"));
	cr_expect_str_eq(t.logged, "event=x\n");
	stop();
}
