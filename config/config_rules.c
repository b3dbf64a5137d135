/* SPDX-License-Identifier: ISC */
/*
 * `rules`: the keys that every rule has stand here, those of its check come
 * from the table that was handed in. Reply texts and patterns are compiled later
 * with the ruleset; what a rule means is the engine's.
 */
#include "config/config_parts.h"

#include <stdio.h>

#include "common/suggest.h"

#define MAX_RULES 256
#define MAX_CHECKS 64
#define MAX_RULE_NAME_BYTES 32

static const char *const mode_words[] = {"enforce", "monitor", "off", NULL};
static const char *const on_error_words[] = {"pass", "defer", NULL};
/* As enum config_action without its first. */
static const char *const action_words[] = {
	"reject", "defer", "disconnect", "hold", "discard", "mark", "warn", "pass", NULL};

struct raw_rule {
	struct config_rule rule;
	int action; /* index in action_words, -1: not given */
	const struct config_node *name, *check, *match, *except, *early, *temporary, *reply,
		*reserved;
};

#define IN_RULE(field) offsetof(struct raw_rule, rule.field)
#define IN_RAW(field) offsetof(struct raw_rule, field)
#define NODE_KEY(key)                                                         \
	{                                                                     \
		.name = #key, .type = CONFIG_TYPE_NODE, .offset = IN_RAW(key) \
	}
#define RESERVED_KEY(key)                                                           \
	{                                                                           \
		.name = #key, .type = CONFIG_TYPE_NODE, .offset = IN_RAW(reserved), \
		.flags = CONFIG_RESERVED                                            \
	}

static const struct config_key rule_keys[] = {
	NODE_KEY(name),
	NODE_KEY(check),
	NODE_KEY(match),
	NODE_KEY(except),
	NODE_KEY(early),
	NODE_KEY(temporary),
	NODE_KEY(reply),
	{"mode", CONFIG_TYPE_WORD, IN_RULE(mode), "enforce", 0, 0, mode_words, 0},
	{"default_exemptions", CONFIG_TYPE_BOOL, IN_RULE(default_exemptions), "yes", 0, 0, NULL, 0},
	{"strike", CONFIG_TYPE_BOOL, IN_RULE(strike), "yes", 0, 0, NULL, 0},
	{"action", CONFIG_TYPE_WORD, IN_RAW(action), NULL, 0, 0, action_words, 0},
	{"on_error", CONFIG_TYPE_WORD, IN_RULE(on_error), "pass", 0, 0, on_error_words, 0},
	{"until", CONFIG_TYPE_DATE, IN_RULE(until_wall_ms), NULL, 0, 0, NULL, 0},
	RESERVED_KEY(window),
	RESERVED_KEY(escalate),
	RESERVED_KEY(notify),
	RESERVED_KEY(redirect),
	RESERVED_KEY(filter),
	RESERVED_KEY(bcc),
	RESERVED_KEY(after),
	RESERVED_KEY(before),
};

struct rules_reader {
	struct config_reader *reader;
	const struct config_check *const *checks;
	size_t check_count;
	struct config *config;
	bool are_default; /* checks that are not there are no error then */
};

static bool is_rule_name(struct slice name)
{
	for (size_t i = 0; i < name.len; i++) {
		char byte = name.data[i];

		if (!((byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '-'))
			return false;
	}
	return name.len > 0 && name.len <= MAX_RULE_NAME_BYTES;
}

static void read_name(struct rules_reader *rules, const struct config_node *map,
	const struct config_node *node, struct config_rule *rule)
{
	struct config_errors *errors = rules->reader->errors;

	rule->name = SLICE_EMPTY;
	if (!node) {
		config_error(errors, map->pos, "a rule needs 'name'");
		return;
	}
	if (node->kind != CONFIG_SCALAR || !is_rule_name(node->text)) {
		config_need(
			rules->reader, node, "name", "small letters, digits and '-', at most 32");
		return;
	}
	rule->name = node->text;
	for (size_t i = 0; i < rules->config->rule_count; i++)
		if (slice_equal(rules->config->rules[i].name, rule->name))
			config_error(errors, node->pos,
				"rule '%s' is there already (first in line %u)",
				config_quote(rule->name).text, rules->config->rules[i].pos.line);
}

static const struct config_check *find_check(const struct rules_reader *rules, struct slice name)
{
	for (size_t i = 0; i < rules->check_count; i++)
		if (slice_is(name, rules->checks[i]->name))
			return rules->checks[i];
	return NULL;
}

static void report_check(const struct rules_reader *rules, const struct config_node *node)
{
	const char *names[MAX_CHECKS];
	const char *near;
	struct config_quoted name;
	size_t count = 0;

	if (node->kind != CONFIG_SCALAR) {
		config_need(rules->reader, node, "check", "the name of a check");
		return;
	}
	for (; count < rules->check_count && count < MAX_CHECKS; count++)
		names[count] = rules->checks[count]->name;
	near = suggest_word(node->text, names, count);
	name = config_quote(node->text);
	if (near)
		config_error(rules->reader->errors, node->pos,
			"unknown check '%s' (did you mean '%s'?)", name.text, near);
	else
		config_error(rules->reader->errors, node->pos, "unknown check '%s'", name.text);
}

/* Every map of `match` asks for port 25 and no other. */
static bool is_for_port_25(const struct config_condition_list *match)
{
	for (size_t i = 0; i < match->count; i++) {
		const struct config_strings *ports = &match->items[i].server_port;

		if (ports->count != 1 || !slice_is(ports->items[0], "25"))
			return false;
	}
	return match->count > 0;
}

static void read_flag(
	struct config_reader *reader, const struct config_node *node, const char *name, bool *ret)
{
	if (node->kind != CONFIG_SCALAR || units_parse_bool(node->text, ret))
		config_need(reader, node, name, "yes or no");
}

static void finish_rule(
	struct config_reader *reader, const struct config_node *map, struct raw_rule *raw)
{
	struct config_rule *rule = &raw->rule;

	rule->action = raw->action < 0 ? CONFIG_ACTION_DEFAULT : raw->action + CONFIG_ACTION_REJECT;
	rule->on_error_given = config_map_get(map, "on_error") != NULL;
	if (raw->match)
		config_read_conditions(reader, raw->match, &rule->match);
	if (raw->except)
		config_read_conditions(reader, raw->except, &rule->except);
	if (raw->early)
		read_flag(reader, raw->early, "early", &rule->early);
	if (rule->early && !is_for_port_25(&rule->match))
		config_error(reader->errors, raw->early->pos,
			"'early: yes' needs 'match: { server_port: [25] }': elsewhere clients may still log in");
	if (raw->temporary)
		read_flag(reader, raw->temporary, "temporary", &rule->temporary);
	if (rule->temporary && rule->action != CONFIG_ACTION_DEFAULT &&
		rule->action != CONFIG_ACTION_DISCONNECT)
		config_error(reader->errors, raw->temporary->pos,
			"'temporary: yes' is for 'action: disconnect' only");
	if (raw->reply && raw->reply->kind != CONFIG_SCALAR)
		config_need(reader, raw->reply, "reply", "a text");
	else if (raw->reply && config_node_is_empty(raw->reply))
		config_need(reader, raw->reply, "reply", "a text");
	else if (raw->reply)
		rule->reply = raw->reply->text;
	if (raw->reply)
		rule->reply_pos = raw->reply->pos;
}

static void read_options(struct config_reader *reader, const struct config_node *map,
	const char *what, struct raw_rule *raw, const struct config_check *check)
{
	size_t errors_before = config_errors_count(reader->errors);
	void *options =
		arena_zalloc(reader->arena, check->options_bytes ? check->options_bytes : 1);

	config_read_map2(reader, map, what, check->keys, check->key_count, options,
		CONFIG_KEYS(rule_keys), raw);
	raw->rule.check = check;
	raw->rule.options = options;
	if (check->validate && config_errors_count(reader->errors) == errors_before)
		check->validate(options, map->pos, reader->errors);
}

static void read_rule(struct rules_reader *rules, const struct config_node *map)
{
	struct config_reader *reader = rules->reader;
	const struct config_node *check_node = config_map_get(map, "check");
	const struct config_check *check = check_node && check_node->kind == CONFIG_SCALAR
						   ? find_check(rules, check_node->text)
						   : NULL;
	struct raw_rule raw = {.rule = {.pos = map->pos, .reply = SLICE_EMPTY}, .action = -1};
	size_t errors_before = config_errors_count(reader->errors);
	char what[MAX_RULE_NAME_BYTES + 16];

	if (map->kind != CONFIG_MAP) {
		config_need(reader, map, "rules",
			"a map like { name: banned, check: ban } for each rule");
		return;
	}
	if (!check && check_node && rules->are_default)
		return;
	read_name(rules, map, config_map_get(map, "name"), &raw.rule);
	snprintf(what, sizeof(what), "rule '%.*s'", SLICE_ARG(raw.rule.name));
	if (check) {
		read_options(reader, map, raw.rule.name.len ? what : "a rule", &raw, check);
	} else {
		if (check_node)
			report_check(rules, check_node);
		else
			config_error(reader->errors, map->pos, "a rule needs 'check'");
		config_read_known(reader, map, what, CONFIG_KEYS(rule_keys), &raw);
	}
	finish_rule(reader, map, &raw);
	raw.rule.broken = config_errors_count(reader->errors) != errors_before;
	rules->config->rules[rules->config->rule_count++] = raw.rule;
}

void config_read_rules(struct config_reader *reader, const struct config_node *node,
	const struct config_check *const *checks, size_t check_count, struct config *config)
{
	struct rules_reader rules = {reader, checks, check_count, config, !node};

	if (!node)
		node = config_tree_parse("(default rules)", slice_of(config_default_rules),
			reader->arena, reader->errors);
	if (!node)
		return;
	if (node->kind != CONFIG_LIST) {
		if (config_node_is_empty(node))
			config_error(reader->errors, node->pos,
				"'rules' has nothing behind it: [] means no rules, without the key the default "
				"rules apply");
		else
			config_need(reader, node, "rules", "a list of rules");
		return;
	}
	if (node->count > MAX_RULES) {
		config_error(reader->errors, node->pos, "there can be at most %d rules", MAX_RULES);
		return;
	}
	config->rules = arena_zalloc(reader->arena, (node->count + 1) * sizeof(config->rules[0]));
	for (size_t i = 0; i < node->count; i++)
		read_rule(&rules, node->items[i]);
}

/* ---- rules that can never apply */

static const struct config_key *find_key(
	const struct config_check *check, const char *name, enum config_type type)
{
	for (size_t i = 0; i < check->key_count; i++)
		if (strcmp(check->keys[i].name, name) == 0 && check->keys[i].type == type)
			return &check->keys[i];
	return NULL;
}

/* Was a list of the check's options given and has entries? Without such a key: true. */
static bool has_entries(const struct config_rule *rule, const char *name, enum config_type type)
{
	const struct config_key *key = find_key(rule->check, name, type);
	const struct config_strings *list;

	if (!key)
		return true;
	list = (const void *)((const char *)rule->options + key->offset);
	return list->count > 0 || list->incomplete;
}

/* Is the option a word, and this one? */
static bool is_option(const struct config_rule *rule, const char *name, const char *word)
{
	const struct config_key *key = find_key(rule->check, name, CONFIG_TYPE_WORD);
	int index;

	if (!key)
		return false;
	index = *(const int *)(const void *)((const char *)rule->options + key->offset);
	return strcmp(key->words[index], word) == 0;
}

static bool is_check(const struct config_rule *rule, const char *name)
{
	return strcmp(rule->check->name, name) == 0;
}

/* Why the rule never does anything here; NULL: it may. */
static const char *why_idle(const struct config_rule *rule, const struct config_site *site)
{
	bool has_domains = site->domains.count > 0;

	if (is_check(rule, "catchall") && !has_entries(rule, "maps", CONFIG_TYPE_LINES))
		return "can never apply: no maps";
	if (is_check(rule, "catchall") && !has_domains)
		return "can never apply: no site.domains";
	if (is_check(rule, "helo") && !has_entries(rule, "names", CONFIG_TYPE_STRINGS))
		return "can never apply: no names";
	if (is_check(rule, "local_sender") && !has_domains)
		return "can never apply: no site.domains";
	if (is_check(rule, "sender_login") && !has_domains && !site->account_count &&
		is_option(rule, "scope", "account"))
		return "can never apply: no site.domains and no site.accounts";
	if (is_check(rule, "address_literal") && !cidr_set_count(site->addresses) &&
		!has_entries(rule, "accept", CONFIG_TYPE_STRINGS))
		return "accepts no address literal at all: no site.addresses, nothing in accept";
	return NULL;
}

static bool is_ban_enforced(const struct config *config)
{
	for (size_t i = 0; i < config->rule_count; i++)
		if (is_check(&config->rules[i], "ban") && config->rules[i].mode == CONFIG_ENFORCE)
			return true;
	return false;
}

void config_warn_idle_rules(struct config_errors *errors, const struct config *config)
{
	/* Enforced bans are asked for by hand. */
	if (config->bans.mode == CONFIG_ENFORCE && !is_ban_enforced(config))
		config_warning(errors, config->bans.pos,
			"who is banned is not refused: no rule with 'check: ban' is enforced");
	for (size_t i = 0; i < config->rule_count; i++) {
		const struct config_rule *rule = &config->rules[i];
		const char *why = rule->mode == CONFIG_OFF ? NULL : why_idle(rule, &config->site);

		if (why)
			config_warning(errors, rule->pos, "rule '%s' %s",
				config_quote(rule->name).text, why);
	}
}
