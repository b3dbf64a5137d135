/* SPDX-License-Identifier: ISC */
/*
 * `limit.set`, `limit.unset`, `limit.list`: live limits. They are checked as the configuration's
 * are, and kept by the store.
 */
#include <stdio.h>
#include <sysexits.h>

#include "config/limits.h"
#include "daemon/operate/control_call.h"

/* NULL: it was refused. */
static const struct rule *counting_rule(struct control_call *call, struct slice name)
{
	const struct ruleset *ruleset = pipeline_ruleset(call->operate->pipeline);
	int index = ruleset_find(ruleset, name);

	if (index < 0) {
		control_refuse(call, EX_DATAERR, "`reevectl status` lists the rules",
			"no rule '%s' is in force", config_quote(name).text);
		return NULL;
	}
	if (!ruleset->rules[index].ops->subject) {
		control_refuse(call, EX_DATAERR,
			"only rules with `check: rate` have limits by subject",
			"the rule '%s' does not count", config_quote(name).text);
		return NULL;
	}
	return &ruleset->rules[index];
}

/* "500/1h,2000/1d"; NULL: fine. */
static const char *read_rates(struct slice text, enum counter_what what, struct override *ret)
{
	struct slice part, rest = text;
	bool more;

	ret->rate_count = 0;
	if (slice_is(text, "unlimited"))
		return NULL;
	do {
		more = slice_split(rest, ',', &part, &rest);
		if (!more)
			part = rest;
		part = slice_trim(part);
		if (ret->rate_count == OVERRIDE_RATES)
			return "at most 4 windows";
		if (!config_parse_rate(part, &ret->rates[ret->rate_count]) ||
			ret->rates[ret->rate_count].limit == RATE_UNLIMITED)
			return "a limit is like 500/1h or 500/1h,2000/1d, or unlimited";
		if (what != COUNT_BYTES && part.len && memchr(part.data, 'B', part.len))
			return "this rule does not count bytes";
		for (unsigned i = 0; i < ret->rate_count; i++) {
			if (ret->rates[i].window_ms == ret->rates[ret->rate_count].window_ms)
				return "two limits have the same window";
		}
		ret->rate_count++;
	} while (more);
	return NULL;
}

static bool copy(char *memory, size_t bytes, struct slice text)
{
	if (text.len == 0 || text.len >= bytes)
		return false;
	memcpy(memory, text.data, text.len);
	memory[text.len] = '\0';
	return true;
}

static void add_override(struct json *json, const struct override *override)
{
	json_text(json, "rule", override->rule);
	json_text(json, "subject", override->subject);
	json_bool(json, "unlimited", override->rate_count == 0);
	json_array(json, "limits");
	for (unsigned i = 0; i < override->rate_count; i++) {
		json_object(json, NULL);
		json_u64(json, "limit", override->rates[i].limit);
		json_u64(json, "window_ms", override->rates[i].window_ms);
		json_end_object(json);
	}
	json_end_array(json);
	json_time(json, "since", override->since_wall_ms);
	if (override->until_wall_ms != UINT64_MAX)
		json_time(json, "until", override->until_wall_ms);
	json_text(json, "by", override->by);
}

/* The most windows that a live limit of one rule has, besides one subject's. */
struct widest {
	const struct override *besides;
	struct slice rule;
	unsigned windows;
};

static void look_at(void *arg, const struct override *override)
{
	struct widest *widest = arg;

	if (!slice_is(widest->rule, override->rule) ||
		(strcmp(override->rule, widest->besides->rule) == 0 &&
			strcmp(override->subject, widest->besides->subject) == 0))
		return;
	if (override->rate_count > widest->windows)
		widest->windows = override->rate_count;
}

/* In how many windows one request could count if that were set. */
static unsigned windows_with(const struct operate *operate, const struct override *override)
{
	const struct ruleset *ruleset = pipeline_ruleset(operate->pipeline);
	unsigned sum = 0;

	for (unsigned i = 0; i < ruleset->count; i++) {
		struct widest widest = {override, ruleset->rules[i].name, 0};

		if (!ruleset->rules[i].max_charges)
			continue;
		store_overrides_each(operate->store, look_at, &widest);
		if (slice_is(widest.rule, override->rule) && override->rate_count > widest.windows)
			widest.windows = override->rate_count;
		sum += widest.windows > ruleset->rules[i].max_charges
			       ? widest.windows
			       : ruleset->rules[i].max_charges;
	}
	return sum;
}

/* Reads all that `set` was told; false: it was refused. */
static bool read_set(struct control_call *call, const struct ctl_request *request,
	struct arena *arena, struct override *ret)
{
	const struct rule *rule = counting_rule(call, ctl_request_get(request, "rule"));
	struct slice subject = ctl_request_get(request, "subject");
	uint64_t now_ms = loop_now(call->operate->loop).wall_ms;
	struct rule_counting counting;
	const char *why;

	if (!rule)
		return false;
	counting = rule->ops->counting(rule);
	why = read_rates(ctl_request_get(request, "limit"), counting.what, ret);
	if (why) {
		control_refuse(call, EX_DATAERR, "", "%s", why);
		return false;
	}
	if (!control_read_end(call, request, now_ms, &ret->until_wall_ms))
		return false;
	subject = rule->ops->subject(
		rule, subject, pipeline_ruleset(call->operate->pipeline)->site, arena);
	if (!copy(ret->rule, sizeof(ret->rule), rule->name) ||
		!copy(ret->subject, sizeof(ret->subject), subject)) {
		control_refuse(call, EX_DATAERR, "",
			"that is no %s, which is what '%.*s' counts by", counting.per,
			SLICE_ARG(rule->name));
		return false;
	}
	if (windows_with(call->operate, ret) > STORE_MAX_CHARGES) {
		control_refuse(call, EX_DATAERR, "set fewer windows, or unset other live limits",
			"with it one request could count in more than %d windows",
			STORE_MAX_CHARGES);
		return false;
	}
	ret->since_wall_ms = now_ms;
	snprintf(ret->by, sizeof(ret->by), "uid %lu", (unsigned long)call->who.uid);
	return true;
}

static void set(struct control_call *call, const struct ctl_request *request)
{
	struct store *store = call->operate->store;
	struct override override = {0};
	struct arena arena;
	struct json *json;

	arena_init(&arena, 1024);
	if (read_set(call, request, &arena, &override)) {
		if (store->ops->override_put(store, &override, loop_now(call->operate->loop))) {
			json = control_answer(call);
			add_override(json, &override);
			control_send_kept(call);
		} else {
			control_refuse(call, EX_UNAVAILABLE,
				"unset those that are not needed any more",
				"there are %d live limits, and no room for more", OVERRIDES_MAX);
		}
	}
	arena_release(&arena);
}

/* A rule that is gone may have left one: then the subject is taken as it is. */
static void unset(struct control_call *call, const struct ctl_request *request)
{
	const struct ruleset *ruleset = pipeline_ruleset(call->operate->pipeline);
	struct slice name = ctl_request_get(request, "rule");
	struct slice subject = ctl_request_get(request, "subject");
	struct store *store = call->operate->store;
	int index = ruleset_find(ruleset, name);
	struct arena arena;

	arena_init(&arena, 1024);
	if (index >= 0 && ruleset->rules[index].ops->subject)
		subject = ruleset->rules[index].ops->subject(
			&ruleset->rules[index], subject, ruleset->site, &arena);
	if (store->ops->override_remove(store, name, subject, loop_now(call->operate->loop))) {
		(void)control_answer(call);
		control_send_kept(call);
	} else {
		control_refuse(call, EX_DATAERR, "`reevectl limit list` shows those there are",
			"there is no live limit of that rule and subject");
	}
	arena_release(&arena);
}

struct listing {
	struct json *json;
	uint64_t wall_ms;
};

static void list_one(void *arg, const struct override *override)
{
	struct listing *listing = arg;

	if (override->until_wall_ms <= listing->wall_ms)
		return;
	json_object(listing->json, NULL);
	add_override(listing->json, override);
	json_end_object(listing->json);
}

static void list_all(struct control_call *call, const struct ctl_request *request)
{
	struct json *json = control_answer(call);
	struct listing listing = {json, loop_now(call->operate->loop).wall_ms};

	(void)request;
	json_array(json, "limits");
	store_overrides_each(call->operate->store, list_one, &listing);
	json_end_array(json);
	control_send(call);
}

const struct control_command control_limit_commands[] = {
	{"limit.set", true, set},
	{"limit.unset", true, unset},
	{"limit.list", false, list_all},
	{0},
};
