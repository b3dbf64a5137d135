/* SPDX-License-Identifier: ISC */
/* Real programs on a real loop; each wait is for what is expected, with a bound. */
#include "daemon/operate/runner.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BOUND_MS 20000

static struct {
	uv_loop_t loop;
	struct runner *runner;
	struct log_sink sink;
	char log[4096];
	char dir[64], out[96];
} t;

static void keep(struct log_sink *sink, enum log_level level, struct slice line)
{
	size_t len = strlen(t.log);

	cr_assert_eq(sink, &t.sink);
	cr_assert_eq(level, LOG_LEVEL_WARNING);
	snprintf(t.log + len, sizeof(t.log) - len, "%.*s\n", SLICE_ARG(line));
}

static void start(uint64_t deadline_ms)
{
	memset(&t, 0, sizeof(t));
	snprintf(t.dir, sizeof(t.dir), "/tmp/reeve-runner-XXXXXX");
	cr_assert(mkdtemp(t.dir));
	snprintf(t.out, sizeof(t.out), "%s/out", t.dir);
	signal(SIGPIPE, SIG_IGN);
	uv_loop_init(&t.loop);
	t.sink = (struct log_sink){ keep, LOG_LEVEL_WARNING };
	t.runner = runner_new(&t.loop, "on_ban", &t.sink, deadline_ms);
}

static void stop(void)
{
	runner_close(t.runner);
	uv_run(&t.loop, UV_RUN_DEFAULT);
	cr_expect_eq(uv_loop_close(&t.loop), 0);
	runner_free(&t.runner);
	cr_expect_null(t.runner);
	unlink(t.out);
	rmdir(t.dir);
}

static void run(const char *input, size_t argc, const char *const argv[])
{
	struct slice slices[80];

	for (size_t i = 0; i < argc; i++)
		slices[i] = slice_of(argv[i]);
	runner_run(t.runner, slices, argc, slice_of(input));
}

/* A script of the shell, which finds the file `out` in $1. */
static void script(const char *text, const char *input)
{
	const char *argv[] = { "/bin/sh", "-c", text, "hook", t.out };

	run(input, 5, argv);
}

static void wait_idle(void)
{
	uint64_t until = uv_hrtime() / 1000000 + BOUND_MS;

	while (runner_pending(t.runner)) {
		cr_assert_lt(uv_hrtime() / 1000000, until, "still %zu", runner_pending(t.runner));
		uv_run(&t.loop, UV_RUN_ONCE);
	}
}

static const char *output(void)
{
	static char text[65536];
	int fd = open(t.out, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	cr_assert_geq(got, 0);
	text[got] = '\0';
	if (fd >= 0)
		close(fd);
	return text;
}

Test(runner, input_arguments_and_environment)
{
	const char *argv[] = { "/bin/sh", "-c", "cat >\"$1\"; shift; printf '<%s>' \"$@\" >>\"$0\"; env | sort >>\"$0\"; pwd >>\"$0\"",
			       t.out, t.out, "$(touch /tmp/x)", "a b", "*", "; exit 1" };

	start(0);
	cr_assert_eq(setenv("NOTIFY_SOCKET", "/secret", 1), 0);
	run("{\"event\":\"ban\"}\n", sizeof(argv) / sizeof(argv[0]), argv);
	cr_expect_str_eq(output(), "", "it only starts from the loop");
	cr_expect_eq(runner_pending(t.runner), 1);
	wait_idle();
	cr_expect_not_null(strstr(output(), "{\"event\":\"ban\"}\n<$(touch /tmp/x)><a b><*><; exit 1>LANG=C.UTF-8\n"), "%s", output());
	cr_expect_null(strstr(output(), "NOTIFY_SOCKET"));
	cr_expect_not_null(strstr(output(), "PATH=/usr/local/sbin:"));
	cr_expect_not_null(strstr(output(), "PWD=/\n"));
	cr_expect_str_eq(t.log, "");
	stop();
}

Test(runner, one_after_the_other_in_order)
{
	char text[16];

	start(0);
	for (int i = 0; i < 30; i++) {
		snprintf(text, sizeof(text), "%d ", i);
		script("cat >>\"$1\"", text);
	}
	wait_idle();
	cr_expect_str_eq(output(), "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 ");
	cr_expect_str_eq(t.log, "");
	stop();
}

Test(runner, failures_are_told)
{
	const char *missing[] = { "/nonexistent/hook" };

	start(0);
	script("echo 'no \"rights\"' >&2; exit 3", "x");
	wait_idle();
	cr_expect_str_eq(t.log, "event=hook_failed hook=on_ban program=/bin/sh status=3 said=\"no \\x22rights\\x22\"\n");
	t.log[0] = '\0';
	script("kill -9 $$", "x");
	wait_idle();
	cr_expect_str_eq(t.log, "event=hook_failed hook=on_ban program=/bin/sh signal=9\n");
	t.log[0] = '\0';
	run("x", 1, missing);
	script("cat >\"$1\"", "the next one runs");
	wait_idle();
	cr_expect_str_eq(t.log, "event=hook_failed hook=on_ban program=/nonexistent/hook why=\"no such file or directory\"\n");
	cr_expect_str_eq(output(), "the next one runs");
	stop();
}

Test(runner, who_does_not_read_its_input_is_no_failure)
{
	static char large[300001];

	start(0);
	memset(large, 'x', sizeof(large) - 1);
	script("exit 0", large);
	script("exec <&-; yes complaint | head -c 100000 >&2; echo done >\"$1\"", large);
	wait_idle();
	cr_expect_str_eq(t.log, "");
	cr_expect_str_eq(output(), "done\n");
	script("wc -c >\"$1\"", large);
	wait_idle();
	cr_expect_eq(strtol(output(), NULL, 10), 300000);
	stop();
}

static bool is_alive(pid_t pid)
{
	char path[64], line[256] = "";
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	in = fopen(path, "r");
	if (!in)
		return false;
	if (!fgets(line, sizeof(line), in))
		line[0] = '\0';
	fclose(in);
	/* A zombie whose parent is not there to bury it yet. */
	return line[0] && !strstr(line, ") Z ");
}

Test(runner, what_takes_too_long_is_killed_with_its_children)
{
	int leader = 0, child = 0;
	uint64_t until;

	start(300);
	script("sleep 1000 & echo $$ $! >\"$1\"; wait", "x");
	wait_idle();
	cr_expect_str_eq(t.log, "event=hook_failed hook=on_ban program=/bin/sh why=\"it took too long and was killed\"\n");
	cr_assert_eq(sscanf(output(), "%d %d", &leader, &child), 2, "%s", output());
	cr_expect_not(is_alive(leader));
	until = uv_hrtime() / 1000000 + BOUND_MS;
	while (is_alive(child) && uv_hrtime() / 1000000 < until)
		uv_run(&t.loop, UV_RUN_NOWAIT);
	cr_expect_not(is_alive(child));
	stop();
}

Test(runner, the_queue_is_bounded)
{
	start(0);
	for (int i = 0; i < RUNNER_MAX_QUEUE + 5; i++)
		script(i ? ":" : "cat >\"$1\"", "x");
	cr_expect_eq(runner_pending(t.runner), RUNNER_MAX_QUEUE);
	while (t.log[0] == '\0')
		uv_run(&t.loop, UV_RUN_ONCE);
	cr_expect_str_eq(t.log, "event=hook_dropped hook=on_ban count=5\n");
	stop();
}

Test(runner, closed_while_one_runs_and_others_wait)
{
	start(0);
	/* It is left alone when the runner closes, so it has to end by itself. */
	script("cat >/dev/null; echo begun >\"$1\"; exec sleep 1", "x");
	script("echo never >\"$1\"", "x");
	while (strcmp(output(), "begun\n") != 0)
		uv_run(&t.loop, UV_RUN_NOWAIT);
	stop();
	cr_expect_str_eq(t.log, "");
}

Test(runner, too_many_arguments_are_cut)
{
	const char *argv[80] = { "/bin/sh", "-c", "echo $# >\"$0\"", NULL };

	start(0);
	argv[3] = t.out;
	for (size_t i = 4; i < 80; i++)
		argv[i] = "x";
	run("", 80, argv);
	run("", 0, argv);
	wait_idle();
	cr_expect_eq(strtol(output(), NULL, 10), RUNNER_MAX_ARGUMENTS - 4);
	stop();
}
