/* SPDX-License-Identifier: ISC */
/*
 * Patterns, everywhere the same: `user@example.com` exact, `@example.com` a domain,
 * `@.example.com` all below it, `*` and `?` globs, `!` in front negates.
 * Case folded, domains in A-label form. A set holds if one of its patterns
 * matches and no negated one does; a set of negated ones only holds if none matches. Exact patterns and
 * domains are hashed, so that a list from a file may be long; globs are tried one by one.
 *
 * A glob is laid over the whole of `local@domain` (or of the name), `?` stands for one character of UTF-8. `<>` is the null
 * sender, which otherwise only a glob that matches the empty text matches. An address that is not there
 * (MAIL_ADDRESS_NONE) matches no set, negated or not.
 */
#ifndef REEVE_DAEMON_MAIL_PATTERN_H
#define REEVE_DAEMON_MAIL_PATTERN_H

#include "config/schema.h"
#include "daemon/mail/address.h"

struct pattern_set;

/* What a bare word means: a user name completed with site.login_domain (login), with site.origin (address), or
 * a plain name such as a host or HELO name, where `.example.com` is all below and a trailing dot is dropped. */
enum pattern_kind { PATTERN_ADDRESS, PATTERN_LOGIN, PATTERN_NAME };

/* Bad patterns become errors at their own position; the set is built all the same. Never NULL. */
struct pattern_set *pattern_set_new(const struct config_strings *patterns, enum pattern_kind kind,
				    const struct site *site, struct config_errors *errors)
	__attribute__((warn_unused_result));
void pattern_set_free(struct pattern_set **set);
/* An empty set matches nothing. */
bool pattern_set_match_address(const struct pattern_set *set, const struct mail_address *address);
/* Host and HELO names; `name` as sent (case and one trailing dot are folded away here). */
bool pattern_set_match_name(const struct pattern_set *set, struct slice name);

#endif
