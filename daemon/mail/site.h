/* SPDX-License-Identifier: ISC */
/*
 * What is ours: domains, accounts, logins and who owns which address, networks and
 * addresses. Built once from the configuration's `site` section (with a ruleset), then only read.
 */
#ifndef REEVE_DAEMON_MAIL_SITE_H
#define REEVE_DAEMON_MAIL_SITE_H

#include "config/config.h"
#include "daemon/mail/address.h"

struct site;

/* Errors (a domain that cannot be converted, a bad owner line) go to `errors`; never NULL.
 * The networks stay the configuration's: `config` must outlive the site. */
struct site *site_new(const struct config *config, struct config_errors *errors)
	__attribute__((warn_unused_result));
void site_free(struct site **site);

struct slice site_origin(const struct site *site);
struct slice site_login_domain(const struct site *site);
bool site_has_domains(const struct site *site);
/* Is `byte` in recipient_delimiter? */
bool site_is_delimiter(const struct site *site, char byte);
/* Where the first delimiter is; text.len: nowhere. */
size_t site_find_delimiter(const struct site *site, struct slice text);
/* All that the bytes of a local part may mean, in one pass: bits of these. */
unsigned site_local_part_marks(const struct site *site, struct slice local);
#define SITE_MARK_DELIMITER 1u
#define SITE_MARK_ROUTE 2u         /* `!`, `%` or `@` */

/* `domain` normalised (see idn.h). */
bool site_domain_is_local(const struct site *site, struct slice domain);
/* ... or a name below a local domain (`subdomains: yes`). */
bool site_domain_is_below_local(const struct site *site, struct slice domain);

/* The account of a login: what its entry in `logins` says (the account of the first of its addresses with a known
 * one), else its domain's; a local domain that no account names is an account of its own. SLICE_EMPTY: unknown.
 * Valid as long as the site and the argument are. */
struct slice site_login_account(const struct site *site, const struct mail_address *login);
struct slice site_domain_account(const struct site *site, struct slice domain);
/* Does the login own the sender by being it (also with +extension), by its entry in `logins`, or by `owners`? Both are
 * looked at for the full address, the one without +extension, and `@domain`; in `owners` the first of these that is
 * listed decides, as in smtpd_sender_login_maps. */
bool site_login_owns(const struct site *site, const struct mail_address *login,
		     const struct mail_address *sender);

bool site_ip_is_local(const struct site *site, const struct ip *ip);       /* local_networks */
bool site_ip_is_privileged(const struct site *site, const struct ip *ip);
bool site_ip_is_own(const struct site *site, const struct ip *ip);         /* addresses, or loopback */
bool site_ip_is_listed(const struct site *site, const struct ip *ip);      /* addresses, loopback only if it is there */

#endif
