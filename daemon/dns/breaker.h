/* SPDX-License-Identifier: ISC */
/*
 * Decides when the resolver is dead: ten questions in a row, about different places, over three
 * seconds or more, got no answer of any kind. One real answer, NXDOMAIN included, says that it
 * lives. Pure; times are mono_ms. Private to dns.c.
 *
 * "Different places" because one zone whose servers are silent must not make a living resolver
 * look dead: names that end alike count once.
 */
#ifndef REEVE_DAEMON_DNS_BREAKER_H
#define REEVE_DAEMON_DNS_BREAKER_H

#include "daemon/dns/dns.h"

#define DNS_BREAKER_FAILURES 10
#define DNS_BREAKER_SPAN_MS 3000
#define DNS_BREAKER_FORGET_MS 60000    /* failures further apart are not one row */
#define DNS_BREAKER_PROBE_MS 1000

struct dns_breaker {
	uint64_t places[DNS_BREAKER_FAILURES];
	unsigned failures;
	uint64_t first_mono_ms, last_mono_ms;
	bool open;
	uint64_t opened_mono_ms, probe_mono_ms;
	uint64_t opened_count;
};

/* `place`: dns_breaker_place() as a hash. */
void dns_breaker_failure(struct dns_breaker *breaker, uint64_t place, uint64_t mono_ms);
void dns_breaker_success(struct dns_breaker *breaker);
/* Is it time to try one question on the dead resolver? true: the caller does, and the next is
 * due later. */
bool dns_breaker_probe(struct dns_breaker *breaker, uint64_t mono_ms)
	__attribute__((warn_unused_result));
/* The end of a name that stands for where it is served: two labels; a name made of an address
 * as a whole. */
struct slice dns_breaker_place(struct slice name);

#endif
