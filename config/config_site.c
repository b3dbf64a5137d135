/* SPDX-License-Identifier: ISC */
/*
 * `site`: what is ours. Forms are checked here, meaning (A-labels, who owns
 * what) is the mail layer's. Defaults that the machine gives are resolved here, so that
 * all else sees one origin.
 */
#include "config/config_parts.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"

#define MAX_ACCOUNTS 100000
#define MAX_ACCOUNT_BYTES 128
#define MAX_DOMAIN_BYTES 255
#define MAX_DELIMITERS 8

struct raw_site {
	const struct config_node *origin, *login_domain, *accounts, *recipient_delimiter;
};

#define IN_SITE(field) offsetof(struct config_site, field)

static const struct config_key site_keys[] = {
	{.name = "domains", .type = CONFIG_TYPE_STRINGS, .offset = IN_SITE(domains)},
	{.name = "owners", .type = CONFIG_TYPE_LINES, .offset = IN_SITE(owners)},
	{.name = "logins", .type = CONFIG_TYPE_LINES, .offset = IN_SITE(logins)},
	{.name = "addresses", .type = CONFIG_TYPE_NETWORKS, .offset = IN_SITE(addresses)},
	{.name = "local_networks",
		.type = CONFIG_TYPE_NETWORKS,
		.offset = IN_SITE(local_networks),
		.fallback =
			"[127.0.0.0/8, \"::1/128\", 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 169.254.0.0/16, "
			"\"fc00::/7\", \"fe80::/10\"]"},
	{.name = "privileged_networks",
		.type = CONFIG_TYPE_NETWORKS,
		.offset = IN_SITE(privileged_networks)},
};

#define RAW_SITE(key)                                                                            \
	{                                                                                        \
		.name = #key, .type = CONFIG_TYPE_NODE, .offset = offsetof(struct raw_site, key) \
	}

static const struct config_key raw_site_keys[] = {
	RAW_SITE(origin),
	RAW_SITE(login_domain),
	RAW_SITE(accounts),
	RAW_SITE(recipient_delimiter),
};

bool config_is_domain(struct slice text)
{
	if (text.len == 0 || text.len > MAX_DOMAIN_BYTES)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		unsigned char byte = (unsigned char)text.data[i];

		if (!((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
			    (byte >= '0' && byte <= '9') || byte == '-' || byte == '_' ||
			    byte == '.' || byte >= 0x80))
			return false;
		if (byte == '.' && (i == 0 || text.data[i - 1] == '.'))
			return false;
	}
	return true;
}

/* Debian keeps there what completes a bare local part. */
static bool read_mailname(struct config_reader *reader, struct slice *ret)
{
	char line[MAX_DOMAIN_BYTES + 2] = "";
	FILE *file = reader->no_files ? NULL : fopen("/etc/mailname", "re");
	struct slice word;
	size_t len = 0;

	if (!file)
		return false;
	if (!fgets(line, sizeof(line), file))
		line[0] = '\0';
	fclose(file);
	while (line[len] && !strchr(" \t\r\n", line[len]))
		len++;
	word = slice_make(line, len);
	if (!config_is_domain(word))
		return false;
	*ret = arena_dup(reader->arena, word);
	return true;
}

/* false: not given (or "", or wrong). */
static bool read_domain(struct config_reader *reader, const struct config_node *node,
	const char *name, struct slice *ret)
{
	if (!node || (node->kind == CONFIG_SCALAR && node->quoted && node->text.len == 0))
		return false;
	if (node->kind != CONFIG_SCALAR || !config_is_domain(node->text)) {
		config_need(reader, node, name, "a domain, like example.com");
		return false;
	}
	*ret = node->text;
	return true;
}

/* What is wrong in a list leaves it, so that the mail layer does not tell it again. */
static void keep(struct config_strings *list, size_t *kept, size_t index)
{
	list->items[*kept] = list->items[index];
	list->pos[(*kept)++] = list->pos[index];
}

static void check_domains(struct config_reader *reader, const char *name,
	struct config_strings *domains, bool dotted)
{
	size_t kept = 0;

	for (size_t i = 0; i < domains->count; i++) {
		struct slice text = domains->items[i];

		if (dotted && text.len && text.data[0] == '.')
			text = slice_from(text, 1);
		if (config_is_domain(text))
			keep(domains, &kept, i);
		else
			config_error(reader->errors, domains->pos[i],
				"'%s' needs domains, like %s, not '%s'", name,
				dotted ? "example.com or .lists.example.com" : "example.com",
				config_quote(domains->items[i]).text);
	}
	domains->count = kept;
}

static void check_lines(struct config_reader *reader, const char *name,
	struct config_strings *lines, const char *form)
{
	size_t kept = 0;

	for (size_t i = 0; i < lines->count; i++) {
		struct slice line = lines->items[i];
		size_t len = 0;

		while (len < line.len && line.data[len] != ' ' && line.data[len] != '\t')
			len++;
		if (slice_trim(slice_from(line, len)).len)
			keep(lines, &kept, i);
		else
			config_error(reader->errors, lines->pos[i],
				"'%s' needs entries like '%s', not '%s'", name, form,
				config_quote(line).text);
	}
	lines->count = kept;
}

static void read_delimiter(
	struct config_reader *reader, const struct config_node *node, struct slice *ret)
{
	bool good = node->kind == CONFIG_SCALAR && (node->text.len || node->quoted) &&
		    node->text.len <= MAX_DELIMITERS;

	for (size_t i = 0; good && i < node->text.len; i++)
		good = node->text.data[i] > ' ' && node->text.data[i] <= '~' &&
		       node->text.data[i] != '@';
	if (good)
		*ret = node->text;
	else
		config_need(reader, node, "recipient_delimiter",
			"at most 8 characters, like \"+\" or \"+-\"");
}

/* ---- accounts */

static bool is_account(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if ((unsigned char)name.data[i] <= ' ' || name.data[i] == 0x7f)
			return false;
	return name.len > 0 && name.len <= MAX_ACCOUNT_BYTES;
}

static void read_accounts(
	struct config_reader *reader, const struct config_node *node, struct config_site *site)
{
	if (config_node_is_empty(node))
		return;
	if (node->kind != CONFIG_MAP) {
		config_need(reader, node, "accounts",
			"a map, like { acme: [acme.example, acme.test] }");
		return;
	}
	if (node->count > MAX_ACCOUNTS) {
		config_error(reader->errors, node->pos, "there can be at most %d accounts",
			MAX_ACCOUNTS);
		return;
	}
	site->accounts = arena_zalloc(reader->arena, (node->count + 1) * sizeof(site->accounts[0]));
	for (size_t i = 0; i < node->count; i++) {
		struct config_account *account = &site->accounts[site->account_count++];
		struct config_quoted name = config_quote(node->keys[i]->text);

		account->name = node->keys[i]->text;
		if (!is_account(account->name))
			config_error(reader->errors, node->keys[i]->pos,
				"the name of an account is a word of at most %d bytes, not '%s'",
				MAX_ACCOUNT_BYTES, name.text);
		config_read_strings(reader, node->items[i], name.text, &account->domains);
		check_domains(reader, name.text, &account->domains, false);
	}
}

/* ---- domains of accounts against `domains`, and against each other */

struct domain_at {
	struct slice domain;
	struct config_pos pos;
};

static int compare_folded(struct slice a, struct slice b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int order = len ? strncasecmp(a.data, b.data, len) : 0;

	if (order)
		return order;
	return a.len < b.len ? -1 : a.len > b.len;
}

/* Equal ones in the order of their lines; one without a line is equal to all of its name. */
static int compare_domains(const void *a, const void *b)
{
	const struct domain_at *x = a, *y = b;
	int order = compare_folded(x->domain, y->domain);

	if (order || !x->pos.line || x->pos.line == y->pos.line)
		return order;
	return x->pos.line < y->pos.line ? -1 : 1;
}

static struct domain_at *sort_domains(const struct config_strings *lists, size_t list_count,
	size_t stride_bytes, size_t *ret_count)
{
	size_t count = 0;
	struct domain_at *sorted;

	for (size_t i = 0; i < list_count; i++)
		count += ((const struct config_strings *)(const void *)((const char *)lists +
									i * stride_bytes))
				 ->count;
	sorted = mem_zalloc_array(count + 1, sizeof(*sorted));
	*ret_count = count;
	count = 0;
	for (size_t i = 0; i < list_count; i++) {
		const struct config_strings *list =
			(const void *)((const char *)lists + i * stride_bytes);

		for (size_t j = 0; j < list->count; j++)
			sorted[count++] = (struct domain_at){list->items[j], list->pos[j]};
	}
	qsort(sorted, count, sizeof(*sorted), compare_domains);
	return sorted;
}

/* `domain` itself, or `.parent` of one of its parents. */
static bool is_listed(struct slice domain, const struct domain_at *sorted, size_t count)
{
	struct domain_at wanted = {.domain = domain};

	if (bsearch(&wanted, sorted, count, sizeof(*sorted), compare_domains))
		return true;
	for (size_t i = 1; i < domain.len; i++) {
		wanted.domain = slice_from(domain, i);
		if (domain.data[i] == '.' &&
			bsearch(&wanted, sorted, count, sizeof(*sorted), compare_domains))
			return true;
	}
	return false;
}

static void check_accounts(struct config_reader *reader, const struct config_site *site)
{
	size_t ours_count = 0, count = 0;
	struct domain_at *ours, *sorted;

	if (!site->account_count)
		return;
	ours = sort_domains(&site->domains, 1, sizeof(site->domains), &ours_count);
	sorted = sort_domains(
		&site->accounts[0].domains, site->account_count, sizeof(site->accounts[0]), &count);
	for (size_t i = 0; i < count; i++) {
		struct config_quoted name = config_quote(sorted[i].domain);

		if (i && compare_folded(sorted[i - 1].domain, sorted[i].domain) == 0)
			config_error(reader->errors, sorted[i].pos,
				"domain '%s' belongs to an account already (line %u)", name.text,
				sorted[i - 1].pos.line);
		if (!is_listed(sorted[i].domain, ours, ours_count))
			config_warning(reader->errors, sorted[i].pos,
				"domain '%s' is not in 'site.domains'", name.text);
	}
	mem_free(&ours);
	mem_free(&sorted);
}

void config_read_site(
	struct config_reader *reader, const struct config_node *node, struct config_site *site)
{
	struct raw_site raw = {0};

	site->pos = node ? node->pos : (struct config_pos){"(default)", 0, 0};
	site->origin_pos = site->login_domain_pos = site->pos;
	site->recipient_delimiter = SLICE("+");
	config_read_map2(reader, node, "site", CONFIG_KEYS(site_keys), site,
		CONFIG_KEYS(raw_site_keys), &raw);
	if (!read_domain(reader, raw.origin, "origin", &site->origin) &&
		!read_mailname(reader, &site->origin))
		site->origin = config_host_name(reader);
	if (!read_domain(reader, raw.login_domain, "login_domain", &site->login_domain))
		site->login_domain = site->origin;
	if (raw.origin)
		site->origin_pos = raw.origin->pos;
	if (raw.login_domain)
		site->login_domain_pos = raw.login_domain->pos;
	if (raw.accounts)
		read_accounts(reader, raw.accounts, site);
	if (raw.recipient_delimiter)
		read_delimiter(reader, raw.recipient_delimiter, &site->recipient_delimiter);
	check_domains(reader, "domains", &site->domains, true);
	check_lines(reader, "owners", &site->owners, "address login[,login...]");
	check_lines(reader, "logins", &site->logins, "login address[,@domain...]");
	check_accounts(reader, site);
}
