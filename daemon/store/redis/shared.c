/* SPDX-License-Identifier: ISC */
/*
 * What is asked of a shared list. A change made here is kept until Redis has taken it; while it
 * is not, it is the truth for this node.
 */
#include "daemon/store/redis/shared_parts.h"

#include "common/alloc.h"
#include "common/units.h"
#include "daemon/store/redis/resp.h"

#define COMMAND_BYTES ((size_t)64 * 1024)
#define KEY_BYTES 256
#define PASS_EVERY_MS 60000
#define POLL_EVERY_MS 1000
/* Removals are remembered for an hour; who was away longer cannot tell what was lost from what was
 * removed. */
#define TRUSTED_AWAY_MS ((uint64_t)50 * 60000)
#define MAX_FACTOR 2 /* members known here, against those the list may have */
#define SPARE_MEMBERS 1000
#define CLOCK_STEP_MS 1000
#define CLOCKS_APART_MS 60000 /* what another's time may be ahead and still be taken for one */

static const char *const key_names[SHARED_KEYS] = {"v", "l", "f", "", "t"};

struct shared *shared_new(
	const struct shared_options *options, struct redis_port *port, struct redis_runner *runner)
{
	struct shared *shared = mem_zalloc(sizeof(*shared));

	shared->options = *options;
	shared->port = port;
	shared->runner = runner;
	members_init(&shared->members, options->hash_key);
	list_init(&shared->unsent);
	for (size_t i = 0; i < SHARED_KEYS; i++) {
		buf_init(&shared->keys[i], KEY_BYTES);
		buf_add_format(&shared->keys[i], "{%.*s}:%c%s", SLICE_ARG(options->prefix),
			options->word, key_names[i]);
	}
	buf_init(&shared->channel, KEY_BYTES);
	buf_add_format(&shared->channel, "{%.*s}:hint", SLICE_ARG(options->prefix));
	buf_init(&shared->out, COMMAND_BYTES);
	return shared;
}

void shared_free(struct shared **shared)
{
	struct shared *old = *shared;

	if (!old)
		return;
	members_release(&old->members);
	for (size_t i = 0; i < SHARED_KEYS; i++)
		buf_release(&old->keys[i]);
	buf_release(&old->channel);
	buf_release(&old->out);
	mem_free(shared);
}

/* ---- commands, and Redis' clock ---- */

void shared_begin(struct shared *shared, enum script script, size_t arguments)
{
	buf_reset(&shared->out);
	redis_runner_begin(shared->runner, script, SHARED_KEYS, arguments, &shared->out);
	for (size_t i = 0; i < SHARED_KEYS; i++)
		resp_slice(&shared->out, buf_slice(&shared->keys[i]));
}

void shared_add_time(struct shared *shared)
{
	resp_u64(&shared->out, shared->options.given_time ? shared->now.wall_ms : 0);
}

/*
 * An answer is some time old when it comes, so each makes Redis' clock look slow by that: the
 * quickest answer is the best, and slower ones only move the clock a little, for the case that it
 * was set back.
 */
void shared_note_time(struct shared *shared, const struct redis_reply *time)
{
	struct clock_now now = shared->port->now(shared->port);
	uint64_t store_ms;
	int64_t offset;

	if (shared->options.given_time)
		now = shared->now;
	if (!redis_reply_u64(time, &store_ms) || store_ms > SHARED_MAX_MS)
		return;
	offset = (int64_t)store_ms - (int64_t)now.wall_ms;
	if (!shared->has_offset || offset >= shared->offset_ms ||
		shared->offset_ms - offset > CLOCK_STEP_MS)
		shared->offset_ms = offset;
	else
		shared->offset_ms--;
	shared->has_offset = true;
}

int64_t shared_offset_ms(const struct shared *shared)
{
	return shared->offset_ms;
}

uint64_t shared_wall_ms(const struct shared *shared, uint64_t store_ms)
{
	if (store_ms == UINT64_MAX)
		return store_ms;
	if (shared->offset_ms > 0 && store_ms < (uint64_t)shared->offset_ms)
		return 0;
	return store_ms - (uint64_t)shared->offset_ms;
}

/* So long ago that nobody wants to know of it. */
bool shared_is_over(const struct shared *shared, uint64_t until_ms)
{
	uint64_t store_ms = shared->now.wall_ms + (uint64_t)shared->offset_ms;

	return until_ms < store_ms && store_ms - until_ms > shared->options.keep_ms;
}

static uint64_t to_store(const struct shared *shared, uint64_t wall_ms)
{
	return wall_ms == UINT64_MAX ? wall_ms : wall_ms + (uint64_t)shared->offset_ms;
}

/* ---- changes made here ---- */

void shared_queue(struct shared *shared, struct member *member, enum member_state state)
{
	if (member->state == MEMBER_SYNCED)
		shared->unsent_count++;
	member->state = state;
	member->changed = member->out;
	if (!member->out && list_is_empty(&member->unsent))
		list_append(&shared->unsent, &member->unsent);
}

void shared_drop(struct shared *shared, struct member *member)
{
	if (member->state != MEMBER_SYNCED)
		shared->unsent_count--;
	members_drop(&shared->members, member);
}

/* Whoever changes a member knows what is there now: he is later than that, though each node knows
 * Redis' clock only to within what an answer takes. */
static void made_now(struct shared *shared, struct member *member, struct clock_now now)
{
	uint64_t made_ms = to_store(shared, now.wall_ms);

	if (member->made_ms >= made_ms && member->made_ms - made_ms < CLOCKS_APART_MS)
		made_ms = member->made_ms + 1;
	member->made_ms = made_ms;
	member->guessed = !shared->has_offset;
}

static bool is_full(const struct shared *shared)
{
	return shared->members.count >= MAX_FACTOR * shared->options.max_members + SPARE_MEMBERS;
}

void shared_put(struct shared *shared, struct slice name, struct slice facts,
	uint64_t until_wall_ms, bool sticky, struct clock_now now)
{
	struct member *member;

	if (name.len == 0 || name.len > SHARED_MEMBER_BYTES || facts.len > SHARED_FACTS_BYTES ||
		(is_full(shared) && !members_find(&shared->members, name))) {
		shared->health.refused++;
		return;
	}
	member = members_get(&shared->members, name);
	member_set_facts(member, facts);
	made_now(shared, member, now);
	member->until_ms = to_store(shared, until_wall_ms);
	member->sticky = sticky;
	shared_queue(shared, member, MEMBER_PUT);
}

void shared_remove(struct shared *shared, struct slice name, struct clock_now now)
{
	struct member *member;

	if (name.len == 0 || name.len > SHARED_MEMBER_BYTES ||
		(is_full(shared) && !members_find(&shared->members, name))) {
		shared->health.refused++;
		return;
	}
	member = members_get(&shared->members, name);
	made_now(shared, member, now);
	shared_queue(shared, member, MEMBER_REMOVED);
}

/* ---- the connection ---- */

void shared_up(struct shared *shared, struct clock_now now)
{
	shared->now = now;
	shared->up = true;
	shared->retry_mono_ms = 0;
	shared->want_all = true;
	shared->lossy =
		shared->down_mono_ms && now.mono_ms - shared->down_mono_ms < TRUSTED_AWAY_MS;
	shared->health.complete = false;
}

void shared_down(struct shared *shared, struct clock_now now)
{
	shared->now = now;
	shared->up = false;
	shared->down_mono_ms = now.mono_ms ? now.mono_ms : 1;
	shared->in_pass = false;
	shared->health.complete = false;
}

void shared_channel(struct shared *shared, bool up)
{
	/* What was told while it was down was not heard. */
	shared->want_new = true;
	shared->channel_up = up;
}

void shared_hint(struct shared *shared, struct slice payload)
{
	struct slice word, number;
	uint64_t version;

	if (!slice_split(payload, ' ', &word, &number) || word.len != 1 ||
		word.data[0] != shared->options.word)
		return;
	if (units_parse_u64(number, &version) || version != shared->version)
		shared->want_new = true;
}

static void offer(void *arg, struct member *member)
{
	struct shared *shared = arg;

	if (member->state != MEMBER_SYNCED || shared_is_over(shared, member->until_ms))
		return;
	(void)shared->options.events->put(shared->options.arg, member_name(member),
		member_facts(member), shared_wall_ms(shared, member->until_ms), member->sticky);
}

void shared_configure(struct shared *shared, size_t max_members, uint64_t keep_ms)
{
	shared->options.max_members = max_members;
	shared->options.keep_ms = keep_ms;
	members_each(&shared->members, offer, shared);
}

struct each {
	const struct shared *shared;
	bool (*put)(void *arg, struct slice member, struct slice facts, uint64_t until_wall_ms,
		bool sticky);
	void *arg;
};

static void each_member(void *arg, struct member *member)
{
	struct each *each = arg;
	uint64_t until = member->until_ms;

	if (member->state == MEMBER_REMOVED || !member->facts)
		return;
	if (!member->guessed)
		until = shared_wall_ms(each->shared, until);
	(void)each->put(
		each->arg, member_name(member), member_facts(member), until, member->sticky);
}

void shared_each(struct shared *shared,
	bool (*put)(void *arg, struct slice member, struct slice facts, uint64_t until_wall_ms,
		bool sticky),
	void *arg)
{
	struct each each = {shared, put, arg};

	members_each(&shared->members, each_member, &each);
}

/* ---- turns ---- */

void shared_run(struct shared *shared, struct clock_now now)
{
	shared->now = now;
	if (!shared->up)
		return;
	if (now.mono_ms >= shared->pass_mono_ms) {
		shared->pass_mono_ms = now.mono_ms + PASS_EVERY_MS;
		shared->want_all = true;
	}
	if (!shared->channel_up && now.mono_ms >= shared->poll_mono_ms) {
		shared->poll_mono_ms = now.mono_ms + POLL_EVERY_MS;
		shared->want_new = true;
	}
	if (now.mono_ms < shared->retry_mono_ms)
		return;
	shared->retry_mono_ms = 0;
	shared_flush(shared);
	shared_pull(shared);
}

uint64_t shared_next(const struct shared *shared)
{
	uint64_t next;

	if (!shared->up)
		return 0;
	next = shared->pass_mono_ms;
	if (!shared->channel_up && shared->poll_mono_ms < next)
		next = shared->poll_mono_ms;
	if (shared->retry_mono_ms && shared->retry_mono_ms < next)
		next = shared->retry_mono_ms;
	return next ? next : 1;
}

void shared_health(const struct shared *shared, struct shared_health *ret)
{
	*ret = shared->health;
	ret->members = shared->members.count;
	ret->unsent = shared->unsent_count;
	ret->version = shared->version;
}
