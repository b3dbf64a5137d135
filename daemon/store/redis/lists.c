/* SPDX-License-Identifier: ISC */
/*
 * Which list is which: bans are held by daemon/bans, which is told of changes; live limits are
 * held here.
 */
#include "daemon/store/redis/lists.h"

#include "common/alloc.h"
#include "daemon/store/redis/facts.h"

struct lists {
	struct store *store;
	struct redis_port *port;
	struct redis_runner *runner;
	struct shared *bans, *limits;
	struct overrides *overrides;
	struct buf name, facts;
};

/* ---- what others changed ---- */

static bool on_ban(
	void *arg, struct slice member, struct slice facts, uint64_t until_wall_ms, bool sticky)
{
	struct lists *lists = arg;
	struct store_watcher *watcher = lists->store->watcher;
	struct ban ban;

	if (!facts_get_ban(
		    member, facts, until_wall_ms, sticky, shared_offset_ms(lists->bans), &ban))
		return false;
	return !watcher || watcher->ban_put(watcher, &ban);
}

static void on_ban_gone(void *arg, struct slice member)
{
	struct lists *lists = arg;
	struct store_watcher *watcher = lists->store->watcher;
	struct cidr network;
	const char *why;

	if (watcher && cidr_parse(member, &network, &why))
		watcher->ban_gone(watcher, &network);
}

static bool on_limit(
	void *arg, struct slice member, struct slice facts, uint64_t until_wall_ms, bool sticky)
{
	struct lists *lists = arg;
	struct override override;

	return sticky &&
	       facts_get_override(
		       member, facts, until_wall_ms, shared_offset_ms(lists->limits), &override) &&
	       overrides_put(lists->overrides, &override);
}

static void on_limit_gone(void *arg, struct slice member)
{
	struct lists *lists = arg;
	struct override override;

	if (facts_get_override_name(member, &override))
		overrides_remove(
			lists->overrides, slice_of(override.rule), slice_of(override.subject));
}

static const struct shared_events ban_events = {on_ban, on_ban_gone};
static const struct shared_events limit_events = {on_limit, on_limit_gone};

/* ---- changes made here ---- */

void lists_ban_put(struct lists *lists, const struct ban *ban, struct clock_now now)
{
	char text[CIDR_TEXT_BYTES];

	buf_reset(&lists->facts);
	facts_put_ban(&lists->facts, ban, shared_offset_ms(lists->bans));
	shared_put(lists->bans, cidr_format(&ban->network, text), buf_slice(&lists->facts),
		ban->until_wall_ms, ban->manual, now);
}

void lists_ban_remove(struct lists *lists, const struct cidr *network, struct clock_now now)
{
	char text[CIDR_TEXT_BYTES];

	shared_remove(lists->bans, cidr_format(network, text), now);
}

struct bans_each {
	struct lists *lists;
	void (*each)(void *arg, const struct ban *);
	void *arg;
};

static bool each_ban(
	void *arg, struct slice member, struct slice facts, uint64_t until_wall_ms, bool sticky)
{
	struct bans_each *each = arg;
	struct ban ban;

	if (facts_get_ban(member, facts, until_wall_ms, sticky, shared_offset_ms(each->lists->bans),
		    &ban))
		each->each(each->arg, &ban);
	return true;
}

void lists_bans_each(struct lists *lists, void (*each)(void *arg, const struct ban *), void *arg)
{
	struct bans_each all = {lists, each, arg};

	shared_each(lists->bans, each_ban, &all);
}

static struct slice name_of(struct lists *lists, struct slice rule, struct slice subject)
{
	buf_reset(&lists->name);
	facts_put_override_name(&lists->name, rule, subject);
	return buf_slice(&lists->name);
}

bool lists_override_put(struct lists *lists, const struct override *override, struct clock_now now)
{
	if (!overrides_put(lists->overrides, override))
		return false;
	buf_reset(&lists->facts);
	facts_put_override(&lists->facts, override, shared_offset_ms(lists->limits));
	shared_put(lists->limits,
		name_of(lists, slice_of(override->rule), slice_of(override->subject)),
		buf_slice(&lists->facts), override->until_wall_ms, true, now);
	return true;
}

bool lists_override_remove(
	struct lists *lists, struct slice rule, struct slice subject, struct clock_now now)
{
	bool had = overrides_remove(lists->overrides, rule, subject);

	if (had)
		shared_remove(lists->limits, name_of(lists, rule, subject), now);
	return had;
}

/* ---- for redis.c ---- */

static struct shared *new_list(struct lists *lists, const struct lists_options *options, char word,
	const struct shared_events *events)
{
	bool is_bans = word == 'b';
	struct shared_options shared = {
		.prefix = options->prefix,
		.word = word,
		.timeout_ms = options->timeout_ms,
		.max_members = is_bans ? options->max_bans : OVERRIDES_MAX,
		.keep_ms = is_bans ? options->keep_bans_ms : 0,
		.hash_key = options->hash_key,
		.given_time = options->given_time,
		.events = events,
		.arg = lists,
	};

	return shared_new(&shared, lists->port, lists->runner);
}

struct lists *lists_new(const struct lists_options *options, struct store *store,
	struct redis_port *port, const struct scripts *scripts)
{
	struct lists *lists = mem_zalloc(sizeof(*lists));

	lists->store = store;
	lists->port = port;
	lists->runner = redis_runner_new(scripts, SCRIPT_LIST_PULL, SCRIPT_LIST_REMOVE);
	lists->bans = new_list(lists, options, 'b', &ban_events);
	lists->limits = new_list(lists, options, 'o', &limit_events);
	lists->overrides = overrides_new(OVERRIDES_MAX);
	store->overrides = lists->overrides;
	buf_init(&lists->name, SHARED_MEMBER_BYTES + 1);
	buf_init(&lists->facts, SHARED_FACTS_BYTES);
	return lists;
}

void lists_free(struct lists **lists)
{
	struct lists *old = *lists;

	if (!old)
		return;
	old->store->overrides = NULL;
	shared_free(&old->bans);
	shared_free(&old->limits);
	redis_runner_free(&old->runner);
	overrides_free(&old->overrides);
	buf_release(&old->name);
	buf_release(&old->facts);
	mem_free(lists);
}

void lists_configure(struct lists *lists, size_t max_bans, uint64_t keep_bans_ms)
{
	shared_configure(lists->bans, max_bans, keep_bans_ms);
}

void lists_up(struct lists *lists, struct clock_now now)
{
	redis_runner_up(lists->runner, lists->port);
	shared_up(lists->bans, now);
	shared_up(lists->limits, now);
}

void lists_down(struct lists *lists, struct clock_now now)
{
	shared_down(lists->bans, now);
	shared_down(lists->limits, now);
}

void lists_channel(struct lists *lists, bool up)
{
	shared_channel(lists->bans, up);
	shared_channel(lists->limits, up);
}

void lists_hint(struct lists *lists, struct slice payload)
{
	shared_hint(lists->bans, payload);
	shared_hint(lists->limits, payload);
}

void lists_run(struct lists *lists, struct clock_now now)
{
	shared_run(lists->bans, now);
	shared_run(lists->limits, now);
}

void lists_flush(struct lists *lists)
{
	shared_flush(lists->bans);
	shared_flush(lists->limits);
}

uint64_t lists_next(const struct lists *lists)
{
	uint64_t bans = shared_next(lists->bans), limits = shared_next(lists->limits);

	if (!bans || !limits)
		return bans ? bans : limits;
	return bans < limits ? bans : limits;
}

void lists_tick(struct lists *lists, struct clock_now now)
{
	(void)overrides_expire(lists->overrides, now.wall_ms);
}

void lists_health(const struct lists *lists, struct lists_health *ret)
{
	shared_health(lists->bans, &ret->bans);
	shared_health(lists->limits, &ret->overrides);
}
