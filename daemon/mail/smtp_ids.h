/* SPDX-License-Identifier: ISC */
/*
 * What a request belongs to, as hashes: the SMTP connection (server_address, server_port,
 * client_address, client_port), the mail transaction (server_address, client_address, client_port, instance), and
 * the service (server_address, server_port). The texts they share are hashed once. Pure.
 */
#ifndef REEVE_DAEMON_MAIL_SMTP_IDS_H
#define REEVE_DAEMON_MAIL_SMTP_IDS_H

#include <stdint.h>

#include "common/sip.h"

/* As Postfix sends them: any byte, any length. */
struct smtp_names {
	struct slice server_address, server_port, client_address, client_port, instance;
};

struct smtp_ids {
	struct hash128 connection;  /* never zero */
	struct hash128 transaction; /* zero: no instance or no client address, never remembered */
	uint64_t service;
};

/* A client port that is empty or `unknown` (XCLIENT) is none: then the policy connection's number stands in its place. */
void smtp_ids_read(struct smtp_ids *ret, const struct hash_key *key, const struct smtp_names *names,
	uint64_t policy_connection);
/*
 * The same in two steps, for one client's many requests: `names->instance` is not looked at and `ret->transaction`
 * zero; `*ret_message` is handed to smtp_ids_transaction() for each instance that comes.
 */
void smtp_ids_begin(struct smtp_ids *ret, struct sip *ret_message, const struct hash_key *key,
	const struct smtp_names *names, uint64_t policy_connection);
/* Never zero: to be asked only where there are an instance and a client address. */
struct hash128 smtp_ids_transaction(struct sip message, struct slice instance);

#endif
