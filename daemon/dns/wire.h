/* SPDX-License-Identifier: ISC */
/*
 * Reads a DNS answer message (RFC 1035) into a dns_answer: follows a CNAME chain of at most eight,
 * takes the smallest TTL of it, the negative TTL from the SOA (RFC 2308), names only of letters,
 * digits, `-`, `_` (else the record is dropped). Bounds are checked everywhere; a message that
 * does not parse is UNKNOWN.
 *
 * Absent is said only where the message says so: UNKNOWN are also a referral, a chain that ends
 * nowhere, an answer for another question, a message that is still truncated, and records all of
 * which were dropped.
 */
#ifndef REEVE_DAEMON_DNS_WIRE_H
#define REEVE_DAEMON_DNS_WIRE_H

#include "common/arena.h"
#include "daemon/dns/dns.h"

#define WIRE_MAX_CNAMES 8
#define WIRE_NO_SOA_TTL_MS 60000   /* of a negative answer without SOA */

/* Never NULL; lives in the arena. `ret_ttl_ms` is not yet capped; for UNKNOWN it is 0. */
const struct dns_answer *wire_read(struct slice name, enum dns_type type, const uint8_t *message,
				   size_t len, struct arena *arena, uint64_t *ret_ttl_ms);

#endif
