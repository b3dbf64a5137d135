/* SPDX-License-Identifier: ISC */
/*
 * A site for the tests of this layer, from a configuration made by hand.
 */
#ifndef REEVE_TESTS_UNIT_MAIL_FIXTURE_H
#define REEVE_TESTS_UNIT_MAIL_FIXTURE_H

#include "daemon/mail/site.h"

struct fixture {
	struct config config;
	struct config_errors *errors;
	struct site *site;
	struct arena arena;
};

/* Lists end in NULL, which may itself stand for an empty one. */
struct fixture_parts {
	const char *origin, *login_domain, *delimiter;    /* default: example.com, the origin, "+" */
	const char *const *domains, *const *owners, *const *logins, *const *addresses, *const *privileged;
	const char *const *account_names;
	const char *const *const *account_domains;        /* one list for each name */
};

void fixture_init(struct fixture *fixture, const struct fixture_parts *parts);
void fixture_release(struct fixture *fixture);

struct config_strings fixture_strings(struct fixture *fixture, const char *const *texts);
struct mail_address fixture_address(struct fixture *fixture, const char *text);
struct mail_address fixture_login(struct fixture *fixture, const char *text);

#define FIXTURE_LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

#endif
