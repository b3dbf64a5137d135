/* SPDX-License-Identifier: ISC */
/*
 * The file is read with pread() at an offset of our own; lines.c makes lines of it.
 */
#include "daemon/feeds/follow.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"

#define HEAD_BYTES 64

struct follow {
	char *path;
	int fd; /* -1: not open */
	dev_t device;
	ino_t inode;
	uint64_t offset;
	char head[HEAD_BYTES]; /* how the file begins */
	size_t head_len;
	bool from_end; /* what is there when it is opened is of before */
	bool drained;  /* a new file was seen, and the old one read once more */
	struct lines lines;
	struct follow_health health;
};

/* Does it begin as it did? Learns more of its beginning by the way. */
static bool is_same_head(struct follow *follow, uint64_t known_bytes)
{
	char head[HEAD_BYTES];
	size_t want = known_bytes < HEAD_BYTES ? (size_t)known_bytes : HEAD_BYTES;
	ssize_t got = want ? pread(follow->fd, head, want, 0) : 0;

	if (got < (ssize_t)follow->head_len ||
		(follow->head_len && memcmp(head, follow->head, follow->head_len) != 0))
		return false;
	memcpy(follow->head, head, (size_t)got);
	follow->head_len = (size_t)got;
	return true;
}

static void start_line(struct follow *follow, uint64_t offset)
{
	char before = '\n';

	follow->offset = offset;
	follow->head_len = 0;
	lines_restart(&follow->lines,
		offset > 0 &&
			(pread(follow->fd, &before, 1, (off_t)offset - 1) != 1 || before != '\n'));
}

static bool open_file(struct follow *follow)
{
	int fd = open(follow->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int error = 0;

	if (fd < 0 || fstat(fd, &st) != 0)
		error = errno;
	else if (!S_ISREG(st.st_mode))
		error = ENOTSUP;
	follow->health.error = error;
	if (error) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	if (follow->fd >= 0)
		close(follow->fd);
	follow->fd = fd;
	follow->device = st.st_dev;
	follow->inode = st.st_ino;
	follow->drained = false;
	start_line(follow, follow->from_end ? (uint64_t)st.st_size : 0);
	follow->from_end = false;
	return true;
}

struct follow *follow_new(const char *path)
{
	struct follow *follow = mem_zalloc(sizeof(*follow));

	follow->path = mem_dup(slice_of(path));
	follow->fd = -1;
	lines_init(&follow->lines);
	follow->from_end = true;
	/* A file that comes later holds nothing of before. */
	if (!open_file(follow) && follow->health.error == ENOENT)
		follow->from_end = false;
	return follow;
}

void follow_free(struct follow **follow)
{
	if (!*follow)
		return;
	if ((*follow)->fd >= 0)
		close((*follow)->fd);
	free((*follow)->path);
	lines_release(&(*follow)->lines);
	mem_free(follow);
}

/* ---- the file */

static void restart(struct follow *follow)
{
	follow->health.truncations++;
	start_line(follow, 0);
}

static void follow_truncation(struct follow *follow)
{
	struct stat st;

	if (fstat(follow->fd, &st) == 0 &&
		((uint64_t)st.st_size < follow->offset || !is_same_head(follow, follow->offset)))
		restart(follow);
}

/* Bytes read; 0: the end, or it cannot be read. The beginning is looked at after the read, so that what is read
 * is known to belong to it. */
static size_t read_some(struct follow *follow)
{
	size_t room;
	char *memory = lines_room(&follow->lines, &room);
	ssize_t got = pread(follow->fd, memory, room, (off_t)follow->offset);

	follow->health.error = got < 0 ? errno : 0;
	if (got <= 0)
		return 0;
	if (!is_same_head(follow, follow->offset + (uint64_t)got)) {
		restart(follow);
		return read_some(follow);
	}
	follow->offset += (uint64_t)got;
	follow->health.bytes += (uint64_t)got;
	return (size_t)got;
}

/* At the end of the file: is another one in its place? true: read on. */
static bool follow_rotation(struct follow *follow)
{
	struct stat st;

	if (stat(follow->path, &st) != 0 ||
		(st.st_dev == follow->device && st.st_ino == follow->inode) || st.st_size == 0)
		return false;
	/* The writer has changed over; what it wrote to the old file before that is there now. */
	if (!follow->drained) {
		follow->drained = true;
		return true;
	}
	if (!open_file(follow))
		return false;
	follow->health.rotations++;
	return true;
}

bool follow_read(struct follow *follow, size_t max_bytes, lines_fn line, void *arg)
{
	size_t sum = 0;

	if (follow->fd < 0 && !open_file(follow))
		return false;
	follow_truncation(follow);
	do {
		size_t got = read_some(follow);

		if (got)
			lines_added(&follow->lines, got, line, arg);
		else if (follow->health.error || !follow_rotation(follow))
			return false;
		sum += got;
	} while (sum < max_bytes);
	return true;
}

void follow_health(const struct follow *follow, struct follow_health *ret)
{
	*ret = follow->health;
	ret->open = follow->fd >= 0;
	ret->overlong = follow->lines.overlong;
}
