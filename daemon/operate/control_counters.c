/* SPDX-License-Identifier: ISC */
/*
 * `usage`, `top`, `reset`: counters as they stand. Looking at all of them is done in pieces, one
 * a turn of the loop, so that no answer to Postfix waits for it.
 */
#include <sysexits.h>

#include "common/alloc.h"
#include "daemon/operate/control_call.h"
#include "daemon/operate/subjects.h"

#define USAGE_MAX 1000
#define TOP_MAX 1000
#define TOP_USUAL 20

static const char *const what_words[] = {
	[COUNT_RECIPIENTS] = "recipients",
	[COUNT_MESSAGES] = "messages",
	[COUNT_BYTES] = "bytes",
};

/* A copy of a counter, in the call's arena. `limit` is the one it was last counted against, or the
 * live limit that holds now. */
struct counter {
	struct counter_key key;
	uint64_t used, limit;
	uint64_t free_ms, free_amount;
	bool live, unlimited;
};

struct counters_state {
	struct control_call *call;
	struct arena arena;
	struct counter *items;
	unsigned count, max, at;
	bool full;
	/* usage */
	struct store_usage op;
	struct waiter waiter;
	/* top */
	uint64_t cursor, seen;
	bool by_used;
};

static struct counters_state *new_state(struct control_call *call, unsigned max)
{
	struct counters_state *state = mem_zalloc(sizeof(*state));

	state->call = call;
	state->max = max;
	state->items = mem_zalloc_array(max, sizeof(*state->items));
	arena_init(&state->arena, 16384);
	call->state = state;
	return state;
}

static void free_state(struct control_call *call)
{
	struct counters_state *state = call->state;

	call->state = NULL;
	arena_release(&state->arena);
	free(state->items);
	free(state);
}

static void cancel(struct control_call *call)
{
	struct counters_state *state = call->state;

	store_forget(call->operate->store, &state->op.op);
	free_state(call);
}

/* As a request would find it: the subject's own, or that of its domain. */
static const struct override *live_limit(
	struct counters_state *state, const struct counter_key *key)
{
	const struct overrides *overrides = state->call->operate->store->overrides;
	uint64_t wall_ms = loop_now(state->call->operate->loop).wall_ms;
	char memory[COUNTER_SUBJECT_BYTES + 2];
	struct slice local = SLICE_EMPTY, domain = key->subject;
	const struct override *found;
	struct buf text;

	if (!overrides || overrides_count(overrides) == 0)
		return NULL;
	found = overrides_find(overrides, key->rule, key->subject, wall_ms);
	if (found)
		return found;
	slice_split_last(key->subject, '@', &local, &domain);
	buf_init_fixed(&text, memory, sizeof(memory));
	buf_add_char(&text, '@');
	buf_add(&text, domain);
	return overrides_find(overrides, key->rule, buf_slice(&text), wall_ms);
}

static void apply_live(struct counters_state *state, struct counter *counter)
{
	const struct override *live = live_limit(state, &counter->key);

	counter->live = live != NULL;
	counter->unlimited = live != NULL;
	for (unsigned i = 0; live && i < live->rate_count; i++)
		if (live->rates[i].window_ms == counter->key.window_ms) {
			counter->limit = live->rates[i].limit;
			counter->unlimited = false;
		}
}

static void copy_counter(
	struct counters_state *state, struct counter *to, const struct store_counter *from)
{
	*to = (struct counter){.key = from->key, .used = from->used, .limit = from->limit};
	to->key.rule = arena_dup(&state->arena, from->key.rule);
	to->key.subject = arena_dup(&state->arena, from->key.subject);
}

static void add_counter(struct json *json, const struct counter *counter)
{
	json_object(json, NULL);
	json_slice(json, "rule", counter->key.rule);
	json_slice(json, "subject", counter->key.subject);
	json_text(json, "count", what_words[counter->key.what]);
	json_u64(json, "window_ms", counter->key.window_ms);
	json_u64(json, "used", counter->used);
	if (!counter->unlimited && counter->limit != UINT64_MAX)
		json_u64(json, "limit", counter->limit);
	if (!counter->unlimited && counter->limit == UINT64_MAX)
		json_null(json, "limit");
	if (counter->live)
		json_bool(json, "live", true);
	if (counter->free_amount) {
		json_u64(json, "free_ms", counter->free_ms);
		json_u64(json, "free_amount", counter->free_amount);
	}
	json_end_object(json);
}

static void answer(struct control_call *call)
{
	struct counters_state *state = call->state;
	struct json *json = control_answer(call);

	json_array(json, "counters");
	for (unsigned i = 0; i < state->count; i++)
		if (state->items[i].used)
			add_counter(json, &state->items[i]);
	json_end_array(json);
	if (state->seen)
		json_u64(json, "seen", state->seen);
	json_bool(json, "more", state->full);
	free_state(call);
	control_send(call);
}

/* false: there is none. */
static bool read_subjects(struct control_call *call, const struct ctl_request *request,
	struct arena *arena, struct subjects *ret)
{
	subjects_read(ret, pipeline_ruleset(call->operate->pipeline),
		ctl_request_get(request, "subject"), arena);
	return ret->count > 0;
}

static void refuse_subject(struct control_call *call)
{
	control_refuse(call, EX_DATAERR, "an address, a domain or a network, as the rule counts by",
		"no subject was given");
}

/* ---- usage ---- */

static void usage_wake(struct waiter *waiter)
{
	struct counters_state *state = LIST_ENTRY(waiter, struct counters_state, waiter);

	control_resume(state->call);
}

/* Asks about one counter after the other; a store that answers at once needs one call. */
static void usage_resume(struct control_call *call)
{
	struct counters_state *state = call->state;

	for (; state->at < state->count; state->at++) {
		struct counter *counter = &state->items[state->at];

		if (state->op.op.state == STORE_OP_IDLE) {
			state->op.key = counter->key;
			state->op.limit = counter->limit;
			state->op.op.waiter = &state->waiter;
			store_usage(
				call->operate->store, &state->op, loop_now(call->operate->loop));
		}
		if (state->op.op.state == STORE_OP_PENDING)
			return;
		if (!state->op.op.failed) {
			counter->used = state->op.used;
			counter->free_ms = state->op.free_ms;
			counter->free_amount = state->op.free_amount;
		}
		state->op = (struct store_usage){0};
	}
	answer(call);
}

static void usage_add(void *arg, const struct store_counter *counter)
{
	struct counters_state *state = arg;

	if (state->count == state->max)
		state->full = true;
	else {
		copy_counter(state, &state->items[state->count], counter);
		apply_live(state, &state->items[state->count++]);
	}
}

static void usage(struct control_call *call, const struct ctl_request *request)
{
	struct counters_state *state = new_state(call, USAGE_MAX);
	struct store *store = call->operate->store;
	struct subjects subjects;

	if (!read_subjects(call, request, &state->arena, &subjects)) {
		free_state(call);
		refuse_subject(call);
		return;
	}
	state->waiter.wake = usage_wake;
	for (unsigned i = 0; i < subjects.count; i++)
		store->ops->list(
			store, subjects.items[i], usage_add, state, loop_now(call->operate->loop));
	call->cancel = cancel;
	call->resume = usage_resume;
	list_append(control_waiting(call->control), &call->node);
	usage_resume(call);
}

/* ---- top ---- */

/* The share of the limit, in 1/1000. */
static uint64_t share(uint64_t used, uint64_t limit)
{
	double share = limit ? (double)used * 1000 / (double)limit : 1e19;

	return share < 1e18 ? (uint64_t)share : UINT64_MAX;
}

static uint64_t rank(const struct counters_state *state, const struct counter *counter)
{
	if (state->by_used)
		return counter->used;
	return counter->unlimited ? 0 : share(counter->used, counter->limit);
}

/* Kept in order, the highest first; most of what comes is below the last and costs nothing. */
static void top_add(void *arg, const struct store_counter *from)
{
	struct counters_state *state = arg;
	struct counter mine = {.key = from->key, .used = from->used, .limit = from->limit};
	unsigned place = state->count;
	struct counter *to;

	state->seen++;
	apply_live(state, &mine);
	while (place > 0 && rank(state, &state->items[place - 1]) < rank(state, &mine))
		place--;
	if (place == state->max) {
		state->full = true;
		return;
	}
	if (state->count == state->max)
		state->full = true;
	else
		state->count++;
	to = &state->items[place];
	memmove(to + 1, to, (state->count - place - 1) * sizeof(*to));
	copy_counter(state, to, from);
	to->limit = mine.limit;
	to->live = mine.live;
	to->unlimited = mine.unlimited;
}

static void top_resume(struct control_call *call)
{
	struct counters_state *state = call->state;
	struct store *store = call->operate->store;

	state->cursor = store->ops->scan(
		store, state->cursor, top_add, state, loop_now(call->operate->loop));
	if (state->cursor)
		control_resume(call);
	else
		answer(call);
}

static void top(struct control_call *call, const struct ctl_request *request)
{
	struct slice number = SLICE_EMPTY, by = ctl_request_get(request, "by");
	uint64_t max = TOP_USUAL;
	struct counters_state *state;

	if (ctl_request_find(request, "number", &number) &&
		(units_parse_u64(number, &max) || max == 0 || max > TOP_MAX)) {
		control_refuse(call, EX_DATAERR, "", "the number is between 1 and %d", TOP_MAX);
		return;
	}
	if (by.len && !slice_is(by, "share") && !slice_is(by, "used")) {
		control_refuse(call, EX_DATAERR, "", "sorted by `share` or `used`");
		return;
	}
	state = new_state(call, (unsigned)max);
	state->by_used = slice_is(by, "used");
	call->cancel = cancel;
	call->resume = top_resume;
	control_resume(call);
}

/* ---- reset ---- */

static void reset(struct control_call *call, const struct ctl_request *request)
{
	struct store *store = call->operate->store;
	struct subjects subjects;
	struct arena arena;
	uint64_t emptied = 0;
	struct json *json;

	arena_init(&arena, 4096);
	if (read_subjects(call, request, &arena, &subjects)) {
		for (unsigned i = 0; i < subjects.count; i++)
			emptied += store->ops->reset(
				store, subjects.items[i], loop_now(call->operate->loop));
		json = control_answer(call);
		json_u64(json, "emptied", emptied);
		control_send(call);
	} else {
		refuse_subject(call);
	}
	arena_release(&arena);
}

const struct control_command control_counter_commands[] = {
	{"usage", false, usage},
	{"top", false, top},
	{"reset", true, reset},
	{0},
};
