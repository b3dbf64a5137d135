/* SPDX-License-Identifier: ISC */
/*
 * Who changes something and hears "done" may cut the power next. So the answer waits for the store,
 * and says so where that has not managed.
 */
#include "common/alloc.h"
#include "daemon/operate/control_call.h"

struct kept {
	struct control_call *call;
	struct store_sync sync;
	struct waiter waiter;
};

static void wake(struct waiter *waiter)
{
	control_resume(LIST_ENTRY(waiter, struct kept, waiter)->call);
}

static void cancel(struct control_call *call)
{
	struct kept *kept = call->state;

	store_forget(call->operate->store, &kept->sync.op);
	mem_free(&call->state);
}

static void finish(struct control_call *call)
{
	const struct kept *kept = call->state;

	json_bool(&call->json, "kept", !kept->sync.op.failed);
	mem_free(&call->state);
	control_send(call);
}

void control_send_kept(struct control_call *call)
{
	struct kept *kept;

	if (!call->operate->store->ops->sync) {
		control_send(call);
		return;
	}
	kept = mem_zalloc(sizeof(*kept));
	kept->call = call;
	kept->waiter.wake = wake;
	kept->sync.op.waiter = &kept->waiter;
	call->state = kept;
	store_sync(call->operate->store, &kept->sync, loop_now(call->operate->loop));
	if (kept->sync.op.state == STORE_OP_DONE) {
		finish(call);
		return;
	}
	call->cancel = cancel;
	call->resume = finish;
	list_append(control_waiting(call->control), &call->node);
}
