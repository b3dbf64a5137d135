/* SPDX-License-Identifier: ISC */
/*
 * A worker for tests: one thread for each piece of work, and the caller's thread as the loop,
 * which runs `done` when it is told to.
 */
#ifndef REEVE_TESTS_CONTRACT_THREAD_WORKER_H
#define REEVE_TESTS_CONTRACT_THREAD_WORKER_H

#include <pthread.h>

#include "daemon/store/embedded.h"

struct thread_worker {
	struct worker worker;
	pthread_t thread;
	bool busy;
	void (*work)(void *arg);
	void (*done)(void *arg);
	void *arg;
};

void thread_worker_init(struct thread_worker *worker);
/* Waits for the piece of work that is under way and runs its `done`; false: there was none. */
bool thread_worker_turn(struct thread_worker *worker);

#endif
