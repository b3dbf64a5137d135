/* SPDX-License-Identifier: ISC */
/*
 * Who charged a transaction also ends it when it is never settled. A node that was restarted, or is
 * gone, does not: so every node looks through all transactions in Redis now and then, a small step
 * at a time, and ends what nobody has used for ten minutes. That several nodes do so is no harm: it
 * is given back once. A pass takes less than the five minutes that such a transaction is still kept.
 */
#include "daemon/store/redis/counters_parts.h"

#define SEEK_EVERY_MS (4 * 60 * 1000)
#define SEEK_STEP_MS 5

static void end_one(struct counters *counters, struct hash128 id)
{
	if (txn_find(counters->own->ledger->txns, id))
		return; /* ours: see upkeep.c */
	foreign_refund(counters, id, REFUND_IDLE, false);
}

static void end_all(struct counters *counters, const struct redis_reply *reply)
{
	for (size_t i = 3; i < redis_reply_count(reply); i++) {
		struct slice key = redis_reply_text(redis_reply_item(reply, i));
		struct hash128 id;

		if (keys_parse_transaction(&counters->keys, key, &id))
			end_one(counters, id);
	}
}

static void seek_answered(struct redis_call *call, const struct redis_reply *reply)
{
	struct counters *counters = LIST_ENTRY(call, struct counters, seek);
	struct slice next = redis_reply_text(redis_reply_item(reply, 2));

	counters->now = counters->port->now(counters->port);
	if (!slice_is(redis_reply_text(redis_reply_item(reply, 0)), "OK") || next.len == 0 ||
		next.len > sizeof(counters->seek_cursor) || slice_is(next, "0")) {
		counters->seek_cursor_len = 0;
		counters->seek_at_mono_ms = counters->now.mono_ms + SEEK_EVERY_MS;
	} else {
		memcpy(counters->seek_cursor, next.data, next.len);
		counters->seek_cursor_len = next.len;
		counters->seek_at_mono_ms = counters->now.mono_ms + SEEK_STEP_MS;
	}
	if (counters->state == COUNTERS_READY)
		end_all(counters, reply);
}

void seek_init(struct counters *counters)
{
	counters->seek.answered = seek_answered;
	counters->seek_at_mono_ms = UINT64_MAX;
}

void seek_begin(struct counters *counters)
{
	if (counters->seek_at_mono_ms == UINT64_MAX)
		counters->seek_at_mono_ms = counters->now.mono_ms + SEEK_EVERY_MS;
}

static bool may_seek(const struct counters *counters)
{
	return counters->state == COUNTERS_READY && !redis_call_is_out(&counters->seek);
}

void seek_run(struct counters *counters)
{
	struct slice cursor = slice_make(counters->seek_cursor, counters->seek_cursor_len);

	if (!may_seek(counters) || counters->now.mono_ms < counters->seek_at_mono_ms)
		return;
	if (!command_seek(counters, cursor.len ? cursor : SLICE("0")))
		counters->seek_at_mono_ms = counters->now.mono_ms + SEEK_EVERY_MS;
}

uint64_t seek_next(const struct counters *counters)
{
	return may_seek(counters) ? counters->seek_at_mono_ms : UINT64_MAX;
}
