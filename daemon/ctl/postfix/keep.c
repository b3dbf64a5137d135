/* SPDX-License-Identifier: ISC */
/*
 * Copies of files. A folder holds `files` (lines "name path"), and for each name NAME.before and NAME.after.
 */
#include "daemon/ctl/postfix/keep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/units.h"

#define LIST "files"
#define MAX_NUMBER 9999

static bool failed(const char **ret_why)
{
	*ret_why = strerror(errno);
	return false;
}

bool keep_read(struct arena *arena, const char *path, struct slice *ret_bytes, const char **ret_why)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	char memory[16384];
	struct buf buf;
	ssize_t got;

	if (file < 0)
		return failed(ret_why);
	buf_init(&buf, KEEP_MAX_FILE_BYTES);
	while ((got = read(file, memory, sizeof(memory))) > 0)
		buf_add(&buf, slice_make(memory, (size_t)got));
	*ret_why = got < 0 ? strerror(errno) : buf.overflow ? "is too large" : NULL;
	(void)close(file);
	if (!*ret_why)
		*ret_bytes = slice_make(text_terminated(arena, buf_slice(&buf)), buf.len);
	buf_release(&buf);
	return *ret_why == NULL;
}

static bool write_all(int file, struct slice bytes)
{
	while (bytes.len) {
		ssize_t written = write(file, bytes.data, bytes.len);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return false;
		bytes = slice_from(bytes, (size_t)written);
	}
	return fsync(file) == 0;
}

static bool write_file(
	const char *path, struct slice bytes, const struct stat *like, const char **ret_why)
{
	int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool good;

	if (file < 0)
		return failed(ret_why);
	good = write_all(file, bytes);
	if (good && like)
		good = fchown(file, like->st_uid, like->st_gid) == 0 &&
		       fchmod(file, like->st_mode & 07777) == 0;
	if (!good)
		(void)failed(ret_why);
	if (close(file) != 0 && good)
		good = failed(ret_why);
	if (!good)
		(void)unlink(path);
	return good;
}

bool keep_write(struct arena *arena, struct slice path, struct slice bytes, const char **ret_why)
{
	return write_file(text_terminated(arena, path), bytes, NULL, ret_why);
}

bool keep_replace(struct arena *arena, struct slice path, struct slice bytes, const char **ret_why)
{
	char *real = realpath(text_terminated(arena, path), NULL);
	const char *target, *beside;
	struct stat info;
	bool good;

	if (!real)
		return failed(ret_why);
	target = text_terminated(arena, slice_of(real));
	free(real);
	beside = text_terminated(arena, text_format(arena, "%s.reeve-%ld", target, (long)getpid()));
	if (stat(target, &info) != 0)
		return failed(ret_why);
	good = write_file(beside, bytes, &info, ret_why);
	if (good && rename(beside, target) != 0) {
		good = failed(ret_why);
		(void)unlink(beside);
	}
	return good;
}

/* The highest number below `folder`; 0: none. */
static uint64_t last_number(struct arena *arena, struct slice folder)
{
	DIR *dir = opendir(text_terminated(arena, folder));
	uint64_t number, last = 0;
	struct dirent *entry;

	if (!dir)
		return 0;
	while ((entry = readdir(dir)) != NULL)
		if (units_parse_u64(slice_of(entry->d_name), &number) == NULL && number > last &&
			number <= MAX_NUMBER)
			last = number;
	(void)closedir(dir);
	return last;
}

static struct slice kept_path(
	struct arena *arena, struct slice folder, const char *name, const char *when)
{
	return text_format(arena, "%.*s/%s%s", SLICE_ARG(folder), name, when);
}

static bool save_file(struct arena *arena, struct slice folder, const struct keep_file *file,
	const char **ret_why)
{
	return keep_write(arena, kept_path(arena, folder, file->name, ".before"), file->before,
		       ret_why) &&
	       keep_write(
		       arena, kept_path(arena, folder, file->name, ".after"), file->after, ret_why);
}

bool keep_save(struct arena *arena, struct slice beside, const struct keep_file *files,
	size_t count, struct slice *ret_folder, const char **ret_why)
{
	struct slice all = text_format(arena, "%.*s/" KEEP_FOLDER, SLICE_ARG(beside)), folder,
		     list = SLICE_EMPTY;

	if (mkdir(text_terminated(arena, all), 0755) != 0 && errno != EEXIST)
		return failed(ret_why);
	folder = text_format(arena, "%.*s/%04llu", SLICE_ARG(all),
		(unsigned long long)last_number(arena, all) + 1);
	if (mkdir(text_terminated(arena, folder), 0700) != 0)
		return failed(ret_why);
	for (size_t i = 0; i < count; i++) {
		if (!save_file(arena, folder, &files[i], ret_why))
			return false;
		list = text_format(arena, "%.*s%s %.*s\n", SLICE_ARG(list), files[i].name,
			SLICE_ARG(files[i].path));
	}
	/* Written last: a folder without it is half made, and no change followed it. */
	if (!keep_write(arena, kept_path(arena, folder, LIST, ""), list, ret_why))
		return false;
	*ret_folder = folder;
	return true;
}

static void forget(struct arena *arena, struct slice folder)
{
	const char *path = text_terminated(arena, folder);
	DIR *dir = opendir(path);
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
	(void)closedir(dir);
	(void)rmdir(path);
}

struct kept {
	struct arena *arena;
	struct slice folder;
	struct text_list names, paths;
};

static bool read_list(struct kept *kept, const char **ret_why)
{
	struct slice text, line, name, path;

	if (!keep_read(kept->arena,
		    text_terminated(kept->arena, kept_path(kept->arena, kept->folder, LIST, "")),
		    &text, ret_why))
		return false;
	while (text_line(&text, &line)) {
		if (!slice_split(line, ' ', &name, &path))
			continue;
		text_add(kept->arena, &kept->names, slice_of(text_terminated(kept->arena, name)));
		text_add(kept->arena, &kept->paths, path);
	}
	return true;
}

static bool read_kept(const struct kept *kept, size_t index, const char *when, struct slice *ret,
	const char **ret_why)
{
	struct slice path =
		kept_path(kept->arena, kept->folder, kept->names.items[index].data, when);

	return keep_read(kept->arena, text_terminated(kept->arena, path), ret, ret_why);
}

/* A change that was cut short has put only some files in place: both states are ours. */
static enum keep_result is_ours(const struct kept *kept, size_t index, const char **ret_why)
{
	struct slice now, before, after;

	if (!keep_read(kept->arena, text_terminated(kept->arena, kept->paths.items[index]), &now,
		    ret_why) ||
		!read_kept(kept, index, ".before", &before, ret_why) ||
		!read_kept(kept, index, ".after", &after, ret_why))
		return KEEP_FAILED;
	return slice_equal(now, before) || slice_equal(now, after) ? KEEP_DONE : KEEP_CHANGED;
}

/* Half-made folders, which no change followed, are forgotten on the way. */
static bool find_last(struct kept *kept, struct slice all)
{
	uint64_t number;

	while ((number = last_number(kept->arena, all)) != 0) {
		kept->folder = text_format(
			kept->arena, "%.*s/%04llu", SLICE_ARG(all), (unsigned long long)number);
		if (access(text_terminated(
				   kept->arena, kept_path(kept->arena, kept->folder, LIST, "")),
			    F_OK) == 0)
			return true;
		forget(kept->arena, kept->folder);
		if (last_number(kept->arena, all) == number)
			return false;
	}
	return false;
}

enum keep_result keep_undo(struct arena *arena, struct slice beside, bool force,
	struct text_list *ret_restored, struct slice *ret_path, const char **ret_why)
{
	struct slice all = text_format(arena, "%.*s/" KEEP_FOLDER, SLICE_ARG(beside)), before;
	struct kept kept = {.arena = arena};

	if (!find_last(&kept, all))
		return KEEP_NOTHING;
	*ret_path = kept.folder;
	if (!read_list(&kept, ret_why))
		return KEEP_FAILED;
	for (size_t i = 0; i < kept.names.count; i++) {
		enum keep_result one = is_ours(&kept, i, ret_why);

		*ret_path = kept.paths.items[i];
		if (one == KEEP_FAILED || (one == KEEP_CHANGED && !force))
			return one;
	}
	for (size_t i = 0; i < kept.names.count; i++) {
		*ret_path = kept.paths.items[i];
		if (!read_kept(&kept, i, ".before", &before, ret_why) ||
			!keep_replace(arena, kept.paths.items[i], before, ret_why))
			return KEEP_FAILED;
		text_add(arena, ret_restored, kept.paths.items[i]);
	}
	forget(arena, kept.folder);
	(void)rmdir(text_terminated(arena, all)); /* if that was the last one */
	return KEEP_DONE;
}
