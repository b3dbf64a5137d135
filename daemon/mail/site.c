/* SPDX-License-Identifier: ISC */
/*
 * The `site` section made ready for asking: every name is normalised once and
 * hashed. Account names and networks are the configuration's own; all else
 * lives in the site's arena and maps.
 *
 * The order of building matters: the domains come first, because reading an
 * address of `owners` or `logins` asks whether its domain is local.
 */
#include "daemon/mail/site.h"

#include "common/alloc.h"
#include "common/strmap.h"
#include "daemon/mail/idn.h"
#include "daemon/mail/written.h"

#define ARENA_BLOCK_BYTES 1024
#define NAME_SEPARATORS ", \t\r"

/* Domains and, under the name without its dot, `.example.com`: all below it. */
struct domain_map {
	struct strmap *exact, *below;
};

struct name {
	struct slice text;
	struct name *next;
};

struct name_list {
	struct name *first, *last;
};

struct site {
	struct slice origin, login_domain;
	struct domain_map domains, accounts;
	struct strmap *owners;         /* address or @domain -> struct name_list of logins */
	struct strmap *logins;         /* login -> struct name_list of addresses and @domains */
	const struct cidr_set *addresses, *local_networks, *privileged_networks;
	unsigned char marks[256];      /* SITE_MARK_... of each byte */
	struct arena arena;
};

static void domain_map_init(struct domain_map *map)
{
	map->exact = strmap_new();
	map->below = strmap_new();
}

static void domain_map_release(struct domain_map *map)
{
	strmap_free(&map->exact);
	strmap_free(&map->below);
}

/* The domain one label up; empty at the top. */
static struct slice parent_of(struct slice domain)
{
	struct slice label, parent;

	return slice_split(domain, '.', &label, &parent) ? parent : SLICE_EMPTY;
}

static void *domain_map_get(const struct domain_map *map, struct slice domain)
{
	void *value = strmap_get(map->exact, domain);

	if (value || strmap_count(map->below) == 0)
		return value;
	for (domain = parent_of(domain); !value && domain.len; domain = parent_of(domain))
		value = strmap_get(map->below, domain);
	return value;
}

static void domain_error(struct config_errors *errors, struct config_pos pos, struct slice domain)
{
	config_error(errors, pos, "'%s' is no domain name", config_quote(domain).text);
}

static void read_domains(struct site *site, struct domain_map *map,
			 const struct config_strings *domains, void *value,
			 struct config_errors *errors)
{
	for (size_t i = 0; i < domains->count; i++) {
		struct slice domain = domains->items[i];
		bool below = domain.len && domain.data[0] == '.';

		if (idn_domain(slice_from(domain, below), &site->arena, &domain))
			strmap_set(below ? map->below : map->exact, domain, value);
		else
			domain_error(errors, domains->pos[i], domain);
	}
}

/* The domain of a single setting; an empty one stays empty. A wrong one is told once, and not again for all
 * that it would complete. */
static struct slice read_setting(struct site *site, struct slice domain, const char *what,
				 struct config_pos pos, struct config_errors *errors)
{
	if (domain.len && !idn_domain(domain, &site->arena, &domain)) {
		config_error(errors, pos, "'%s' needs a domain, like example.com, not '%s'", what,
			     config_quote(domain).text);
		return SLICE("invalid");
	}
	return domain;
}

/* An address or @domain as it is looked up; false: it cannot be. */
static bool read_address(struct site *site, struct slice text, struct slice *ret_name)
{
	struct mail_address address;

	if (written_address_flaw(text, false))
		return false;
	if (text.data[0] == '@') {
		char *name;

		if (!idn_domain(slice_from(text, 1), &site->arena, &text))
			return false;
		name = arena_alloc(&site->arena, text.len + 1);
		name[0] = '@';
		memcpy(name + 1, text.data, text.len);
		*ret_name = slice_make(name, text.len + 1);
		return true;
	}
	mail_address_read(&address, text, site, &site->arena);
	*ret_name = address.folded;
	return address.kind == MAIL_ADDRESS_DOMAIN || address.kind == MAIL_ADDRESS_LITERAL;
}

static bool read_login(struct site *site, struct slice text, struct slice *ret_name)
{
	struct mail_address login;

	if (written_login_flaw(text, false))
		return false;
	mail_login_read(&login, text, site, &site->arena);
	*ret_name = login.folded;
	return login.kind != MAIL_ADDRESS_NONE;
}

/* Takes the next word off `line`; false: none is left. */
static bool next_word(struct slice *line, struct slice *ret_word)
{
	size_t start = 0, end;

	while (start < line->len && strchr(NAME_SEPARATORS, line->data[start]))
		start++;
	for (end = start; end < line->len && !strchr(NAME_SEPARATORS, line->data[end]);)
		end++;
	*ret_word = slice_make(line->data + start, end - start);
	*line = slice_from(*line, end);
	return end > start;
}

static struct name_list *list_of(struct site *site, struct strmap *map, struct slice key)
{
	struct name_list *list = strmap_get(map, key);

	if (!list) {
		list = arena_zalloc(&site->arena, sizeof(*list));
		strmap_set(map, key, list);
	}
	return list;
}

static void list_add(struct site *site, struct name_list *list, struct slice text)
{
	struct name *name = arena_alloc(&site->arena, sizeof(*name));

	name->text = arena_dup(&site->arena, text);
	name->next = NULL;
	if (list->last)
		list->last->next = name;
	else
		list->first = name;
	list->last = name;
}

typedef bool read_name_fn(struct site *site, struct slice text, struct slice *ret_name);

/* One line "key value[,value...]"; lines with the same key add up. */
static void read_line(struct site *site, struct strmap *map, struct slice line,
		      struct config_pos pos, read_name_fn *read_key, read_name_fn *read_value,
		      struct config_errors *errors)
{
	struct slice word, name;
	struct name_list *list;

	if (!next_word(&line, &word) || !read_key(site, word, &name)) {
		config_error(errors, pos, "'%s' is no address or login", config_quote(word).text);
		return;
	}
	list = list_of(site, map, name);
	while (next_word(&line, &word)) {
		if (read_value(site, word, &name))
			list_add(site, list, name);
		else
			config_error(errors, pos, "'%s' is no address or login",
				     config_quote(word).text);
	}
	if (!list->first)
		config_error(errors, pos, "needs an address and a login with a blank between them");
}

static void read_lines(struct site *site, struct strmap *map, const struct config_strings *lines,
		       read_name_fn *read_key, read_name_fn *read_value,
		       struct config_errors *errors)
{
	for (size_t i = 0; i < lines->count; i++)
		read_line(site, map, lines->items[i], lines->pos[i], read_key, read_value, errors);
}

static void set_marks(struct site *site, struct slice delimiters)
{
	site->marks['!'] = site->marks['%'] = site->marks['@'] = SITE_MARK_ROUTE;
	for (size_t i = 0; i < delimiters.len; i++)
		site->marks[(unsigned char)delimiters.data[i]] |= SITE_MARK_DELIMITER;
}

struct site *site_new(const struct config *config, struct config_errors *errors)
{
	const struct config_site *from = &config->site;
	struct site *site = mem_zalloc(sizeof(*site));

	arena_init(&site->arena, ARENA_BLOCK_BYTES);
	domain_map_init(&site->domains);
	domain_map_init(&site->accounts);
	site->owners = strmap_new();
	site->logins = strmap_new();
	site->addresses = from->addresses;
	site->local_networks = from->local_networks;
	site->privileged_networks = from->privileged_networks;
	set_marks(site, from->recipient_delimiter);
	site->origin = read_setting(site, from->origin, "origin", from->origin_pos, errors);
	site->login_domain = site->origin;
	if (from->login_domain.len && !slice_equal(from->login_domain, from->origin))
		site->login_domain = read_setting(site, from->login_domain, "login_domain",
						  from->login_domain_pos, errors);
	read_domains(site, &site->domains, &from->domains, site, errors);
	for (size_t i = 0; i < from->account_count; i++)
		read_domains(site, &site->accounts, &from->accounts[i].domains,
			     &from->accounts[i].name, errors);
	read_lines(site, site->owners, &from->owners, read_address, read_login, errors);
	read_lines(site, site->logins, &from->logins, read_login, read_address, errors);
	return site;
}

void site_free(struct site **site)
{
	if (!*site)
		return;
	domain_map_release(&(*site)->domains);
	domain_map_release(&(*site)->accounts);
	strmap_free(&(*site)->owners);
	strmap_free(&(*site)->logins);
	arena_release(&(*site)->arena);
	mem_free(site);
}

struct slice site_origin(const struct site *site)
{
	return site->origin;
}

struct slice site_login_domain(const struct site *site)
{
	return site->login_domain;
}

bool site_has_domains(const struct site *site)
{
	return strmap_count(site->domains.exact) || strmap_count(site->domains.below);
}

bool site_is_delimiter(const struct site *site, char byte)
{
	return site->marks[(unsigned char)byte] & SITE_MARK_DELIMITER;
}

size_t site_find_delimiter(const struct site *site, struct slice text)
{
	size_t i = 0;

	while (i < text.len && !site_is_delimiter(site, text.data[i]))
		i++;
	return i;
}

unsigned site_local_part_marks(const struct site *site, struct slice local)
{
	unsigned marks = 0;

	for (size_t i = 0; i < local.len; i++)
		marks |= site->marks[(unsigned char)local.data[i]];
	return marks;
}

bool site_domain_is_local(const struct site *site, struct slice domain)
{
	return domain_map_get(&site->domains, domain) != NULL;
}

bool site_domain_is_below_local(const struct site *site, struct slice domain)
{
	for (; domain.len; domain = parent_of(domain)) {
		if (strmap_get(site->domains.exact, domain) ||
		    strmap_get(site->domains.below, parent_of(domain)))
			return true;
	}
	return false;
}

struct slice site_domain_account(const struct site *site, struct slice domain)
{
	const struct slice *account = domain_map_get(&site->accounts, domain);

	if (account)
		return *account;
	return site_domain_is_local(site, domain) ? domain : SLICE_EMPTY;
}

static const struct name_list *login_entry(const struct site *site,
					   const struct mail_address *login)
{
	return strmap_get(site->logins, login->folded);
}

struct slice site_login_account(const struct site *site, const struct mail_address *login)
{
	const struct name_list *list = login_entry(site, login);

	for (const struct name *name = list ? list->first : NULL; name; name = name->next) {
		struct slice local, domain;

		if (slice_split_last(name->text, '@', &local, &domain)) {
			struct slice account = site_domain_account(site, domain);

			if (account.len)
				return account;
		}
	}
	return site_domain_account(site, login->domain);
}

static bool list_has(const struct name_list *list, struct slice text)
{
	for (const struct name *name = list ? list->first : NULL; name; name = name->next) {
		if (slice_equal(name->text, text))
			return true;
	}
	return false;
}

/* "@example.com", out of the middle of "user@example.com". */
static struct slice at_domain(const struct mail_address *address)
{
	return slice_from(address->folded, address->folded.len - address->domain.len - 1);
}

static const struct name_list *owners_of(const struct site *site, const struct mail_address *sender)
{
	const struct name_list *list = strmap_get(site->owners, sender->folded);

	if (!list)
		list = strmap_get(site->owners, sender->subject);
	return list ? list : strmap_get(site->owners, at_domain(sender));
}

bool site_login_owns(const struct site *site, const struct mail_address *login,
		     const struct mail_address *sender)
{
	const struct name_list *list;

	if (login->kind == MAIL_ADDRESS_NONE || sender->folded.len == 0)
		return false;
	if (slice_equal(login->folded, sender->folded) ||
	    slice_equal(login->folded, sender->subject))
		return true;
	list = login_entry(site, login);
	return list_has(list, sender->folded) || list_has(list, sender->subject) ||
	       list_has(list, at_domain(sender)) ||
	       list_has(owners_of(site, sender), login->folded);
}

bool site_ip_is_local(const struct site *site, const struct ip *ip)
{
	return cidr_set_contains(site->local_networks, ip);
}

bool site_ip_is_privileged(const struct site *site, const struct ip *ip)
{
	return cidr_set_contains(site->privileged_networks, ip);
}

static bool is_loopback(const struct ip *ip)
{
	static const struct ip loopback6 = { { [15] = 1 } };

	return ip_is_v4(ip) ? ip->bytes[12] == 127 : ip_equal(ip, &loopback6);
}

bool site_ip_is_own(const struct site *site, const struct ip *ip)
{
	return is_loopback(ip) || cidr_set_contains(site->addresses, ip);
}

bool site_ip_is_listed(const struct site *site, const struct ip *ip)
{
	return cidr_set_contains(site->addresses, ip);
}
