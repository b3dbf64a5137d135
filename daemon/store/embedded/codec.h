/* SPDX-License-Identifier: ISC */
/*
 * How counters, transactions and bans look on disk: a version byte, then little-endian numbers
 * and texts with their lengths. Names and subjects stand in full, times are wall times, so
 * nothing depends on the process. What is read is checked to the last byte: any length or number
 * that could not have been written makes the record void.
 */
#ifndef REEVE_DAEMON_STORE_EMBEDDED_CODEC_H
#define REEVE_DAEMON_STORE_EMBEDDED_CODEC_H

#include "common/buf.h"
#include "daemon/counting/ledger.h"
#include "daemon/store/store.h"

void codec_put_counter(struct buf *out, const struct table_record *record);
/* The rule's name in `ret` points into `value`, its subject into `ret`. */
bool codec_get_counter(struct slice value, struct table_record *ret)
	__attribute__((warn_unused_result));

void codec_put_transaction(struct buf *out, struct txn *txn, struct clock_now now);
/* Restores into the table's slot (see txn_restore). */
bool codec_get_transaction(struct slice value, struct txn_table *table, uint32_t slot,
	struct clock_now now) __attribute__((warn_unused_result));

void codec_put_ban(struct buf *out, const struct ban *ban);
bool codec_get_ban(struct slice value, struct ban *ret) __attribute__((warn_unused_result));

void codec_put_override(struct buf *out, const struct override *override);
bool codec_get_override(struct slice value, struct override *ret)
	__attribute__((warn_unused_result));

void codec_put_services(struct buf *out, const struct services *services);
bool codec_get_services(struct slice value, struct services *ret)
	__attribute__((warn_unused_result));

void codec_put_hash_key(struct buf *out, struct hash_key key);
bool codec_get_hash_key(struct slice value, struct hash_key *ret)
	__attribute__((warn_unused_result));

/* The format of the whole folder. */
void codec_put_format(struct buf *out);
bool codec_is_format(struct slice value);

#endif
