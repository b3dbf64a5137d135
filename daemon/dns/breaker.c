/* SPDX-License-Identifier: ISC */
/*
 * The breaker for a dead resolver. Ten hashes are remembered; that is all its state.
 */
#include "daemon/dns/breaker.h"

void dns_breaker_failure(struct dns_breaker *breaker, uint64_t place, uint64_t mono_ms)
{
	unsigned i;

	if (breaker->open)
		return;
	if (breaker->failures && mono_ms - breaker->last_mono_ms > DNS_BREAKER_FORGET_MS)
		breaker->failures = 0;
	if (breaker->failures == 0)
		breaker->first_mono_ms = mono_ms;
	breaker->last_mono_ms = mono_ms;
	for (i = 0; i < breaker->failures && breaker->places[i] != place; i++)
		;
	if (i == breaker->failures && i < DNS_BREAKER_FAILURES)
		breaker->places[breaker->failures++] = place;
	if (breaker->failures < DNS_BREAKER_FAILURES ||
	    mono_ms - breaker->first_mono_ms < DNS_BREAKER_SPAN_MS)
		return;
	breaker->open = true;
	breaker->opened_count++;
	breaker->opened_mono_ms = mono_ms;
	breaker->probe_mono_ms = mono_ms + DNS_BREAKER_PROBE_MS;
}

void dns_breaker_success(struct dns_breaker *breaker)
{
	breaker->open = false;
	breaker->failures = 0;
}

bool dns_breaker_probe(struct dns_breaker *breaker, uint64_t mono_ms)
{
	if (!breaker->open || mono_ms < breaker->probe_mono_ms)
		return false;
	breaker->probe_mono_ms = mono_ms + DNS_BREAKER_PROBE_MS;
	return true;
}

struct slice dns_breaker_place(struct slice name)
{
	unsigned labels = 2;

	if (slice_ends_with(name, SLICE(".arpa")))
		return name;
	for (size_t at = name.len; at > 0; at--) {
		if (name.data[at - 1] == '.' && --labels == 0)
			return slice_from(name, at);
	}
	return name;
}
