/* SPDX-License-Identifier: ISC */
/*
 * Who is known by a name of their own, and who only because a map takes everything: the class that tells
 * Reeve of catchalls, catchalls that nobody looks at, and settings that make every recipient good.
 */
#include "daemon/ctl/postfix/plan.h"

#define NOBODY "reeve-probe-7f3a9c1e"
#define CLASS "reeve_catchall"
#define FIND "reeve_find_catchalls"
#define MAX_DOMAINS 200
#define MAX_TOLD 5

/* ---- the class */

/* Bytes of recipient_delimiter as a bracket expression, `-` and `^` where they stand for themselves. */
static struct slice delimiters(const struct plan *plan)
{
	struct slice set = model_value(plan->model, NULL, "recipient_delimiter");
	struct text_list out = {0};
	bool caret = false, minus = false;

	for (size_t i = 0; i < set.len; i++) {
		caret |= set.data[i] == '^';
		minus |= set.data[i] == '-';
		if (set.data[i] != '^' && set.data[i] != '-' && set.data[i] != ']')
			text_add(plan->arena, &out, slice_make(set.data + i, 1));
	}
	return plan_text(plan, "%.*s%s%s", SLICE_ARG(text_join(plan->arena, &out, "")),
		caret ? "^" : "", minus ? "-" : "");
}

/* A member of the union: "k" where the address is known in this form. */
static struct slice known_as(
	const struct plan *plan, const char *pattern, const char *result, struct slice maps)
{
	return text_format(plan->arena, "pipemap:{regexp:{{/%s/ %s}},%.*s,static:k}", pattern,
		result, SLICE_ARG(maps));
}

/*
 * Access maps never look up `@domain`, so the first member turns the address into that and looks itself: `c` where a
 * catchall would take it (`@old @new` is a domain under two names, and none). The others say `k` where the address is
 * known: as it is, without its extension, by its bare name. Only `c` alone is a recipient that nobody knows.
 */
static struct slice find_value(const struct plan *plan)
{
	struct slice maps = SLICE("unionmap:{$virtual_alias_maps}"), set = delimiters(plan);
	bool aliases = model_value(plan->model, NULL, "virtual_alias_maps").len > 0;
	bool boxes = model_value(plan->model, NULL, "virtual_mailbox_maps").len > 0;
	struct text_list members = {0};

	if (aliases && boxes)
		maps = SLICE("unionmap:{$virtual_alias_maps,$virtual_mailbox_maps}");
	else if (boxes)
		maps = SLICE("unionmap:{$virtual_mailbox_maps}");
	text_add(plan->arena, &members,
		plan_text(plan,
			"pipemap:{regexp:{{/^[^@]*(@.+)$$/ $$1}},%.*s,regexp:{{/^[^@]/ c}}}",
			SLICE_ARG(maps)));
	text_add(
		plan->arena, &members, plan_text(plan, "pipemap:{%.*s,static:k}", SLICE_ARG(maps)));
	if (set.len)
		text_add(plan->arena, &members,
			known_as(plan,
				text_terminated(plan->arena,
					plan_text(plan, "^([^@%.*s]+)[%.*s][^@]*(@.+)$$",
						SLICE_ARG(set), SLICE_ARG(set))),
				"$$1$$2", maps));
	text_add(plan->arena, &members,
		known_as(plan,
			text_terminated(plan->arena,
				set.len ? plan_text(plan, "^([^@%.*s]+)([%.*s][^@]*)?@.+$$",
						  SLICE_ARG(set), SLICE_ARG(set))
					: SLICE("^([^@]+)@.+$$")),
			"$$1", maps));
	return text_format(plan->arena,
		"check_recipient_access pipemap:{unionmap:{%.*s},inline:{c=" CLASS "}}",
		SLICE_ARG(text_join(plan->arena, &members, ",")));
}

static void wish_class(struct plan *plan)
{
	struct slice classes = model_raw(plan->model, NULL, "smtpd_restriction_classes"),
		     rest = classes, item;
	bool is_there = false;
	struct wish *wish;

	while (text_item(&rest, &item))
		is_there |= slice_is(item, CLASS);
	wish = plan_main(plan, "catchalls-unwired", "smtpd_restriction_classes",
		is_there      ? classes
		: classes.len ? plan_text(plan, "%.*s, " CLASS, SLICE_ARG(classes))
			      : SLICE(CLASS),
		"a recipient that only a catchall takes is asked about once more, with a context");
	wish = plan_main(plan, "catchalls-unwired", CLASS,
		plan_text(plan,
			"check_policy_service { $reeve_socket, timeout=%us, policy_context=%.*s, "
			"{ default_action = $reeve_default_action } }",
			plan->want->timeout_s, SLICE_ARG(plan->want->catchall_context)),
		NULL);
	wish->follows = true;
	wish = plan_main(
		plan, "catchalls-unwired", FIND, find_value(plan), "works with maps of any kind");
	wish->follows = true;
}

/* ---- catchalls that are there */

static struct slice bare_map(struct slice map)
{
	/* The map behind proxymap(8), which answers only where Postfix runs. */
	while (slice_starts_with(map, SLICE("proxy:")))
		map = slice_from(map, strlen("proxy:"));
	return map;
}

static bool rule_knows(const struct plan *plan, struct slice key)
{
	for (size_t i = 0; i < plan->want->catchall_keys.count; i++)
		if (slice_equal_fold(plan->want->catchall_keys.items[i], key))
			return true;
	return false;
}

static void find_catchalls(const struct plan *plan, const char *name, struct text_list *ret)
{
	struct slice maps = model_value(plan->model, NULL, name), map;
	struct text_list keys = {0};

	for (size_t i = 0; i < plan->domains.count && i < MAX_DOMAINS; i++)
		text_add(plan->arena, &keys,
			plan_text(plan, "@%.*s", SLICE_ARG(plan->domains.items[i])));
	while (keys.count && text_item(&maps, &map)) {
		struct text_list found = {0};

		if (!plan->probe->look_up_all(
			    plan->probe->context, plan->arena, bare_map(map), &keys, &found))
			continue;
		for (size_t i = 0; i < found.count; i++)
			if (!rule_knows(plan, found.items[i]))
				text_add_new(plan->arena, ret,
					plan_text(plan, "%.*s in %s", SLICE_ARG(found.items[i]),
						name));
	}
}

static struct slice first_few(const struct plan *plan, const struct text_list *all)
{
	struct text_list few = *all;

	if (few.count <= MAX_TOLD)
		return text_join(plan->arena, &few, ", ");
	few.count = MAX_TOLD;
	return plan_text(plan, "%.*s and %zu more", SLICE_ARG(text_join(plan->arena, &few, ", ")),
		all->count - MAX_TOLD);
}

static void look_for_catchalls(struct plan *plan)
{
	struct text_list found = {0};
	const char *state = plan->want->has_catchall ? "the catchall rule does not see them"
						     : "there is no catchall rule, or it is off";

	if (plan->want->has_catchall && plan->want->catchall_context.len)
		return; /* Postfix tells Reeve of all of them */
	find_catchalls(plan, "virtual_alias_maps", &found);
	find_catchalls(plan, "virtual_mailbox_maps", &found);
	if (found.count == 0)
		return;
	plan_note(plan, "catchall-unseen", PLAN_MISTAKE, SLICE_EMPTY,
		plan_text(plan, "catchalls take mail for anybody, and %s: %.*s", state,
			SLICE_ARG(first_few(plan, &found))),
		SLICE("rules: - { name: catchall, check: catchall, maps: [\"context:catchall\"] }"));
}

/* ---- everybody is known */

/* Maps that are laid over text, or hold for all: a name that nobody has tells. */
static bool is_pattern_map(struct slice map)
{
	static const char *const types[] = {"regexp:", "pcre:", "pcre2:", "static:"};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (slice_starts_with(map, slice_of(types[i])))
			return true;
	return false;
}

static struct slice map_name(struct slice map)
{
	return slice_first(map, 120);
}

static void look_at_map(
	struct plan *plan, const char *name, struct slice map, const struct text_list *keys)
{
	struct text_list found = {0};

	if (!is_pattern_map(map) ||
		!plan->probe->look_up_all(plan->probe->context, plan->arena, map, keys, &found) ||
		found.count == 0)
		return;
	plan_note(plan, "takes-everything", PLAN_WARNING, SLICE_EMPTY,
		plan_text(plan, "%s: %.*s knows everybody, even %.*s: no recipient is ever unknown",
			name, SLICE_ARG(map_name(map)), SLICE_ARG(found.items[0])),
		plan_text(plan, "narrow the patterns of %.*s", SLICE_ARG(map_name(map))));
}

static void look_for_everything(struct plan *plan)
{
	static const char *const names[] = {"local_recipient_maps", "virtual_alias_maps",
		"virtual_mailbox_maps", "relay_recipient_maps", "alias_maps"};
	struct text_list keys = {0};

	text_add(plan->arena, &keys, SLICE(NOBODY));
	for (size_t i = 0; i < plan->domains.count && i < MAX_DOMAINS; i++)
		text_add(plan->arena, &keys,
			plan_text(plan, NOBODY "@%.*s", SLICE_ARG(plan->domains.items[i])));
	for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
		struct slice maps = model_value(plan->model, NULL, names[n]), map;

		while (text_item(&maps, &map))
			look_at_map(plan, names[n], bare_map(map), &keys);
	}
}

struct trap {
	const char *name, *what;
};

static void look_for_traps(struct plan *plan)
{
	static const struct trap traps[] = {
		{"luser_relay", "takes mail for every unknown local user"},
		{"fallback_transport", "hands unknown local users on, so that none is refused"},
		{"fallback_transport_maps",
			"hands unknown local users on, so that none is refused"},
	};

	for (size_t i = 0; i < sizeof(traps) / sizeof(traps[0]); i++) {
		struct slice now = model_value(plan->model, NULL, traps[i].name);
		struct wish *wish;

		if (now.len == 0)
			continue;
		wish = plan_main(plan, traps[i].name, traps[i].name, SLICE_EMPTY, NULL);
		wish->level = PLAN_WARNING;
		wish->by_hand = true;
		plan_judge(wish, false,
			plan_text(plan, "%s = %.*s %s", traps[i].name, SLICE_ARG(now),
				traps[i].what));
	}
	if (model_origin(plan->model, NULL, "local_recipient_maps") == MODEL_MAIN &&
		model_value(plan->model, NULL, "local_recipient_maps").len == 0 &&
		model_value(plan->model, NULL, "mydestination").len) {
		struct wish *wish = plan_main(plan, "local_recipient_maps", "local_recipient_maps",
			SLICE("proxy:unix:passwd.byname $alias_maps"), NULL);

		wish->level = PLAN_WARNING;
		wish->by_hand = true;
		wish->message =
			SLICE("local_recipient_maps is empty: no local recipient is ever unknown");
	}
}

void plan_recipients(struct plan *plan)
{
	if (plan->want->has_catchall && plan->want->catchall_context.len &&
		(model_value(plan->model, NULL, "virtual_alias_maps").len ||
			model_value(plan->model, NULL, "virtual_mailbox_maps").len))
		wish_class(plan);
	look_for_catchalls(plan);
	look_for_everything(plan);
	look_for_traps(plan);
}
