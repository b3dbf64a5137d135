/* SPDX-License-Identifier: ISC */
/*
 * Work begins at once, on its own thread; joining it is the loop's turn.
 */
#include "tests/contract/thread_worker.h"

#include <criterion/criterion.h>

static void *thread_main(void *arg)
{
	struct thread_worker *worker = arg;

	worker->work(worker->arg);
	return NULL;
}

static void run(struct worker *base, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
	struct thread_worker *worker = (struct thread_worker *)(void *)base;

	cr_assert_not(worker->busy, "one at a time");
	worker->busy = true;
	worker->work = work;
	worker->done = done;
	worker->arg = arg;
	cr_assert_eq(pthread_create(&worker->thread, NULL, thread_main, worker), 0);
}

bool thread_worker_turn(struct thread_worker *worker)
{
	if (!worker->busy)
		return false;
	pthread_join(worker->thread, NULL);
	worker->busy = false;
	worker->done(worker->arg);
	return true;
}

static void wait(struct worker *base)
{
	while (thread_worker_turn((struct thread_worker *)(void *)base))
		;
}

void thread_worker_init(struct thread_worker *worker)
{
	*worker = (struct thread_worker){.worker = {.run = run, .wait = wait}};
}
