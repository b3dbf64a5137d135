/* SPDX-License-Identifier: ISC */
/*
 * Postfix's own domains, networks and addresses, and what reeve.yaml lacks of them.
 */
#include "daemon/ctl/postfix/learn.h"

#include "config/schema.h"
#include "daemon/ctl/postfix/yaml_edit.h"
#include "daemon/mail/idn.h"
#include "daemon/mail/site.h"

#define MAX_DOMAINS 10000
#define MAX_TOLD 5
#define SECTION "site"

enum { ORIGIN, DELIMITER, DOMAINS, NETWORKS, ADDRESSES };

struct learning {
	struct arena *arena;
	const struct model *model;
	const struct probe *probe;
	const struct config *config;
	struct slice text;
	struct learned *to;
	struct want want; /* of the configuration as it is */
};

static struct slice first_word(struct slice line)
{
	struct slice word = SLICE_EMPTY;

	(void)text_item(&line, &word);
	return word;
}

/* A list as it would be written: what the file says now, and then what is new. */
static struct slice list_value(
	const struct learning *from, const char *key, const struct text_list *missing)
{
	struct config_errors *errors = config_errors_new();
	struct config_node *root = config_tree_parse("reeve.yaml", from->text, from->arena, errors);
	const struct config_node *site = root ? config_map_get(root, SECTION) : NULL;
	const struct config_node *now =
		site && site->kind == CONFIG_MAP ? config_map_get(site, key) : NULL;
	struct text_list out = {0};

	config_errors_free(&errors);
	for (size_t i = 0; now && now->kind == CONFIG_LIST && i < now->count; i++)
		text_add(from->arena, &out, yaml_scalar(from->arena, now->items[i]->text));
	if (now && now->kind == CONFIG_SCALAR && now->text.len)
		text_add(from->arena, &out, yaml_scalar(from->arena, now->text));
	for (size_t i = 0; i < missing->count; i++)
		text_add(from->arena, &out, yaml_scalar(from->arena, missing->items[i]));
	return text_format(from->arena, "[%.*s]", SLICE_ARG(text_join(from->arena, &out, ", ")));
}

static struct slice few(const struct learning *from, const struct text_list *all)
{
	struct text_list some = *all;

	if (some.count > MAX_TOLD)
		some.count = MAX_TOLD;
	return text_format(from->arena, "%.*s%s", SLICE_ARG(text_join(from->arena, &some, ", ")),
		all->count > MAX_TOLD ? ", ..." : "");
}

static void set_list(const struct learning *from, size_t index, const char *key, const char *id,
	const struct text_list *missing, const char *what)
{
	from->to->keys[index] = (struct learn_key){
		.key = key,
		.id = id,
		.met = missing->count == 0,
		.value = list_value(from, key, missing),
		.message = missing->count ? text_format(from->arena, "site.%s lacks %s: %.*s", key,
						    what, SLICE_ARG(few(from, missing)))
					  : SLICE_EMPTY,
	};
}

static void set_word(const struct learning *from, size_t index, const char *key, const char *id,
	struct slice now, struct slice wanted)
{
	from->to->keys[index] = (struct learn_key){
		.key = key,
		.id = id,
		.met = slice_equal_fold(now, wanted),
		.value = yaml_scalar(from->arena, wanted),
		.message = text_format(from->arena, "site.%s is '%.*s', Postfix has '%.*s'", key,
			SLICE_ARG(now), SLICE_ARG(wanted)),
	};
}

/* ---- domains */

static bool is_domain(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char byte = (unsigned char)text.data[i];

		if (!((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
			    (byte >= '0' && byte <= '9') || byte == '-' || byte == '_' ||
			    byte == '.' || byte >= 0x80) ||
			(byte == '.' && (i == 0 || i + 1 == text.len || text.data[i - 1] == '.')))
			return false;
	}
	return text.len > 0 && text.len <= 255;
}

static void add_domain(const struct learning *from, struct slice text, struct text_list *ret)
{
	if (is_domain(text) && ret->count < MAX_DOMAINS)
		text_add_new(from->arena, ret, arena_dup(from->arena, text));
}

static struct slice behind_proxy(struct slice map)
{
	while (slice_starts_with(map, SLICE("proxy:")))
		map = slice_from(map, strlen("proxy:"));
	return map;
}

/* Tables made of rules hold no names that could be listed, and domains in them are rare. */
static bool is_made_of_rules(struct slice map)
{
	static const char *const types[] = {"regexp:", "pcre:", "static:", "pipemap:", "unionmap:",
		"cidr:", "fail:", "randmap:", "environ:", "unix:"};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (slice_starts_with(map, slice_of(types[i])))
			return true;
	return false;
}

static void add_item(const struct learning *from, struct slice item, struct text_list *ret)
{
	struct text_list lines = {0};
	struct slice map = behind_proxy(item);

	if (item.data[0] == '!')
		return;
	if (item.data[0] == '/') {
		if (!from->probe->read_lines(from->probe->context, from->arena, item, &lines))
			text_add_new(from->arena, &from->to->unlisted, item);
		for (size_t i = 0; i < lines.count; i++)
			add_domain(from, first_word(lines.items[i]), ret);
	} else if (memchr(item.data, ':', item.len) && item.data[0] != '[') {
		if (is_made_of_rules(map))
			return;
		if (!from->probe->list_keys(from->probe->context, from->arena, map, &lines))
			text_add_new(from->arena, &from->to->unlisted, item);
		for (size_t i = 0; i < lines.count; i++)
			add_domain(from, lines.items[i], ret);
	} else {
		add_domain(from, item, ret);
	}
}

/* Keys of virtual_alias_maps are mostly addresses and bare names; a domain has a dot. */
static void drop_bare_names(const struct learning *from, struct text_list *domains, size_t start)
{
	struct text_list kept = {0};

	for (size_t i = 0; i < domains->count; i++)
		if (i < start || memchr(domains->items[i].data, '.', domains->items[i].len))
			text_add(from->arena, &kept, domains->items[i]);
	*domains = kept;
}

static void add_domains(const struct learning *from, const char *name, struct text_list *ret)
{
	struct slice rest = model_value(from->model, NULL, name), item;
	size_t start = ret->count;

	while (text_item(&rest, &item))
		add_item(from, item, ret);
	if (strcmp(name, "virtual_alias_domains") == 0)
		drop_bare_names(from, ret, start);
}

static void learn_domains(const struct learning *from)
{
	struct config_errors *errors = config_errors_new();
	struct site *site = site_new(from->config, errors);
	struct text_list all = {0}, missing = {0};

	add_domains(from, "mydestination", &all);
	add_domains(from, "virtual_mailbox_domains", &all);
	add_domains(from, "virtual_alias_domains", &all);
	for (size_t i = 0; i < all.count; i++) {
		struct slice domain;

		if (idn_domain(all.items[i], from->arena, &domain) &&
			!site_domain_is_local(site, domain))
			text_add(from->arena, &missing, all.items[i]);
	}
	site_free(&site);
	config_errors_free(&errors);
	set_list(from, DOMAINS, "domains", "site-domains", &missing,
		"domains that Postfix takes mail for");
	for (size_t i = 0; i < from->config->site.domains.count; i++)
		add_domain(from, from->config->site.domains.items[i], &all);
	from->to->domains = all;
}

/* ---- networks and addresses */

static bool set_covers(const struct cidr_set *set, const struct cidr *cidr)
{
	for (size_t i = 0; i < cidr_set_count(set); i++) {
		struct cidr member = cidr_set_at(set, i);

		if (member.bits <= cidr->bits && cidr_contains(&member, &cidr->ip))
			return true;
	}
	return false;
}

static struct slice without_brackets(const struct learning *from, struct slice item)
{
	struct slice head, tail;

	if (item.data[0] != '[' || !slice_split(slice_from(item, 1), ']', &head, &tail))
		return item;
	return text_format(from->arena, "%.*s%.*s", SLICE_ARG(head), SLICE_ARG(tail));
}

static void add_missing(const struct learning *from, const struct cidr_set *set, struct slice item,
	struct text_list *missing)
{
	char memory[CIDR_TEXT_BYTES], host[IP_TEXT_BYTES];
	struct cidr cidr;
	struct slice text;
	const char *why;

	if (!cidr_parse(without_brackets(from, item), &cidr, &why) || set_covers(set, &cidr))
		return;
	text = cidr.bits == 128 ? ip_format(&cidr.ip, host) : cidr_format(&cidr, memory);
	text_add_new(from->arena, missing, arena_dup(from->arena, text));
}

/* Does Postfix take something out of it that we cannot take out? Then it is left to a human: who is
 * privileged here may do what strangers may not. */
static bool is_pierced(
	const struct learning *from, const struct text_list *networks, struct slice network)
{
	struct cidr whole, part;
	const char *why;

	if (!cidr_parse(without_brackets(from, network), &whole, &why))
		return false;
	for (size_t i = 0; i < networks->count; i++) {
		struct slice item = networks->items[i];

		if (item.data[0] == '!' &&
			cidr_parse(without_brackets(from, slice_from(item, 1)), &part, &why) &&
			cidr_overlaps(&whole, &part))
			return true;
	}
	return false;
}

static void learn_networks(const struct learning *from)
{
	struct slice rest = model_value(from->model, NULL, "mynetworks"), item;
	struct text_list networks = {0}, missing = {0}, lines = {0};

	while (text_item(&rest, &item))
		if (item.data[0] != '/' ||
			!from->probe->read_lines(from->probe->context, from->arena, item, &lines))
			text_add(from->arena, &networks, item);
	for (size_t i = 0; i < lines.count; i++)
		if (first_word(lines.items[i]).len)
			text_add(from->arena, &networks, first_word(lines.items[i]));
	for (size_t i = 0; i < networks.count; i++) {
		if (is_pierced(from, &networks, networks.items[i]))
			text_add_new(from->arena, &from->to->left_out, networks.items[i]);
		else
			add_missing(from, from->config->site.privileged_networks, networks.items[i],
				&missing);
	}
	set_list(from, NETWORKS, "privileged_networks", "site-networks", &missing,
		"networks that may relay (mynetworks)");
}

/* Loopback, link-local and (on an interface that nobody named) private addresses are no public ones. */
static bool is_public(const struct learning *from, const struct ip *ip, bool named)
{
	static const char *const never[] = {
		"127.0.0.0/8", "::1/128", "fe80::/10", "0.0.0.0/32", "::/128"};
	struct cidr cidr;
	const char *why;

	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		if (cidr_parse(slice_of(never[i]), &cidr, &why) && cidr_contains(&cidr, ip))
			return false;
	return named || !cidr_set_contains(from->config->site.local_networks, ip);
}

static void add_address(
	const struct learning *from, const struct ip *ip, bool named, struct text_list *missing)
{
	char memory[IP_TEXT_BYTES];

	/* What a rule accepts besides stands in proxy_interfaces for its sake. */
	for (size_t i = 0; i < from->want.literal_count; i++)
		if (ip_equal(&from->want.literals[i], ip))
			return;
	if (is_public(from, ip, named))
		add_missing(from, from->config->site.addresses, ip_format(ip, memory), missing);
}

static void learn_addresses(const struct learning *from)
{
	static const char *const names[] = {"inet_interfaces", "proxy_interfaces"};
	struct text_list missing = {0};
	struct ip ip;

	for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
		struct slice rest = model_value(from->model, NULL, names[n]), item;

		while (text_item(&rest, &item)) {
			if (slice_equal_fold(item, SLICE("all")))
				for (size_t i = 0; i < from->probe->own_count; i++)
					add_address(from, &from->probe->own[i], false, &missing);
			else if (ip_parse(without_brackets(from, item), &ip))
				add_address(from, &ip, true, &missing);
		}
	}
	set_list(
		from, ADDRESSES, "addresses", "site-addresses", &missing, "addresses of this host");
}

/* ---- the rest */

static struct slice origin_of(const struct learning *from)
{
	struct slice origin = model_value(from->model, NULL, "myorigin");
	struct text_list lines = {0};

	if (origin.len && origin.data[0] == '/' &&
		from->probe->read_lines(from->probe->context, from->arena, origin, &lines) &&
		lines.count)
		origin = first_word(lines.items[0]);
	return is_domain(origin) ? origin : from->config->site.origin;
}

void learn_read(struct arena *arena, const struct model *model, const struct probe *probe,
	const struct config *config, struct slice text, struct learned *ret_learned)
{
	struct learning from = {arena, model, probe, config, text, ret_learned, {0}};

	*ret_learned = (struct learned){0};
	want_read(arena, config, model_value(model, NULL, "queue_directory"), &from.want);
	set_word(&from, ORIGIN, "origin", "site-origin", config->site.origin, origin_of(&from));
	set_word(&from, DELIMITER, "recipient_delimiter", "site-delimiter",
		config->site.recipient_delimiter, model_value(model, NULL, "recipient_delimiter"));
	learn_domains(&from);
	learn_networks(&from);
	learn_addresses(&from);
}

struct slice learn_edit(struct arena *arena, const struct learned *learned, struct slice text,
	struct text_list *ret_failed)
{
	for (size_t i = 0; i < LEARN_KEYS; i++) {
		const struct learn_key *key = &learned->keys[i];

		if (!key->met && !yaml_edit(arena, text, SECTION, key->key, key->value, &text))
			text_add(arena, ret_failed, slice_of(key->key));
	}
	return text;
}

void learn_wishes(const struct learned *learned, const struct text_list *failed, struct plan *plan)
{
	for (size_t i = 0; i < LEARN_KEYS; i++) {
		const struct learn_key *key = &learned->keys[i];

		plan_add(plan, &(struct wish){.id = key->id,
				       .kind = PLAN_REEVE,
				       .name = plan_text(plan, SECTION ".%s", key->key),
				       .value = key->value,
				       .met = key->met,
				       .by_hand = text_holds(failed, slice_of(key->key)),
				       .message = key->met ? SLICE_EMPTY : key->message});
	}
	if (learned->left_out.count)
		plan_note(plan, "site-networks", PLAN_WARNING, SLICE_EMPTY,
			plan_text(plan,
				"mynetworks takes a part out of %.*s with '!', which site.privileged_networks "
				"cannot say",
				SLICE_ARG(learned->left_out.items[0])),
			SLICE("site: privileged_networks: name the parts that may relay"));
	if (learned->unlisted.count && plan->want->config->site.domains.count == 0)
		plan_note(plan, "site-domains", PLAN_WARNING, SLICE_EMPTY,
			plan_text(plan, "the domains of %.*s cannot be listed from here",
				SLICE_ARG(learned->unlisted.items[0])),
			SLICE("site: domains: name them, or a file that holds them"));
}
