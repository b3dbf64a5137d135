/* SPDX-License-Identifier: ISC */
/*
 * A store that counts nothing: it keeps what it was asked and answers what the test has set, at
 * once or when told.
 */
#ifndef REEVE_TESTS_UNIT_ENGINE_FAKE_STORE_H
#define REEVE_TESTS_UNIT_ENGINE_FAKE_STORE_H

#include "daemon/store/store.h"

struct fake_store {
	struct store base;
	/* what it does */
	bool pending;                  /* until fake_store_answer() */
	bool failed;
	uint8_t outcomes[STORE_MAX_CHARGES]; /* enum charge_outcome, by index; NONE stands for GRANTED */
	uint64_t used, retry_ms[STORE_MAX_CHARGES];
	bool warn;
	bool settle_known;             /* else `unknown` */
	const char *settle_refused;    /* rule */
	uint64_t settle_refunded;
	/* what it was asked */
	unsigned reserves, settles, refunds, abandons, forgets;
	struct store_reserve last_reserve;
	struct store_charge last_charges[STORE_MAX_CHARGES];
	struct store_settle last_settle;
	struct hash128 last_refund, last_abandon;
	/* private */
	struct store_reserve *reserve;
	struct store_settle *settle;
};

void fake_store_init(struct fake_store *fake);
/* Answers what is pending and wakes. */
void fake_store_answer(struct fake_store *fake);
bool fake_store_is_pending(const struct fake_store *fake);

#endif
