/* SPDX-License-Identifier: ISC */
/*
 * Lookups through postmap(1), files and folders by stat(2). Rights are worked out for Postfix's user instead of
 * tried, as we are another.
 */
#include "daemon/ctl/postfix/probe_real.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "daemon/ctl/postfix/run.h"

#define MAX_OWN 256
#define MAX_FILE_BYTES ((size_t)4 * 1024 * 1024)

/* false: postmap could not be run, or says that the map is broken. A key that is not there is exit code 1. */
static bool postmap(const struct probe_real *real, struct arena *arena, const char *option,
	const char *key, struct slice map, struct slice input, struct run_output *ret)
{
	const char *argv[8] = {"postmap"};
	size_t count = 1;
	const char *why;

	if (real->config_dir) {
		argv[count++] = "-c";
		argv[count++] = real->config_dir;
	}
	argv[count++] = option;
	if (key)
		argv[count++] = key;
	argv[count++] = text_terminated(arena, map);
	argv[count] = NULL;
	if (!run_program(arena, argv, input, ret, &why))
		return false;
	return ret->status == 0 || (ret->status == 1 && memmem(ret->err.data, ret->err.len, "fatal",
								strlen("fatal")) == NULL);
}

static enum probe_answer look_up(void *context, struct arena *arena, struct slice map,
	struct slice key, struct slice *ret_value)
{
	struct run_output output;
	struct slice value;

	/* `-` would mean standard input. */
	if (key.len == 0 || slice_is(key, "-") ||
		!postmap(context, arena, "-q", text_terminated(arena, key), map, SLICE_EMPTY,
			&output))
		return PROBE_FAILED;
	if (output.status != 0)
		return PROBE_NOT_FOUND;
	value = output.out;
	if (value.len && value.data[value.len - 1] == '\n')
		value.len--;
	*ret_value = value;
	return PROBE_FOUND;
}

/* Lines "key TAB value". */
static void first_words(struct arena *arena, struct slice text, struct text_list *ret)
{
	struct slice line, key, value;

	while (text_line(&text, &line))
		if (slice_split(line, '\t', &key, &value))
			text_add(arena, ret, key);
}

static bool look_up_all(void *context, struct arena *arena, struct slice map,
	const struct text_list *keys, struct text_list *ret_found)
{
	struct slice input = text_join(arena, keys, "\n");
	struct run_output output;

	input = text_format(arena, "%.*s\n", SLICE_ARG(input));
	if (!postmap(context, arena, "-q", "-", map, input, &output))
		return false;
	first_words(arena, output.out, ret_found);
	return true;
}

static bool list_keys(
	void *context, struct arena *arena, struct slice map, struct text_list *ret_keys)
{
	struct run_output output;

	if (!postmap(context, arena, "-s", NULL, map, SLICE_EMPTY, &output))
		return false;
	first_words(arena, output.out, ret_keys);
	return true;
}

static bool read_lines(
	void *context, struct arena *arena, struct slice path, struct text_list *ret_lines)
{
	FILE *file = fopen(text_terminated(arena, path), "re");
	char *memory = NULL;
	size_t room = 0, total = 0;
	ssize_t len;

	(void)context;
	if (!file)
		return false;
	while ((len = getline(&memory, &room, file)) > 0 &&
		(total += (size_t)len) < MAX_FILE_BYTES) {
		struct slice line = slice_make(memory, (size_t)len);

		if (line.data[line.len - 1] == '\n')
			line.len--;
		line = slice_trim(line);
		if (line.len && line.data[0] != '#')
			text_add(arena, ret_lines, arena_dup(arena, line));
	}
	free(memory);
	(void)fclose(file);
	return true;
}

static bool may(const struct stat *info, const struct passwd *user, unsigned right)
{
	unsigned mode = (unsigned)info->st_mode;

	if (user->pw_uid == 0)
		return true;
	if (info->st_uid == user->pw_uid)
		return (mode >> 6 & right) != 0;
	if (info->st_gid == user->pw_gid)
		return (mode >> 3 & right) != 0;
	return (mode & right) != 0;
}

static enum probe_access reach_at(
	struct arena *arena, const char *path, const struct passwd *user, struct slice *ret_where)
{
	struct slice whole = slice_of(path);
	struct stat info;

	for (size_t i = 1; i <= whole.len; i++) {
		const char *part;

		if (i < whole.len && path[i] != '/')
			continue;
		part = text_terminated(arena, slice_first(whole, i));
		*ret_where = slice_of(part);
		if (stat(part, &info) != 0)
			return i < whole.len ? PROBE_NO_FOLDER : PROBE_MISSING;
		if (i < whole.len && !S_ISDIR(info.st_mode))
			return PROBE_NO_FOLDER;
		if (!may(&info, user, i < whole.len ? 1 : 2))
			return PROBE_CLOSED;
	}
	return PROBE_REACHED;
}

static enum probe_access reach(void *context, struct arena *arena, struct slice path,
	struct slice user, struct slice *ret_where)
{
	const struct passwd *entry = getpwnam(text_terminated(arena, user));

	(void)context;
	*ret_where = path;
	if (!entry || path.len == 0 || path.data[0] != '/')
		return PROBE_UNKNOWN;
	return reach_at(arena, text_terminated(arena, path), entry, ret_where);
}

static void add_own(struct probe_real *real, const struct sockaddr *address, size_t *count)
{
	struct ip ip = {{[10] = 0xff, [11] = 0xff}};

	if (address->sa_family == AF_INET)
		memcpy(ip.bytes + 12,
			&((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
	else if (address->sa_family == AF_INET6)
		memcpy(ip.bytes, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr,
			16);
	else
		return;
	if (*count < MAX_OWN)
		real->own[(*count)++] = ip;
}

void probe_real_init(struct probe_real *real, const char *config_dir, struct probe *ret_probe)
{
	struct ifaddrs *all = NULL;
	size_t count = 0;

	real->config_dir = config_dir;
	real->own = mem_zalloc_array(MAX_OWN, sizeof(*real->own));
	if (getifaddrs(&all) == 0) {
		for (const struct ifaddrs *one = all; one; one = one->ifa_next)
			if (one->ifa_addr)
				add_own(real, one->ifa_addr, &count);
		freeifaddrs(all);
	}
	*ret_probe = (struct probe){
		real, look_up, look_up_all, list_keys, read_lines, reach, real->own, count};
}

void probe_real_release(struct probe_real *real)
{
	mem_free(&real->own);
}
