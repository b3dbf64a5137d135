/* SPDX-License-Identifier: ISC */
/*
 * Addresses as Postfix writes them, and what listens on them. No name is looked
 * up: a start that waits for DNS is a start that fails with it.
 */
#include "config/config_parts.h"

#include <sys/un.h>

#define MAX_LISTENERS 64
#define MAX_NAME_BYTES 64
#define DEFAULT_MODE 0660

static const char address_form[] = "inet:host:port or unix:/path";

bool config_parse_port(struct slice text, uint16_t *ret_port)
{
	uint64_t port = 0;

	if (units_parse_u64(text, &port) || port < 1 || port > 65535)
		return false;
	*ret_port = (uint16_t)port;
	return true;
}

static bool is_clean(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.data[i] <= 0x20 || text.data[i] == 0x7f)
			return false;
	return true;
}

static bool read_unix(struct config_reader *reader, const struct config_node *node,
	const char *name, struct config_address *ret)
{
	struct slice path = slice_from(node->text, strlen("unix:"));

	if (path.len < 2 || path.data[0] != '/' || !is_clean(path)) {
		config_error(reader->errors, node->pos,
			"'%s' needs an absolute path behind 'unix:', not '%s'", name,
			config_quote(path).text);
		return false;
	}
	if (path.len >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
		config_error(reader->errors, node->pos,
			"the path of a unix socket has at most %zu bytes, not %zu",
			sizeof(((struct sockaddr_un *)0)->sun_path) - 1, path.len);
		return false;
	}
	*ret = (struct config_address){.pos = node->pos, .is_unix = true, .path = path};
	return true;
}

static bool read_host(struct config_reader *reader, const struct config_node *node,
	struct slice host, struct ip *ret)
{
	bool bracketed = host.len > 2 && host.data[0] == '[' && host.data[host.len - 1] == ']';

	if (slice_is(host, "localhost"))
		return ip_parse(SLICE("127.0.0.1"), ret);
	if (bracketed)
		host = slice_make(host.data + 1, host.len - 2);
	if (ip_parse(host, ret)) {
		if (bracketed || !memchr(host.data, ':', host.len))
			return true;
		config_error(reader->errors, node->pos,
			"an IPv6 address needs brackets, like inet:[::1]:10045");
		return false;
	}
	config_error(reader->errors, node->pos,
		"'%s' is no IP address (of names, only 'localhost' is known)",
		config_quote(host).text);
	return false;
}

static bool read_inet(struct config_reader *reader, const struct config_node *node,
	const char *name, struct config_address *ret)
{
	struct config_address address = {.pos = node->pos, .path = SLICE_EMPTY};
	struct slice host, port;

	if (!slice_split_last(slice_from(node->text, strlen("inet:")), ':', &host, &port) ||
		host.len == 0) {
		config_need(reader, node, name, address_form);
		return false;
	}
	if (!read_host(reader, node, host, &address.ip))
		return false;
	if (!config_parse_port(port, &address.port)) {
		config_error(reader->errors, node->pos,
			"a port is a whole number from 1 to 65535, not '%s'",
			config_quote(port).text);
		return false;
	}
	*ret = address;
	return true;
}

bool config_read_address(struct config_reader *reader, const struct config_node *node,
	const char *name, struct config_address *ret)
{
	if (node->kind == CONFIG_SCALAR && slice_starts_with(node->text, SLICE("unix:")))
		return read_unix(reader, node, name, ret);
	if (node->kind == CONFIG_SCALAR && slice_starts_with(node->text, SLICE("inet:")))
		return read_inet(reader, node, name, ret);
	config_need(reader, node, name, address_form);
	return false;
}

/* ---- listen */

struct raw_listener {
	const struct config_node *address, *mode, *owner, *group, *allow;
};

static const struct config_key listener_keys[] = {
	{.name = "address",
		.type = CONFIG_TYPE_NODE,
		.offset = offsetof(struct raw_listener, address),
		.flags = CONFIG_REQUIRED},
	{.name = "mode", .type = CONFIG_TYPE_NODE, .offset = offsetof(struct raw_listener, mode)},
	{.name = "owner", .type = CONFIG_TYPE_NODE, .offset = offsetof(struct raw_listener, owner)},
	{.name = "group", .type = CONFIG_TYPE_NODE, .offset = offsetof(struct raw_listener, group)},
	{.name = "allow", .type = CONFIG_TYPE_NODE, .offset = offsetof(struct raw_listener, allow)},
};

static bool is_loopback(const struct ip *ip)
{
	static const char *const texts[] = {"127.0.0.0/8", "::1/128"};

	for (size_t i = 0; i < 2; i++) {
		struct cidr cidr;
		const char *why;

		if (cidr_parse(slice_of(texts[i]), &cidr, &why) && cidr_contains(&cidr, ip))
			return true;
	}
	return false;
}

static void read_mode(struct config_reader *reader, const struct config_node *node, mode_t *ret)
{
	mode_t mode = 0;
	bool good = node->kind == CONFIG_SCALAR && node->text.len >= 3 && node->text.len <= 4;

	for (size_t i = 0; good && i < node->text.len; i++) {
		char digit = node->text.data[i];

		good = digit >= '0' && digit <= '7';
		mode = mode * 8 + (mode_t)(digit - '0');
	}
	if (good && mode <= 0777)
		*ret = mode;
	else
		config_need(reader, node, "mode", "the mode of a file, like \"0660\"");
}

/* A user's or group's name, or its number. */
static void read_account(struct config_reader *reader, const struct config_node *node,
	const char *name, struct slice *ret)
{
	if (node->kind != CONFIG_SCALAR || node->text.len == 0 || node->text.len > MAX_NAME_BYTES ||
		!is_clean(node->text))
		config_need(reader, node, name, "the name of a user or group");
	else
		*ret = node->text;
}

/* The networks, one behind the other: equal where nothing changed. */
static struct slice join(struct config_reader *reader, const struct config_node *node)
{
	struct config_strings texts = {0};
	struct buf all;
	struct slice joined;

	config_read_strings(reader, node, "allow", &texts);
	buf_init(&all, SIZE_MAX / 2);
	for (size_t i = 0; i < texts.count; i++) {
		buf_add(&all, texts.items[i]);
		buf_add_char(&all, ' ');
	}
	joined = arena_dup(reader->arena, buf_slice(&all));
	buf_release(&all);
	return joined;
}

static void refuse_keys(struct config_reader *reader, const struct raw_listener *raw, bool is_unix)
{
	const struct {
		const struct config_node *node;
		const char *name;
	} keys[] = {
		{is_unix ? NULL : raw->mode, "mode"},
		{is_unix ? NULL : raw->owner, "owner"},
		{is_unix ? NULL : raw->group, "group"},
		{is_unix ? raw->allow : NULL, "allow"},
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (keys[i].node)
			config_error(reader->errors, keys[i].node->pos,
				"'%s' is for %s addresses only", keys[i].name,
				is_unix ? "inet" : "unix");
}

static void finish_listener(struct config_reader *reader, const struct raw_listener *raw,
	struct config_listener *listener)
{
	const struct config_address *address = &listener->address;

	refuse_keys(reader, raw, address->is_unix);
	if (address->is_unix) {
		if (raw->mode)
			read_mode(reader, raw->mode, &listener->mode);
		if (raw->owner)
			read_account(reader, raw->owner, "owner", &listener->owner);
		if (raw->group)
			read_account(reader, raw->group, "group", &listener->group);
		return;
	}
	if (raw->allow) {
		listener->allow = config_read_networks(reader, raw->allow, "allow");
		listener->allow_text = join(reader, raw->allow);
	} else if (!is_loopback(&address->ip)) {
		config_error(reader->errors, address->pos,
			"an address that is not loopback needs 'allow', like { address: \"inet:192.0.2.9:10045\", "
			"allow: [192.0.2.0/24] }");
	}
}

static bool read_listener(
	struct config_reader *reader, const struct config_node *node, struct config_listener *ret)
{
	struct raw_listener raw = {0};
	struct config_listener listener = {
		.mode = DEFAULT_MODE,
		.owner = SLICE_EMPTY,
		.group = SLICE_EMPTY,
		.allow_text = SLICE_EMPTY,
	};

	if (node->kind == CONFIG_MAP)
		config_read_map(
			reader, node, "an entry of 'listen'", CONFIG_KEYS(listener_keys), &raw);
	else
		raw.address = node;
	if (!raw.address || !config_read_address(reader, raw.address, "listen", &listener.address))
		return false;
	finish_listener(reader, &raw, &listener);
	*ret = listener;
	return true;
}

static bool same_address(const struct config_address *a, const struct config_address *b)
{
	if (a->is_unix != b->is_unix)
		return false;
	if (a->is_unix)
		return slice_equal(a->path, b->path);
	return a->port == b->port && ip_equal(&a->ip, &b->ip);
}

void config_read_listen(
	struct config_reader *reader, const struct config_node *node, struct config *config)
{
	static const struct config_node standard = {
		.kind = CONFIG_SCALAR,
		.pos = {"(default)", 0, 0},
		.text = {"inet:127.0.0.1:10045", 20},
	};
	size_t count;

	if (!node)
		node = &standard;
	count = node->kind == CONFIG_LIST ? node->count : 1;
	if (count == 0 || count > MAX_LISTENERS) {
		config_error(reader->errors, node->pos,
			"'listen' needs at least one address and at most %d", MAX_LISTENERS);
		return;
	}
	config->listen = arena_zalloc(reader->arena, count * sizeof(config->listen[0]));
	for (size_t i = 0; i < count; i++) {
		const struct config_node *item = node->kind == CONFIG_LIST ? node->items[i] : node;
		struct config_listener *listener = &config->listen[config->listen_count];

		if (!read_listener(reader, item, listener))
			continue;
		for (size_t j = 0; j < config->listen_count; j++)
			if (same_address(&config->listen[j].address, &listener->address))
				config_error(reader->errors, item->pos,
					"this address is given twice (first in line %u)",
					config->listen[j].address.pos.line);
		config->listen_count++;
	}
}

/* ---- control, metrics */

void config_read_endpoints(struct config_reader *reader, const struct config_node *control,
	const struct config_node *metrics, struct config *config)
{
	config->control = (struct config_address){
		.pos = {"(default)", 0, 0},
		.is_unix = true,
		.path = SLICE("/run/reeve/control.sock"),
	};
	if (control && config_read_address(reader, control, "control", &config->control) &&
		!config->control.is_unix)
		config_need(reader, control, "control",
			"unix:/path, for whoever reaches it commands Reeve");
	if (metrics && !(metrics->kind == CONFIG_SCALAR && slice_is(metrics->text, "off")))
		config->has_metrics =
			config_read_address(reader, metrics, "metrics", &config->metrics);
}
