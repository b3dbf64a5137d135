/* SPDX-License-Identifier: ISC */
/* A real file in a directory of the test; each look is a call, so nothing waits. */
#include "daemon/feeds/follow.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
	char dir[64], path[96], old[96];
	struct follow *follow;
	char got[200000];
	size_t len, lines;
} t;

static void on_line(void *arg, struct slice line)
{
	cr_assert_eq(arg, &t);
	cr_assert(t.len + line.len + 1 < sizeof(t.got));
	memcpy(t.got + t.len, line.data, line.len);
	t.len += line.len;
	t.got[t.len++] = '|';
	t.got[t.len] = '\0';
	t.lines++;
}

static void write_to(const char *path, const char *text, int flags)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);

	cr_assert(fd >= 0);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void append(const char *text)
{
	write_to(t.path, text, O_APPEND);
}

static void make_dir(void)
{
	memset(&t, 0, sizeof(t));
	snprintf(t.dir, sizeof(t.dir), "/tmp/reeve-follow-XXXXXX");
	cr_assert(mkdtemp(t.dir));
	snprintf(t.path, sizeof(t.path), "%s/log", t.dir);
	snprintf(t.old, sizeof(t.old), "%s/log.1", t.dir);
}

/* The file holds `text` when it is opened; NULL: it is not there. */
static void start(const char *text)
{
	make_dir();
	if (text)
		append(text);
	t.follow = follow_new(t.path);
}

static void stop(void)
{
	follow_free(&t.follow);
	cr_expect_null(t.follow);
	unlink(t.path);
	unlink(t.old);
	rmdir(t.dir);
}

/* Looks until there is nothing more, and gives the lines since the last time. */
static const char *look(void)
{
	t.len = 0;
	t.got[0] = '\0';
	for (int i = 0; follow_read(t.follow, 1, on_line, &t); i++)
		cr_assert_lt(i, 1000, "it never comes to an end");
	return t.got;
}

static struct follow_health health(void)
{
	struct follow_health health;

	follow_health(t.follow, &health);
	return health;
}

Test(follow, what_was_there_is_not_read)
{
	start("old 1\nold 2\n");
	cr_expect_str_eq(look(), "");
	append("new 1\nnew 2\n");
	cr_expect_str_eq(look(), "new 1|new 2|");
	cr_expect_str_eq(look(), "");
	cr_expect(health().open);
	cr_expect_eq(health().bytes, 12);
	stop();
}

Test(follow, a_line_cut_in_two_writes)
{
	start("");
	append("one\ntw");
	cr_expect_str_eq(look(), "one|");
	append("o\n\nthr");
	cr_expect_str_eq(look(), "two||");
	append("ee\n");
	cr_expect_str_eq(look(), "three|");
	stop();
}

Test(follow, the_rest_of_a_line_that_was_there_is_no_line)
{
	start("half of a ");
	append("line\nnext\n");
	cr_expect_str_eq(look(), "next|");
	stop();
}

Test(follow, a_file_that_comes_late_is_read_from_its_beginning)
{
	start(NULL);
	cr_expect_str_eq(look(), "");
	cr_expect_not(health().open);
	cr_expect_eq(health().error, ENOENT);
	append("first\n");
	cr_expect_str_eq(look(), "first|");
	cr_expect_eq(health().error, 0);
	stop();
}

Test(follow, rename_and_create)
{
	start("");
	append("a\n");
	cr_expect_str_eq(look(), "a|");
	cr_assert_eq(rename(t.path, t.old), 0);
	write_to(t.old, "b\n", O_APPEND);
	cr_expect_str_eq(look(), "b|", "the writer still has the old one");
	append("");
	write_to(t.old, "c\n", O_APPEND);
	cr_expect_str_eq(look(), "c|", "also while the new one is empty");
	write_to(t.old, "d\n", O_APPEND);
	append("e\nf\n");
	cr_expect_str_eq(look(), "d|e|f|", "in this order");
	cr_expect_eq(health().rotations, 1);
	append("g\n");
	cr_expect_str_eq(look(), "g|");
	stop();
}

Test(follow, copytruncate)
{
	start("");
	append("a long line\n");
	cr_expect_str_eq(look(), "a long line|");
	cr_assert_eq(truncate(t.path, 0), 0);
	append("b\n");
	cr_expect_str_eq(look(), "b|");
	cr_expect_eq(health().truncations, 1);
	stop();
}

Test(follow, copytruncate_and_grown_beyond_where_it_was)
{
	start("");
	append("08:00:00 a\n");
	cr_expect_str_eq(look(), "08:00:00 a|");
	cr_assert_eq(truncate(t.path, 0), 0);
	append("08:00:01 b\n08:00:02 c\n");
	cr_expect_str_eq(look(), "08:00:01 b|08:00:02 c|");
	cr_expect_eq(health().truncations, 1);
	stop();
}

Test(follow, a_cut_line_ends_with_its_file)
{
	start("");
	append("a\nhalf");
	cr_expect_str_eq(look(), "a|");
	cr_assert_eq(truncate(t.path, 0), 0);
	append("b\n");
	cr_expect_str_eq(look(), "b|");
	append("half again");
	cr_expect_str_eq(look(), "");
	cr_assert_eq(rename(t.path, t.old), 0);
	append("c\n");
	cr_expect_str_eq(look(), "c|");
	stop();
}

Test(follow, lines_that_are_too_long_are_left_out)
{
	static char line[LINES_MAX_BYTES + 2];

	start("");
	memset(line, 'x', LINES_MAX_BYTES);
	append(line);
	append("\nshort\n");
	look();
	cr_expect_eq(t.lines, 2, "just short enough");
	line[LINES_MAX_BYTES] = 'x';
	append(line);
	append("\nshort\n");
	cr_expect_str_eq(look(), "short|");
	cr_expect_eq(health().overlong, 1);
	append(line);
	cr_expect_str_eq(look(), "");
	append("Nov 24 08:00:00 the tail of it\nshort\n");
	cr_expect_str_eq(look(), "short|", "a tail is no line");
	for (int i = 0; i < 40; i++) {
		append(line);
		cr_expect_str_eq(look(), "");
	}
	append("\nend\n");
	cr_expect_str_eq(look(), "end|");
	cr_expect_eq(health().overlong, 3);
	stop();
}

Test(follow, a_bounded_piece_at_a_time)
{
	char line[101];
	unsigned calls = 0;

	start("");
	memset(line, 'x', 99);
	line[99] = '\n';
	line[100] = '\0';
	for (int i = 0; i < 5000; i++)
		append(line);
	while (follow_read(t.follow, 128 * 1024, on_line, &t)) {
		cr_expect_leq(t.len, 128 * 1024 + 64 * 1024);
		t.len = 0;
		calls++;
	}
	cr_expect_eq(t.lines, 5000);
	cr_expect_geq(calls, 2);
	stop();
}

Test(follow, what_is_no_file_is_not_followed)
{
	make_dir();
	cr_assert_eq(mkfifo(t.path, 0600), 0);
	t.follow = follow_new(t.path);
	cr_expect_eq(health().error, ENOTSUP);
	cr_expect_str_eq(look(), "");
	unlink(t.path);
	append("x\n");
	cr_expect_str_eq(look(), "", "nobody knows what of it is old");
	append("y\n");
	cr_expect_str_eq(look(), "y|");
	stop();
}

/* A writer that rotates at random, in both ways, with looks at random in between: every line once, in order. */
Test(follow, rotation_under_load)
{
	char line[64];
	unsigned written = 0, number = 0;
	size_t sum = 0;

	srand(7);
	start("");
	for (unsigned step = 0; step < 20000; step++) {
		int what = rand() % 100;

		if (what < 80) {
			snprintf(line, sizeof(line), "line %u\n", written++);
			append(line);
		} else if (what < 83) {
			look();
			if (rename(t.path, t.old) != 0)
				cr_assert_eq(errno, ENOENT);
			for (int late = rand() % 3; late > 0; late--) {
				snprintf(line, sizeof(line), "line %u\n", written++);
				write_to(t.old, line, O_APPEND);
			}
		} else if (what < 85) {
			look();
			cr_assert(truncate(t.path, 0) == 0 || errno == ENOENT);
		} else {
			look();
		}
		if (what < 80)
			continue;
		if (t.len == 0)
			continue;
		for (char *at = t.got; *at; at = strchr(at, '|') + 1) {
			cr_assert_eq(sscanf(at, "line %u", &number), 1);
			cr_assert_eq(number, sum, "%u in place of %zu", number, sum);
			sum++;
		}
		t.len = 0;
		t.got[0] = '\0';
	}
	look();
	for (char *at = t.got; *at; at = strchr(at, '|') + 1)
		sum++;
	cr_expect_eq(sum, written);
	cr_expect_gt(health().rotations, 100);
	cr_expect_gt(health().truncations, 50);
	stop();
}
