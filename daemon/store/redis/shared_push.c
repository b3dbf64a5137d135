/* SPDX-License-Identifier: ISC */
/*
 * What goes to Redis: one script a change, so many under way at once. A change is absolute, so
 * one whose answer was lost is sent again as it is.
 */
#include "daemon/store/redis/shared_parts.h"

#include "common/units.h"
#include "daemon/store/redis/resp.h"

#define PUT_ARGUMENTS 10
#define REMOVE_ARGUMENTS 6

static void add_until(struct shared *shared, const struct member *member)
{
	if (member->until_ms == UINT64_MAX)
		resp_slice(&shared->out, SLICE("inf"));
	else
		resp_u64(&shared->out, member->until_ms);
}

/* Changes made before Redis' clock was known. */
static void adjust(struct shared *shared, struct member *member)
{
	if (!member->guessed || !shared->has_offset)
		return;
	member->guessed = false;
	member->made_ms += (uint64_t)shared->offset_ms;
	if (member->until_ms != UINT64_MAX)
		member->until_ms += (uint64_t)shared->offset_ms;
}

static void write_put(struct shared *shared, const struct member *member)
{
	struct buf *out = &shared->out;

	shared_begin(shared, SCRIPT_LIST_PUT, PUT_ARGUMENTS);
	resp_slice(out, member_name(member));
	resp_u64(out, member->made_ms);
	shared_add_time(shared);
	add_until(shared, member);
	resp_u64(out, member->sticky);
	resp_slice(out, member_facts(member));
	resp_u64(out, shared->options.keep_ms);
	resp_u64(out, shared->options.max_members);
	resp_slice(out, buf_slice(&shared->channel));
	resp_slice(out, slice_make(&shared->options.word, 1));
}

static void write_remove(struct shared *shared, const struct member *member)
{
	struct buf *out = &shared->out;

	shared_begin(shared, SCRIPT_LIST_REMOVE, REMOVE_ARGUMENTS);
	resp_slice(out, member_name(member));
	resp_u64(out, member->made_ms);
	shared_add_time(shared);
	resp_u64(out, shared->options.keep_ms);
	resp_slice(out, buf_slice(&shared->channel));
	resp_slice(out, slice_make(&shared->options.word, 1));
}

static void take_back(struct shared *shared, struct push *push)
{
	struct member *member = push->member;

	push->member = NULL;
	member->out = false;
	if (member->state != MEMBER_SYNCED)
		list_append(&shared->unsent, &member->unsent);
}

/* It could not be done: NULL, or an error. The change stays. */
static void failed(struct shared *shared, struct push *push, const struct redis_reply *reply)
{
	take_back(shared, push);
	if (!reply)
		return;
	if (redis_reply_error(reply) == REDIS_ERROR_NOSCRIPT)
		redis_runner_forget(shared->runner,
			push->state == MEMBER_PUT ? SCRIPT_LIST_PUT : SCRIPT_LIST_REMOVE);
	else
		shared->retry_mono_ms = shared->now.mono_ms + SHARED_RETRY_MS;
}

static void taken(struct shared *shared, struct member *member)
{
	if (member->state == MEMBER_REMOVED) {
		shared_drop(shared, member);
		return;
	}
	member->state = MEMBER_SYNCED;
	member->pass = shared->pass;
	shared->unsent_count--;
}

/* Somebody removed it after that was decided. */
static void was_removed(struct shared *shared, struct member *member)
{
	shared->options.events->gone(shared->options.arg, member_name(member));
	shared_drop(shared, member);
}

/* What is in Redis counts more. */
static void was_kept(struct shared *shared, struct member *member, const struct redis_reply *reply)
{
	uint64_t version = 0;

	member->state = MEMBER_SYNCED;
	shared->unsent_count--;
	member->version = 0;
	(void)!redis_reply_u64(redis_reply_item(reply, 2), &version);
	shared_apply(
		shared, version, member_name(member), redis_reply_text(redis_reply_item(reply, 3)));
}

static void on_pushed(struct redis_call *call, const struct redis_reply *reply)
{
	struct push *push = LIST_ENTRY(call, struct push, call);
	struct shared *shared = push->shared;
	struct member *member = push->member;
	struct slice word = redis_reply_text(redis_reply_item(reply, 0));

	if (!slice_is(word, "OK") && !slice_is(word, "SAME") && !slice_is(word, "GONE") &&
		!slice_is(word, "KEPT")) {
		failed(shared, push, reply);
		return;
	}
	shared_note_time(shared, redis_reply_item(reply, 1));
	if (member->changed) {
		take_back(shared, push);
		return;
	}
	push->member = NULL;
	member->out = false;
	if (slice_is(word, "GONE"))
		was_removed(shared, member);
	else if (slice_is(word, "KEPT"))
		was_kept(shared, member, reply);
	else
		taken(shared, member);
}

static bool send_one(struct shared *shared, struct push *push, struct member *member)
{
	adjust(shared, member);
	if (member->state == MEMBER_PUT)
		write_put(shared, member);
	else
		write_remove(shared, member);
	push->call.answered = on_pushed;
	push->call.writes = true;
	if (shared->out.overflow || !shared->port->send(shared->port, &push->call,
					    buf_slice(&shared->out), shared->options.timeout_ms))
		return false;
	push->shared = shared;
	push->member = member;
	push->state = member->state;
	member->out = true;
	member->changed = false;
	list_remove(&member->unsent);
	return true;
}

void shared_flush(struct shared *shared)
{
	if (!shared->up || shared->now.mono_ms < shared->retry_mono_ms)
		return;
	for (size_t i = 0; i < SHARED_PUSHES_OUT && !list_is_empty(&shared->unsent); i++) {
		struct list *node = shared->unsent.next;

		if (shared->pushes[i].member)
			continue;
		if (!send_one(shared, &shared->pushes[i], LIST_ENTRY(node, struct member, unsent)))
			return;
	}
}
