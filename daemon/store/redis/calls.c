/* SPDX-License-Identifier: ISC */
/*
 * Two lists through the calls: `out` in the order of the replies, `due` by deadline. Most
 * deadlines are equally far off, so a new one nearly always belongs at the end.
 *
 * Who forgets a call takes its memory away while its reply is still to come; a stand-in of our
 * own then keeps the place in the order.
 */
#include "daemon/store/redis/calls.h"

#include <assert.h>

#include "common/alloc.h"

void calls_init(struct calls *calls)
{
	*calls = (struct calls){.count = 0};
	list_init(&calls->out);
	list_init(&calls->due);
}

static struct redis_call *due_call(struct list *node)
{
	return LIST_ENTRY(node, struct redis_call, due);
}

void calls_add(struct calls *calls, struct redis_call *call, uint64_t deadline_mono_ms)
{
	struct list *after = calls->due.prev;

	assert(!call->out);
	call->out = true;
	call->deadline_mono_ms = deadline_mono_ms;
	list_append(&calls->out, &call->node);
	while (after != &calls->due && due_call(after)->deadline_mono_ms > deadline_mono_ms)
		after = after->prev;
	list_append(after->next, &call->due); /* in front of the next one */
	calls->count++;
}

static struct redis_call *take(struct calls *calls)
{
	struct list *node = list_pop(&calls->out);
	struct redis_call *call;

	if (!node)
		return NULL;
	call = LIST_ENTRY(node, struct redis_call, node);
	list_remove(&call->due);
	call->out = false;
	calls->count--;
	return call;
}

bool calls_oldest_writes(const struct calls *calls)
{
	return calls->count && LIST_ENTRY(calls->out.next, struct redis_call, node)->writes;
}

bool calls_answer(struct calls *calls, const struct redis_reply *reply, uint64_t mono_ms)
{
	struct redis_call *call = take(calls);

	if (!call)
		return false;
	calls->replies++;
	if (mono_ms < call->deadline_mono_ms)
		calls->overdue_row = 0;
	call->answered(call, reply);
	return true;
}

void calls_expire(struct calls *calls, uint64_t mono_ms)
{
	while (!list_is_empty(&calls->due)) {
		struct redis_call *call = due_call(calls->due.next);

		if (call->deadline_mono_ms > mono_ms)
			break;
		list_remove(&call->due);
		calls->overdue++;
		calls->overdue_row++;
		if (call->overdue)
			call->overdue(call);
	}
}

uint64_t calls_next(const struct calls *calls)
{
	return list_is_empty(&calls->due) ? 0 : due_call(calls->due.next)->deadline_mono_ms;
}

void calls_end(struct calls *calls)
{
	struct redis_call *call;

	for (size_t left = calls->count; left && (call = take(calls)) != NULL; left--)
		call->answered(call, NULL);
	calls->overdue_row = 0;
}

static void stand_in_answered(struct redis_call *call, const struct redis_reply *reply)
{
	(void)reply;
	free(call);
}

void calls_forget(struct calls *calls, struct redis_call *call)
{
	struct redis_call *stand_in;

	(void)calls;
	if (!call->out)
		return;
	stand_in = mem_zalloc(sizeof(*stand_in));
	*stand_in = (struct redis_call){
		.answered = stand_in_answered,
		.writes = call->writes,
		.out = true,
		.deadline_mono_ms = call->deadline_mono_ms,
	};
	list_append(call->node.next, &stand_in->node);
	list_remove(&call->node);
	if (list_is_empty(&call->due)) {
		list_init(&stand_in->due); /* it was overdue already */
	} else {
		list_append(call->due.next, &stand_in->due);
		list_remove(&call->due);
	}
	call->out = false;
}
