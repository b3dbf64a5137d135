/* SPDX-License-Identifier: ISC */
/*
 * Addresses and domains as a postmaster writes them into a configuration. Mail may bring anything, and then
 * all is read that can be; here what can only be a slip is told instead of never matching.
 */
#ifndef REEVE_DAEMON_MAIL_WRITTEN_H
#define REEVE_DAEMON_MAIL_WRITTEN_H

#include <stdbool.h>

#include "common/slice.h"

/* What is wrong, as a sentence to stand behind "'...' is no address: "; NULL: nothing that shows. With `glob`, `*` and
 * `?` stand for anything. */

/* "user@example.com", "user", "@example.com", "@.example.com", "user@[192.0.2.1]". */
const char *written_address_flaw(struct slice text, bool glob);
/* A SASL login: as an address, but blanks and `@` may stand in front of the last `@`. */
const char *written_login_flaw(struct slice text, bool glob);
/* "example.com", ".example.com". Non-ASCII labels pass if they may be one: converting them is idn.h's. */
const char *written_domain_flaw(struct slice domain, bool glob);
/* What stands behind an `@`: as written_domain_flaw(), or a literal. */
const char *written_host_flaw(struct slice host, bool glob);
/* A host or HELO name, which may hold nearly anything, or ".example.com". */
const char *written_name_flaw(struct slice name, bool glob);

#endif
