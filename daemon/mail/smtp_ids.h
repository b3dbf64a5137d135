/* SPDX-License-Identifier: ISC */
/*
 * What a request belongs to, as hashes: the SMTP connection (server_address, server_port,
 * client_address, client_port), the mail transaction (server_address, client_address, client_port, instance), and
 * the service (server_address, server_port). The texts they share are hashed once. Pure.
 */
#ifndef REEVE_DAEMON_MAIL_SMTP_IDS_H
#define REEVE_DAEMON_MAIL_SMTP_IDS_H

#include <stdint.h>

#include "common/hash.h"

/* As Postfix sends them: any byte, any length. */
struct smtp_names {
	struct slice server_address, server_port, client_address, client_port, instance;
};

struct smtp_ids {
	struct hash128 connection;    /* never zero */
	struct hash128 transaction;   /* zero: no instance or no client address, never remembered */
	uint64_t service;
};

/* A client port that is empty or `unknown` (XCLIENT) is none: then the policy connection's number stands in its place. */
void smtp_ids_read(struct smtp_ids *ret, const struct hash_key *key, const struct smtp_names *names,
		   uint64_t policy_connection);

#endif
