/* SPDX-License-Identifier: ISC */
/*
 * Prepare and check handles around libuv's poll: what timers marked is run
 * before the loop sleeps, what I/O marked right after it woke. One timer
 * serves all deadlines of the pipeline and the DNS; it is moved only
 * when the next deadline is earlier than what it is set to, since a timer that fires too
 * early costs one look and a timer set at every request costs every request.
 */
#include "daemon/loop/loop.h"

#include <assert.h>
#include <signal.h>
#include <time.h>

#include "common/alloc.h"
#include "common/list.h"

#define TICK_MS 1000
#define MAX_SIGNALS 4
#define MAX_WORKERS 4

struct loop_worker {
	struct worker worker;
	struct loop *loop;
	uv_work_t request;
	void (*work)(void *arg);
	void (*done)(void *arg);
	void *arg;
	bool busy;
};

struct loop {
	uv_loop_t uv;
	uv_prepare_t prepare;
	uv_check_t check;
	uv_timer_t deadline, tick;
	uv_signal_t signals[MAX_SIGNALS];
	unsigned signal_count;
	struct loop_worker workers[MAX_WORKERS];
	unsigned worker_count;
	struct loop_hooks hooks;
	struct clock_now now;
	uint64_t deadline_mono_ms; /* what the timer is set to; 0: not set */
};

struct clock_now loop_refresh(struct loop *loop)
{
	struct timespec wall;

	clock_gettime(CLOCK_REALTIME, &wall);
	uv_update_time(&loop->uv);
	loop->now.mono_ms = uv_now(&loop->uv);
	loop->now.wall_ms = (uint64_t)wall.tv_sec * 1000 + (uint64_t)wall.tv_nsec / 1000000;
	return loop->now;
}

struct clock_now loop_now(const struct loop *loop)
{
	return loop->now;
}

static void on_deadline(uv_timer_t *timer)
{
	struct loop *loop = timer->data;

	/* Only wakes the loop: the prepare hook of this very turn does the work. */
	loop->deadline_mono_ms = 0;
}

static void set_deadline(struct loop *loop, uint64_t mono_ms)
{
	uint64_t delay_ms;

	if (mono_ms == 0 || (loop->deadline_mono_ms && loop->deadline_mono_ms <= mono_ms))
		return;
	delay_ms = mono_ms > loop->now.mono_ms ? mono_ms - loop->now.mono_ms : 0;
	loop->deadline_mono_ms = mono_ms;
	uv_timer_start(&loop->deadline, on_deadline, delay_ms, 0);
}

static struct clock_now run_turn(struct loop *loop)
{
	struct clock_now now = loop_refresh(loop);

	(void)loop->hooks.expire(loop->hooks.arg, now);
	loop->hooks.turn(loop->hooks.arg, now);
	return now;
}

/* The last thing before the loop sleeps, so the deadline is asked for after the turn, which may have begun waits. */
static void on_prepare(uv_prepare_t *prepare)
{
	struct loop *loop = prepare->data;
	struct clock_now now = run_turn(loop);

	set_deadline(loop, loop->hooks.expire(loop->hooks.arg, now));
}

static void on_check(uv_check_t *check)
{
	run_turn(check->data);
}

static void on_tick(uv_timer_t *timer)
{
	struct loop *loop = timer->data;

	loop->hooks.tick(loop->hooks.arg, loop_refresh(loop));
}

static void on_signal(uv_signal_t *handle, int signum)
{
	struct loop *loop = handle->data;

	loop->hooks.signal(loop->hooks.arg, signum, loop_refresh(loop));
}

static void do_nothing(uv_work_t *request)
{
	(void)request;
}

static void began(uv_work_t *request, int status)
{
	bool *ret_began = request->data;

	(void)status;
	*ret_began = true;
}

/*
 * libuv starts all of its threads with the first work, and they inherit the mask of signals. Without this, one that
 * the loop's thread blocks at the end (daemon.c) would go to one of them, where its default kills the daemon.
 */
static void start_threads(struct loop *loop)
{
	uv_work_t request;
	bool have_begun = false;
	sigset_t all, before;

	request.data = &have_begun;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	uv_queue_work(&loop->uv, &request, do_nothing, began);
	while (!have_begun)
		uv_run(&loop->uv, UV_RUN_ONCE);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

struct loop *loop_new(const struct loop_hooks *hooks)
{
	struct loop *loop = mem_zalloc(sizeof(*loop));

	loop->hooks = *hooks;
	if (uv_loop_init(&loop->uv) != 0)
		abort(); /* no epoll descriptor at start: the machine is out */
	start_threads(loop);
	uv_prepare_init(&loop->uv, &loop->prepare);
	uv_check_init(&loop->uv, &loop->check);
	uv_timer_init(&loop->uv, &loop->deadline);
	uv_timer_init(&loop->uv, &loop->tick);
	loop->prepare.data = loop->check.data = loop->deadline.data = loop->tick.data = loop;
	uv_prepare_start(&loop->prepare, on_prepare);
	uv_check_start(&loop->check, on_check);
	uv_timer_start(&loop->tick, on_tick, TICK_MS, TICK_MS);
	loop_refresh(loop);
	return loop;
}

void loop_free(struct loop **loop)
{
	struct loop *old = *loop;
	int busy;

	if (!old)
		return;
	for (unsigned i = 0; i < old->worker_count; i++)
		old->workers[i].worker.wait(&old->workers[i].worker);
	uv_close((uv_handle_t *)&old->prepare, NULL);
	uv_close((uv_handle_t *)&old->check, NULL);
	uv_close((uv_handle_t *)&old->deadline, NULL);
	uv_close((uv_handle_t *)&old->tick, NULL);
	for (unsigned i = 0; i < old->signal_count; i++)
		uv_close((uv_handle_t *)&old->signals[i], NULL);
	uv_run(&old->uv, UV_RUN_DEFAULT);
	busy = uv_loop_close(&old->uv);
	assert(busy == 0);
	(void)busy;
	mem_free(loop);
}

uv_loop_t *loop_uv(struct loop *loop)
{
	return &loop->uv;
}

void loop_watch_signal(struct loop *loop, int signum)
{
	uv_signal_t *handle = &loop->signals[loop->signal_count++];

	assert(loop->signal_count <= MAX_SIGNALS);
	uv_signal_init(&loop->uv, handle);
	handle->data = loop;
	uv_signal_start(handle, on_signal, signum);
}

void loop_run(struct loop *loop)
{
	uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *loop)
{
	uv_stop(&loop->uv);
}

static void worker_work(uv_work_t *request)
{
	struct loop_worker *worker = request->data;

	worker->work(worker->arg);
}

static void worker_done(uv_work_t *request, int status)
{
	struct loop_worker *worker = request->data;

	(void)status; /* nothing cancels it */
	worker->busy = false;
	worker->done(worker->arg);
}

static void worker_run(struct worker *base, void (*work)(void *arg), void (*done)(void *arg),
		       void *arg)
{
	struct loop_worker *worker = LIST_ENTRY(base, struct loop_worker, worker);

	assert(!worker->busy);
	worker->busy = true;
	worker->work = work;
	worker->done = done;
	worker->arg = arg;
	worker->request.data = worker;
	uv_queue_work(&worker->loop->uv, &worker->request, worker_work, worker_done);
}

/* Only at shutdown: the loop turns until the work has come back. */
static void worker_wait(struct worker *base)
{
	struct loop_worker *worker = LIST_ENTRY(base, struct loop_worker, worker);

	while (worker->busy)
		uv_run(&worker->loop->uv, UV_RUN_ONCE);
}

struct worker *loop_worker(struct loop *loop)
{
	struct loop_worker *worker = &loop->workers[loop->worker_count++];

	assert(loop->worker_count <= MAX_WORKERS);
	worker->loop = loop;
	worker->worker.run = worker_run;
	worker->worker.wait = worker_wait;
	return &worker->worker;
}
