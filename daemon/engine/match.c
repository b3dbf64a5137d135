/* SPDX-License-Identifier: ISC */
/*
 * Conditions, compiled. The cheap ones (flags, numbers, states) are asked
 * first; the lists are pattern sets of the mail layer.
 */
#include "daemon/engine/match.h"

#include "common/alloc.h"
#include "daemon/mail/pattern.h"

#define MATCH_MAX_PORTS 32

struct match {
	const struct config_conditions *when;
	unsigned facts;
	struct pattern_set *login, *client_name, *sender, *recipient, *helo; /* NULL: unset */
	uint16_t ports[MATCH_MAX_PORTS];
	unsigned port_count;
	bool always;                   /* no condition at all, as most limits have none */
};

static struct pattern_set *compile(const struct config_strings *patterns, enum pattern_kind kind,
				   const struct site *site, struct config_errors *errors)
{
	return patterns->count ? pattern_set_new(patterns, kind, site, errors) : NULL;
}

static void compile_ports(struct match *match, const struct config_strings *ports,
			  struct config_errors *errors)
{
	for (size_t i = 0; i < ports->count; i++) {
		uint64_t port;

		if (units_parse_u64(ports->items[i], &port) || port == 0 || port > 65535)
			config_error(errors, ports->pos[i], "'server_port' needs numbers from 1 to 65535");
		else if (match->port_count == MATCH_MAX_PORTS)
			config_error(errors, ports->pos[i], "'server_port' takes at most %d ports",
				     MATCH_MAX_PORTS);
		else
			match->ports[match->port_count++] = (uint16_t)port;
	}
}

static unsigned facts_of(const struct config_conditions *when)
{
	unsigned facts = 0;

	if (when->authenticated || when->login.count)
		facts |= FACT_LOGIN;
	if (when->client || when->client_not || when->client_local || when->client_privileged)
		facts |= FACT_CLIENT;
	if (when->sender.count || when->sender_local)
		facts |= FACT_SENDER;
	if (when->recipient.count || when->recipient_local)
		facts |= FACT_RECIPIENT;
	if (when->helo.count)
		facts |= FACT_HELO;
	return facts;
}

static bool is_always(const struct match *match)
{
	const struct config_conditions *when = match->when;

	return match->facts == 0 && !when->tls && !when->size.compare && !when->states &&
	       !when->context.count && !when->server_port.count && !match->client_name;
}

struct match *match_new(const struct config_conditions *when, const struct site *site,
			struct config_errors *errors)
{
	struct match *match = mem_zalloc(sizeof(*match));

	match->when = when;
	match->facts = facts_of(when);
	match->login = compile(&when->login, PATTERN_LOGIN, site, errors);
	match->client_name = compile(&when->client_name, PATTERN_NAME, site, errors);
	match->sender = compile(&when->sender, PATTERN_ADDRESS, site, errors);
	match->recipient = compile(&when->recipient, PATTERN_ADDRESS, site, errors);
	match->helo = compile(&when->helo, PATTERN_NAME, site, errors);
	compile_ports(match, &when->server_port, errors);
	match->always = is_always(match);
	return match;
}

void match_free(struct match **match)
{
	struct match *old = *match;

	if (!old)
		return;
	pattern_set_free(&old->login);
	pattern_set_free(&old->client_name);
	pattern_set_free(&old->sender);
	pattern_set_free(&old->recipient);
	pattern_set_free(&old->helo);
	free(old);
	*match = NULL;
}

unsigned match_facts(const struct match *match)
{
	return match ? match->facts : 0;
}

void match_set_early(struct match *match)
{
	match->facts &= ~(unsigned)FACT_LOGIN;
}

/* Unset is fine with either. */
static bool tristate_holds(enum config_tristate wanted, bool is)
{
	return wanted == CONFIG_UNSET || (wanted == CONFIG_YES) == is;
}

static bool flags_hold(const struct config_conditions *when, const struct request *request)
{
	return tristate_holds(when->authenticated, request->authenticated) &&
	       tristate_holds(when->client_local, request->client_local) &&
	       tristate_holds(when->client_privileged, request->client_privileged) &&
	       tristate_holds(when->sender_local, request->sender.shown_local) &&
	       tristate_holds(when->recipient_local, request->recipient.domain_is_local) &&
	       tristate_holds(when->tls, request->tls);
}

static bool size_holds(const struct config_conditions *when, const struct request *request)
{
	if (when->size.compare == 0)
		return true;
	return when->size.compare > 0 ? request->size_bytes > when->size.bytes
				      : request->size_bytes < when->size.bytes;
}

static bool port_holds(const struct match *match, const struct request *request)
{
	if (match->when->server_port.count == 0)
		return true;
	for (unsigned i = 0; i < match->port_count; i++) {
		if (match->ports[i] == request->server_port)
			return true;
	}
	return false;
}

/* `context` is the postmaster's own word in main.cf: compared as it is. `!word` refuses it. */
static bool context_holds(const struct config_strings *contexts, struct slice context)
{
	bool only_negated = true;

	if (contexts->count == 0)
		return true;
	for (size_t i = 0; i < contexts->count; i++) {
		struct slice word = contexts->items[i];
		bool negated = word.len && word.data[0] == '!';

		if (negated)
			word = slice_from(word, 1);
		else
			only_negated = false;
		if (slice_equal(word, context))
			return !negated;
	}
	return only_negated;
}

static bool client_holds(const struct config_conditions *when, const struct request *request)
{
	if (when->client_not && cidr_set_contains(when->client_not, &request->client))
		return false;
	return !when->client || cidr_set_contains(when->client, &request->client);
}

static bool lists_hold(const struct match *match, const struct request *request)
{
	/* The null sender has no address that a pattern could mean, and a stranger no login. */
	if (match->login && (!request->authenticated ||
			     !pattern_set_match_address(match->login, &request->login)))
		return false;
	if (match->sender && !pattern_set_match_address(match->sender, &request->sender))
		return false;
	if (match->recipient && !pattern_set_match_address(match->recipient, &request->recipient))
		return false;
	if (match->helo && !pattern_set_match_name(match->helo, request->helo))
		return false;
	return !match->client_name || (request->client_name.len &&
				       pattern_set_match_name(match->client_name,
							      request->client_name));
}

bool match_holds(const struct match *match, const struct request *request)
{
	const struct config_conditions *when;

	if (!match || match->always)
		return true;
	when = match->when;
	if (match->facts & ~request->facts)
		return false;
	if (when->states && !(when->states & (1U << request->state)))
		return false;
	return flags_hold(when, request) && size_holds(when, request) &&
	       port_holds(match, request) &&
	       context_holds(&when->context, request->in->attr[POLICY_POLICY_CONTEXT]) &&
	       client_holds(when, request) && lists_hold(match, request);
}
