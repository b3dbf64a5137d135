/* SPDX-License-Identifier: ISC */
/*
 * Whether a socket is alive is found out by connecting to it.
 */
#include "daemon/server/unix_path.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/alloc.h"

#define WHY_BYTES 512

/* Refused: nobody listens, it is left over from a crash. Anything else (EAGAIN, EACCES, another kind of socket) is
 * somebody's. */
static bool socket_is_alive(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool alive;

	if (fd < 0)
		return true;
	alive = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
		(errno != ECONNREFUSED && errno != ENOENT);
	close(fd);
	return alive;
}

/* Leaves errno alone. */
static bool folder_exists(const char *path)
{
	char *folder = mem_dup(slice_of(path));
	int error = errno;
	struct stat status;
	bool exists;

	*(strrchr(folder, '/') + 1) = '\0';
	exists = stat(folder, &status) == 0;
	free(folder);
	errno = error;
	return exists;
}

static bool clear_path(const char *path, char ret_why[static WHY_BYTES])
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat status;

	if (strlen(path) >= sizeof(address.sun_path)) {
		snprintf(ret_why, WHY_BYTES, "unix:%s: longer than %zu bytes", path,
			sizeof(address.sun_path) - 1);
		return false;
	}
	if (lstat(path, &status) != 0) {
		/* libuv calls a folder that is missing a permission denied. */
		if (errno == ENOENT && folder_exists(path))
			return true;
		snprintf(ret_why, WHY_BYTES, "unix:%s: %s", path,
			errno == ENOENT
				? "its folder does not exist; make it, for the user that runs reeved"
				: strerror(errno));
		return false;
	}
	if (!S_ISSOCK(status.st_mode)) {
		snprintf(ret_why, WHY_BYTES, "unix:%s: there is something that is no socket", path);
		return false;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (socket_is_alive(&address)) {
		snprintf(ret_why, WHY_BYTES,
			"unix:%s: in use by another process; `ss -lxp` says by which", path);
		return false;
	}
	unlink(path);
	return true;
}

bool unix_path_bind(uv_pipe_t *pipe, const char *path, char ret_why[static 512])
{
	mode_t old_mask;
	int status;

	if (!clear_path(path, ret_why))
		return false;
	old_mask = umask(0177);
	status = uv_pipe_bind(pipe, path);
	umask(old_mask);
	if (status == UV_EACCES)
		snprintf(ret_why, WHY_BYTES, "unix:%s: uid %u may not write to its folder", path,
			(unsigned)geteuid());
	else if (status != 0)
		snprintf(ret_why, WHY_BYTES, "unix:%s: %s", path, uv_strerror(status));
	return status == 0;
}
