/* SPDX-License-Identifier: ISC */
/*
 * What Reeve itself answered in an SMTP connection, by smtpd process and client: Postfix's log counts
 * these refusals too, and without this they would count twice. An entry dies when the log says that
 * the connection is over, or an hour after its last use; the table is capped, the longest unused leaves.
 * Pure: monotonic time comes in.
 */
#ifndef REEVE_DAEMON_BANS_ANSWERS_H
#define REEVE_DAEMON_BANS_ANSWERS_H

#include <stdint.h>

#include "common/hash.h"
#include "common/ip.h"

#define ANSWERS_MAX_ENTRIES 16384
#define ANSWERS_IDLE_MS UINT64_C(3600000)

/* Zeroed: Reeve was not asked. */
struct answers_entry {
	uint32_t recipients;                   /* that it was asked about */
	uint32_t refused_recipients[2];        /* [1]: with a 4xx */
	uint32_t refused_commands[2];
	uint32_t strikes;                      /* of these refusals */
	bool asked;
	bool refused_connection;               /* all that follows in it fails by itself */
};

struct answers;

struct answers *answers_new(struct hash_key key) __attribute__((returns_nonnull, warn_unused_result));
void answers_free(struct answers **answers);
/* Process 0: not known, as at CONNECT. NULL: nothing is known. Valid until the next answers_get() or
 * answers_drop(). */
struct answers_entry *answers_find(struct answers *answers, uint32_t process, const struct ip *client,
				   uint64_t mono_ms);
struct answers_entry *answers_get(struct answers *answers, uint32_t process, const struct ip *client,
				  uint64_t mono_ms) __attribute__((returns_nonnull));
void answers_drop(struct answers *answers, uint32_t process, const struct ip *client);
size_t answers_count(const struct answers *answers);

/* The process in Postfix's `instance`: "1a2b.65000000.1.0" is 0x1a2b. 0: there is none. */
uint32_t answers_process(struct slice instance);

#endif
