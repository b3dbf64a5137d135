/* SPDX-License-Identifier: ISC */
/*
 * How counters, transactions and bans look on disk: a version byte, then little-endian numbers
 * and texts with their lengths. Names and subjects stand in full, times are wall times, so
 * nothing depends on the process. What is read is checked to the last byte: any length or number
 * that could not have been written makes the record void.
 */
#ifndef REEVE_DAEMON_STORE_EMBEDDED_CODEC_H
#define REEVE_DAEMON_STORE_EMBEDDED_CODEC_H

#include "daemon/counting/ledger.h"
#include "daemon/store/store.h"

/* Those that write begin at `at`, where so much room must be, and return where they ended. */
#define CODEC_COUNTER_BYTES (48 + SERIES_RULE_BYTES + COUNTER_SUBJECT_BYTES + PACK_MAX_BYTES)
#define CODEC_BAN_BYTES 256
#define CODEC_OVERRIDE_BYTES \
	(24 + OVERRIDE_RATES * 16 + OVERRIDE_RULE_BYTES + COUNTER_SUBJECT_BYTES + OVERRIDE_BY_BYTES)
#define CODEC_SERVICES_BYTES (2 + SERVICES_MAX * 16)
#define CODEC_HASH_KEY_BYTES 17
#define CODEC_FORMAT_BYTES 6

char *codec_put_counter(char *at, const struct table_record *record);
/* The rule's name in `ret` points into `value`, its subject into `ret`. */
bool codec_get_counter(struct slice value, struct table_record *ret)
	__attribute__((warn_unused_result));

size_t codec_transaction_bytes(const struct txn *txn);
char *codec_put_transaction(char *at, struct txn *txn, struct clock_now now);
/* Restores into the table's slot (see txn_restore). */
bool codec_get_transaction(struct slice value, struct txn_table *table, uint32_t slot,
	struct clock_now now) __attribute__((warn_unused_result));

char *codec_put_ban(char *at, const struct ban *ban);
bool codec_get_ban(struct slice value, struct ban *ret) __attribute__((warn_unused_result));

char *codec_put_override(char *at, const struct override *override);
bool codec_get_override(struct slice value, struct override *ret)
	__attribute__((warn_unused_result));

char *codec_put_services(char *at, const struct services *services);
bool codec_get_services(struct slice value, struct services *ret)
	__attribute__((warn_unused_result));

char *codec_put_hash_key(char *at, struct hash_key key);
bool codec_get_hash_key(struct slice value, struct hash_key *ret)
	__attribute__((warn_unused_result));

/* The format of the whole folder: which records there are, and how they lie together. */
char *codec_put_format(char *at);
bool codec_is_format(struct slice value);

#endif
