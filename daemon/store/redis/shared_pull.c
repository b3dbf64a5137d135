/* SPDX-License-Identifier: ISC */
/*
 * What is read from Redis: the changes after the last one seen, a page at a time; or all of them,
 * and then what was not among them goes. Whatever stands there is looked at as if a stranger had
 * written it.
 */
#include "daemon/store/redis/shared_parts.h"

#include <stdio.h>

#include "common/units.h"
#include "daemon/store/redis/resp.h"

#define PULL_ARGUMENTS 3

/* ---- one member ---- */

struct value {
	uint64_t made_ms, until_ms;
	bool sticky;
	struct slice facts;
};

static bool is_text(struct slice text, char lowest)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] < lowest || text.data[i] > '~')
			return false;
	return true;
}

static bool read_value(struct slice text, struct value *ret)
{
	struct slice made, sticky, until;

	if (!slice_split(text, ' ', &made, &text) || !slice_split(text, ' ', &sticky, &text) ||
		!slice_split(text, ' ', &until, &ret->facts) ||
		units_parse_u64(made, &ret->made_ms) || ret->made_ms > SHARED_MAX_MS)
		return false;
	ret->sticky = slice_is(sticky, "1");
	if (!ret->sticky && !slice_is(sticky, "0"))
		return false;
	if (slice_is(until, "inf"))
		ret->until_ms = UINT64_MAX;
	else if (units_parse_u64(until, &ret->until_ms) || ret->until_ms > SHARED_MAX_MS)
		return false;
	return ret->facts.len <= SHARED_FACTS_BYTES && is_text(ret->facts, ' ');
}

static bool is_same(const struct member *member, const struct value *value)
{
	return member->made_ms == value->made_ms && member->until_ms == value->until_ms &&
	       member->sticky == value->sticky && slice_equal(member_facts(member), value->facts);
}

static void take_value(struct shared *shared, struct member *member, const struct value *value)
{
	member->made_ms = value->made_ms;
	member->until_ms = value->until_ms;
	member->sticky = value->sticky;
	member->guessed = false;
	member_set_facts(member, value->facts);
	if (shared_is_over(shared, value->until_ms))
		return;
	if (!shared->options.events->put(shared->options.arg, member_name(member),
		    member_facts(member), shared_wall_ms(shared, value->until_ms), member->sticky))
		shared->health.bad++;
}

static void apply_removal(struct shared *shared, struct member *member)
{
	if (!member || member->state != MEMBER_SYNCED)
		return;
	shared->options.events->gone(shared->options.arg, member_name(member));
	shared_drop(shared, member);
}

void shared_apply(
	struct shared *shared, uint64_t version, struct slice name, struct slice value_text)
{
	struct member *member = members_find(&shared->members, name);
	struct value value;

	if (value_text.len == 0) {
		apply_removal(shared, member);
		return;
	}
	if (member) {
		member->pass = shared->pass;
		if (member->state != MEMBER_SYNCED || (version && member->version == version))
			return;
	}
	if (name.len == 0 || name.len > SHARED_MEMBER_BYTES || !is_text(name, '!') ||
		!read_value(value_text, &value)) {
		shared->health.bad++;
		return;
	}
	if (!member) {
		if (shared->members.count >= 2 * shared->options.max_members) {
			shared->health.refused++;
			return;
		}
		member = members_get(&shared->members, name);
		member->pass = shared->pass;
	}
	member->version = version;
	if (!is_same(member, &value))
		take_value(shared, member, &value);
}

/* ---- a page ---- */

static void apply_line(struct shared *shared, struct slice line)
{
	struct slice number, name, value;
	uint64_t version;

	if (!slice_split(line, '\t', &number, &value) || !slice_split(value, '\t', &name, &value) ||
		units_parse_u64(number, &version))
		shared->health.bad++;
	else
		shared_apply(shared, version, name, value);
}

static void apply_lines(struct shared *shared, struct slice text)
{
	struct slice line;

	while (slice_split(text, '\n', &line, &text))
		apply_line(shared, line);
	if (text.len)
		apply_line(shared, text);
}

static void sweep_one(void *arg, struct member *member)
{
	struct shared *shared = arg;
	uint64_t store_ms = shared->now.wall_ms + (uint64_t)shared->offset_ms;

	if (member->pass == shared->pass || member->state != MEMBER_SYNCED)
		return;
	if (shared->lossy && member->until_ms > store_ms && member->facts) {
		shared->health.lost++;
		shared_queue(shared, member, MEMBER_PUT);
		return;
	}
	shared->options.events->gone(shared->options.arg, member_name(member));
	shared_drop(shared, member);
}

static void end_pass(struct shared *shared)
{
	members_each(&shared->members, sweep_one, shared);
	shared->in_pass = shared->lossy = false;
	shared->health.complete = true;
	shared->health.passes++;
	shared->health.passed_mono_ms = shared->now.mono_ms;
}

/* The list began anew, or went back: what we know of its numbers is void. */
static bool is_another(struct shared *shared, uint64_t version, struct slice epoch)
{
	bool another =
		shared->epoch[0] && (!slice_is(epoch, shared->epoch) || version < shared->version);

	if (another) {
		shared->lossy = true;
		shared->version = 0;
	}
	snprintf(shared->epoch, sizeof(shared->epoch), "%.*s",
		SLICE_ARG(slice_first(epoch, sizeof(shared->epoch) - 1)));
	return another;
}

/* {'OK', time, v, e, 1 if there are more, number of the last, lines} */
static void read_page(struct shared *shared, const struct redis_reply *reply)
{
	uint64_t version, more, last;

	if (!redis_reply_u64(redis_reply_item(reply, 2), &version) ||
		!redis_reply_u64(redis_reply_item(reply, 4), &more) ||
		!redis_reply_u64(redis_reply_item(reply, 5), &last)) {
		shared->health.bad++;
		shared->retry_mono_ms = shared->now.mono_ms + SHARED_RETRY_MS;
		return;
	}
	shared_note_time(shared, redis_reply_item(reply, 1));
	shared->health.pages++;
	if (is_another(shared, version, redis_reply_text(redis_reply_item(reply, 3))) &&
		!(shared->in_pass && shared->cursor == 0)) {
		shared->in_pass = false;
		shared->want_all = true;
		return;
	}
	apply_lines(shared, redis_reply_text(redis_reply_item(reply, 6)));
	if (more && last > shared->cursor) {
		shared->cursor = last;
		shared->want_new = true;
		return;
	}
	shared->cursor = shared->version = version;
	if (shared->in_pass)
		end_pass(shared);
}

static void on_pulled(struct redis_call *call, const struct redis_reply *reply)
{
	struct shared *shared = LIST_ENTRY(call, struct shared, pull);

	shared->pulling = false;
	if (!reply)
		return;
	if (slice_is(redis_reply_text(redis_reply_item(reply, 0)), "OK")) {
		read_page(shared, reply);
		shared_pull(shared);
		return;
	}
	shared->want_new = true;
	if (redis_reply_error(reply) == REDIS_ERROR_NOSCRIPT)
		redis_runner_forget(shared->runner, SCRIPT_LIST_PULL);
	else
		shared->retry_mono_ms = shared->now.mono_ms + SHARED_RETRY_MS;
}

static void begin_pass(struct shared *shared)
{
	shared->want_all = false;
	shared->in_pass = true;
	shared->cursor = 0;
	shared->pass++;
}

void shared_pull(struct shared *shared)
{
	if (!shared->up || shared->pulling || (!shared->want_all && !shared->want_new))
		return;
	if (shared->want_all && !shared->in_pass)
		begin_pass(shared);
	else if (!shared->in_pass)
		shared->cursor =
			shared->version > shared->cursor ? shared->version : shared->cursor;
	shared_begin(shared, SCRIPT_LIST_PULL, PULL_ARGUMENTS);
	resp_u64(&shared->out, shared->cursor);
	resp_u64(&shared->out, SHARED_PAGE);
	shared_add_time(shared);
	shared->pull.answered = on_pulled;
	if (!shared->port->send(shared->port, &shared->pull, buf_slice(&shared->out),
		    shared->options.timeout_ms))
		return;
	shared->want_new = false;
	shared->pulling = true;
}
