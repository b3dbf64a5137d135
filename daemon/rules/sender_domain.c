/* SPDX-License-Identifier: ISC */
/*
 * check: sender_domain. A sender's domain must be local, a literal, or one that could take a
 * bounce: an MX, or without any MX an A or AAAA (RFC 5321 5.1). A null MX says in so many words
 * that it takes none (RFC 7505). MX hosts without an address, or only with addresses that nobody
 * can reach over the net (this host, loopback, link-local, multicast), are as good as none.
 *
 * All that is not definite is unknown: a host whose addresses could not be had is not a bad host.
 * One good address ends it at once. The A of all hosts (10 at most) are asked together, an AAAA
 * only where the A was no help, so that ordinary mail costs two or three questions.
 */
#include <stdlib.h>

#include "daemon/dns/dns.h"
#include "daemon/rules/table.h"

#define MAX_HOSTS 10

static const struct config_check check = { .name = "sender_domain" };

enum { NOT_FOUND, NULL_MX, ON_ERROR };

static const struct rule_reply replies[] = {
	[NOT_FOUND] = { REPLY_REJECT, 550, "5.1.8", "{domain}: sender domain not found", false },
	[NULL_MX] = { REPLY_REJECT, 550, "5.7.27",
		      "{domain}: sender domain accepts no mail (null MX)", false },
	[ON_ERROR] = { REPLY_DEFER, 451, "4.4.3",
		       "{domain}: sender domain cannot be looked up now, try again later", true },
};

struct host {
	struct slice name;
	struct dns_query a, aaaa;
};

struct state {
	struct dns_query mx;
	struct host *hosts;             /* in the request's arena; NULL: the MX is not there yet */
	unsigned host_count;
	bool implicit;                  /* no MX: the domain itself is the only host */
};

/* What stands earlier outweighs what stands later. */
enum found { FOUND_GOOD, FOUND_DEAD, FOUND_PENDING, FOUND_UNKNOWN, FOUND_BAD, FOUND_NONE };

static void ask_first(const struct rule *rule, const struct rule_ask *ask)
{
	const struct mail_address *sender = &ask->request->sender;
	struct state *state = ask->state;

	(void)rule;
	if (sender->kind == MAIL_ADDRESS_DOMAIN && !sender->domain_is_local)
		dns_ask(ask->dns, &state->mx, DNS_MX, sender->domain, ask->waiter);
}

static void cancel(void *data)
{
	struct state *state = data;

	dns_cancel(&state->mx);
	for (unsigned i = 0; i < state->host_count; i++) {
		dns_cancel(&state->hosts[i].a);
		dns_cancel(&state->hosts[i].aaaa);
	}
}

/* 0/8, 127/8, 169.254/16, 224/3; ::, ::1, fe80::/10, ff00::/8, and IPv4 in the dress of IPv6. */
static bool is_usable(const struct ip *ip, enum dns_type type)
{
	static const struct ip loopback6 = { { [15] = 1 } }, any6 = { { 0 } };
	const uint8_t *bytes = ip->bytes;

	if (type == DNS_AAAA)
		return !ip_is_v4(ip) && !ip_equal(ip, &loopback6) && !ip_equal(ip, &any6) &&
		       !(bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80) && bytes[0] != 0xff;
	bytes += 12;
	return bytes[0] != 0 && bytes[0] != 127 && !(bytes[0] == 169 && bytes[1] == 254) &&
	       bytes[0] < 224;
}

static enum found look_up(const struct rule_ask *ask, struct dns_query *query, enum dns_type type,
			  struct slice name)
{
	const struct dns_answer *answer = dns_ask(ask->dns, query, type, name, ask->waiter);

	rule_note(ask, type == DNS_A ? "A" : "AAAA", name, dns_word(answer));
	if (!answer)
		return FOUND_PENDING;
	switch (answer->status) {
	case DNS_FOUND:
		for (unsigned i = 0; i < answer->count; i++)
			if (is_usable(&answer->records[i].ip, type))
				return FOUND_GOOD;
		return answer->count ? FOUND_BAD : FOUND_NONE;
	case DNS_NXDOMAIN:
	case DNS_NODATA:
		return FOUND_NONE;
	case DNS_UNKNOWN:
		return FOUND_UNKNOWN;
	case DNS_DEAD:
		return FOUND_DEAD;
	}
	return FOUND_UNKNOWN;
}

static enum found either(enum found a, enum found b)
{
	return a < b ? a : b;
}

static enum found look_at_host(const struct rule_ask *ask, struct host *host)
{
	enum found found = look_up(ask, &host->a, DNS_A, host->name);

	if (found == FOUND_GOOD || found == FOUND_PENDING)
		return found;
	return either(found, look_up(ask, &host->aaaa, DNS_AAAA, host->name));
}

static enum found look_at_hosts(const struct rule_ask *ask)
{
	struct state *state = ask->state;
	enum found found = FOUND_NONE;

	for (unsigned i = 0; i < state->host_count && found != FOUND_GOOD; i++)
		found = either(found, look_at_host(ask, &state->hosts[i]));
	return found;
}

static struct host *new_hosts(struct arena *arena, unsigned count)
{
	return arena_zalloc(arena, (count < MAX_HOSTS ? count : MAX_HOSTS) * sizeof(struct host));
}

static void add_host(struct state *state, struct slice name)
{
	state->hosts[state->host_count++].name = name;
}

static int compare_preference(const void *left, const void *right)
{
	const struct dns_record *const *a = left, *const *b = right;

	return (*a)->preference < (*b)->preference ? -1 : (*a)->preference > (*b)->preference;
}

/* The best hosts of an answer. The root among others is a mistake and no host. */
static void take_hosts(struct state *state, const struct dns_answer *mx)
{
	const struct dns_record *records[DNS_MAX_ANSWERS] = { NULL };
	unsigned count = 0;

	for (unsigned i = 0; i < mx->count && count < DNS_MAX_ANSWERS; i++)
		if (mx->records[i].name.len)
			records[count++] = &mx->records[i];
	if (count > 1)
		qsort(records, count, sizeof(struct dns_record *), compare_preference);
	for (unsigned i = 0; i < count && i < MAX_HOSTS; i++)
		add_host(state, records[i]->name);
}

/* The resolver answers nobody, or the client is one of ours: no reason to hold its mail. */
static enum rule_result unknown(const struct rule_ask *ask, const char *reason)
{
	if (ask->request->authenticated)
		return RULE_NEXT;
	return rule_unknown(ask, ON_ERROR, reason);
}

static enum rule_result decide(const struct rule_ask *ask)
{
	const struct state *state = ask->state;

	switch (look_at_hosts(ask)) {
	case FOUND_GOOD:
	case FOUND_DEAD:
		return RULE_NEXT;
	case FOUND_PENDING:
		return ask->final ? unknown(ask, "dns_timeout") : RULE_WAIT;
	case FOUND_UNKNOWN:
		return unknown(ask, "dns_error");
	case FOUND_BAD:
		return rule_bad(ask, NOT_FOUND, "bad_address");
	case FOUND_NONE:
		break;
	}
	return rule_bad(ask, NOT_FOUND, state->implicit ? "no_records" : "mx_without_address");
}

static enum rule_result look_at_domain(const struct rule_ask *ask)
{
	const struct mail_address *sender = &ask->request->sender;
	struct state *state = ask->state;
	const struct dns_answer *mx;

	if (state->hosts) {
		rule_note(ask, "MX", sender->domain, state->implicit ? "no records" : "found");
		return decide(ask);
	}
	mx = dns_ask(ask->dns, &state->mx, DNS_MX, sender->domain, ask->waiter);
	rule_note(ask, "MX", sender->domain, dns_word(mx));
	if (!mx)
		return ask->final ? unknown(ask, "dns_timeout") : RULE_WAIT;
	switch (mx->status) {
	case DNS_NXDOMAIN:
		return rule_bad(ask, NOT_FOUND, "nxdomain");
	case DNS_DEAD:
		return RULE_NEXT;
	case DNS_UNKNOWN:
		return unknown(ask, "dns_error");
	case DNS_FOUND:
	case DNS_NODATA:
		break;
	}
	if (mx->status == DNS_FOUND && mx->count == 1 && mx->records[0].name.len == 0)
		return rule_bad(ask, NULL_MX, "null_mx");
	state->implicit = mx->status == DNS_NODATA;
	state->hosts = new_hosts(ask->request->arena, state->implicit ? 1 : mx->count);
	if (state->implicit)
		add_host(state, sender->domain);
	else
		take_hosts(state, mx);
	return decide(ask);
}

static enum rule_result step(const struct rule *rule, const struct rule_ask *ask)
{
	const struct mail_address *sender = &ask->request->sender;

	(void)rule;
	switch (sender->kind) {
	case MAIL_ADDRESS_NONE:
	case MAIL_ADDRESS_NULL:
	case MAIL_ADDRESS_LITERAL:
		return RULE_NEXT;
	case MAIL_ADDRESS_BAD_LITERAL:
		return rule_bad(ask, NOT_FOUND, "bad_literal");
	case MAIL_ADDRESS_UNKNOWN:
		return unknown(ask, "unreadable");
	case MAIL_ADDRESS_DOMAIN:
		break;
	}
	if (sender->domain_is_local) {
		rule_note(ask, "domain", sender->domain, "ours");
		return RULE_NEXT;
	}
	return look_at_domain(ask);
}

const struct rule_ops rule_sender_domain = {
	.check = &check,
	.needs = FACT_SENDER | FACT_LOGIN,
	.exempt = EXEMPT_PRIVILEGED | EXEMPT_OWN | EXEMPT_NULL_SENDER,
	.state_bytes = sizeof(struct state),
	.replies = replies,
	.reply_count = sizeof(replies) / sizeof(replies[0]),
	.ask = ask_first,
	.step = step,
	.cancel = cancel,
};
