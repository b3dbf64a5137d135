/* SPDX-License-Identifier: ISC */
/*
 * From a config_rule to a rule. The one subtle part is the replies: a check brings its default
 * replies, the rule may say another action and another text, and what comes out must be
 * a refusal of the class that the action promises (so that "defer" never sends a 5xx).
 */
#include "daemon/engine/rule_build.h"

#include <assert.h>

#include "common/alloc.h"
#include "common/suggest.h"

#define STATES_MESSAGE                                                                             \
	(1U << POLICY_STATE_RCPT | 1U << POLICY_STATE_DATA | 1U << POLICY_STATE_END_OF_MESSAGE)
#define STATES_ALL                                                                                 \
	(STATES_MESSAGE | 1U << POLICY_STATE_CONNECT | 1U << POLICY_STATE_EHLO |                   \
	 1U << POLICY_STATE_MAIL | 1U << POLICY_STATE_VRFY | 1U << POLICY_STATE_ETRN)

/* FNV-1a: names are the postmaster's, and the value must be the same in every process. */
static uint32_t stable_hash(struct slice name)
{
	uint32_t hash = 2166136261U;

	for (size_t i = 0; i < name.len; i++)
		hash = (hash ^ (unsigned char)name.data[i]) * 16777619U;
	return hash ? hash : 1;
}

static enum reply_kind action_kind(int action, bool temporary, enum reply_kind otherwise)
{
	switch ((enum config_action)action) {
	case CONFIG_ACTION_DEFAULT:
		if (otherwise == REPLY_DISCONNECT && temporary)
			return REPLY_DISCONNECT_TEMPORARY;
		return otherwise;
	case CONFIG_ACTION_REJECT:
		return REPLY_REJECT;
	case CONFIG_ACTION_DEFER:
		return REPLY_DEFER;
	case CONFIG_ACTION_DISCONNECT:
		return temporary ? REPLY_DISCONNECT_TEMPORARY : REPLY_DISCONNECT;
	case CONFIG_ACTION_HOLD:
		return REPLY_HOLD;
	case CONFIG_ACTION_DISCARD:
		return REPLY_DISCARD;
	case CONFIG_ACTION_MARK:
		return REPLY_MARK;
	case CONFIG_ACTION_WARN:
	case CONFIG_ACTION_PASS:
		return REPLY_NONE;
	}
	return otherwise;
}

static bool kind_refuses(enum reply_kind kind)
{
	return kind == REPLY_REJECT || kind == REPLY_DEFER || kind == REPLY_DISCONNECT ||
	       kind == REPLY_DISCONNECT_TEMPORARY;
}

static bool shows_counters(const struct reply_template *reply)
{
	return reply_template_uses(reply, REPLY_VAR_USED) ||
	       reply_template_uses(reply, REPLY_VAR_LIMIT) ||
	       reply_template_uses(reply, REPLY_VAR_RETRY);
}

static struct reply_template *compile(struct slice text, enum reply_kind kind, unsigned code,
				      const char *enhanced, struct config_pos pos,
				      struct config_errors *errors)
{
	const char *why = NULL;
	struct reply_template *reply = reply_template_new(text, kind, code, enhanced, &why);

	if (!reply)
		config_error(errors, pos, "'reply': %s", why);
	return reply;
}

static enum reply_kind kind_of(const struct rule *rule, const struct rule_reply *from)
{
	return from->on_error ? from->kind
			      : action_kind(rule->action, rule->config->temporary, from->kind);
}

static struct reply_template *build_default(struct rule *rule, const struct rule_reply *from,
					    struct config_errors *errors)
{
	enum reply_kind kind = kind_of(rule, from);
	struct slice text = slice_of(from->text);

	if (kind == REPLY_MARK && from->kind != REPLY_MARK)
		text = SLICE("X-Reeve: {rule}");
	return compile(text, kind, from->code, from->enhanced, rule->config->pos, errors);
}

static void tell_unknown_var(const struct config_rule *config, struct slice name,
	struct config_errors *errors)
{
	const char *near = suggest_word(name, reply_var_names(), REPLY_VARS);
	char list[REPLY_BYTES];
	struct buf names;

	if (near) {
		config_error(errors, config->reply_pos,
			"'reply': unknown variable '{%.*s}' (did you mean '{%s}'?)", (int)name.len,
			name.data, near);
		return;
	}
	buf_init_fixed(&names, list, sizeof(list));
	for (unsigned i = 0; i < REPLY_VARS; i++) {
		buf_add(&names, i == 0 ? SLICE("{") : SLICE(", {"));
		buf_add(&names, slice_of(reply_var_names()[i]));
		buf_add(&names, SLICE("}"));
	}
	config_error(errors, config->reply_pos, "'reply': unknown variable '{%.*s}'; there are %.*s",
		(int)name.len, name.data, (int)buf_slice(&names).len, buf_slice(&names).data);
}

/*
 * The postmaster's text for every reply of the check. Some checks answer with a 4xx here and a 5xx there
 * (`recipients` at RCPT and at DATA): a code in the text holds for those of its class, the others keep their
 * own. It must fit one of them.
 */
static void build_given(struct rule *rule, struct config_errors *errors)
{
	const struct config_rule *config = rule->config;
	const char *why = NULL, *first_why = NULL;
	struct slice unknown;
	bool fits = false;

	if (reply_find_unknown_var(config->reply, &unknown)) {
		tell_unknown_var(config, unknown, errors);
		return;
	}
	for (unsigned i = 0; i < rule->ops->reply_count; i++) {
		const struct rule_reply *from = &rule->ops->replies[i];
		enum reply_kind kind = kind_of(rule, from);

		if (from->on_error)
			continue;
		rule->replies[i] = reply_template_new(config->reply, kind, from->code, from->enhanced,
						       &why);
		if (rule->replies[i]) {
			fits = true;
			continue;
		}
		if (!first_why)
			first_why = why;
		rule->replies[i] = reply_template_new(reply_text_without_codes(config->reply), kind,
						       from->code, from->enhanced, &why);
	}
	if (!fits && first_why)
		config_error(errors, config->reply_pos, "'reply': %s", first_why);
}

static struct slice plain_text(enum reply_kind kind)
{
	return kind == REPLY_DEFER || kind == REPLY_DISCONNECT_TEMPORARY
		       ? SLICE("too much mail for now, try again later")
		       : SLICE("too much mail");
}

/* Counters are no business of strangers, who could probe the limit: a refusal without them. What does not refuse
 * (a mark, a hold) they do not see. */
static void build_plain(struct rule *rule, struct config_errors *errors)
{
	for (unsigned i = 0; i < rule->ops->reply_count; i++) {
		const struct reply_template *reply = rule->replies[i];
		enum reply_kind kind = reply ? reply_template_kind(reply) : REPLY_NONE;

		if (reply && shows_counters(reply) && kind_refuses(kind))
			rule->plain[i] = compile(plain_text(kind), kind, reply_template_code(reply),
						 rule->ops->replies[i].enhanced, rule->config->pos,
						 errors);
	}
}

static void build_replies(struct rule *rule, struct config_errors *errors)
{
	assert(rule->ops->reply_count <= RULE_MAX_REPLIES);
	if (rule->config->reply.len)
		build_given(rule, errors);
	for (unsigned i = 0; i < rule->ops->reply_count; i++) {
		if (rule->ops->replies[i].on_error || !rule->config->reply.len)
			rule->replies[i] = build_default(rule, &rule->ops->replies[i], errors);
	}
	rule->error = compile(SLICE("temporary failure, try again later"), REPLY_DEFER, 451,
			      "4.3.0", rule->config->pos, errors);
	build_plain(rule, errors);
	rule->refuses = rule->replies[0] && kind_refuses(reply_template_kind(rule->replies[0]));
}

static struct match **build_matches(const struct config_condition_list *from,
				    const struct site *site, struct config_errors *errors,
				    unsigned *facts)
{
	struct match **matches = mem_zalloc_array(from->count + 1, sizeof(struct match *));

	for (size_t i = 0; i < from->count; i++) {
		matches[i] = match_new(&from->items[i], site, errors);
		*facts |= match_facts(matches[i]);
	}
	return matches;
}

static void build_needs(struct rule *rule, unsigned condition_facts)
{
	const struct config_rule *config = rule->config;

	rule->exempt = config->default_exemptions ? rule->ops->exempt
						  : rule->ops->exempt & EXEMPT_NULL_SENDER;
	rule->needs = rule->ops->needs | condition_facts;
	if (rule->exempt & (EXEMPT_AUTHENTICATED | EXEMPT_UNAUTHENTICATED))
		rule->needs |= FACT_LOGIN;
	/* On a port without AUTH nobody can log in later: the postmaster says so. */
	if (config->early) {
		rule->needs &= ~(unsigned)FACT_LOGIN;
		for (size_t i = 0; i < rule->match_count; i++)
			match_set_early(rule->match[i]);
		for (size_t i = 0; i < rule->except_count; i++)
			match_set_early(rule->except[i]);
	}
	rule->states = rule->ops->flags & RULE_COUNTS ? STATES_MESSAGE : STATES_ALL;
}

/* What configure() may have added to is folded in last. */
static void build_situation(struct rule *rule)
{
	rule->wants = SITUATION_FACTS(rule->needs);
	rule->shuns = SITUATION_EXEMPT(rule->exempt) | SITUATION_STATES(~rule->states);
	rule->conditional = rule->match_count || rule->except_count || rule->config->until_wall_ms;
}

void rule_build(struct rule *ret, const struct rule_ops *ops, const struct config_rule *from,
		int top_mode, const struct site *site, struct config_errors *errors)
{
	unsigned facts = 0;

	ret->ops = ops;
	ret->config = from;
	ret->name = from->name;
	ret->name_hash = stable_hash(from->name);
	ret->mode = top_mode == CONFIG_MONITOR ? CONFIG_MONITOR : from->mode;
	ret->action = from->action;
	ret->match = build_matches(&from->match, site, errors, &facts);
	ret->match_count = from->match.count;
	ret->except = build_matches(&from->except, site, errors, &facts);
	ret->except_count = from->except.count;
	build_needs(ret, facts);
	ret->max_charges = ops->flags & RULE_COUNTS ? 1 : 0;
	if (ops->configure)
		ops->configure(ret, site, errors);
	build_situation(ret);
	build_replies(ret, errors);
}

static void release_matches(struct match **matches, size_t count)
{
	for (size_t i = 0; matches && i < count; i++)
		match_free(&matches[i]);
	free(matches);
}

static void check_conditions(const struct config_condition_list *list, const struct site *site,
			     struct config_errors *errors)
{
	for (size_t i = 0; i < list->count; i++) {
		struct match *match = match_new(&list->items[i], site, errors);

		match_free(&match);
	}
}

void rule_check_conditions(const struct config_rule *from, const struct site *site,
			   struct config_errors *errors)
{
	check_conditions(&from->match, site, errors);
	check_conditions(&from->except, site, errors);
}

void rule_release(struct rule *rule)
{
	if (rule->ops->release && rule->data)
		rule->ops->release(rule->data);
	release_matches(rule->match, rule->match_count);
	release_matches(rule->except, rule->except_count);
	for (unsigned i = 0; i < RULE_MAX_REPLIES; i++) {
		reply_template_free(&rule->replies[i]);
		reply_template_free(&rule->plain[i]);
	}
	reply_template_free(&rule->error);
	memset(rule, 0, sizeof(*rule));
}

void rule_note_add(struct buf *notes, const char *what, struct slice of, const char *found)
{
	buf_add(notes, slice_of(what));
	buf_add_char(notes, ' ');
	buf_add(notes, of);
	if (found) {
		buf_add(notes, SLICE(": "));
		buf_add(notes, slice_of(found));
	}
	buf_add_char(notes, '\n');
}
