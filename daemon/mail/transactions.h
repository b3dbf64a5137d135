/* SPDX-License-Identifier: ISC */
/*
 * Mail transactions (smtp_ids.h), as this node saw them. Holds which recipients were asked about (distinct, refused ones taken
 * out again), and which marks were given; what was charged for them is the
 * store's to remember. Kept 15 minutes after the last use, 2 after
 * END-OF-MESSAGE, at most `max_entries`, and eight recipients for each of these in all: when
 * full, the longest unused leaves. Pure.
 */
#ifndef REEVE_DAEMON_MAIL_TRANSACTIONS_H
#define REEVE_DAEMON_MAIL_TRANSACTIONS_H

#include <stdint.h>

#include "common/hash.h"

#define TRANSACTIONS_IDLE_MS (15 * 60 * 1000)
#define TRANSACTIONS_ENDED_MS (2 * 60 * 1000)
#define TRANSACTIONS_MAX_RECIPIENTS 4096   /* further ones are counted, not told apart */

struct transactions;
struct transaction;

/* `max_entries` is at least 1. The memory for all of them is reserved at once and used as they come. */
struct transactions *transactions_new(size_t max_entries) __attribute__((warn_unused_result));
void transactions_free(struct transactions **transactions);

/* NULL: not known. Being found is being used. */
struct transaction *transactions_find(struct transactions *transactions, struct hash128 id,
				      uint64_t mono_ms);
/* The same, without being used. */
const struct transaction *transactions_peek(const struct transactions *transactions,
					    struct hash128 id, uint64_t mono_ms);
/* Finds or adds; NULL only for the zero id. Valid until the next call that adds. */
struct transaction *transactions_get(struct transactions *transactions, struct hash128 id,
				     uint64_t mono_ms);

/* The number of distinct recipients, with this one (`recipient`: hash of its raw text) added or not. */
unsigned transaction_recipients_with(const struct transaction *transaction, uint64_t recipient);
unsigned transaction_recipients(const struct transaction *transaction);
void transaction_add_recipient(struct transaction *transaction, uint64_t recipient);
/* It was refused after it had been added; nothing happens if it is not one of those told apart. */
void transaction_remove_recipient(struct transaction *transaction, uint64_t recipient);
/* Once per message: true the first time for this `what` (32-bit hash of a rule's name and the thing), false after. At most
 * 32 are told apart, then false. */
bool transaction_first(struct transaction *transaction, uint32_t what);
/* Would it be the first time? */
bool transaction_is_first(const struct transaction *transaction, uint32_t what);
void transaction_end(struct transaction *transaction);   /* END-OF-MESSAGE has passed */
/* Those that are over are in it until they are met. */
size_t transactions_count(const struct transactions *transactions);

#endif
