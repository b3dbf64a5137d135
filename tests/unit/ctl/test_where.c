/* SPDX-License-Identifier: ISC */
#include "daemon/ctl/where.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>

static const char *in_text(const char *text)
{
	static char memory[200];
	struct slice path;

	if (!where_in_text(slice_of(text), &path))
		return "-";
	snprintf(memory, sizeof(memory), "%.*s", SLICE_ARG(path));
	return memory;
}

Test(where, a_line_of_its_own)
{
	cr_expect_str_eq(in_text("control: unix:/a/b.sock"), "/a/b.sock");
	cr_expect_str_eq(in_text("a: [\ncontrol:   unix:/a/b.sock  # here\r\nc: d\n"), "/a/b.sock");
	cr_expect_str_eq(in_text("control: \"unix:/a #b\" # x\n"), "/a #b");
	cr_expect_str_eq(in_text("control: 'unix:/a'\n"), "/a");
	cr_expect_str_eq(in_text("control: unix:/a#b\n"), "/a#b");
}

Test(where, what_is_none)
{
	static const char *const none[] = {"", "# control: unix:/a\n", " control: unix:/a\n",
		"controls: unix:/a\n", "control: inet:127.0.0.1:1\n", "control:", "control: unix:a",
		"control: \"unix:/a\n", "control: \"", "control: #unix:/a"};

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		cr_expect_str_eq(in_text(none[i]), "-", "%s", none[i]);
	cr_expect_not(where_in_text(SLICE("control: unix:/a\0b\n"), &(struct slice){NULL, 0}));
}

static char file[] = "/tmp/reeve-where-XXXXXX";

static void expect(const char *text, const char *path, bool guessed, size_t errors)
{
	struct ctl ctl = {.file = file, .file_given = true};
	struct where where;
	int fd = mkstemp(file);

	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	arena_init(&ctl.arena, 1024);
	where_find(&ctl, &where);
	cr_expect_str_eq(where.path, path, "%s", text);
	cr_expect_eq(where.guessed, guessed, "%s", text);
	cr_expect_eq(where.errors ? config_errors_count(where.errors) : 0, errors, "%s", text);
	where_release(&where);
	cr_expect_null(where.errors);
	arena_release(&ctl.arena);
	unlink(file);
	close(fd);
	memcpy(file + sizeof(file) - 7, "XXXXXX", 6);
}

Test(where, files_good_and_broken)
{
	expect("control: unix:/x/y.sock\n", "/x/y.sock", false, 0);
	expect("mode: enforce\n", CTL_DEFAULT_SOCKET, false, 0);
	expect("control: unix:/x/y.sock\nmoode: enforce\n", "/x/y.sock", false, 1);
	expect("control: unix:/x/y.sock\nrules: [}\n", "/x/y.sock", false, 1);
	expect("mode: enforce\nrules: [}\n", CTL_DEFAULT_SOCKET, true, 1);
}

Test(where, said_by_hand_and_nothing_at_all)
{
	struct ctl ctl = {.file = "/nonexistent/reeve.yaml", .file_given = true, .socket = "/s"};
	struct where where;

	arena_init(&ctl.arena, 1024);
	where_find(&ctl, &where);
	cr_expect_str_eq(where.path, "/s");
	cr_expect(!where.guessed && !where.errors);
	ctl.socket = NULL;
	where_find(&ctl, &where);
	cr_expect_str_eq(where.path, CTL_DEFAULT_SOCKET);
	cr_expect(where.guessed && where.errors);
	where_release(&where);
	ctl.file_given = false;
	where_find(&ctl, &where);
	cr_expect(!where.guessed && !where.errors);
	arena_release(&ctl.arena);
}
