/* SPDX-License-Identifier: ISC */
/*
 * `limits` of the rules `rate` and `recipients`, compiled: which entry decides for a request and a
 * subject. The first that matches does. Lines of files are found by hash, so a list may
 * have many thousands of subjects; entries with conditions are tried one by one, in order.
 */
#ifndef REEVE_DAEMON_RULES_LIMITS_H
#define REEVE_DAEMON_RULES_LIMITS_H

#include "daemon/engine/match.h"

/* What the subjects of lines are; each is normalised as the subject of a request is. */
enum limits_kind {
	LIMITS_LOGIN,           /* user@example.com, a bare login, @example.com */
	LIMITS_ADDRESS,         /* user@example.com, @example.com */
	LIMITS_DOMAIN,          /* example.com or @example.com */
	LIMITS_NAME,            /* an account, as it is written */
	LIMITS_CLIENT,          /* an address or a network */
	LIMITS_EVERYONE         /* * */
};

/* Whom a request is about. */
struct limits_subject {
	struct slice text;      /* the counter's subject */
	struct slice domain;    /* of an address; else empty */
	const struct ip *client; /* LIMITS_CLIENT; else NULL */
};

struct limits;

/* Bad subjects become errors. Never NULL. `from` must outlive it. */
struct limits *limits_new(const struct config_limits *from, enum limits_kind kind,
			  const struct site *site, struct config_errors *errors)
	__attribute__((warn_unused_result));
void limits_free(struct limits **limits);
/* The most windows that any entry has. */
unsigned limits_max_windows(const struct config_limits *from);
/* NULL: none matches. */
const struct config_limit *limits_find(const struct limits *limits, const struct request *request,
				       const struct limits_subject *subject);

/* The subject that a person means by `text`; an address or domain of a form that cannot be read, or
 * a network wider than a counter's: empty. "@example.com" stays, in the form that domains have. */
struct slice limits_subject_text(enum limits_kind kind, struct slice text, const struct site *site,
				 struct arena *arena);

#define LIMITS_CLIENT_BITS4 32
#define LIMITS_CLIENT_BITS6 64
/* The subject of a client: 192.0.2.1, or 2001:db8::/64. */
struct slice limits_client_text(const struct ip *client, char memory[static CIDR_TEXT_BYTES]);

#endif
