/* SPDX-License-Identifier: ISC */
#include "daemon/ctl/postfix/keep.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct arena arena;
static char folder[] = "/tmp/reeve-keep-XXXXXX";

static void open_folder(void)
{
	arena_init(&arena, 1024);
	cr_assert_not_null(mkdtemp(folder));
}

static void close_folder(void)
{
	const char *command[] = {"a", "b", "link", NULL};

	for (size_t i = 0; command[i]; i++)
		(void)unlink(text_format(&arena, "%s/%s", folder, command[i]).data);
	cr_assert_eq(rmdir(folder), 0, "nothing else is left in %s", folder);
	arena_release(&arena);
}

TestSuite(keep, .init = open_folder, .fini = close_folder);

static struct slice path_of(const char *name)
{
	return text_format(&arena, "%s/%s", folder, name);
}

static void put(const char *name, const char *text)
{
	const char *why;

	(void)unlink(path_of(name).data);
	cr_assert(keep_write(&arena, path_of(name), slice_of(text), &why), "%s", why);
}

static void holds(const char *name, const char *text)
{
	struct slice bytes;
	const char *why;

	cr_assert(keep_read(&arena, path_of(name).data, &bytes, &why), "%s", why);
	cr_assert(slice_is(bytes, text), "%s: '%.*s', not '%s'", name, SLICE_ARG(bytes), text);
}

/* One change of both files, as apply does it. */
static void change(const char *a, const char *new_a, const char *b, const char *new_b)
{
	struct keep_file files[] = {{"a", path_of("a"), slice_of(a), slice_of(new_a)},
		{"b", path_of("b"), slice_of(b), slice_of(new_b)}};
	struct slice where;
	const char *why;

	cr_assert(keep_save(&arena, slice_of(folder), files, 2, &where, &why), "%s", why);
	for (size_t i = 0; i < 2; i++)
		cr_assert(keep_replace(&arena, files[i].path, files[i].after, &why), "%s", why);
}

static enum keep_result undo(bool force)
{
	struct text_list restored = {0};
	struct slice path;
	const char *why;

	return keep_undo(&arena, slice_of(folder), force, &restored, &path, &why);
}

Test(keep, changes_are_taken_back_in_turn)
{
	put("a", "1");
	put("b", "x");
	change("1", "2", "x", "y");
	change("2", "3", "y", "y");
	holds("a", "3");
	cr_assert_eq(undo(false), KEEP_DONE);
	holds("a", "2");
	holds("b", "y");
	cr_assert_eq(undo(false), KEEP_DONE);
	holds("a", "1");
	holds("b", "x");
	cr_assert_eq(undo(false), KEEP_NOTHING);
}

Test(keep, later_changes_are_safe)
{
	put("a", "1");
	put("b", "x");
	change("1", "2", "x", "y");
	put("b", "mine");
	cr_assert_eq(undo(false), KEEP_CHANGED);
	holds("a", "2");
	holds("b", "mine");
	cr_assert_eq(undo(true), KEEP_DONE);
	holds("b", "x");
}

/* Cut short between two files: both states are ours. */
Test(keep, half_a_change)
{
	put("a", "1");
	put("b", "x");
	change("1", "2", "x", "y");
	put("b", "x");
	cr_assert_eq(undo(false), KEEP_DONE);
	holds("a", "1");
	holds("b", "x");
}

Test(keep, a_folder_without_its_list_is_forgotten)
{
	put("a", "1");
	put("b", "x");
	change("1", "2", "x", "y");
	cr_assert_eq(mkdir(text_format(&arena, "%s/" KEEP_FOLDER "/0002", folder).data, 0700), 0);
	cr_assert_eq(undo(false), KEEP_DONE);
	holds("a", "1");
	cr_assert_eq(undo(false), KEEP_NOTHING);
}

Test(keep, mode_and_link_stay)
{
	struct stat info;
	const char *why;

	put("a", "1");
	cr_assert_eq(chmod(path_of("a").data, 0640), 0);
	cr_assert_eq(symlink("a", path_of("link").data), 0);
	cr_assert(keep_replace(&arena, path_of("link"), SLICE("2"), &why), "%s", why);
	holds("a", "2");
	cr_assert_eq(lstat(path_of("link").data, &info), 0);
	cr_assert(S_ISLNK(info.st_mode));
	cr_assert_eq(stat(path_of("a").data, &info), 0);
	cr_assert_eq(info.st_mode & 07777, 0640);
	cr_assert_not(keep_replace(&arena, path_of("missing"), SLICE("x"), &why));
}
