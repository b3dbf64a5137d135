/* SPDX-License-Identifier: ISC */
/* A shell script plays journalctl, first on a PATH of the test's own; the loop, the pipes and the signals are real. */
#include "daemon/feeds/journal_uv.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define WITHIN_S 20

static struct {
	char dir[64], path[96], seen[96];
	struct loop *loop;
	struct journal *journal;
	char lines[4096], why[100], said[400];
	size_t line_count, bytes, bytes_of_turn, most_of_a_turn;
	unsigned settled, ended;
} t;

static void on_line(void *arg, struct slice line)
{
	size_t used = strlen(t.lines);

	cr_assert_eq(arg, &t);
	snprintf(t.lines + used, sizeof(t.lines) - used, "%.*s|", SLICE_ARG(line));
	t.line_count++;
	t.bytes += line.len + 1;
	t.bytes_of_turn += line.len + 1;
}

static void on_settled(void *arg)
{
	cr_assert_eq(arg, &t);
	t.settled++;
}

static void on_ended(void *arg, const char *why, struct slice said)
{
	cr_assert_eq(arg, &t);
	t.ended++;
	snprintf(t.why, sizeof(t.why), "%s", why);
	snprintf(t.said, sizeof(t.said), "%.*s", SLICE_ARG(said));
}

static void on_turn(void *arg, struct clock_now now)
{
	(void)arg;
	(void)now;
	if (t.bytes_of_turn > t.most_of_a_turn)
		t.most_of_a_turn = t.bytes_of_turn;
	t.bytes_of_turn = 0;
}

static void on_tick(void *arg, struct clock_now now)
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

static const struct journal_events events = {on_line, on_settled, on_ended};
static const struct loop_hooks hooks = {.turn = on_turn, .expire = on_expire, .tick = on_tick};

/* NULL: there is no journalctl at all. */
static void start(const char *script)
{
	FILE *file;

	memset(&t, 0, sizeof(t));
	snprintf(t.dir, sizeof(t.dir), "/tmp/reeve-journal-XXXXXX");
	cr_assert(mkdtemp(t.dir));
	snprintf(t.path, sizeof(t.path), "%s/journalctl", t.dir);
	snprintf(t.seen, sizeof(t.seen), "%s/seen", t.dir);
	if (script) {
		file = fopen(t.path, "w");
		cr_assert(file);
		fprintf(file, "#!/bin/sh\nPATH=/usr/bin:/bin\n%s\n", script);
		fclose(file);
		chmod(t.path, 0700);
	}
	setenv("PATH", t.dir, 1);
	setenv("SECRET", "of the daemon", 1);
	t.loop = loop_new(&hooks);
	t.journal = journal_new(t.loop, &events, &t);
	journal_start(t.journal);
}

static void end(void)
{
	int pid = journal_pid(t.journal);

	journal_close(t.journal);
	loop_free(&t.loop);
	if (pid) {
		/* Killed, and not ours to wait for any more in life; here we are its parent still. */
		cr_expect_eq(kill(pid, 0), 0);
		cr_expect_eq(journal_pid(t.journal), 0);
	}
	journal_free(&t.journal);
	cr_assert_null(t.journal);
	unlink(t.path);
	unlink(t.seen);
	cr_assert_eq(rmdir(t.dir), 0);
}

#define TURN_UNTIL(condition)                                                 \
	do {                                                                  \
		time_t until = time(NULL) + WITHIN_S;                         \
		while (!(condition) && time(NULL) < until)                    \
			uv_run(loop_uv(t.loop), UV_RUN_ONCE);                 \
		cr_assert(condition, "%s: %s %s", #condition, t.why, t.said); \
	} while (0)

Test(journal, how_it_is_asked_and_what_it_says)
{
	char text[1000] = "", wanted[1000];
	FILE *file;

	start("echo \"$*\" >${0%/*}/seen; env | sort >>${0%/*}/seen; echo '-- begins --'\n"
	      "printf 'a line\\nhalf a '; sleep 0.1; echo line; exec cat /dev/zero");
	cr_expect_eq(journal_pid(t.journal), 0, "not from inside the call");
	TURN_UNTIL(t.line_count >= 3);
	cr_expect_str_eq(t.lines, "-- begins --|a line|half a line|");
	cr_expect_eq(t.settled, 1);
	file = fopen(t.seen, "r");
	cr_assert(file);
	cr_assert_gt(fread(text, 1, sizeof(text) - 1, file), 0);
	fclose(file);
	snprintf(wanted, sizeof(wanted),
		"--system --follow --since=now --output=short-iso --no-pager SYSLOG_FACILITY=2\n"
		"LANG=C.UTF-8\nPATH=/usr/bin:/bin\nPWD=/\nSYSTEMD_COLORS=0\n");
	cr_expect_str_eq(text, wanted);
	end();
}

Test(journal, there_is_none)
{
	start(NULL);
	TURN_UNTIL(t.ended == 1);
	cr_expect_str_eq(t.why, "there is no journalctl on the PATH");
	cr_expect_eq(t.settled, 0);
	TURN_UNTIL(t.ended == 2);
	end();
}

Test(journal, one_that_ends_is_started_again)
{
	start("echo last words; echo 'No permission.' >&2; [ -e ${0%/*}/seen ] && exec sleep 1000\n"
	      ">${0%/*}/seen; exit 3");
	TURN_UNTIL(t.ended == 1);
	cr_expect_str_eq(t.lines, "last words|");
	cr_expect_str_eq(t.why, "journalctl ended with 3");
	cr_expect_str_eq(t.said, "No permission.");
	cr_expect_eq(journal_pid(t.journal), 0);
	TURN_UNTIL(t.line_count == 2);
	cr_expect_eq(t.settled, 2);
	cr_expect_eq(kill(journal_pid(t.journal), SIGTERM), 0);
	TURN_UNTIL(t.ended == 2);
	cr_expect_str_eq(t.why, "journalctl was ended by signal 15");
	end();
}

Test(journal, a_silent_one_is_taken_to_work_after_a_while)
{
	start("exec sleep 1000");
	TURN_UNTIL(t.settled == 1);
	cr_expect_eq(t.line_count, 0);
	end();
}

Test(journal, one_that_only_closes_its_output_is_killed)
{
	start("exec >&-; exec sleep 1000");
	TURN_UNTIL(t.ended == 1);
	cr_expect_str_eq(t.why, "journalctl was ended by signal 9");
	end();
}

Test(journal, stopped_it_is_killed_and_reaped_and_nothing_more_is_told)
{
	int pid;

	start("echo one; exec sleep 1000");
	TURN_UNTIL(t.line_count == 1);
	pid = journal_pid(t.journal);
	cr_assert_gt(pid, 0);
	journal_start(t.journal);
	cr_expect_eq(journal_pid(t.journal), pid, "it runs already");
	journal_stop(t.journal);
	cr_expect_eq(journal_pid(t.journal), 0);
	journal_stop(t.journal);
	journal_start(t.journal);
	TURN_UNTIL(t.line_count == 2);
	TURN_UNTIL(kill(pid, 0) != 0);
	cr_expect_eq(errno, ESRCH);
	cr_expect_eq(t.ended, 0);
	end();
}

Test(journal, a_flood_is_read_a_piece_a_turn)
{
	start("exec yes 'disconnect from x[192.0.2.1] 0123456789 0123456789 0123456789 0123456789'");
	TURN_UNTIL(t.bytes > 8 * 1024 * 1024);
	/* What waits in a pipe may come in with the last piece. */
	cr_expect_leq(t.most_of_a_turn, JOURNAL_TURN_BYTES + 64 * 1024);
	cr_expect_gt(t.most_of_a_turn, 0);
	end();
}
