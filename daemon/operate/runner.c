/* SPDX-License-Identifier: ISC */
/*
 * A job waits in the queue; the one that runs is a `struct run` with its three handles, and goes when
 * libuv has closed all of them. Only then the next is started, from an idle handle, so that none
 * ever starts from within runner_run().
 */
#include "daemon/operate/runner.h"

#include <signal.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/list.h"

#define SAID_BYTES 256

struct job {
	struct list node;
	char **argv; /* ends with NULL */
	char *input;
	size_t input_len;
};

struct run {
	struct runner *runner;
	struct job *job;
	uv_process_t process;
	uv_pipe_t in, err;
	uv_write_t write;
	unsigned handles;      /* that are not closed yet */
	char said[SAID_BYTES]; /* on standard error; what is more is read and dropped */
	size_t said_len;
	bool timed_out;
};

struct runner {
	uv_loop_t *loop;
	const char *name;
	struct log_sink *log;
	uint64_t deadline_ms;
	struct list queue;
	size_t queued;
	uint64_t dropped; /* since the queue was full for the first time */
	struct run *run;  /* NULL: none */
	uv_idle_t idle;   /* active when something is to be started */
	uv_timer_t deadline;
	bool closing;
};

static void job_free(struct job *job)
{
	for (size_t i = 0; job->argv[i]; i++)
		free(job->argv[i]);
	free(job->argv);
	free(job->input);
	free(job);
}

/* ---- what is told */

static void begin_line(const struct runner *runner, struct buf *line, const char *event)
{
	logline_text(line, "event", event);
	logline_text(line, "hook", runner->name);
}

static void tell_failure(const struct run *run, const char *key, uint64_t number, const char *why)
{
	const struct runner *runner = run->runner;
	char memory[1024];
	struct buf line;

	if (!log_wants(runner->log, LOG_LEVEL_WARNING))
		return;
	buf_init_fixed(&line, memory, sizeof(memory));
	begin_line(runner, &line, "hook_failed");
	logline_text(&line, "program", run->job->argv[0]);
	if (why)
		logline_text(&line, "why", why);
	if (key)
		logline_u64(&line, key, number);
	if (run->said_len)
		logline_slice(&line, "said", slice_make(run->said, run->said_len));
	runner->log->write(runner->log, LOG_LEVEL_WARNING, buf_slice(&line));
}

static void tell_dropped(struct runner *runner)
{
	char memory[256];
	struct buf line;

	if (runner->dropped == 0 || !log_wants(runner->log, LOG_LEVEL_WARNING))
		return;
	buf_init_fixed(&line, memory, sizeof(memory));
	begin_line(runner, &line, "hook_dropped");
	logline_u64(&line, "count", runner->dropped);
	runner->log->write(runner->log, LOG_LEVEL_WARNING, buf_slice(&line));
	runner->dropped = 0;
}

/* ---- a run and its end */

static void on_idle(uv_idle_t *idle);

static void on_closed(uv_handle_t *handle)
{
	struct run *run = handle->data;
	struct runner *runner = run->runner;

	if (--run->handles > 0)
		return;
	job_free(run->job);
	free(run);
	runner->run = NULL;
	if (!runner->closing && runner->queued)
		uv_idle_start(&runner->idle, on_idle);
}

static void close_once(uv_handle_t *handle)
{
	if (!uv_is_closing(handle))
		uv_close(handle, on_closed);
}

static void close_run(struct run *run)
{
	uv_timer_stop(&run->runner->deadline);
	close_once((uv_handle_t *)&run->process);
	close_once((uv_handle_t *)&run->in);
	close_once((uv_handle_t *)&run->err);
}

static void keep_said(struct run *run, const char *data, size_t len)
{
	size_t room = sizeof(run->said) - run->said_len;

	if (len > room)
		len = room;
	memcpy(run->said + run->said_len, data, len);
	run->said_len += len;
}

/* It has ended; what it said last may still lie in the pipe. */
static void read_rest(struct run *run)
{
	char memory[SAID_BYTES];
	uv_os_fd_t fd;
	ssize_t got;

	if (uv_fileno((uv_handle_t *)&run->err, &fd) != 0)
		return;
	while (run->said_len < sizeof(run->said) && (got = read(fd, memory, sizeof(memory))) > 0)
		keep_said(run, memory, (size_t)got);
	while (run->said_len && (run->said[run->said_len - 1] == '\n'))
		run->said_len--;
}

static void on_exited(uv_process_t *process, int64_t status, int signum)
{
	struct run *run = process->data;

	read_rest(run);
	if (run->timed_out)
		tell_failure(run, NULL, 0, "it took too long and was killed");
	else if (signum)
		tell_failure(run, "signal", (uint64_t)signum, NULL);
	else if (status)
		tell_failure(run, "status", (uint64_t)status, NULL);
	close_run(run);
}

static void on_deadline(uv_timer_t *timer)
{
	struct runner *runner = timer->data;

	runner->run->timed_out = true;
	/* It is the leader of its session, so this reaches what it has started too. */
	kill(-runner->run->process.pid, SIGKILL);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
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

/* The program sees the end of its input. It need not have read it. */
static void on_written(uv_write_t *write, int status)
{
	struct run *run = write->data;

	(void)status;
	close_once((uv_handle_t *)&run->in);
}

static int spawn(struct run *run)
{
	static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	static char lang[] = "LANG=C.UTF-8";
	char *env[] = {path, lang, NULL};
	uv_stdio_container_t stdio[3] = {
		{.flags = UV_CREATE_PIPE | UV_READABLE_PIPE,
			.data.stream = (uv_stream_t *)&run->in},
		{.flags = UV_IGNORE},
		{.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
			.data.stream = (uv_stream_t *)&run->err},
	};
	const uv_process_options_t options = {
		.exit_cb = on_exited,
		.file = run->job->argv[0],
		.args = run->job->argv,
		.env = env,
		.cwd = "/",
		.flags = UV_PROCESS_DETACHED,
		.stdio_count = 3,
		.stdio = stdio,
	};

	return uv_spawn(run->runner->loop, &run->process, &options);
}

static void start(struct runner *runner, struct job *job)
{
	struct run *run = mem_zalloc(sizeof(*run));
	uv_buf_t input = uv_buf_init(job->input, (unsigned)job->input_len);
	int error;

	runner->run = run;
	run->runner = runner;
	run->job = job;
	run->handles = 3;
	uv_pipe_init(runner->loop, &run->in, 0);
	uv_pipe_init(runner->loop, &run->err, 0);
	run->process.data = run->in.data = run->err.data = run->write.data = run;
	error = spawn(run);
	if (error) {
		tell_failure(run, NULL, 0, uv_strerror(error));
		close_run(run);
		return;
	}
	uv_timer_start(&runner->deadline, on_deadline, runner->deadline_ms, 0);
	uv_read_start((uv_stream_t *)&run->err, on_alloc, on_said);
	if (uv_write(&run->write, (uv_stream_t *)&run->in, &input, 1, on_written) != 0)
		close_once((uv_handle_t *)&run->in);
}

static void on_idle(uv_idle_t *idle)
{
	struct runner *runner = idle->data;
	struct job *job;

	uv_idle_stop(idle);
	if (runner->run || runner->queued == 0)
		return;
	job = LIST_ENTRY(runner->queue.next, struct job, node);
	list_remove(&job->node);
	runner->queued--;
	tell_dropped(runner);
	start(runner, job);
}

/* ---- from outside */

struct runner *runner_new(
	uv_loop_t *loop, const char *name, struct log_sink *log, uint64_t deadline_ms)
{
	struct runner *runner = mem_zalloc(sizeof(*runner));

	runner->loop = loop;
	runner->name = name;
	runner->log = log;
	runner->deadline_ms = deadline_ms ? deadline_ms : RUNNER_DEADLINE_MS;
	list_init(&runner->queue);
	uv_idle_init(loop, &runner->idle);
	uv_timer_init(loop, &runner->deadline);
	runner->idle.data = runner->deadline.data = runner;
	return runner;
}

void runner_run(struct runner *runner, const struct slice *argv, size_t argc, struct slice input)
{
	struct job *job;

	if (runner->closing || argc == 0)
		return;
	if (runner->queued == RUNNER_MAX_QUEUE) {
		runner->dropped++;
		return;
	}
	if (argc > RUNNER_MAX_ARGUMENTS)
		argc = RUNNER_MAX_ARGUMENTS;
	job = mem_zalloc(sizeof(*job));
	job->argv = mem_zalloc_array(argc + 1, sizeof(job->argv[0]));
	for (size_t i = 0; i < argc; i++)
		job->argv[i] = mem_dup(argv[i]);
	job->input = mem_dup(input);
	job->input_len = input.len;
	list_append(&runner->queue, &job->node);
	runner->queued++;
	if (!runner->run)
		uv_idle_start(&runner->idle, on_idle);
}

size_t runner_pending(const struct runner *runner)
{
	return runner->queued + (runner->run != NULL);
}

void runner_close(struct runner *runner)
{
	runner->closing = true;
	while (!list_is_empty(&runner->queue)) {
		struct job *job = LIST_ENTRY(runner->queue.next, struct job, node);

		list_remove(&job->node);
		job_free(job);
	}
	runner->queued = 0;
	if (runner->run && !uv_is_closing((uv_handle_t *)&runner->run->process))
		close_run(runner->run);
	uv_close((uv_handle_t *)&runner->idle, NULL);
	uv_close((uv_handle_t *)&runner->deadline, NULL);
}

void runner_free(struct runner **runner)
{
	if (*runner)
		mem_free(runner);
}
