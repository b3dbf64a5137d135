/* SPDX-License-Identifier: ISC */
/*
 * The only callback a service makes towards a request. `wake` marks the
 * request ready and returns; it runs no rule, frees nothing and asks nothing.
 *
 * `expected` counts the answers that are still to come, so that a request that waits for nothing
 * is seen at once: a service adds one when it takes a question that it cannot answer yet, and
 * takes it off when it answers or the question is cancelled.
 */
#ifndef REEVE_COMMON_WAITER_H
#define REEVE_COMMON_WAITER_H

struct waiter {
	void (*wake)(struct waiter *waiter);
	unsigned expected;
};

static inline void waiter_expect(struct waiter *waiter)
{
	if (waiter)
		waiter->expected++;
}

static inline void waiter_forget(struct waiter *waiter)
{
	if (waiter)
		waiter->expected--;
}

static inline void waiter_wake(struct waiter *waiter)
{
	if (waiter)
		waiter->wake(waiter);
}

#endif
