/* SPDX-License-Identifier: ISC */
/*
 * The entries are the configuration's and stay where they are; in here are the conditions, and
 * two maps from subjects to entries. Order is kept by comparing places in the list: what a map
 * finds holds only if no entry with conditions before it does.
 */
#include "daemon/rules/limits.h"

#include "common/alloc.h"
#include "common/strmap.h"
#include "daemon/mail/idn.h"
#include "daemon/mail/written.h"

#define ARENA_BYTES 1024

/* An entry that has to be tried. */
struct trial {
	const struct config_limit *limit;
	struct match *match;            /* NULL: only the network decides */
	struct cidr network;            /* a line for a network of clients */
};

struct limits {
	struct trial *trials;
	size_t trial_count, trial_room;
	struct strmap *whole, *domains; /* to struct config_limit */
	bool are_named;                 /* either holds something */
	struct arena arena;
};

struct slice limits_client_text(const struct ip *client, char memory[static CIDR_TEXT_BYTES])
{
	struct cidr network = ip_network(client, LIMITS_CLIENT_BITS4, LIMITS_CLIENT_BITS6);

	return ip_is_v4(client) ? ip_format(client, memory) : cidr_format(&network, memory);
}

static struct slice domain_text(struct slice domain, bool with_at, struct arena *arena)
{
	struct buf buf;

	if (!idn_domain(domain, arena, &domain))
		return SLICE_EMPTY;
	if (!with_at)
		return domain;
	buf_init_fixed(&buf, arena_alloc(arena, domain.len + 1), domain.len + 1);
	buf_add_char(&buf, '@');
	buf_add(&buf, domain);
	return buf_slice(&buf);
}

static struct slice client_text(struct slice text, struct arena *arena)
{
	char memory[CIDR_TEXT_BYTES];
	struct cidr network;
	const char *why;

	if (!cidr_parse(text, &network, &why) ||
	    network.bits < (ip_is_v4(&network.ip) ? 96 + LIMITS_CLIENT_BITS4 : LIMITS_CLIENT_BITS6))
		return SLICE_EMPTY;
	return arena_dup(arena, limits_client_text(&network.ip, memory));
}

static struct slice address_text(enum limits_kind kind, struct slice text, const struct site *site,
				 struct arena *arena)
{
	struct mail_address address;

	if (kind == LIMITS_LOGIN)
		mail_login_read(&address, text, site, arena);
	else
		mail_address_read(&address, text, site, arena);
	return address.kind == MAIL_ADDRESS_UNKNOWN ? SLICE_EMPTY : address.subject;
}

struct slice limits_subject_text(enum limits_kind kind, struct slice text, const struct site *site,
				 struct arena *arena)
{
	bool with_at = text.len > 0 && text.data[0] == '@';

	if (text.len == 0)
		return SLICE_EMPTY;
	switch (kind) {
	case LIMITS_LOGIN:
	case LIMITS_ADDRESS:
		return with_at ? domain_text(slice_from(text, 1), true, arena)
			       : address_text(kind, text, site, arena);
	case LIMITS_DOMAIN:
		return domain_text(slice_from(text, with_at), false, arena);
	case LIMITS_CLIENT:
		return client_text(text, arena);
	case LIMITS_EVERYONE:
		return slice_is(text, "*") ? text : SLICE_EMPTY;
	case LIMITS_NAME:
		break;
	}
	return text;
}

static void add_trial(struct limits *limits, struct trial trial)
{
	if (limits->trial_count == limits->trial_room) {
		limits->trial_room = limits->trial_room ? 2 * limits->trial_room : 8;
		limits->trials = mem_grow(limits->trials,
					  limits->trial_room * sizeof(limits->trials[0]));
	}
	limits->trials[limits->trial_count++] = trial;
}

/* The maps hold pointers that are not const; nobody writes through them. The first of equal
 * lines counts. */
static void add_subject(struct strmap *map, struct slice subject, struct config_limit *limit)
{
	if (!strmap_get(map, subject))
		strmap_set(map, subject, limit);
}

static bool add_domain(struct limits *limits, struct slice domain, struct config_limit *limit)
{
	if (written_host_flaw(domain, false) || !idn_domain(domain, &limits->arena, &domain))
		return false;
	add_subject(limits->domains, domain, limit);
	return true;
}

static bool add_address(struct limits *limits, enum limits_kind kind, const struct site *site,
			struct config_limit *limit)
{
	struct mail_address address;

	if (limit->subject.data[0] == '@')
		return add_domain(limits, slice_from(limit->subject, 1), limit);
	if (kind == LIMITS_LOGIN ? written_login_flaw(limit->subject, false)
				 : written_address_flaw(limit->subject, false))
		return false;
	if (kind == LIMITS_LOGIN)
		mail_login_read(&address, limit->subject, site, &limits->arena);
	else
		mail_address_read(&address, limit->subject, site, &limits->arena);
	if (address.subject.len == 0 || address.kind == MAIL_ADDRESS_UNKNOWN)
		return false;
	add_subject(limits->whole, address.subject, limit);
	return true;
}

static bool add_client(struct limits *limits, struct config_limit *limit)
{
	struct cidr network;
	const char *why;
	char memory[CIDR_TEXT_BYTES];
	unsigned bits;

	if (!cidr_parse(limit->subject, &network, &why))
		return false;
	bits = ip_is_v4(&network.ip) ? 96 + LIMITS_CLIENT_BITS4 : LIMITS_CLIENT_BITS6;
	if (network.bits >= bits)
		add_subject(limits->whole, limits_client_text(&network.ip, memory), limit);
	else
		add_trial(limits, (struct trial){ limit, NULL, network });
	return true;
}

static bool add_line(struct limits *limits, enum limits_kind kind, const struct site *site,
		     struct config_limit *limit)
{
	struct slice subject = limit->subject;

	switch (kind) {
	case LIMITS_LOGIN:
	case LIMITS_ADDRESS:
		return add_address(limits, kind, site, limit);
	case LIMITS_DOMAIN:
		return add_domain(limits, slice_from(subject, subject.data[0] == '@'), limit);
	case LIMITS_CLIENT:
		return add_client(limits, limit);
	case LIMITS_EVERYONE:
		if (!slice_is(subject, "*"))
			return false;
		break;
	case LIMITS_NAME:
		break;
	}
	add_subject(limits->whole, subject, limit);
	return true;
}

struct limits *limits_new(const struct config_limits *from, enum limits_kind kind,
			  const struct site *site, struct config_errors *errors)
{
	static const char *const wanted[] = {
		[LIMITS_LOGIN] = "a login or @domain",
		[LIMITS_ADDRESS] = "an address or @domain",
		[LIMITS_DOMAIN] = "a domain",
		[LIMITS_NAME] = "an account",
		[LIMITS_CLIENT] = "an address or network",
		[LIMITS_EVERYONE] = "*",
	};
	struct limits *limits = mem_zalloc(sizeof(*limits));

	limits->whole = strmap_new();
	limits->domains = strmap_new();
	arena_init(&limits->arena, ARENA_BYTES);
	for (size_t i = 0; i < from->count; i++) {
		struct config_limit *limit = &from->items[i];

		if (limit->subject.len == 0)
			add_trial(limits, (struct trial){
				.limit = limit,
				.match = match_new(&limit->when, site, errors),
			});
		else if (!add_line(limits, kind, site, limit))
			config_error(errors, limit->pos, "'%s': this rule's limits are for %s",
				     config_quote(limit->subject).text, wanted[kind]);
	}
	limits->are_named = strmap_count(limits->whole) + strmap_count(limits->domains) > 0;
	return limits;
}

void limits_free(struct limits **limits)
{
	struct limits *old = *limits;

	if (!old)
		return;
	for (size_t i = 0; i < old->trial_count; i++)
		match_free(&old->trials[i].match);
	free(old->trials);
	strmap_free(&old->whole);
	strmap_free(&old->domains);
	arena_release(&old->arena);
	free(old);
	*limits = NULL;
}

unsigned limits_max_windows(const struct config_limits *from)
{
	size_t most = 0;

	for (size_t i = 0; i < from->count; i++) {
		const struct config_limit *limit = &from->items[i];

		if (!limit->unlimited && limit->rate_count > most)
			most = limit->rate_count;
	}
	return (unsigned)most;
}

static bool trial_holds(const struct trial *trial, const struct request *request,
			const struct limits_subject *subject)
{
	if (!trial->match)
		return subject->client && cidr_contains(&trial->network, subject->client);
	if (trial->limit->until_wall_ms && request->now.wall_ms >= trial->limit->until_wall_ms)
		return false;
	return match_holds(trial->match, request);
}

/* The line for the subject itself or for its domain, whichever stands first. */
static const struct config_limit *find_named(const struct limits *limits,
					     const struct limits_subject *subject)
{
	const struct config_limit *whole = strmap_get(limits->whole, subject->text);
	const struct config_limit *domain =
		subject->domain.len ? strmap_get(limits->domains, subject->domain) : NULL;

	return !whole || (domain && domain < whole) ? domain : whole;
}

const struct config_limit *limits_find(const struct limits *limits, const struct request *request,
				       const struct limits_subject *subject)
{
	const struct config_limit *first = limits->are_named ? find_named(limits, subject) : NULL;

	for (size_t i = 0; i < limits->trial_count; i++) {
		const struct trial *trial = &limits->trials[i];

		if (first && trial->limit > first)
			break;
		if (trial_holds(trial, request, subject))
			return trial->limit;
	}
	return first;
}
