/* SPDX-License-Identifier: ISC */
/*
 * The only callback a service makes towards a request. `wake` marks the
 * request ready and returns; it runs no rule, frees nothing and asks nothing.
 */
#ifndef REEVE_COMMON_WAITER_H
#define REEVE_COMMON_WAITER_H

struct waiter {
	void (*wake)(struct waiter *waiter);
};

static inline void waiter_wake(struct waiter *waiter)
{
	if (waiter)
		waiter->wake(waiter);
}

#endif
