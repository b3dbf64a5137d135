/* SPDX-License-Identifier: ISC */
/*
 * The event loop: deadlines that are kept, hooks that never nest, signals, and blocking work on
 * other threads. Waits are some milliseconds of real time; the once-a-second tick is the longest.
 */
#include "daemon/loop/loop.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>

struct seen {
	struct loop *loop;
	unsigned turns, expires, ticks, depth;
	int signum;
	uint64_t deadline_mono_ms;   /* what expire returns until it is over; 0: none */
	uint64_t over_mono_ms;       /* when it was seen to be over */
	uint64_t begin_in_turn_ms;   /* the turn sets a deadline so far off, once */
	uint64_t stop_after_ticks;
};

static struct seen seen;

static void enter(void)
{
	cr_assert(seen.depth++ == 0, "a hook inside a hook");
}

static void leave(void)
{
	seen.depth--;
}

static void on_turn(void *arg, struct clock_now now)
{
	struct seen *state = arg;

	enter();
	state->turns++;
	if (state->begin_in_turn_ms) {
		state->deadline_mono_ms = now.mono_ms + state->begin_in_turn_ms;
		state->begin_in_turn_ms = 0;
	}
	leave();
}

static uint64_t on_expire(void *arg, struct clock_now now)
{
	struct seen *state = arg;

	enter();
	state->expires++;
	if (state->deadline_mono_ms && now.mono_ms >= state->deadline_mono_ms) {
		state->over_mono_ms = now.mono_ms;
		state->deadline_mono_ms = 0;
		loop_stop(state->loop);
	}
	leave();
	return state->deadline_mono_ms;
}

static void on_tick(void *arg, struct clock_now now)
{
	struct seen *state = arg;

	enter();
	cr_assert(now.wall_ms > UINT64_C(1700000000000));
	state->ticks++;
	if (state->ticks == state->stop_after_ticks)
		loop_stop(state->loop);
	leave();
}

static void on_signal(void *arg, int signum, struct clock_now now)
{
	struct seen *state = arg;

	(void)now;
	enter();
	state->signum = signum;
	loop_stop(state->loop);
	leave();
}

static void start(void)
{
	struct loop_hooks hooks = { on_turn, on_expire, on_tick, on_signal, &seen };

	memset(&seen, 0, sizeof(seen));
	seen.loop = loop_new(&hooks);
}

static void stop(void)
{
	loop_free(&seen.loop);
	cr_assert(!seen.loop);
	loop_free(&seen.loop);
}

TestSuite(loop, .init = start, .fini = stop, .timeout = 20);

static uint64_t mono_ms(void)
{
	return loop_refresh(seen.loop).mono_ms;
}

Test(loop, a_deadline_is_kept)
{
	uint64_t due = mono_ms() + 30;

	seen.deadline_mono_ms = due;
	loop_run(seen.loop);
	cr_assert(seen.over_mono_ms >= due && seen.over_mono_ms < due + 500);
	cr_assert(seen.ticks == 0);
}

/* What a turn begins just before the loop sleeps has its timer, too. */
Test(loop, a_deadline_that_a_turn_begins_is_kept)
{
	uint64_t begun = mono_ms();

	seen.begin_in_turn_ms = 30;
	loop_run(seen.loop);
	cr_assert(seen.over_mono_ms >= begun + 30);
	cr_assert(seen.over_mono_ms < begun + 500, "after %d ms", (int)(seen.over_mono_ms - begun));
}

static void do_nothing(void *arg)
{
	(void)arg;
}

static void begin_earlier(void *arg)
{
	(void)arg;
	seen.begin_in_turn_ms = 30;
}

/* It comes up, as an answer from a socket would, while the loop sleeps for the later one. */
Test(loop, an_earlier_deadline_moves_the_timer)
{
	struct worker *worker = loop_worker(seen.loop);
	uint64_t begun = mono_ms();

	seen.deadline_mono_ms = begun + 10000;
	worker->run(worker, do_nothing, begin_earlier, NULL);
	loop_run(seen.loop);
	cr_assert(seen.over_mono_ms < begun + 500);
}

Test(loop, a_deadline_that_has_passed_comes_at_once)
{
	uint64_t begun = mono_ms();

	seen.deadline_mono_ms = 1;
	loop_run(seen.loop);
	cr_assert(seen.over_mono_ms < begun + 500);
	cr_assert(loop_now(seen.loop).mono_ms >= begun);
}

Test(loop, ticks_about_once_a_second)
{
	uint64_t begun = mono_ms();

	seen.stop_after_ticks = 1;
	loop_run(seen.loop);
	cr_assert(mono_ms() - begun >= 900 && mono_ms() - begun < 3000);
	cr_assert(seen.turns < 20, "an idle loop sleeps: %u turns", seen.turns);
}

Test(loop, signals_come_to_their_hook)
{
	loop_watch_signal(seen.loop, SIGUSR1);
	loop_watch_signal(seen.loop, SIGUSR2);
	raise(SIGUSR2);
	loop_run(seen.loop);
	cr_assert(seen.signum == SIGUSR2);
	raise(SIGUSR1);
	loop_run(seen.loop);
	cr_assert(seen.signum == SIGUSR1);
}

/* ---- workers ---- */

struct job {
	struct worker *worker;
	pthread_t thread;
	unsigned worked, done, again;
};

static void work(void *arg)
{
	struct job *job = arg;

	job->thread = pthread_self();
	job->worked++;
}

static void work_done(void *arg)
{
	struct job *job = arg;

	job->done++;
	if (job->again) {
		job->again--;
		job->worker->run(job->worker, work, work_done, job);
	}
}

Test(loop, work_runs_on_another_thread_and_is_done_on_this)
{
	struct job job = { .worker = loop_worker(seen.loop) };

	job.worker->run(job.worker, work, work_done, &job);
	cr_assert(job.done == 0, "never from inside run");
	job.worker->wait(job.worker);
	cr_assert(job.worked == 1 && job.done == 1);
	cr_assert(!pthread_equal(job.thread, pthread_self()));
	job.worker->wait(job.worker);
	cr_assert(job.done == 1);
}

Test(loop, work_may_begin_again_when_it_is_done)
{
	struct job job = { .worker = loop_worker(seen.loop), .again = 2 };

	job.worker->run(job.worker, work, work_done, &job);
	job.worker->wait(job.worker);
	cr_assert(job.worked == 3 && job.done == 3, "wait waits for what it began, too");
}

Test(loop, workers_do_not_wait_for_each_other)
{
	struct job first = { .worker = loop_worker(seen.loop) };
	struct job second = { .worker = loop_worker(seen.loop) };

	cr_assert(first.worker != second.worker);
	first.worker->run(first.worker, work, work_done, &first);
	second.worker->run(second.worker, work, work_done, &second);
	first.worker->wait(first.worker);
	second.worker->wait(second.worker);
	cr_assert(first.done == 1 && second.done == 1);
}

Test(loop, freeing_waits_for_work)
{
	static struct job job;

	job = (struct job){ .worker = loop_worker(seen.loop), .again = 1 };
	job.worker->run(job.worker, work, work_done, &job);
	loop_free(&seen.loop);
	cr_assert(job.worked == 2 && job.done == 2);
}

static void note_mask(void *arg)
{
	sigset_t mask;

	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	*(bool *)arg = sigismember(&mask, SIGTERM) && sigismember(&mask, SIGHUP);
}

static void nothing_more(void *arg)
{
	(void)arg;
}

/* Else one that the loop's thread has blocked would end the process there. */
Test(loop, workers_take_no_signals)
{
	struct worker *worker = loop_worker(seen.loop);
	bool blocked = false;
	sigset_t mask;

	worker->run(worker, note_mask, nothing_more, &blocked);
	worker->wait(worker);
	cr_assert(blocked);
	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	cr_assert_not(sigismember(&mask, SIGTERM), "and the loop's thread does");
}
