/* SPDX-License-Identifier: ISC */
/*
 * Which services (server_address, server_port) are known to ask at DATA or END-OF-MESSAGE: only
 * there an unsettled transaction is over, and what it reserved goes back. Learned from settling,
 * or said by the configuration.
 *
 * A service is forgotten a day after it settled last, and doubted when SERVICES_DOUBT
 * transactions in a row ended unsettled: then its wiring has changed, and giving back would
 * switch its limits off.
 */
#ifndef REEVE_DAEMON_COUNTING_SERVICES_H
#define REEVE_DAEMON_COUNTING_SERVICES_H

#include <stdbool.h>
#include <stdint.h>

#define SERVICES_MAX 64
#define SERVICES_FORGET_MS (UINT64_C(24) * 3600 * 1000)
#define SERVICES_DOUBT 1000

enum ledger_settle { LEDGER_SETTLE_AUTO, LEDGER_SETTLE_DATA, LEDGER_SETTLE_NONE };

struct service {
	uint64_t name; /* the caller's hash */
	uint64_t settled_wall_ms;
	uint32_t unsettled; /* transactions in a row */
};

struct services {
	enum ledger_settle mode;
	struct service items[SERVICES_MAX];
	uint32_t count;
	bool changed; /* worth writing out; cleared by who did */
};

void services_init(struct services *services, enum ledger_settle mode);
/* It asked at DATA or END-OF-MESSAGE. */
void services_settled(struct services *services, uint64_t name, uint64_t wall_ms);
/* A transaction of it ended unsettled and was refunded. */
void services_unsettled(struct services *services, uint64_t name);
bool services_settles(const struct services *services, uint64_t name, uint64_t wall_ms);

#endif
