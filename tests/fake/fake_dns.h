/* SPDX-License-Identifier: ISC */
/*
 * A dns_backend out of a table, on a clock that the test drives: what is asked is
 * answered by fake_dns_advance(), never from inside ask, when its delay is over. A question that
 * is in no entry is NXDOMAIN for 60 s, without delay.
 *
 * Free it before or after the service; what is out then ends UNKNOWN.
 */
#ifndef REEVE_TESTS_FAKE_FAKE_DNS_H
#define REEVE_TESTS_FAKE_FAKE_DNS_H

#include "daemon/dns/dns.h"

/* When the backend gives a silent question up, as c-ares does after its last try. */
#define FAKE_DNS_GIVE_UP_MS 3000

struct fake_dns;

struct fake_dns *fake_dns_new(void) __attribute__((warn_unused_result));
void fake_dns_free(struct fake_dns **fake);
struct dns_backend *fake_dns_backend(struct fake_dns *fake);

/*
 * What a question is answered from now on; replaces an older entry. `name` in any case; "*": every
 * name of that type that has no entry of its own. `records` is looked at for DNS_FOUND:
 * "192.0.2.1", "10 mx.example.org", or "host.example.org" by type, several with commas between
 * them; a name "." is the root (null MX: "0 ."). `silent`: no answer, UNKNOWN after
 * FAKE_DNS_GIVE_UP_MS. A DNS_UNKNOWN is a question that failed (SERVFAIL). false: `records` does
 * not parse; nothing is changed.
 */
bool fake_dns_set(struct fake_dns *fake, enum dns_type type, struct slice name,
	enum dns_status status, struct slice records, uint64_t ttl_ms, uint64_t delay_ms,
	bool silent) __attribute__((warn_unused_result));
/* The whole resolver: silent to every new question until it is switched off again. */
void fake_dns_set_silent(struct fake_dns *fake, bool silent);
/* "A", "AAAA", "MX", "PTR", in any case. false: none of them. */
bool fake_dns_type_of(struct slice text, enum dns_type *ret_type)
	__attribute__((warn_unused_result));

/* It is `mono_ms` now: gives the answers that are due, in the order in which they are. Call
 * dns_set_now() first. */
void fake_dns_advance(struct fake_dns *fake, uint64_t mono_ms);
/* When is the next answer due? 0: nothing is out. */
uint64_t fake_dns_next(const struct fake_dns *fake);

/* Questions that came to the backend, of all and of one kind. */
uint64_t fake_dns_asked(const struct fake_dns *fake);
uint64_t fake_dns_asked_for(const struct fake_dns *fake, enum dns_type type, struct slice name);

#endif
