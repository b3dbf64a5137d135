/* SPDX-License-Identifier: ISC */
/*
 * Non-blocking without touching a descriptor that others share: O_NONBLOCK belongs to the
 * open file, and standard error is often the terminal's or the supervisor's
 * own. So a pipe, file or terminal is opened once more through /proc, and a socket (journald)
 * is sent to with MSG_DONTWAIT.
 */
#include "daemon/operate/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/buf.h"

#define BUFFER_BYTES (1U << 20)
#define SYSLOG_LINE_BYTES 2048
#define TIME_BYTES 64
#define HEAD_BYTES (TIME_BYTES + 16) /* the name of the level, blanks and the end of the line */

struct log {
	struct log_sink sink;
	enum log_target target;
	int fd;                  /* own descriptor; STDERR_FILENO if it could not be opened again */
	bool is_socket, is_file;
	bool is_journal;
	int syslog_fd;           /* -1: not connected */
	struct buf buffer;
	struct clock_now now;
	uint64_t time_wall_s;    /* second that time_text shows */
	char time_text[TIME_BYTES]; /* "time=2026-01-31T23:59:59.999Z level=" */
	size_t time_len;
	uint64_t dropped, dropped_told;
};

static int priority_of(enum log_level level)
{
	static const int priorities[] = {
		[LOG_LEVEL_ERROR] = LOG_ERR,   [LOG_LEVEL_WARNING] = LOG_WARNING,
		[LOG_LEVEL_NOTICE] = LOG_NOTICE, [LOG_LEVEL_INFO] = LOG_INFO,
		[LOG_LEVEL_DEBUG] = LOG_DEBUG,
	};

	return priorities[level];
}

/* $JOURNAL_STREAM says which descriptor the journal reads, since it is inherited by what has its standard error
 * elsewhere (systemd.exec(5)). */
static bool is_journals(const struct stat *status)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char own[48];

	snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)status->st_dev, (uintmax_t)status->st_ino);
	return stream && strcmp(stream, own) == 0;
}

static void open_stderr(struct log *log)
{
	struct stat status;
	bool known = fstat(STDERR_FILENO, &status) == 0;

	log->fd = STDERR_FILENO;
	if (known && S_ISSOCK(status.st_mode)) {
		log->is_socket = true;
	} else if (known && S_ISREG(status.st_mode)) {
		/* Never blocks for a reader, and its offset is shared with whoever else writes there. */
		log->is_file = true;
	} else {
		int fd = open("/proc/self/fd/2", O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

		if (fd >= 0)
			log->fd = fd;
	}
	log->is_journal = known && is_journals(&status);
}

static void open_syslog(struct log *log)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/dev/log" };

	log->syslog_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (log->syslog_fd >= 0 &&
	    connect(log->syslog_fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		close(log->syslog_fd);
		log->syslog_fd = -1;
	}
}

/* One datagram a line, as syslogd takes it: "<22>reeved[123]: line". False: it did not go out. */
static bool write_syslog(struct log *log, enum log_level level, struct slice line)
{
	char memory[SYSLOG_LINE_BYTES];
	struct buf text;

	if (log->syslog_fd < 0)
		open_syslog(log);
	if (log->syslog_fd < 0)
		return false;
	buf_init_fixed(&text, memory, sizeof(memory));
	buf_add_format(&text, "<%d>reeved[%ld]: ", LOG_MAIL | priority_of(level), (long)getpid());
	buf_add(&text, slice_first(line, sizeof(memory) - text.len));
	if (send(log->syslog_fd, text.data, text.len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return true;
	if (errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS) {
		close(log->syslog_fd); /* syslogd was restarted: connect again at the next line */
		log->syslog_fd = -1;
	}
	return false;
}

/* The head of a line is the same for all of a millisecond: it is made once. */
static void set_time_text(struct log *log)
{
	uint64_t second = log->now.wall_ms / 1000;
	unsigned ms = (unsigned)(log->now.wall_ms % 1000);
	char *digits;

	if (second != log->time_wall_s || log->time_len == 0) {
		time_t seconds = (time_t)second;
		struct tm parts;

		gmtime_r(&seconds, &parts);
		log->time_len = strftime(log->time_text, sizeof(log->time_text),
					 "time=%Y-%m-%dT%H:%M:%S.000Z level=", &parts);
		log->time_wall_s = second;
	}
	digits = log->time_text + log->time_len - sizeof("000Z level=") + 1;
	digits[0] = (char)('0' + ms / 100);
	digits[1] = (char)('0' + ms / 10 % 10);
	digits[2] = (char)('0' + ms % 10);
}

static char *put(char *at, const char *bytes, size_t len)
{
	memcpy(at, bytes, len);
	return at + len;
}

static void write_stderr(struct log *log, enum log_level level, struct slice line)
{
	char *at;

	if (!buf_reserve(&log->buffer, line.len + HEAD_BYTES)) {
		log->dropped++;
		return;
	}
	at = log->buffer.data + log->buffer.len;
	if (log->is_journal) {
		*at++ = '<';
		*at++ = (char)('0' + priority_of(level));
		*at++ = '>';
	} else {
		at = put(at, log->time_text, log->time_len);
		at = put(at, log_level_name(level), strlen(log_level_name(level)));
		*at++ = ' ';
	}
	at = put(at, line.data, line.len);
	*at++ = '\n';
	log->buffer.len = (size_t)(at - log->buffer.data);
}

static void sink_write(struct log_sink *sink, enum log_level level, struct slice line)
{
	struct log *log = (struct log *)sink; /* its first member */

	if (level > sink->level)
		return;
	if (log->target == LOG_TO_SYSLOG && write_syslog(log, level, line))
		return;
	if (log->target == LOG_TO_SYSLOG) {
		log->dropped++;
		return;
	}
	write_stderr(log, level, line);
}

struct log *log_new(enum log_target target, enum log_level level)
{
	struct log *log = mem_zalloc(sizeof(*log));

	log->sink.write = sink_write;
	log->syslog_fd = -1;
	open_stderr(log);
	buf_init(&log->buffer, BUFFER_BYTES);
	set_time_text(log);
	log_configure(log, target, level);
	return log;
}

void log_configure(struct log *log, enum log_target target, enum log_level level)
{
	log->target = target;
	log->sink.level = level;
}

struct log_sink *log_sink(struct log *log)
{
	return &log->sink;
}

void log_set_now(struct log *log, struct clock_now now)
{
	log->now = now;
	set_time_text(log);
}

uint64_t log_dropped(const struct log *log)
{
	return log->dropped;
}

static ssize_t write_some(const struct log *log)
{
	struct pollfd ready = { .fd = log->fd, .events = POLLOUT };

	if (log->is_socket)
		return send(log->fd, log->buffer.data, log->buffer.len,
			    MSG_DONTWAIT | MSG_NOSIGNAL);
	/* The shared descriptor may block: ask first, and write no more than a pipe surely takes. */
	if (log->fd == STDERR_FILENO && !log->is_file) {
		if (poll(&ready, 1, 0) != 1) {
			errno = EAGAIN;
			return -1;
		}
		return write(log->fd, log->buffer.data,
			     log->buffer.len < 4096 ? log->buffer.len : 4096);
	}
	return write(log->fd, log->buffer.data, log->buffer.len);
}

/* Nobody will ever read it (EPIPE, ENOSPC). */
static void drop_buffer(struct log *log)
{
	for (size_t i = 0; i < log->buffer.len; i++)
		log->dropped += log->buffer.data[i] == '\n';
	buf_reset(&log->buffer);
}

/* Says once there is room again how many lines found none; where that finds no room either it is said later. */
static void tell_dropped(struct log *log)
{
	struct buf line;
	char memory[64];

	if (log->dropped == log->dropped_told || log->buffer.len >= BUFFER_BYTES / 2)
		return;
	buf_init_fixed(&line, memory, sizeof(memory));
	logline_text(&line, "event", "log_lines_dropped");
	logline_u64(&line, "count", log->dropped - log->dropped_told);
	if (log->target == LOG_TO_STDERR)
		write_stderr(log, LOG_LEVEL_WARNING, buf_slice(&line));
	else if (!write_syslog(log, LOG_LEVEL_WARNING, buf_slice(&line)))
		return;
	log->dropped_told = log->dropped;
}

void log_flush(struct log *log)
{
	ssize_t written;

	tell_dropped(log);
	if (log->buffer.len == 0)
		return;
	written = write_some(log);
	if (written > 0)
		buf_consume(&log->buffer, (size_t)written);
	else if (written < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
		drop_buffer(log);
}

void log_free(struct log **log)
{
	struct log *old = *log;

	if (!old)
		return;
	log_flush(old);
	log_flush(old);
	if (old->fd != STDERR_FILENO)
		close(old->fd);
	if (old->syslog_fd >= 0)
		close(old->syslog_fd);
	buf_release(&old->buffer);
	mem_free(log);
}
