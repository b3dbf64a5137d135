/* SPDX-License-Identifier: ISC */
/*
 * A `struct child` goes when libuv has closed its three handles. One that was stopped is an orphan: it was
 * killed, and only waits to be reaped. Measured with systemd 252: `--lines=0` loses what comes first
 * where the journal holds nothing that matches yet, `--since=now` does not; a message of several
 * lines has blanks in front of all but the first, so none of these can pass for a line of its own.
 */
#include "daemon/feeds/journal_uv.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#include "common/alloc.h"
#include "common/list.h"

#define PAUSE_MIN_MS 1000
#define SAID_BYTES 300
#define PATH_BYTES 4096
#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"

enum wait { WAIT_NOTHING, WAIT_START, WAIT_SETTLED, WAIT_READ };

struct child {
	struct list node; /* of journal->children */
	struct journal *journal;
	bool orphan;
	uv_process_t process;
	uv_pipe_t out, err;
	unsigned handles; /* that are not closed yet */
	struct lines lines;
	char said[SAID_BYTES];
	size_t said_len;
};

struct journal {
	struct loop *loop;
	const struct journal_events *events;
	void *arg;
	struct child *child; /* NULL: none runs */
	struct list children;
	bool wanted, settled;
	uv_timer_t timer; /* what the journal waits for, see `wait` */
	enum wait wait;
	uint64_t pause_ms, started_ms; /* uv_now() */
	size_t bytes;                  /* read since the last pause */
};

static void on_timer(uv_timer_t *timer);

static void wait_for(struct journal *journal, enum wait wait, uint64_t ms)
{
	journal->wait = wait;
	uv_timer_start(&journal->timer, on_timer, ms, 0);
}

/* ---- the end of a child */

static void on_closed(uv_handle_t *handle)
{
	struct child *child = handle->data;

	if (--child->handles > 0)
		return;
	list_remove(&child->node);
	lines_release(&child->lines);
	free(child);
}

static void close_once(uv_handle_t *handle)
{
	if (!uv_is_closing(handle))
		uv_close(handle, on_closed);
}

static void close_child(struct child *child)
{
	close_once((uv_handle_t *)&child->out);
	close_once((uv_handle_t *)&child->err);
	close_once((uv_handle_t *)&child->process);
}

/* It holds nothing that a gentler signal would save. */
static void kill_child(struct child *child)
{
	if (uv_is_active((uv_handle_t *)&child->process))
		(void)uv_process_kill(&child->process, SIGKILL);
}

static void start_again(struct journal *journal)
{
	wait_for(journal, WAIT_START, journal->pause_ms);
	journal->pause_ms = journal->pause_ms * 2 < JOURNAL_PAUSE_MAX_MS ? journal->pause_ms * 2
									 : JOURNAL_PAUSE_MAX_MS;
}

static struct slice said_by(const struct child *child)
{
	struct slice said = {child->said, child->said_len};

	while (said.len && said.data[said.len - 1] == '\n')
		said.len--;
	return said;
}

static void tell_end(struct child *child, const char *why)
{
	struct journal *journal = child->journal;

	if (uv_now(loop_uv(journal->loop)) - journal->started_ms >= JOURNAL_PAUSE_MAX_MS)
		journal->pause_ms = PAUSE_MIN_MS;
	journal->child = NULL;
	start_again(journal);
	journal->events->ended(journal->arg, why, said_by(child));
}

/* ---- what it says */

static void settle(struct journal *journal)
{
	if (journal->settled)
		return;
	journal->settled = true;
	journal->events->settled(journal->arg);
}

static void on_line(void *arg, struct slice line)
{
	struct journal *journal = arg;

	settle(journal);
	journal->events->line(journal->arg, line);
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
	struct child *child = handle->data;
	size_t room;
	char *memory = lines_room(&child->lines, &room);

	(void)suggested;
	*ret = uv_buf_init(memory, (unsigned)room);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
	struct child *child = stream->data;
	struct journal *journal = child->journal;

	(void)buf;
	if (got < 0) {
		/* A child that only has closed its output is of no use. */
		uv_read_stop(stream);
		kill_child(child);
		return;
	}
	loop_refresh(journal->loop);
	lines_added(&child->lines, (size_t)got, on_line, journal);
	journal->bytes += (size_t)got;
	if (journal->bytes < JOURNAL_TURN_BYTES)
		return;
	/* libuv would go on for as long as there is more; in this turn others have theirs. */
	journal->bytes = 0;
	uv_read_stop(stream);
	wait_for(journal, WAIT_READ, 1);
}

static void keep_said(struct child *child, const char *data, size_t len)
{
	size_t room = sizeof(child->said) - child->said_len;

	len = len < room ? len : room;
	memcpy(child->said + child->said_len, data, len);
	child->said_len += len;
}

static void on_said_room(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
	static char memory[4096];

	(void)handle;
	(void)suggested;
	*ret = uv_buf_init(memory, sizeof(memory));
}

static void on_said(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
	if (got > 0)
		keep_said(stream->data, buf->base, (size_t)got);
	else if (got < 0)
		uv_read_stop(stream);
}

/* It has ended; what it wrote last may still lie in the pipes, which hold no more than this. */
static void read_rest(struct child *child)
{
	char memory[SAID_BYTES];
	uv_os_fd_t fd;
	ssize_t got;

	if (uv_fileno((uv_handle_t *)&child->out, &fd) == 0)
		for (size_t sum = 0; sum < 1024 * 1024; sum += (size_t)got) {
			size_t room;
			char *at = lines_room(&child->lines, &room);

			got = read(fd, at, room);
			if (got <= 0)
				break;
			lines_added(&child->lines, (size_t)got, on_line, child->journal);
		}
	if (uv_fileno((uv_handle_t *)&child->err, &fd) == 0)
		while (child->said_len < sizeof(child->said) &&
			(got = read(fd, memory, sizeof(memory))) > 0)
			keep_said(child, memory, (size_t)got);
}

static void on_exited(uv_process_t *process, int64_t status, int number)
{
	struct child *child = process->data;
	char why[64];

	loop_refresh(child->journal->loop);
	if (!child->orphan) {
		read_rest(child);
		if (number)
			snprintf(why, sizeof(why), "%s was ended by signal %d", JOURNAL_PROGRAM,
				number);
		else
			snprintf(why, sizeof(why), "%s ended with %lld", JOURNAL_PROGRAM,
				(long long)status);
		tell_end(child, why);
	}
	close_child(child);
}

/* ---- its beginning */

static int spawn(struct child *child)
{
	static char program[] = JOURNAL_PROGRAM, system[] = "--system", follow[] = "--follow",
		    since[] = "--since=now", output[] = "--output=short-iso",
		    no_pager[] = "--no-pager", facility[] = "SYSLOG_FACILITY=2";
	static char lang[] = "LANG=C.UTF-8", colours[] = "SYSTEMD_COLORS=0";
	char *argv[] = {program, system, follow, since, output, no_pager, facility, NULL};
	const char *value = getenv("PATH");
	char path[PATH_BYTES];
	char *env[] = {path, lang, colours, NULL};
	uv_stdio_container_t stdio[3] = {
		{.flags = UV_IGNORE},
		{.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
			.data.stream = (uv_stream_t *)&child->out},
		{.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
			.data.stream = (uv_stream_t *)&child->err},
	};
	const uv_process_options_t options = {
		.exit_cb = on_exited,
		.file = program,
		.args = argv,
		.env = env,
		.cwd = "/",
		.flags = UV_PROCESS_DETACHED, /* what a terminal sends us is not for it */
		.stdio_count = 3,
		.stdio = stdio,
	};
	int len = snprintf(path, sizeof(path), "PATH=%s", value && *value ? value : DEFAULT_PATH);

	if (len < 0 || (size_t)len >= sizeof(path))
		snprintf(path, sizeof(path), "PATH=%s", DEFAULT_PATH);
	return uv_spawn(loop_uv(child->journal->loop), &child->process, &options);
}

static const char *why_not(int error)
{
	return error == UV_ENOENT ? "there is no " JOURNAL_PROGRAM " on the PATH"
				  : uv_strerror(error);
}

static void start_child(struct journal *journal)
{
	struct child *child = mem_zalloc(sizeof(*child));
	uv_loop_t *loop = loop_uv(journal->loop);
	int error;

	child->journal = journal;
	child->handles = 3;
	lines_init(&child->lines);
	list_append(&journal->children, &child->node);
	uv_pipe_init(loop, &child->out, 0);
	uv_pipe_init(loop, &child->err, 0);
	child->process.data = child->out.data = child->err.data = child;
	journal->settled = false;
	journal->started_ms = uv_now(loop);
	error = spawn(child);
	if (error) {
		tell_end(child, why_not(error));
		close_child(child);
		return;
	}
	journal->child = child;
	uv_read_start((uv_stream_t *)&child->out, on_room, on_read);
	uv_read_start((uv_stream_t *)&child->err, on_said_room, on_said);
	wait_for(journal, WAIT_SETTLED, JOURNAL_SETTLED_MS);
}

static void on_timer(uv_timer_t *timer)
{
	struct journal *journal = timer->data;

	loop_refresh(journal->loop);
	switch (journal->wait) {
	case WAIT_START:
		start_child(journal);
		break;
	case WAIT_SETTLED:
		settle(journal);
		break;
	case WAIT_READ:
		settle(journal);
		if (journal->child)
			uv_read_start((uv_stream_t *)&journal->child->out, on_room, on_read);
		break;
	case WAIT_NOTHING:
		break;
	}
}

/* ---- from outside */

struct journal *journal_new(struct loop *loop, const struct journal_events *events, void *arg)
{
	struct journal *journal = mem_zalloc(sizeof(*journal));

	journal->loop = loop;
	journal->events = events;
	journal->arg = arg;
	list_init(&journal->children);
	uv_timer_init(loop_uv(loop), &journal->timer);
	journal->timer.data = journal;
	return journal;
}

void journal_start(struct journal *journal)
{
	if (journal->wanted)
		return;
	journal->wanted = true;
	journal->pause_ms = PAUSE_MIN_MS;
	wait_for(journal, WAIT_START, 0);
}

void journal_stop(struct journal *journal)
{
	struct child *child = journal->child;

	journal->wanted = false;
	journal->child = NULL;
	journal->wait = WAIT_NOTHING;
	uv_timer_stop(&journal->timer);
	if (!child)
		return;
	child->orphan = true;
	kill_child(child);
	close_once((uv_handle_t *)&child->out);
	close_once((uv_handle_t *)&child->err);
}

int journal_pid(const struct journal *journal)
{
	return journal->child ? journal->child->process.pid : 0;
}

void journal_close(struct journal *journal)
{
	struct list *node;

	journal_stop(journal);
	/* Whom we did not wait for is init's. */
	for (node = journal->children.next; node != &journal->children; node = node->next)
		close_child(LIST_ENTRY(node, struct child, node));
	uv_close((uv_handle_t *)&journal->timer, NULL);
}

void journal_free(struct journal **journal)
{
	if (*journal)
		mem_free(journal);
}
