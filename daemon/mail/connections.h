/* SPDX-License-Identifier: ISC */
/*
 * SMTP connections as a policy server can know them (smtp_ids.h). An entry holds a refused EHLO name and the
 * strikes of the connection, and is forgotten after ten idle minutes. The
 * table is the node's own and capped: when full, the longest idle leaves.
 * Pure: `mono_ms` comes in.
 */
#ifndef REEVE_DAEMON_MAIL_CONNECTIONS_H
#define REEVE_DAEMON_MAIL_CONNECTIONS_H

#include <stdint.h>

#include "common/hash.h"

#define CONNECTIONS_IDLE_MS (10 * 60 * 1000)

struct smtp_connection {
	uint32_t strikes;          /* since the last message that passed */
	uint32_t helo_rule;        /* rule that refused the EHLO name: 32-bit hash of its name; 0: none */
	bool authenticated;        /* a login was seen */
};

struct connections;

/* `max_entries` is at least 1. The memory for all of them is reserved at once and used as they come. */
struct connections *connections_new(size_t max_entries) __attribute__((warn_unused_result));
void connections_free(struct connections **connections);

/* NULL: not known. Valid until the next call that adds. Being found is being used. */
struct smtp_connection *connections_find(struct connections *connections, struct hash128 key,
					 uint64_t mono_ms);
/* The same, without being used. */
const struct smtp_connection *connections_peek(const struct connections *connections,
					       struct hash128 key, uint64_t mono_ms);
/* Finds or adds. Never NULL. */
struct smtp_connection *connections_get(struct connections *connections, struct hash128 key,
					uint64_t mono_ms);
/* Those that have been idle too long are in it until they are met. */
size_t connections_count(const struct connections *connections);

#endif
