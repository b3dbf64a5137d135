/* SPDX-License-Identifier: ISC */
/*
 * Polling in place of inotify: it costs two system calls ten times a second, works on every file
 * system, and sees a rename, a truncation and a file that comes late by the same look.
 */
#include "daemon/feeds/maillog_uv.h"

#include <errno.h>
#include <uv.h>

#include "common/alloc.h"
#include "daemon/feeds/follow.h"

struct maillog {
	struct loop *loop;
	struct log_sink *log;
	struct witness *witness;
	struct follow *follow; /* NULL: off */
	char *source;          /* as configured; NULL: not yet */
	struct clock_now now;  /* of this look */
	uv_timer_t timer;
	bool told_open;
	int told_error; /* errno of the last maillog_missing */
	uint64_t told_rotations, told_truncations;
};

static void on_line(void *arg, struct slice line)
{
	struct maillog *maillog = arg;

	witness_line(maillog->witness, line, maillog->now);
}

static void tell(struct maillog *maillog, enum log_level level, const char *event, const char *why)
{
	char memory[512];
	struct buf line;

	buf_init_fixed(&line, memory, sizeof(memory));
	logline_text(&line, "event", event);
	logline_text(&line, "source", maillog->source);
	if (why)
		logline_text(&line, "why", why);
	if (log_wants(maillog->log, level))
		maillog->log->write(maillog->log, level, buf_slice(&line));
}

static const char *why_of(int error)
{
	return error == ENOTSUP ? "not a regular file" : strerror(error);
}

static void tell_health(struct maillog *maillog)
{
	struct follow_health health;

	follow_health(maillog->follow, &health);
	if (health.error && health.error != maillog->told_error)
		tell(maillog, LOG_LEVEL_WARNING, "maillog_missing", why_of(health.error));
	else if (!health.error && (!maillog->told_open || maillog->told_error))
		tell(maillog, LOG_LEVEL_NOTICE, "maillog_followed", NULL);
	if (health.rotations != maillog->told_rotations)
		tell(maillog, LOG_LEVEL_INFO, "maillog_rotated", NULL);
	if (health.truncations != maillog->told_truncations)
		tell(maillog, LOG_LEVEL_INFO, "maillog_truncated", NULL);
	maillog->told_open = health.open;
	maillog->told_error = health.error;
	maillog->told_rotations = health.rotations;
	maillog->told_truncations = health.truncations;
}

static void on_timer(uv_timer_t *timer)
{
	struct maillog *maillog = timer->data;
	bool more;

	maillog->now = loop_refresh(maillog->loop);
	more = follow_read(maillog->follow, MAILLOG_TURN_BYTES, on_line, maillog);
	tell_health(maillog);
	uv_timer_start(timer, on_timer, more ? 1 : MAILLOG_POLL_MS, 0);
}

struct maillog *maillog_new(struct loop *loop, struct witness_sink *sink, struct log_sink *log)
{
	struct maillog *maillog = mem_zalloc(sizeof(*maillog));

	maillog->loop = loop;
	maillog->log = log;
	maillog->witness = witness_new(hash_key_random(), sink);
	uv_timer_init(loop_uv(loop), &maillog->timer);
	maillog->timer.data = maillog;
	return maillog;
}

void maillog_configure(struct maillog *maillog, struct slice source)
{
	struct slice scheme = SLICE("file:");
	char *path;

	if (maillog->source && slice_is(source, maillog->source))
		return;
	uv_timer_stop(&maillog->timer);
	follow_free(&maillog->follow);
	free(maillog->source);
	maillog->source = mem_dup(source);
	maillog->told_open = false;
	maillog->told_error = 0;
	maillog->told_rotations = maillog->told_truncations = 0;
	if (!slice_starts_with(source, scheme))
		return;
	path = mem_dup(slice_from(source, scheme.len));
	maillog->follow = follow_new(path);
	free(path);
	tell_health(maillog);
	uv_timer_start(&maillog->timer, on_timer, MAILLOG_POLL_MS, 0);
}

void maillog_close(struct maillog *maillog)
{
	uv_close((uv_handle_t *)&maillog->timer, NULL);
}

void maillog_free(struct maillog **maillog)
{
	if (!*maillog)
		return;
	follow_free(&(*maillog)->follow);
	witness_free(&(*maillog)->witness);
	free((*maillog)->source);
	mem_free(maillog);
}
