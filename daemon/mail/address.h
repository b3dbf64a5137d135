/* SPDX-License-Identifier: ISC */
/*
 * Addresses as Postfix will treat them later, so that no spelling dodges a
 * rule or a limit. Postfix hands over the internal, unquoted form
 * (postfix.md a7): split at the last `@`. Then: domain in lower case A-labels
 * without trailing dot, a bare local part completed with `site.origin`,
 * `::ffff:a.b.c.d` in literals folded.
 *
 * Routes are read as trivial-rewrite(8) does with its defaults (swap_bangpath,
 * allow_percent_hack and resolve_dequoted_address are on). Without `@`: `domain!user` (first `!`), else
 * `user%domain` (last `%`), else the origin. Before a *local* domain the local part is looked at again for `@`,
 * `!`, `%` in this order, until the domain is another's or nothing is left to read; before another's domain all
 * stays. A local part that SMTP has to quote is taken apart in the order `@`, `%`, `!`, and only after completion. Quotes and
 * backslashes in a domain vanish. No local part before a local domain is MAILER-DAEMON.
 */
#ifndef REEVE_DAEMON_MAIL_ADDRESS_H
#define REEVE_DAEMON_MAIL_ADDRESS_H

#include "common/arena.h"
#include "common/hash.h"
#include "common/ip.h"
#include "common/slice.h"

struct site;

enum mail_address_kind {
	MAIL_ADDRESS_NONE,         /* there is no address (yet) */
	MAIL_ADDRESS_NULL,         /* <>, the null sender */
	MAIL_ADDRESS_DOMAIN,       /* local@domain */
	MAIL_ADDRESS_LITERAL,      /* local@[192.0.2.1]; ip says which */
	MAIL_ADDRESS_BAD_LITERAL,  /* in brackets, but no address */
	MAIL_ADDRESS_UNKNOWN       /* no domain, or one that cannot be converted: unknown, never bad */
};

/* All slices live in the raw text or in the arena handed to mail_address_read(). */
struct mail_address {
	enum mail_address_kind kind;
	struct slice raw;          /* as Postfix sent it */
	struct slice local;        /* case and extension kept */
	struct slice domain;       /* normalised; a literal is [192.0.2.1] or [ipv6:2001:db8::1] */
	struct slice folded;       /* local@domain, case folded and NFC, extension kept: for patterns and lists */
	struct slice subject;      /* the same without +extension (as Postfix splits it): for counters */
	struct ip ip;              /* of a literal */
	bool domain_is_local;      /* in site.domains, or one of our own literals */
	/* Shown as ours: domain_is_local, or a route was read off one of our domains. Postfix delivers
	 * evil.example!user@example.com to evil.example, but as a sender it goes out under example.com. */
	bool shown_local;
};

/* `text` empty: MAIL_ADDRESS_NULL. Clean ASCII addresses cost no allocation beyond the arena. */
void mail_address_read(struct mail_address *ret, struct slice text, const struct site *site,
		       struct arena *arena);
/*
 * A SASL login: a bare one is completed with site.login_domain, and nothing is rewritten. Empty: MAIL_ADDRESS_NONE. One over
 * MAIL_LOGIN_BYTES is no address: MAIL_ADDRESS_UNKNOWN, folded, all of it in `local`, no domain.
 */
void mail_login_read(struct mail_address *ret, struct slice text, const struct site *site,
		     struct arena *arena);
#define MAIL_LOGIN_BYTES 512

#endif
