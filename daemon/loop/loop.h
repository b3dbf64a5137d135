/* SPDX-License-Identifier: ISC */
/*
 * The event loop and the one place where ready work runs. A turn: timers and
 * I/O only mark; then `turn` runs what is ready, and what it wrote goes out. `expire`
 * ends what is overdue and says when it wants to be called next. `tick` comes
 * about once a second. None of them is ever called from inside another.
 */
#ifndef REEVE_DAEMON_LOOP_LOOP_H
#define REEVE_DAEMON_LOOP_LOOP_H

#include <uv.h>

#include "common/clock.h"
#include "daemon/store/embedded.h"

struct loop;

struct loop_hooks {
	void (*turn)(void *arg, struct clock_now now);
	/* Returns the next mono_ms at which something is overdue, 0: nothing. Called before `turn`, and once more
	 * before the loop sleeps. */
	uint64_t (*expire)(void *arg, struct clock_now now);
	void (*tick)(void *arg, struct clock_now now);
	void (*signal)(void *arg, int signum, struct clock_now now);
	void *arg;
};

struct loop *loop_new(const struct loop_hooks *hooks) __attribute__((warn_unused_result));
/* Closes what is open, runs until libuv has let go of it, frees. All other users of loop_uv() must
 * have closed their handles, or be about to. */
void loop_free(struct loop **loop);

uv_loop_t *loop_uv(struct loop *loop);
/* Of this turn; loop_refresh() reads the clocks again. */
struct clock_now loop_now(const struct loop *loop);
struct clock_now loop_refresh(struct loop *loop);
/* `signum` comes to the signal hook from now on. */
void loop_watch_signal(struct loop *loop, int signum);
/* Returns when loop_stop() was called, at the end of that turn. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* Blocking work on libuv's threads, one at a time (see daemon/store/embedded.h). A loop has as many as are asked
 * for (4 at most); they live as long as the loop. */
struct worker *loop_worker(struct loop *loop) __attribute__((warn_unused_result));

#endif
