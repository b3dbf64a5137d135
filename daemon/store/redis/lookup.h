/* SPDX-License-Identifier: ISC */
/*
 * The address of a host: at once where it is one already, else from Reeve's own DNS. The system's
 * resolver is never asked, because it blocks; so names in /etc/hosts are not known, but for
 * "localhost".
 */
#ifndef REEVE_DAEMON_STORE_REDIS_LOOKUP_H
#define REEVE_DAEMON_STORE_REDIS_LOOKUP_H

#include "daemon/dns/dns.h"

struct lookup {
	/* private; zeroed before first use */
	struct waiter waiter;
	struct dns *dns;
	struct slice host;
	struct dns_query a, aaaa;
	bool woken;
};

enum lookup_result { LOOKUP_PENDING, LOOKUP_FOUND, LOOKUP_ABSENT, LOOKUP_FAILED };

/* `host` stays where it is until the end. `dns` may be NULL: names fail. */
void lookup_start(struct lookup *lookup, struct dns *dns, struct slice host);
/* Ask again when lookup_is_woken(). `turn` picks one of several addresses; IPv4 goes first. */
enum lookup_result lookup_step(struct lookup *lookup, uint64_t turn, struct ip *ret_ip);
bool lookup_is_woken(const struct lookup *lookup);
void lookup_cancel(struct lookup *lookup);

#endif
