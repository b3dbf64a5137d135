/* SPDX-License-Identifier: ISC */
/*
 * The log: what a line looks like, and that nobody who reads slowly, or not at all, ever blocks
 * the daemon or goes uncounted. Standard error is a pipe or socket of the test's own here.
 */
#include "daemon/operate/log.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/buf.h"

static struct log *sut;
static int reader = -1;
static char *text;           /* all that came out of the reader so far */
static size_t text_len;

static void use_fds(int read_end, int write_end)
{
	reader = read_end;
	fcntl(reader, F_SETFL, O_NONBLOCK);
	dup2(write_end, STDERR_FILENO);
	close(write_end);
}

static void use_pipe(void)
{
	int ends[2];

	cr_assert(pipe(ends) == 0);
	use_fds(ends[0], ends[1]);
	fcntl(reader, F_SETPIPE_SZ, 4096);
}

static void open_log(enum log_level level)
{
	sut = log_new(LOG_TO_STDERR, level);
	log_set_now(sut, (struct clock_now){ 1, UINT64_C(1700000000007) });
}

static void begin(void)
{
	unsetenv("JOURNAL_STREAM");
	signal(SIGPIPE, SIG_IGN);
	alarm(30); /* a write that blocks ends the test */
	text = mem_zalloc(16 << 20);
	text_len = 0;
}

static void end(void)
{
	log_free(&sut);
	cr_assert(!sut);
	log_free(&sut);
	if (reader >= 0)
		close(reader);
	mem_free(&text);
}

TestSuite(log, .init = begin, .fini = end, .timeout = 40);

static const char *read_all(void)
{
	ssize_t got;

	while ((got = read(reader, text + text_len, (16 << 20) - text_len - 1)) > 0)
		text_len += (size_t)got;
	text[text_len] = '\0';
	return text;
}

static void say(enum log_level level, const char *line)
{
	log_sink(sut)->write(log_sink(sut), level, slice_of(line));
}

static unsigned count_lines(const char *part)
{
	unsigned count = 0;

	/* Under a sanitizer strstr() measures the whole rest each time, which takes minutes on a busy machine. */
	for (const char *at = text; (at = memmem(at, text_len - (size_t)(at - text), part, strlen(part)));
	     at += strlen(part))
		count++;
	return count;
}

static uint64_t told_dropped(void)
{
	uint64_t sum = 0, value;

	for (const char *at = text; (at = strstr(at, "event=log_lines_dropped count=")); at++) {
		cr_assert(sscanf(at, "event=log_lines_dropped count=%" SCNu64, &value) == 1);
		sum += value;
	}
	return sum;
}

/* Reads and flushes until both are through. */
static void drain(void)
{
	for (size_t before = text_len - 1; text_len != before;) {
		before = text_len;
		log_flush(sut);
		read_all();
		log_flush(sut);
		read_all();
	}
}

Test(log, lines_have_time_and_level)
{
	use_pipe();
	open_log(LOG_LEVEL_INFO);
	say(LOG_LEVEL_INFO, "event=one");
	cr_assert(*read_all() == '\0', "lines gather until the end of the turn");
	log_set_now(sut, (struct clock_now){ 2, UINT64_C(1700000001234) });
	say(LOG_LEVEL_WARNING, "event=two");
	log_flush(sut);
	cr_assert(strcmp(read_all(), "time=2023-11-14T22:13:20.007Z level=info event=one\n"
				     "time=2023-11-14T22:13:21.234Z level=warning event=two\n") == 0,
		  "%s", text);
}

Test(log, levels)
{
	use_pipe();
	open_log(LOG_LEVEL_NOTICE);
	say(LOG_LEVEL_INFO, "event=quiet");
	say(LOG_LEVEL_NOTICE, "event=loud");
	log_configure(sut, LOG_TO_STDERR, LOG_LEVEL_DEBUG);
	cr_assert(log_wants(log_sink(sut), LOG_LEVEL_DEBUG));
	say(LOG_LEVEL_DEBUG, "event=louder");
	log_flush(sut);
	read_all();
	cr_assert(!strstr(text, "quiet") && strstr(text, "loud\n") && strstr(text, "louder"));
}

Test(log, the_journal_gets_a_priority_and_no_time)
{
	char stream[64];
	struct stat status;

	use_pipe();
	cr_assert(fstat(STDERR_FILENO, &status) == 0);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)status.st_dev,
		 (uintmax_t)status.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	open_log(LOG_LEVEL_INFO);
	say(LOG_LEVEL_INFO, "event=one");
	say(LOG_LEVEL_ERROR, "event=two");
	log_flush(sut);
	cr_assert(strcmp(read_all(), "<6>event=one\n<3>event=two\n") == 0, "%s", text);
}

/* The variable is inherited; only the descriptor it names is the journal's. */
Test(log, a_journal_that_reads_something_else)
{
	use_pipe();
	setenv("JOURNAL_STREAM", "8:12345", 1);
	open_log(LOG_LEVEL_INFO);
	say(LOG_LEVEL_INFO, "event=one");
	log_flush(sut);
	cr_assert(strncmp(read_all(), "time=", 5) == 0, "%s", text);
}

Test(log, the_descriptor_others_share_stays_blocking)
{
	int before;

	use_pipe();
	before = fcntl(STDERR_FILENO, F_GETFL);
	open_log(LOG_LEVEL_INFO);
	say(LOG_LEVEL_INFO, "event=one");
	log_flush(sut);
	cr_assert(fcntl(STDERR_FILENO, F_GETFL) == before && !(before & O_NONBLOCK));
}

/* Three times what buffer and pipe hold. */
static void write_too_much(void)
{
	char line[200];

	for (unsigned i = 0; i < 16000; i++) {
		snprintf(line, sizeof(line), "event=many n=%u filler=%.150s", i,
			 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
			 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
		say(LOG_LEVEL_INFO, line);
		if (i % 100 == 0)
			log_flush(sut);
	}
}

static void nothing_is_lost_uncounted(void)
{
	write_too_much();
	cr_assert(log_dropped(sut) > 0);
	drain();
	cr_assert(count_lines("event=many") + log_dropped(sut) == 16000, "%u + %d",
		  count_lines("event=many"), (int)log_dropped(sut));
	cr_assert(told_dropped() == log_dropped(sut));
	/* And goes on, whole lines only. */
	say(LOG_LEVEL_INFO, "event=after");
	drain();
	cr_assert(strstr(text, "Z level=info event=after\n"));
	for (const char *at = text; *at; at = strchr(at, '\n') + 1)
		cr_assert(strncmp(at, "time=2023", 9) == 0);
}

Test(log, a_full_pipe_never_blocks_and_drops_are_told)
{
	use_pipe();
	open_log(LOG_LEVEL_INFO);
	nothing_is_lost_uncounted();
}

Test(log, a_full_socket_never_blocks)
{
	int ends[2];

	cr_assert(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	use_fds(ends[0], ends[1]);
	open_log(LOG_LEVEL_INFO);
	nothing_is_lost_uncounted();
}

Test(log, a_reader_that_is_gone_loses_lines_and_nothing_else)
{
	use_pipe();
	open_log(LOG_LEVEL_INFO);
	close(reader);
	reader = -1;
	say(LOG_LEVEL_INFO, "event=one");
	say(LOG_LEVEL_INFO, "event=two");
	log_flush(sut);
	cr_assert(log_dropped(sut) == 2);
}

Test(log, a_file)
{
	char path[] = "/tmp/reeve-log-XXXXXX";
	int fd = mkstemp(path);

	cr_assert(fd >= 0);
	reader = open(path, O_RDONLY | O_CLOEXEC);
	dup2(fd, STDERR_FILENO);
	close(fd);
	unlink(path);
	open_log(LOG_LEVEL_INFO);
	write_too_much();
	log_flush(sut);
	read_all();
	cr_assert(count_lines("event=many") == 16000 && log_dropped(sut) == 0);
}

Test(log, what_is_left_goes_out_at_the_end)
{
	use_pipe();
	open_log(LOG_LEVEL_INFO);
	say(LOG_LEVEL_INFO, "event=last");
	log_free(&sut);
	cr_assert(strstr(read_all(), "event=last\n"));
}

/* Nobody listens: the lines are counted, and told where there is somebody. */
Test(log, no_syslog)
{
	use_pipe();
	if (access("/dev/log", F_OK) == 0)
		return;
	open_log(LOG_LEVEL_INFO);
	log_configure(sut, LOG_TO_SYSLOG, LOG_LEVEL_INFO);
	say(LOG_LEVEL_INFO, "event=one");
	say(LOG_LEVEL_INFO, "event=two");
	log_flush(sut);
	log_flush(sut);
	cr_assert(log_dropped(sut) == 2, "what could not be told is no further line");
	log_configure(sut, LOG_TO_STDERR, LOG_LEVEL_INFO);
	drain();
	cr_assert(told_dropped() == 2, "%s", text);
}
