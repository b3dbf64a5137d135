/* SPDX-License-Identifier: ISC */
/*
 * The calls of one connection: answered in the order in which they were sent, due by their
 * deadlines. Pure: time comes in. Callbacks come from here; they may add calls and forget any.
 */
#ifndef REEVE_DAEMON_STORE_REDIS_CALLS_H
#define REEVE_DAEMON_STORE_REDIS_CALLS_H

#include "daemon/store/redis/link.h"

struct calls {
	/* readable */
	size_t count;         /* without a reply */
	unsigned overdue_row; /* overdue, with no reply in time since */
	uint64_t overdue, replies;
	/* private */
	struct list out, due;
};

void calls_init(struct calls *calls);
void calls_add(struct calls *calls, struct redis_call *call, uint64_t deadline_mono_ms);
/* The reply to the oldest. false: nothing is out. */
bool calls_answer(struct calls *calls, const struct redis_reply *reply, uint64_t mono_ms)
	__attribute__((warn_unused_result));
bool calls_oldest_writes(const struct calls *calls);
/* Ends waiting for what is due. */
void calls_expire(struct calls *calls, uint64_t mono_ms);
uint64_t calls_next(const struct calls *calls); /* the next deadline; 0: none */
/* `answered(NULL)` for all. What these callbacks add is out afterwards. */
void calls_end(struct calls *calls);
void calls_forget(struct calls *calls, struct redis_call *call);

#endif
