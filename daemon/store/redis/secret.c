/* SPDX-License-Identifier: ISC */
/*
 * A short file, read in one go. A path that is a fifo or a device is refused rather than waited
 * for.
 */
#include "daemon/store/redis/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static bool complain(char why[static SECRET_WHY_BYTES], const char *what)
{
	snprintf(why, SECRET_WHY_BYTES, "%s", what);
	return false;
}

static ssize_t read_file(int fd, char *memory, size_t bytes)
{
	struct stat status;

	if (fstat(fd, &status) != 0)
		return -1;
	if (!S_ISREG(status.st_mode)) {
		errno = EINVAL;
		return -1;
	}
	return read(fd, memory, bytes);
}

static ssize_t read_path(struct slice file, char *memory, size_t bytes)
{
	char path[4096];
	ssize_t got;
	int fd, error;

	snprintf(path, sizeof(path), "%.*s", SLICE_ARG(file));
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -1;
	got = read_file(fd, memory, bytes);
	error = errno;
	close(fd);
	errno = error;
	return got;
}

bool secret_read(struct slice file, char ret_secret[static SECRET_BYTES], size_t *ret_len,
	char ret_why[static SECRET_WHY_BYTES])
{
	char memory[SECRET_BYTES + 2];
	ssize_t got = read_path(file, memory, sizeof(memory));
	struct slice line, rest;
	bool good = false;

	if (got < 0)
		return complain(ret_why, errno == EINVAL ? "is no plain file" : strerror(errno));
	line = slice_make(memory, (size_t)got);
	slice_split(line, '\n', &line, &rest);
	if (line.len && line.data[line.len - 1] == '\r')
		line.len--;
	if (line.len == 0)
		complain(ret_why, "its first line is empty");
	else if (line.len >= SECRET_BYTES)
		complain(ret_why, "its first line is too long for a password");
	else
		good = true;
	if (good) {
		memcpy(ret_secret, line.data, line.len);
		ret_secret[line.len] = '\0';
		*ret_len = line.len;
	}
	explicit_bzero(memory, sizeof(memory));
	return good;
}

void secret_wipe(char secret[static SECRET_BYTES])
{
	explicit_bzero(secret, SECRET_BYTES);
}
