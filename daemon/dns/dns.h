/* SPDX-License-Identifier: ISC */
/*
 * Names and addresses from the DNS: a cache by TTL, equal questions asked once, at most 1,000 in
 * flight, a bound on the total time, and a breaker for a dead resolver. Time-out, SERVFAIL,
 * REFUSED and nonsense are UNKNOWN, never absent.
 *
 * dns_ask() is a question asked again: it gives NULL while the answer is not there, and the answer
 * (cached or late, on the same path) when it is called again after the wake. The query lives in
 * the caller's memory and holds its own reference to the answer until dns_cancel(), which is
 * silent, may be called in any state, and lets the shared flight go on for the cache.
 *
 * While the breaker is open what is not cached is DEAD at once. One question a second still goes
 * out, for nobody: the asker has DEAD all the same, and its answer, when there is one, closes the
 * breaker.
 */
#ifndef REEVE_DAEMON_DNS_DNS_H
#define REEVE_DAEMON_DNS_DNS_H

#include "common/clock.h"
#include "common/hash.h"
#include "common/ip.h"
#include "common/list.h"
#include "common/waiter.h"

#define DNS_MAX_ANSWERS 16         /* records kept of one answer; more are dropped */
#define DNS_NAME_BYTES 256

enum dns_type { DNS_A = 1, DNS_PTR = 12, DNS_MX = 15, DNS_AAAA = 28 };

enum dns_status {
	DNS_FOUND,
	DNS_NXDOMAIN,              /* the name does not exist */
	DNS_NODATA,                /* it exists, without this type */
	DNS_UNKNOWN,               /* time-out, SERVFAIL, REFUSED, nonsense, too much in flight */
	DNS_DEAD                   /* the breaker is open: the resolver does not answer anyone */
};

struct dns_record {
	struct ip ip;              /* A, AAAA */
	uint16_t preference;       /* MX */
	struct slice
		name; /* MX, PTR: lower case, no trailing dot; "" is the root (null MX, RFC 7505) */
};

struct dns_answer {
	enum dns_status status;
	unsigned count;
	struct dns_record records[];
};

/* "found", "nxdomain", ...; of NULL: "no answer yet". */
const char *dns_word(const struct dns_answer *answer);

struct dns;
struct dns_flight;

struct dns_query {
	/* private; zeroed before first use */
	struct list node;
	struct dns_flight *flight;
	struct dns_entry *entry;
	struct waiter *waiter;
	const struct dns_answer *answer;
	bool started;
};

/* NULL: not there yet, `waiter` will be woken. `name` as text: a domain in A-label form, at
 * most 253 bytes (longer or malformed: DNS_NODATA is not claimed, the answer is DNS_UNKNOWN). */
const struct dns_answer *dns_ask(struct dns *dns, struct dns_query *query, enum dns_type type,
				 struct slice name, struct waiter *waiter);
/* PTR of an address: the name below in-addr.arpa or ip6.arpa is made here. */
const struct dns_answer *dns_ask_ptr(struct dns *dns, struct dns_query *query, const struct ip *ip,
				     struct waiter *waiter);
void dns_cancel(struct dns_query *query);

/* --- below: for whoever owns the service (daemon.c, tests) --- */

/* What asks the network. `ask` starts one question; exactly one dns_flight_done() follows for
 * it, later or from inside `ask`. */
struct dns_backend {
	void (*ask)(struct dns_backend *backend, struct dns_flight *flight, enum dns_type type,
		    struct slice name);
};

struct dns_options {
	size_t cache_entries;
	uint64_t total_ms;         /* a flight ends UNKNOWN after this, whatever the backend does */
	struct hash_key hash_key;
	unsigned max_in_flight;    /* 1000 */
};

struct dns *dns_new(const struct dns_options *options, struct dns_backend *backend)
	__attribute__((warn_unused_result));
/* All queries must have been cancelled; flights end silently. */
void dns_free(struct dns **dns);
/* The loop tells the time before anything else of a turn. */
void dns_set_now(struct dns *dns, struct clock_now now);
/* Ends overdue flights, ages the cache, tries a dead resolver once a second; returns the next
 * mono_ms at which it wants to be called, 0: none. */
uint64_t dns_expire(struct dns *dns);

/* From the backend: a raw answer message (RFC 1035), or NULL with `status` UNKNOWN. A message
 * decides by itself (rcode, records, SOA for the negative TTL). */
void dns_flight_done(struct dns_flight *flight, enum dns_status status, const uint8_t *message,
		     size_t len);
/* The same with a ready answer and TTL: for fakes. `answer` is copied. */
void dns_flight_answer(struct dns_flight *flight, const struct dns_answer *answer, uint64_t ttl_ms);

struct dns_health {
	uint64_t asked, cache_hits, flights, unknown, breaker_opened;
	unsigned in_flight;
	size_t cached;
	bool dead;
	uint64_t dead_since_mono_ms;
};
void dns_health(const struct dns *dns, struct dns_health *ret);

#endif
