/* SPDX-License-Identifier: ISC */
/*
 * A site with one account of two domains, and who asks: a stranger, a user, a host that may relay.
 */
#ifndef REEVE_TESTS_UNIT_RULES_TENANT_H
#define REEVE_TESTS_UNIT_RULES_TENANT_H

#include "tests/unit/rules/fixture.h"

#define SITE \
	"site: { domains: [acme.example, acme.test], accounts: { acme: [acme.example, acme.test] }, " \
	"login_domain: acme.example, privileged_networks: [203.0.113.0/24], origin: acme.example }\n"
#define RATE(more) SITE "rules: [{ name: hourly, check: rate, " more " }]\n"
#define RCPT "RCPT instance=1.2.3 recipient=rcpt@remote.example "
#define STRANGER RCPT "sender=s@stranger.example"
#define BOB RCPT "sasl_username=Bob sender=Bob+x@ACME.test"
#define RELAY RCPT "client_address=203.0.113.9 sender=app@acme.test"

#endif
