/* SPDX-License-Identifier: ISC */
/*
 * Everything lives in the fixture's arena, but for the sets, which are freed with it.
 */
#include "tests/unit/mail/fixture.h"

#include <criterion/criterion.h>

static size_t list_length(const char *const *texts)
{
	size_t count = 0;

	while (texts && texts[count])
		count++;
	return count;
}

struct config_strings fixture_strings(struct fixture *fixture, const char *const *texts)
{
	struct config_strings strings = { .count = list_length(texts) };

	strings.items = arena_zalloc(&fixture->arena, (strings.count + 1) * sizeof(*strings.items));
	strings.pos = arena_zalloc(&fixture->arena, (strings.count + 1) * sizeof(*strings.pos));
	for (size_t i = 0; i < strings.count; i++) {
		strings.items[i] = slice_of(texts[i]);
		strings.pos[i] = (struct config_pos){ "test", (unsigned)i + 1, 1 };
	}
	return strings;
}

static struct cidr_set *networks(const char *const *texts)
{
	struct cidr_set *set = cidr_set_new();

	for (size_t i = 0; i < list_length(texts); i++) {
		struct cidr cidr;
		const char *why;

		cr_assert(cidr_parse(slice_of(texts[i]), &cidr, &why));
		cidr_set_add(set, &cidr);
	}
	cidr_set_seal(set);
	return set;
}

static void set_accounts(struct fixture *fixture, const struct fixture_parts *parts)
{
	struct config_site *site = &fixture->config.site;

	site->account_count = list_length(parts->account_names);
	site->accounts = arena_zalloc(&fixture->arena,
				      (site->account_count + 1) * sizeof(*site->accounts));
	for (size_t i = 0; i < site->account_count; i++) {
		site->accounts[i].name = slice_of(parts->account_names[i]);
		site->accounts[i].domains = fixture_strings(fixture, parts->account_domains[i]);
	}
}

static struct slice text_or(const char *text, const char *otherwise)
{
	return slice_of(text ? text : otherwise);
}

void fixture_init(struct fixture *fixture, const struct fixture_parts *parts)
{
	struct config_site *site = &fixture->config.site;

	*fixture = (struct fixture){ .errors = config_errors_new() };
	arena_init(&fixture->arena, 1024);
	site->origin = text_or(parts->origin, "example.com");
	site->login_domain = text_or(parts->login_domain, "");
	site->recipient_delimiter = text_or(parts->delimiter, "+");
	site->domains = fixture_strings(fixture, parts->domains);
	site->owners = fixture_strings(fixture, parts->owners);
	site->logins = fixture_strings(fixture, parts->logins);
	site->addresses = networks(parts->addresses);
	site->local_networks = networks(FIXTURE_LIST("127.0.0.0/8", "10.0.0.0/8", "::1/128"));
	site->privileged_networks = networks(parts->privileged);
	set_accounts(fixture, parts);
	fixture->site = site_new(&fixture->config, fixture->errors);
}

void fixture_release(struct fixture *fixture)
{
	site_free(&fixture->site);
	cidr_set_free(&fixture->config.site.addresses);
	cidr_set_free(&fixture->config.site.local_networks);
	cidr_set_free(&fixture->config.site.privileged_networks);
	config_errors_free(&fixture->errors);
	arena_release(&fixture->arena);
}

struct mail_address fixture_address(struct fixture *fixture, const char *text)
{
	struct mail_address address;

	mail_address_read(&address, slice_of(text), fixture->site, &fixture->arena);
	return address;
}

struct mail_address fixture_login(struct fixture *fixture, const char *text)
{
	struct mail_address login;

	mail_login_read(&login, slice_of(text), fixture->site, &fixture->arena);
	return login;
}
