/* SPDX-License-Identifier: ISC */
/*
 * A and AAAA are asked together and waited for together.
 */
#include "daemon/store/redis/lookup.h"

static void on_wake(struct waiter *waiter)
{
	LIST_ENTRY(waiter, struct lookup, waiter)->woken = true;
}

void lookup_start(struct lookup *lookup, struct dns *dns, struct slice host)
{
	lookup_cancel(lookup);
	lookup->waiter.wake = on_wake;
	lookup->dns = dns;
	lookup->host = host;
	lookup->woken = true;
}

bool lookup_is_woken(const struct lookup *lookup)
{
	return lookup->woken;
}

static bool is_found(const struct dns_answer *answer)
{
	return answer->status == DNS_FOUND && answer->count > 0;
}

static bool is_absent(const struct dns_answer *answer)
{
	return answer->status == DNS_NXDOMAIN || answer->status == DNS_NODATA;
}

static enum lookup_result ask(struct lookup *lookup, uint64_t turn, struct ip *ret_ip)
{
	const struct dns_answer *a =
		dns_ask(lookup->dns, &lookup->a, DNS_A, lookup->host, &lookup->waiter);
	const struct dns_answer *aaaa =
		dns_ask(lookup->dns, &lookup->aaaa, DNS_AAAA, lookup->host, &lookup->waiter);
	unsigned count, first;

	if (!a || !aaaa)
		return LOOKUP_PENDING;
	first = is_found(a) ? a->count : 0;
	count = first + (is_found(aaaa) ? aaaa->count : 0);
	if (count) {
		unsigned pick = (unsigned)(turn % count);

		*ret_ip = pick < first ? a->records[pick].ip : aaaa->records[pick - first].ip;
		return LOOKUP_FOUND;
	}
	return is_absent(a) && is_absent(aaaa) ? LOOKUP_ABSENT : LOOKUP_FAILED;
}

enum lookup_result lookup_step(struct lookup *lookup, uint64_t turn, struct ip *ret_ip)
{
	enum lookup_result result;

	lookup->woken = false;
	if (ip_parse(lookup->host, ret_ip))
		return LOOKUP_FOUND;
	if (slice_equal_fold(lookup->host, SLICE("localhost")))
		return ip_parse(SLICE("127.0.0.1"), ret_ip) ? LOOKUP_FOUND : LOOKUP_FAILED;
	if (!lookup->dns)
		return LOOKUP_FAILED;
	result = ask(lookup, turn, ret_ip);
	if (result != LOOKUP_PENDING)
		lookup_cancel(lookup);
	return result;
}

void lookup_cancel(struct lookup *lookup)
{
	dns_cancel(&lookup->a);
	dns_cancel(&lookup->aaaa);
	lookup->woken = false;
}
