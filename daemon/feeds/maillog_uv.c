/* SPDX-License-Identifier: ISC */
/*
 * A file is polled, in place of inotify: it costs two system calls ten times a second, works on every file
 * system, and sees a rename, a truncation and a file that comes late by the same look.
 */
#include "daemon/feeds/maillog_uv.h"

#include <errno.h>
#include <stdio.h>
#include <uv.h>

#include "common/alloc.h"
#include "daemon/feeds/follow.h"
#include "daemon/feeds/journal_uv.h"

struct maillog {
	struct loop *loop;
	struct log_sink *log;
	struct witness *witness;
	struct follow *follow; /* NULL: no file */
	struct journal *journal;
	char *source;         /* as configured; NULL: not yet */
	struct clock_now now; /* of this look */
	uv_timer_t timer;
	bool told_open;
	int told_error; /* errno of the last maillog_missing */
	uint64_t told_rotations, told_truncations;
	char told_why[96]; /* of the last maillog_missing for the journal; empty: it works */
};

static void on_line(void *arg, struct slice line)
{
	struct maillog *maillog = arg;

	witness_line(maillog->witness, line, maillog->now);
}

static void tell_said(struct maillog *maillog, enum log_level level, const char *event,
	const char *why, struct slice said)
{
	char memory[2048];
	struct buf line;

	buf_init_fixed(&line, memory, sizeof(memory));
	logline_text(&line, "event", event);
	logline_text(&line, "source", maillog->source);
	if (why)
		logline_text(&line, "why", why);
	if (said.len)
		logline_slice(&line, "said", said);
	if (log_wants(maillog->log, level))
		maillog->log->write(maillog->log, level, buf_slice(&line));
}

static void tell(struct maillog *maillog, enum log_level level, const char *event, const char *why)
{
	tell_said(maillog, level, event, why, SLICE_EMPTY);
}

static const char *why_of(int error)
{
	if (error == EACCES)
		return "the daemon's user may not read it (on Debian group adm may)";
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

/* ---- the journal */

static void on_journal_line(void *arg, struct slice line)
{
	struct maillog *maillog = arg;

	witness_line(maillog->witness, line, loop_now(maillog->loop));
}

static void on_settled(void *arg)
{
	struct maillog *maillog = arg;

	if (maillog->told_open && !*maillog->told_why)
		return;
	maillog->told_open = true;
	maillog->told_why[0] = '\0';
	tell(maillog, LOG_LEVEL_NOTICE, "maillog_followed", NULL);
}

/* It is tried again and again; the same reason is told once. */
static void on_ended(void *arg, const char *why, struct slice said)
{
	struct maillog *maillog = arg;

	if (strcmp(maillog->told_why, why) == 0)
		return;
	snprintf(maillog->told_why, sizeof(maillog->told_why), "%s", why);
	tell_said(maillog, LOG_LEVEL_WARNING, "maillog_missing", why, said);
}

static const struct journal_events journal_events = {
	.line = on_journal_line,
	.settled = on_settled,
	.ended = on_ended,
};

/* ---- from outside */

struct maillog *maillog_new(struct loop *loop, struct witness_sink *sink, struct log_sink *log)
{
	struct maillog *maillog = mem_zalloc(sizeof(*maillog));

	maillog->loop = loop;
	maillog->log = log;
	maillog->witness = witness_new(hash_key_random(), sink);
	maillog->journal = journal_new(loop, &journal_events, maillog);
	uv_timer_init(loop_uv(loop), &maillog->timer);
	maillog->timer.data = maillog;
	return maillog;
}

static void forget_source(struct maillog *maillog)
{
	uv_timer_stop(&maillog->timer);
	follow_free(&maillog->follow);
	journal_stop(maillog->journal);
	free(maillog->source);
	maillog->source = NULL;
	maillog->told_open = false;
	maillog->told_error = 0;
	maillog->told_rotations = maillog->told_truncations = 0;
	maillog->told_why[0] = '\0';
}

static void start_file(struct maillog *maillog, struct slice path)
{
	char *text = mem_dup(path);

	maillog->follow = follow_new(text);
	free(text);
	tell_health(maillog);
	uv_timer_start(&maillog->timer, on_timer, MAILLOG_POLL_MS, 0);
}

void maillog_configure(struct maillog *maillog, struct slice source)
{
	struct slice file = SLICE("file:");

	if (maillog->source && slice_is(source, maillog->source))
		return;
	forget_source(maillog);
	maillog->source = mem_dup(source);
	if (slice_starts_with(source, file))
		start_file(maillog, slice_from(source, file.len));
	else if (slice_is(source, "journal:"))
		journal_start(maillog->journal);
}

void maillog_health(const struct maillog *maillog, struct maillog_health *ret)
{
	struct follow_health file = {.error = 0};

	*ret = (struct maillog_health){.source = maillog->source ? maillog->source : "off",
		.followed = maillog->told_open && !*maillog->told_why,
		.why = maillog->told_why};
	witness_counts(maillog->witness, &ret->counts);
	if (!maillog->follow)
		return;
	follow_health(maillog->follow, &file);
	ret->followed = file.open && !file.error;
	ret->why = file.error ? why_of(file.error) : "";
}

void maillog_close(struct maillog *maillog)
{
	journal_close(maillog->journal);
	uv_close((uv_handle_t *)&maillog->timer, NULL);
}

void maillog_free(struct maillog **maillog)
{
	if (!*maillog)
		return;
	follow_free(&(*maillog)->follow);
	journal_free(&(*maillog)->journal);
	witness_free(&(*maillog)->witness);
	free((*maillog)->source);
	mem_free(maillog);
}
