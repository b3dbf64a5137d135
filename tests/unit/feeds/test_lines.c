/* SPDX-License-Identifier: ISC */
#include "daemon/feeds/lines.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct {
	struct lines lines;
	char got[400000];
	size_t len, count;
} t;

static void on_line(void *arg, struct slice line)
{
	cr_assert_eq(arg, &t);
	cr_assert_leq(line.len, LINES_MAX_BYTES);
	cr_assert(t.len + line.len + 1 < sizeof(t.got));
	memcpy(t.got + t.len, line.data, line.len);
	t.len += line.len;
	t.got[t.len++] = '\n';
	t.got[t.len] = '\0';
	t.count++;
}

static void start(void)
{
	memset(&t, 0, sizeof(t));
	lines_init(&t.lines);
}

static void end(void)
{
	lines_release(&t.lines);
	cr_assert_null(t.lines.buffer);
}

TestSuite(lines, .init = start, .fini = end);

static void feed(const char *text, size_t len)
{
	size_t room;
	char *memory = lines_room(&t.lines, &room);

	cr_assert_geq(room, LINES_MAX_BYTES);
	cr_assert_leq(len, room);
	memcpy(memory, text, len);
	lines_added(&t.lines, len, on_line, &t);
}

static void feed_text(const char *text)
{
	feed(text, strlen(text));
}

Test(lines, whole_ones_and_what_waits_for_its_rest)
{
	feed_text("a\nb");
	cr_expect_str_eq(t.got, "a\n");
	feed_text("");
	feed_text("c\n\nd\n");
	cr_expect_str_eq(t.got, "a\nbc\n\nd\n");
	feed("x\0y\n", 4);
	cr_expect_eq(t.len, 12, "a NUL is a byte like any other");
}

Test(lines, the_tail_of_a_line_is_none)
{
	lines_restart(&t.lines, true);
	feed_text("tail of it");
	feed_text(", and more\na\nwaits");
	lines_restart(&t.lines, false);
	feed_text("b\n");
	cr_expect_str_eq(t.got, "a\nb\n");
	cr_expect_eq(t.lines.overlong, 0);
}

Test(lines, too_long_ones_are_left_out)
{
	static char line[3 * LINES_MAX_BYTES + 1];

	memset(line, 'x', sizeof(line));
	feed(line, LINES_MAX_BYTES);
	feed_text("\n");
	cr_expect_eq(t.count, 1, "as long as may be");
	feed(line, LINES_MAX_BYTES + 1);
	feed_text("\na\n");
	cr_expect_eq(t.count, 2);
	cr_expect_eq(t.lines.overlong, 1);
	line[2 * LINES_MAX_BYTES] = '\n';
	feed(line, sizeof(line));
	feed_text("\n");
	cr_expect_eq(t.lines.overlong, 2, "in one piece");
	cr_expect_eq(t.count, 3, "%zu", t.count);
	for (unsigned i = 0; i < 100; i++)
		feed(line, LINES_MAX_BYTES);
	feed_text("\nb\n");
	cr_expect_eq(t.lines.overlong, 3, "one line, however long");
	cr_expect_eq(t.count, 4);
	cr_expect_str_eq(t.got + t.len - 2, "b\n");
}

/* However the bytes are cut into pieces, the lines are the same. */
Test(lines, pieces_of_any_size)
{
	static char text[100000];
	size_t at = 0;

	srand(7);
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = rand() % 40 ? (char)('a' + rand() % 26) : '\n';
	text[sizeof(text) - 1] = '\n';
	while (at < sizeof(text)) {
		size_t len = (size_t)rand() % 5000;

		len = len < sizeof(text) - at ? len : sizeof(text) - at;
		feed(text + at, len);
		at += len;
	}
	cr_expect_eq(t.len, sizeof(text));
	cr_expect_eq(memcmp(t.got, text, sizeof(text)), 0);
}
