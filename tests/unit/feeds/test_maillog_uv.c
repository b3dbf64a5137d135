/* SPDX-License-Identifier: ISC */
/* A source is exchanged for another: what is told in the log, what health says, and that lines of both reach the sink. */
#include "daemon/feeds/maillog_uv.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/list.h"

#define WITHIN_S 20
#define LINE(address)                                                     \
	"Nov 24 08:00:00 mx postfix/smtpd[7]: disconnect from x[" address \
	"] unknown=0/3 commands=0/3\n"

static struct {
	char dir[64], file[96], program[96], source[128];
	struct loop *loop;
	struct maillog *maillog;
	struct witness_sink sink;
	struct log_sink log;
	char told[2000];
	unsigned sessions;
	char client[IP_TEXT_BYTES];
} t;

static void on_session(
	struct witness_sink *sink, const struct bans_session *session, struct clock_now now)
{
	cr_assert_eq(sink, &t.sink);
	cr_assert_gt(now.mono_ms, 0);
	cr_assert_eq(session->failed_commands, 3);
	ip_format(&session->client, t.client);
	t.sessions++;
}

static void on_login(
	struct witness_sink *sink, const struct witness_login *login, struct clock_now now)
{
	(void)sink;
	(void)login;
	(void)now;
}

static void on_log(struct log_sink *sink, enum log_level level, struct slice line)
{
	size_t used = strlen(t.told);

	cr_assert_eq(sink, &t.log);
	snprintf(t.told + used, sizeof(t.told) - used, "%d %.*s\n", (int)level, SLICE_ARG(line));
}

static void on_turn(void *arg, struct clock_now now)
{
	(void)arg;
	(void)now;
}

static uint64_t on_expire(void *arg, struct clock_now now)
{
	(void)arg;
	(void)now;
	return 0;
}

static const struct loop_hooks hooks = {.turn = on_turn, .expire = on_expire, .tick = on_turn};

static void start(void)
{
	memset(&t, 0, sizeof(t));
	snprintf(t.dir, sizeof(t.dir), "/tmp/reeve-maillog-XXXXXX");
	cr_assert(mkdtemp(t.dir));
	snprintf(t.file, sizeof(t.file), "%s/mail.log", t.dir);
	snprintf(t.source, sizeof(t.source), "file:%s", t.file);
	snprintf(t.program, sizeof(t.program), "%s/journalctl", t.dir);
	setenv("PATH", t.dir, 1);
	t.sink = (struct witness_sink){.session = on_session, .login_failed = on_login};
	t.log = (struct log_sink){.level = LOG_LEVEL_DEBUG, .write = on_log};
	t.loop = loop_new(&hooks);
	t.maillog = maillog_new(t.loop, &t.sink, &t.log);
}

static void end(void)
{
	maillog_close(t.maillog);
	loop_free(&t.loop);
	maillog_free(&t.maillog);
	cr_assert_null(t.maillog);
	unlink(t.file);
	unlink(t.program);
	cr_assert_eq(rmdir(t.dir), 0);
}

TestSuite(maillog, .init = start, .fini = end);

static void put(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, mode);

	cr_assert(fd >= 0);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static struct maillog_health health(void)
{
	struct maillog_health health;

	maillog_health(t.maillog, &health);
	return health;
}

#define TURN_UNTIL(condition)                                       \
	do {                                                        \
		time_t until = time(NULL) + WITHIN_S;               \
		while (!(condition) && time(NULL) < until)          \
			uv_run(loop_uv(t.loop), UV_RUN_ONCE);       \
		cr_assert(condition, "%s: %s", #condition, t.told); \
	} while (0)

Test(maillog, a_file_that_comes_late)
{
	char wanted[600];

	cr_expect_str_eq(health().source, "off");
	maillog_configure(t.maillog, SLICE("off"));
	cr_expect(!health().followed && !*health().why && !*t.told);
	maillog_configure(t.maillog, slice_of(t.source));
	cr_expect_str_eq(health().source, t.source);
	cr_expect_str_eq(health().why, "No such file or directory");
	put(t.file, LINE("192.0.2.7"), 0600);
	TURN_UNTIL(t.sessions == 1);
	cr_expect_str_eq(t.client, "192.0.2.7");
	cr_expect(health().followed && !*health().why);
	cr_expect_eq(health().counts.lines, 1);
	cr_expect_eq(health().counts.sessions, 1);
	maillog_configure(t.maillog, slice_of(t.source)); /* as after a reload */
	put(t.file, LINE("192.0.2.8"), 0600);
	TURN_UNTIL(t.sessions == 2);
	snprintf(wanted, sizeof(wanted),
		"%d event=maillog_missing source=%s why=\"No such file or directory\"\n"
		"%d event=maillog_followed source=%s\n",
		LOG_LEVEL_WARNING, t.source, LOG_LEVEL_NOTICE, t.source);
	cr_expect_str_eq(t.told, wanted);
}

Test(maillog, from_a_file_to_the_journal_and_back)
{
	char wanted[600];

	put(t.file, LINE("192.0.2.1"), 0600);
	put(t.program, "#!/bin/sh\nprintf '" LINE("192.0.2.9") "'\nexec /bin/sleep 1000\n", 0700);
	maillog_configure(t.maillog, slice_of(t.source));
	maillog_configure(t.maillog, SLICE("journal:"));
	cr_expect(!health().followed && !*health().why, "it begins just now");
	put(t.file, LINE("192.0.2.2"), 0600);
	TURN_UNTIL(t.sessions == 1);
	cr_expect_str_eq(t.client, "192.0.2.9", "nobody reads the file any more");
	cr_expect(health().followed);
	maillog_configure(t.maillog, slice_of(t.source));
	put(t.file, LINE("192.0.2.3"), 0600);
	TURN_UNTIL(t.sessions == 2);
	cr_expect_str_eq(t.client, "192.0.2.3");
	snprintf(wanted, sizeof(wanted),
		"%d event=maillog_followed source=%s\n%d event=maillog_followed source=journal:\n"
		"%d event=maillog_followed source=%s\n",
		LOG_LEVEL_NOTICE, t.source, LOG_LEVEL_NOTICE, LOG_LEVEL_NOTICE, t.source);
	cr_expect_str_eq(t.told, wanted);
}

Test(maillog, a_journal_that_is_not_there)
{
	maillog_configure(t.maillog, SLICE("journal:"));
	TURN_UNTIL(*health().why);
	cr_expect_str_eq(health().why, "there is no journalctl on the PATH");
	cr_expect_not(health().followed);
	maillog_configure(t.maillog, SLICE("off"));
	cr_expect(!health().followed && !*health().why);
}
