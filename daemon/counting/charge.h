/* SPDX-License-Identifier: ISC */
/*
 * One counter of a request, as those who ask (through daemon/store/store.h) and the ledger share
 * it.
 */
#ifndef REEVE_DAEMON_COUNTING_CHARGE_H
#define REEVE_DAEMON_COUNTING_CHARGE_H

#include "daemon/counting/counter.h"

#define STORE_MAX_CHARGES 64 /* counters in one request */

enum charge_outcome {
	CHARGE_NONE, /* not asked (a gate refused) */
	CHARGE_GRANTED,
	CHARGE_ALREADY, /* this transaction had charged this recipient before */
	CHARGE_OVER     /* gate: refused, nothing was charged. soft: charged, and above its limit */
};

/* Gates are all or nothing together; soft ones are charged each by itself after the gates passed,
 * whatever their limit says. Items of one rule are adjacent. Two items of a rule with the same
 * counter (two limits over one window) are charged once and both checked. */
struct store_charge {
	struct counter_key key;
	uint64_t limit;
	/* Recipients: 1 at RCPT, the count for a whole message. Messages: 1. Bytes: the SIZE claim,
	 * which is charged once per message, 0 (not claimed) included. */
	uint64_t cost;
	uint64_t warn_at; /* used at or above it warns, once per window; 0: never */
	bool gate;
	/* per: recipient or recipient_domain: settles only where the count is 1 or all share one
	 * subject. */
	bool one_subject;
	uint16_t rule_index; /* the caller's; comes back in settle results by rule name instead */
	/* results */
	enum charge_outcome outcome;
	uint64_t used; /* with this charge if it was made */
	/* CHARGE_OVER: until it would fit (soft: would have fitted); UINT64_MAX: never. */
	uint64_t retry_ms;
	bool warn; /* warn_at was reached now, for the first time in this window */
	/* Of a dry request: until the next part is free again, and how much; 0: nothing is used. */
	uint64_t free_ms, free_amount;
};

#endif
