/* SPDX-License-Identifier: ISC */
/*
 * From a configuration to what Postfix must do for it. The options of a check are found by the name of their key, as
 * the rules keep their structs to themselves.
 */
#include "daemon/ctl/postfix/want.h"

#include "common/buf.h"

#define LOCAL_DOMAIN "%LOCALDOMAIN%"
#define TIME "%TIME%"
#define CONTEXT "context:"
#define MIN_TIMEOUT_S 10
#define SPARE_S 5 /* over the deadline */

static const void *option(const struct config_rule *rule, const char *name, enum config_type type)
{
	for (size_t i = 0; i < rule->check->key_count; i++) {
		const struct config_key *key = &rule->check->keys[i];

		if (strcmp(key->name, name) == 0 && key->type == type)
			return (const char *)rule->options + key->offset;
	}
	return NULL;
}

static bool is_check(const struct config_rule *rule, const char *name)
{
	return strcmp(rule->check->name, name) == 0;
}

static bool is_loopback(const struct ip *ip)
{
	static const struct ip v6 = {{[15] = 1}};

	return ip_equal(ip, &v6) || (ip_is_v4(ip) && ip->bytes[12] == 127);
}

static bool is_any(const struct ip *ip)
{
	for (size_t i = 0; i < sizeof(ip->bytes); i++)
		if (ip->bytes[i] && !(ip_is_v4(ip) && i < 12))
			return false;
	return true;
}

/* In the queue directory a path is written without it, so that it holds in the chroot too. */
static struct slice in_queue(struct slice path, struct slice queue)
{
	if (queue.len && slice_starts_with(path, queue) && path.len > queue.len + 1 &&
		path.data[queue.len] == '/')
		return slice_from(path, queue.len + 1);
	return SLICE_EMPTY;
}

static void add_unix(
	struct arena *arena, struct slice path, struct slice queue, struct want *want, int *best)
{
	struct slice inside = in_queue(path, queue);
	struct slice full = text_format(arena, "unix:%.*s", SLICE_ARG(path));
	struct slice near = inside.len ? text_format(arena, "unix:%.*s", SLICE_ARG(inside)) : full;
	int rank = inside.len ? 4 : 1;

	text_add_new(arena, &want->sockets, near);
	text_add_new(arena, &want->sockets, full);
	if (rank > *best) {
		*best = rank;
		want->socket = near;
		want->socket_path = path;
	}
}

static struct slice inet_text(struct arena *arena, const struct ip *ip, uint16_t port)
{
	char memory[IP_TEXT_BYTES];
	struct slice text = ip_format(ip, memory);

	return ip_is_v4(ip) ? text_format(arena, "inet:%.*s:%u", SLICE_ARG(text), port)
			    : text_format(arena, "inet:[%.*s]:%u", SLICE_ARG(text), port);
}

static void add_inet(
	struct arena *arena, const struct config_address *address, struct want *want, int *best)
{
	static const struct ip v4 = {{[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}};
	struct ip ip = address->ip;
	bool any = is_any(&ip);
	int rank;

	if (any)
		ip = v4; /* also behind ::, which takes both families */
	rank = is_loopback(&ip) ? 3 : 2;
	text_add_new(arena, &want->sockets, inet_text(arena, &ip, address->port));
	if (is_loopback(&ip))
		text_add_new(arena, &want->sockets,
			text_format(arena, "inet:localhost:%u", address->port));
	if (rank > *best) {
		*best = rank;
		want->socket = inet_text(arena, &ip, address->port);
		want->socket_path = SLICE_EMPTY;
	}
}

static void read_sockets(struct arena *arena, struct slice queue, struct want *want)
{
	int best = 0;

	for (size_t i = 0; i < want->config->listen_count; i++) {
		const struct config_address *address = &want->config->listen[i].address;

		if (address->is_unix)
			add_unix(arena, address->path, queue, want, &best);
		else
			add_inet(arena, address, want, &best);
	}
}

static bool can_refuse(const struct want *want, const struct config_rule *rule)
{
	return want->enforce && rule->mode == CONFIG_ENFORCE &&
	       (rule->action == CONFIG_ACTION_DEFAULT || rule->action == CONFIG_ACTION_REJECT ||
		       rule->action == CONFIG_ACTION_DEFER ||
		       rule->action == CONFIG_ACTION_DISCONNECT);
}

static void read_helo(struct arena *arena, const struct config_rule *rule, struct want *want)
{
	const struct config_strings *names = option(rule, "names", CONFIG_TYPE_STRINGS);

	if (!names || names->count == 0 || !can_refuse(want, rule))
		return;
	if (rule->match.count || rule->except.count || rule->until_wall_ms ||
		rule->action == CONFIG_ACTION_DEFER) {
		text_add(arena, &want->helo_skipped, rule->name);
		return;
	}
	for (size_t i = 0; i < names->count; i++)
		text_add_new(arena, &want->helo_names, names->items[i]);
}

static void read_recipients(const struct config_rule *rule, struct want *want, bool *unlimited)
{
	const struct config_limits *limits = option(rule, "limits", CONFIG_TYPE_LIMITS);

	if (!limits || !can_refuse(want, rule))
		return;
	for (size_t i = 0; i < limits->count; i++) {
		const struct config_limit *limit = &limits->items[i];

		if (limit->unlimited)
			*unlimited = true;
		for (size_t n = 0; n < limit->rate_count; n++)
			if (limit->rates[n].limit > want->max_recipients)
				want->max_recipients = limit->rates[n].limit;
	}
}

static void read_catchall(struct arena *arena, const struct config_rule *rule, struct want *want)
{
	const struct config_strings *maps = option(rule, "maps", CONFIG_TYPE_LINES);
	struct slice rest, key;

	want->has_catchall = true;
	for (size_t i = 0; maps && i < maps->count; i++) {
		want->catchall_has_maps = true;
		if (slice_starts_with(maps->items[i], SLICE(CONTEXT)))
			want->catchall_context = slice_from(maps->items[i], strlen(CONTEXT));
		rest = maps->items[i];
		if (text_item(&rest, &key) && key.data[0] == '@')
			text_add(arena, &want->catchall_keys, key);
	}
}

static void add_literal(struct arena *arena, struct want *want, const struct ip *ip)
{
	struct ip *items;

	for (size_t i = 0; i < want->literal_count; i++)
		if (ip_equal(&want->literals[i], ip))
			return;
	items = arena_alloc(arena, (want->literal_count + 1) * sizeof(*items));
	if (want->literal_count)
		memcpy(items, want->literals, want->literal_count * sizeof(*items));
	items[want->literal_count++] = *ip;
	want->literals = items;
}

/* "[IPv6:2001:db8::1]", "[192.0.2.1]", "192.0.2.1"; a network is nobody's address. */
static bool read_literal(struct slice text, struct ip *ret)
{
	if (text.len > 2 && text.data[0] == '[' && text.data[text.len - 1] == ']')
		text = slice_make(text.data + 1, text.len - 2);
	if (text.len > 5 && slice_equal_fold(slice_first(text, 5), SLICE("IPv6:")))
		text = slice_from(text, 5);
	return ip_parse(text, ret);
}

static void read_literals(struct arena *arena, const struct config_rule *rule, struct want *want)
{
	const struct config_strings *accept = option(rule, "accept", CONFIG_TYPE_STRINGS);
	const struct cidr_set *own = want->config->site.addresses;
	struct ip ip;

	want->has_literals = true;
	for (size_t i = 0; i < cidr_set_count(own); i++) {
		struct cidr cidr = cidr_set_at(own, i);

		if (cidr.bits == 128)
			add_literal(arena, want, &cidr.ip);
	}
	for (size_t i = 0; accept && i < accept->count; i++)
		if (read_literal(accept->items[i], &ip))
			add_literal(arena, want, &ip);
}

static void read_rules(struct arena *arena, struct want *want)
{
	bool unlimited = false;

	for (size_t i = 0; i < want->config->rule_count; i++) {
		const struct config_rule *rule = &want->config->rules[i];

		if (rule->mode == CONFIG_OFF)
			continue;
		want->has_early |= rule->early;
		want->has_limits |= is_check(rule, "rate");
		want->has_ptr |= is_check(rule, "ptr");
		if (is_check(rule, "helo"))
			read_helo(arena, rule, want);
		else if (is_check(rule, "recipients"))
			read_recipients(rule, want, &unlimited);
		else if (is_check(rule, "catchall"))
			read_catchall(arena, rule, want);
		else if (is_check(rule, "address_literal"))
			read_literals(arena, rule, want);
	}
	if (unlimited)
		want->max_recipients = 0;
}

/* Postfix knows the domain by itself, so the value stays right when that changes. */
static void read_banner(struct arena *arena, struct want *want)
{
	struct slice text = want->config->postfix.banner;
	struct buf buf;

	buf_init(&buf, TEXT_MAX_BYTES);
	while (text.len) {
		if (slice_starts_with(text, SLICE(LOCAL_DOMAIN))) {
			buf_add(&buf, SLICE("$mydomain"));
			text = slice_from(text, strlen(LOCAL_DOMAIN));
		} else if (slice_starts_with(text, SLICE(TIME))) {
			want->banner_has_time = true;
			text = slice_from(text, strlen(TIME));
		} else {
			buf_add_char(&buf, text.data[0]);
			text = slice_from(text, 1);
		}
	}
	want->banner = slice_trim(arena_dup(arena, buf_slice(&buf)));
	buf_release(&buf);
}

void want_read(struct arena *arena, const struct config *config, struct slice queue_directory,
	struct want *ret_want)
{
	struct want want = {.config = config};
	uint64_t deadline_s = (config->deadline_ms + 999) / 1000;

	want.enforce = config->mode == CONFIG_ENFORCE;
	want.settles = config->settle != 2;
	want.timeout_s = deadline_s + SPARE_S > MIN_TIMEOUT_S ? (unsigned)deadline_s + SPARE_S
							      : MIN_TIMEOUT_S;
	if (want.enforce && config->bans.mode == CONFIG_ENFORCE)
		want.hard_errors = config->bans.disconnect_at;
	read_sockets(arena, queue_directory, &want);
	read_rules(arena, &want);
	read_banner(arena, &want);
	*ret_want = want;
}
