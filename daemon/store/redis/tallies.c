/* SPDX-License-Identifier: ISC */
/*
 * What is asked is kept beside its call until the answer, since the asker has long gone on by then. An
 * answer that does not come, or is an error, is told as such: the node then judges by what it saw
 * itself.
 */
#include "daemon/store/redis/tallies.h"

#include "common/alloc.h"
#include "daemon/store/redis/keys.h"
#include "daemon/store/redis/resp.h"

#define COMMAND_BYTES ((size_t)64 * 1024)
#define FIXED_ARGUMENTS 5
#define FORGOTTEN_KINDS SLICE("0 1 4")
#define MAX_TOTAL UINT32_MAX

struct tally {
	struct redis_call call;
	struct tallies *tallies;
	struct list node; /* in `free` while it is not out */
	struct store_strikes asked;
	uint64_t wall_ms;
	bool again; /* with the whole script */
};

struct tallies {
	struct tallies_options options;
	struct redis_runner *runner;
	struct keys keys;
	struct buf key, out;
	struct list free;
	struct tally tallies[TALLIES_OUT];
};

struct tallies *tallies_new(const struct tallies_options *options)
{
	struct tallies *tallies = mem_zalloc(sizeof(*tallies));

	tallies->options = *options;
	tallies->runner = redis_runner_new(options->scripts, SCRIPT_STRIKE, SCRIPT_STRIKE);
	keys_init(&tallies->keys, options->prefix);
	buf_init(&tallies->key, KEYS_MAX_BYTES);
	buf_init(&tallies->out, COMMAND_BYTES);
	list_init(&tallies->free);
	for (size_t i = 0; i < TALLIES_OUT; i++) {
		tallies->tallies[i].tallies = tallies;
		list_append(&tallies->free, &tallies->tallies[i].node);
	}
	return tallies;
}

void tallies_free(struct tallies **tallies)
{
	if (!*tallies)
		return;
	redis_runner_free(&(*tallies)->runner);
	buf_release(&(*tallies)->key);
	buf_release(&(*tallies)->out);
	mem_free(tallies);
}

void tallies_up(struct tallies *tallies)
{
	redis_runner_up(tallies->runner, tallies->options.port);
}

/* ---- the question ---- */

static void put_key(struct tallies *tallies, const struct store_strikes *strikes)
{
	static const char digits[] = "0123456789abcdef";
	char name[2 * sizeof(strikes->key.bytes)];
	struct buf text;

	buf_init_fixed(&text, name, sizeof(name));
	for (size_t i = 0; i < sizeof(strikes->key.bytes); i++) {
		buf_add_char(&text, digits[strikes->key.bytes[i] >> 4]);
		buf_add_char(&text, digits[strikes->key.bytes[i] & 15]);
	}
	keys_plain(
		&tallies->keys, strikes->of == 'l' ? "sl" : "sa", buf_slice(&text), &tallies->key);
}

static void write_command(struct tallies *tallies, const struct tally *tally)
{
	const struct store_strikes *strikes = &tally->asked;
	struct buf *out = &tallies->out;

	buf_reset(out);
	put_key(tallies, strikes);
	redis_runner_begin(tallies->runner, SCRIPT_STRIKE, 1,
		FIXED_ARGUMENTS + 2 * (size_t)STORE_STRIKE_KINDS, out);
	resp_slice(out, buf_slice(&tallies->key));
	resp_u64(out, strikes->forget);
	resp_slice(out, FORGOTTEN_KINDS);
	resp_u64(out, tallies->options.given_time ? tally->wall_ms : 0);
	resp_u64(out, strikes->good_login_ms);
	resp_u64(out, strikes->good_login);
	for (size_t i = 0; i < STORE_STRIKE_KINDS; i++) {
		resp_u64(out, strikes->more[i]);
		resp_u64(out, strikes->window_ms[i]);
	}
}

static bool send_tally(struct tally *tally)
{
	struct tallies *tallies = tally->tallies;

	write_command(tallies, tally);
	return !tallies->out.overflow &&
	       tallies->options.port->send(tallies->options.port, &tally->call,
		       buf_slice(&tallies->out), tallies->options.timeout_ms);
}

/* ---- the answer ---- */

/* {'OK', time, good login, count of each kind} */
static bool read_totals(const struct redis_reply *reply, struct store_totals *ret)
{
	uint64_t good;

	if (!slice_is(redis_reply_text(redis_reply_item(reply, 0)), "OK") ||
		!redis_reply_u64(redis_reply_item(reply, 2), &good))
		return false;
	ret->good_login = good > 0;
	for (size_t i = 0; i < STORE_STRIKE_KINDS; i++)
		if (!redis_reply_u64(redis_reply_item(reply, 3 + i), &ret->count[i]) ||
			ret->count[i] > MAX_TOTAL)
			return false;
	return true;
}

static void on_answered(struct redis_call *call, const struct redis_reply *reply)
{
	struct tally *tally = LIST_ENTRY(call, struct tally, call);
	struct tallies *tallies = tally->tallies;
	struct store_watcher *watcher = tallies->options.store->watcher;
	struct store_strikes asked = tally->asked;
	struct store_totals totals;
	bool known = reply && read_totals(reply, &totals);

	if (redis_reply_error(reply) == REDIS_ERROR_NOSCRIPT) {
		redis_runner_forget(tallies->runner, SCRIPT_STRIKE);
		if (!tally->again && send_tally(tally)) {
			tally->again = true;
			return;
		}
	}
	list_append(&tallies->free, &tally->node);
	if (asked.event && watcher && watcher->struck)
		watcher->struck(watcher, &asked, known ? &totals : NULL);
}

bool tallies_add(struct tallies *tallies, const struct store_strikes *strikes, struct clock_now now)
{
	struct list *node = list_pop(&tallies->free);
	struct tally *tally;

	if (!node)
		return false;
	tally = LIST_ENTRY(node, struct tally, node);
	tally->asked = *strikes;
	tally->wall_ms = now.wall_ms;
	tally->again = false;
	tally->call.answered = on_answered;
	tally->call.writes = true;
	if (send_tally(tally))
		return true;
	list_append(&tallies->free, &tally->node);
	return false;
}
