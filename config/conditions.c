/* SPDX-License-Identifier: ISC */
/*
 * The conditions that `match`, `except` and the entries of `limits` share.
 * One table says what a map of conditions may hold; patterns stay texts here
 * (the mail layer compiles them), networks, ports, states and sizes are checked.
 */
#include "config/limits.h"

#include "common/policy_proto.h"
#include "common/suggest.h"

#define MAX_CONDITION_MAPS 256

/* What the table fills in; the rest of `conditions` is made from it. */
struct raw {
	struct config_conditions conditions;
	const struct config_node *client, *size;
	struct config_strings states;
	const struct config_node *limit;
	uint64_t until_wall_ms;
};

#define AT(field) offsetof(struct raw, conditions.field)

static const struct config_key condition_keys[] = {
	{.name = "authenticated", .type = CONFIG_TYPE_TRISTATE, .offset = AT(authenticated)},
	{.name = "login", .type = CONFIG_TYPE_STRINGS, .offset = AT(login)},
	{.name = "client", .type = CONFIG_TYPE_NODE, .offset = offsetof(struct raw, client)},
	{.name = "client_name", .type = CONFIG_TYPE_STRINGS, .offset = AT(client_name)},
	{.name = "client_local", .type = CONFIG_TYPE_TRISTATE, .offset = AT(client_local)},
	{.name = "client_privileged",
		.type = CONFIG_TYPE_TRISTATE,
		.offset = AT(client_privileged)},
	{.name = "sender", .type = CONFIG_TYPE_STRINGS, .offset = AT(sender)},
	{.name = "sender_local", .type = CONFIG_TYPE_TRISTATE, .offset = AT(sender_local)},
	{.name = "recipient", .type = CONFIG_TYPE_STRINGS, .offset = AT(recipient)},
	{.name = "recipient_local", .type = CONFIG_TYPE_TRISTATE, .offset = AT(recipient_local)},
	{.name = "helo", .type = CONFIG_TYPE_STRINGS, .offset = AT(helo)},
	{.name = "context", .type = CONFIG_TYPE_STRINGS, .offset = AT(context)},
	{.name = "server_port", .type = CONFIG_TYPE_STRINGS, .offset = AT(server_port)},
	{.name = "state", .type = CONFIG_TYPE_STRINGS, .offset = offsetof(struct raw, states)},
	{.name = "tls", .type = CONFIG_TYPE_TRISTATE, .offset = AT(tls)},
	{.name = "size", .type = CONFIG_TYPE_NODE, .offset = offsetof(struct raw, size)},
};

static const struct config_key limit_keys[] = {
	{.name = "limit",
		.type = CONFIG_TYPE_NODE,
		.offset = offsetof(struct raw, limit),
		.flags = CONFIG_REQUIRED},
	{.name = "until", .type = CONFIG_TYPE_DATE, .offset = offsetof(struct raw, until_wall_ms)},
};

#define LENGTH_OF(array) (sizeof(array) / sizeof((array)[0]))

static void check_ports(struct config_reader *reader, const struct config_strings *ports)
{
	for (size_t i = 0; i < ports->count; i++) {
		uint64_t port = 0;

		if (units_parse_u64(ports->items[i], &port) || port < 1 || port > 65535)
			config_error(reader->errors, ports->pos[i],
				"'server_port' needs a whole number from 1 to 65535, not '%s'",
				config_quote(ports->items[i]).text);
	}
}

static unsigned read_states(struct config_reader *reader, const struct config_strings *states)
{
	static const char *const names[] = {"CONNECT", "HELO", "EHLO", "MAIL", "RCPT", "DATA",
		"END-OF-MESSAGE", "VRFY", "ETRN"};
	unsigned bits = 0;

	for (size_t i = 0; i < states->count; i++) {
		enum policy_state state = policy_state_of(states->items[i]);
		const char *near = suggest_word(states->items[i], names, LENGTH_OF(names));

		if (state != POLICY_STATE_UNKNOWN)
			bits |= 1u << state;
		else if (near)
			config_error(reader->errors, states->pos[i],
				"'%s' is no state of Postfix (did you mean '%s'?)",
				config_quote(states->items[i]).text, near);
		else
			config_error(reader->errors, states->pos[i],
				"'%s' is no state of Postfix: CONNECT, EHLO, MAIL, RCPT, DATA, "
				"END-OF-MESSAGE, VRFY or ETRN",
				config_quote(states->items[i]).text);
	}
	return bits;
}

static void read_size(struct config_reader *reader, const struct config_node *node,
	struct config_conditions *conditions)
{
	struct slice text = node->text;
	uint64_t bytes = 0;

	if (node->kind != CONFIG_SCALAR || text.len == 0 ||
		(text.data[0] != '<' && text.data[0] != '>') ||
		units_parse_size(slice_trim(slice_from(text, 1)), &bytes)) {
		config_need(
			reader, node, "size", "'<' or '>' and a size with a unit, like \">10MiB\"");
		return;
	}
	conditions->size.bytes = bytes;
	conditions->size.compare = text.data[0] == '<' ? -1 : 1;
}

/* Was a list given that is empty only because the file or list that it names is? */
static bool is_hollow(const struct config_node *map, const char *name, size_t count)
{
	const struct config_node *node = config_map_get(map, name);

	if (!node || count || config_node_is_empty(node))
		return false;
	return node->kind == CONFIG_SCALAR || (node->kind == CONFIG_LIST && node->count > 0);
}

/* A hollow list must not make the condition hold for everybody. */
static void close_hollow(struct config_reader *reader, const struct config_node *map,
	struct config_conditions *conditions)
{
	const struct {
		const char *name;
		size_t count;
	} lists[] = {
		{"login", conditions->login.count},
		{"client", conditions->client || conditions->client_not ? 1 : 0},
		{"client_name", conditions->client_name.count},
		{"sender", conditions->sender.count},
		{"recipient", conditions->recipient.count},
		{"helo", conditions->helo.count},
		{"context", conditions->context.count},
		{"server_port", conditions->server_port.count},
	};

	for (size_t i = 0; i < LENGTH_OF(lists); i++) {
		if (!is_hollow(map, lists[i].name, lists[i].count))
			continue;
		config_warning(reader->errors, config_map_get(map, lists[i].name)->pos,
			"'%s' has no entries, so this never holds", lists[i].name);
		conditions->client = config_new_set(reader);
		cidr_set_seal(conditions->client);
	}
}

static void finish(struct config_reader *reader, const struct config_node *map, struct raw *raw)
{
	struct config_conditions *conditions = &raw->conditions;
	size_t errors_before = config_errors_count(reader->errors);

	if (raw->client)
		config_read_networks_signed(reader, raw->client, "client", &conditions->client,
			&conditions->client_not);
	if (raw->size)
		read_size(reader, raw->size, conditions);
	check_ports(reader, &conditions->server_port);
	conditions->states = read_states(reader, &raw->states);
	conditions->uses_login =
		conditions->authenticated != CONFIG_UNSET || conditions->login.count > 0;
	if (config_errors_count(reader->errors) == errors_before)
		close_hollow(reader, map, conditions);
}

static void read_map(
	struct config_reader *reader, const struct config_node *map, struct config_conditions *ret)
{
	struct raw raw = {.conditions.pos = map->pos};

	config_read_map(
		reader, map, "the conditions", condition_keys, LENGTH_OF(condition_keys), &raw);
	finish(reader, map, &raw);
	*ret = raw.conditions;
}

bool config_read_limit_map(struct config_reader *reader, const struct config_node *map,
	struct config_conditions *ret_when, const struct config_node **ret_limit,
	uint64_t *ret_until_wall_ms)
{
	struct raw raw = {.conditions.pos = map->pos};

	config_read_map2(reader, map, "an entry of 'limits'", condition_keys,
		LENGTH_OF(condition_keys), &raw, limit_keys, LENGTH_OF(limit_keys), &raw);
	finish(reader, map, &raw);
	if (!raw.limit)
		return false;
	*ret_when = raw.conditions;
	*ret_limit = raw.limit;
	*ret_until_wall_ms = raw.until_wall_ms;
	return true;
}

/* One map, which holds nothing, is as good as absent. */
static bool is_absent(const struct config_node *node)
{
	return config_node_is_empty(node) || (node->kind != CONFIG_SCALAR && node->count == 0);
}

void config_read_conditions(struct config_reader *reader, const struct config_node *node,
	struct config_condition_list *ret)
{
	size_t count = node->kind == CONFIG_LIST ? node->count : 1;
	struct config_condition_list list = {NULL, 0};

	if (is_absent(node))
		return;
	if (count > MAX_CONDITION_MAPS) {
		config_error(reader->errors, node->pos,
			"there can be at most %d maps of conditions", MAX_CONDITION_MAPS);
		return;
	}
	list.items = arena_zalloc(reader->arena, count * sizeof(list.items[0]));
	for (size_t i = 0; i < count; i++) {
		const struct config_node *item = node->kind == CONFIG_LIST ? node->items[i] : node;

		if (item->kind != CONFIG_MAP)
			config_error(reader->errors, item->pos,
				"conditions are a map, like { authenticated: yes }, or a list of maps");
		else if (item->count == 0)
			config_error(reader->errors, item->pos,
				"a map without conditions would always hold");
		else
			read_map(reader, item, &list.items[list.count++]);
	}
	*ret = list;
}
