/* SPDX-License-Identifier: ISC */
/*
 * A dns_backend that a test plays by hand, a service over it, and time that the test sets: one of
 * each, since every test is a process of its own.
 */
#ifndef REEVE_TESTS_UNIT_DNS_HAND_H
#define REEVE_TESTS_UNIT_DNS_HAND_H

#include "daemon/dns/dns.h"
#include "tests/unit/dns/message.h"

#define HAND_MAX_OUT 2000
#define HAND_TOTAL_MS 1500

/* What the backend was asked and has not answered. */
struct hand_out {
	struct dns_flight *flight;
	enum dns_type type;
	char name[DNS_NAME_BYTES];
};

struct hand {
	struct dns_backend backend;
	struct hand_out out[HAND_MAX_OUT];
	unsigned count, asked;
	bool at_once;                  /* NXDOMAIN from inside ask */
	struct dns *dns;
	uint64_t now_ms;
	struct message message;
};

struct asker {
	struct waiter waiter;
	struct dns_query query;
	unsigned woken;
};

extern struct hand hand;

/* The service; it is 1,000,000 ms by both clocks. */
void hand_start(size_t cache_entries, unsigned max_in_flight);
/* For TestSuite: hand_start(100, 1000), and the end of everything. */
void hand_setup(void);
void hand_teardown(void);

void hand_at(uint64_t ms);
/* Fails the test if anybody is woken from inside. */
const struct dns_answer *hand_ask(struct asker *asker, enum dns_type type, const char *name);
/* One question for an A record, asked and let go; -1: no answer yet. */
int hand_status_of(const char *name);
struct dns_health hand_health(void);

/* Takes number `i` out, for the caller to end. */
struct dns_flight *hand_take(unsigned i);
void hand_answer_a(unsigned i, uint32_t ttl_s);
/* `soa_s` below 0: without SOA. */
void hand_answer_negative(unsigned i, unsigned rcode, int soa_s);
void hand_answer_nothing(unsigned i);

#endif
