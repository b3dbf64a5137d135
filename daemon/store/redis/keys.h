/* SPDX-License-Identifier: ISC */
/*
 * The names of keys in Redis. All begin with the prefix in braces, so that a cluster would keep
 * them in one place. Counters: {prefix}:c:<rule>:<r|m|b>:<window in ms>:<subject>; only the subject,
 * the last part, may hold a colon, or any other byte.
 */
#ifndef REEVE_DAEMON_STORE_REDIS_KEYS_H
#define REEVE_DAEMON_STORE_REDIS_KEYS_H

#include "common/buf.h"
#include "daemon/counting/counter.h"

#define KEYS_MAX_BYTES 512  /* of any of them */
#define KEYS_HEAD_BYTES 192 /* of a counter's, without the subject */

struct keys {
	char memory[96];
	struct slice base; /* "{prefix}:" */
};

/* `prefix` is at most 64 bytes (config/config_store.c sees to it). */
void keys_init(struct keys *keys, struct slice prefix);

/* Each replaces what is in `out`. */
void keys_counter(const struct keys *keys, const struct counter_key *key, struct buf *out);
/* All but the subject: the same for all counters of a series. */
void keys_counter_head(const struct keys *keys, const struct counter_key *key, struct buf *out);
void keys_transaction(const struct keys *keys, struct hash128 id, struct buf *out);
/* {prefix}:<kind>:<name>, or without a name {prefix}:<kind> */
void keys_plain(const struct keys *keys, const char *kind, struct slice name, struct buf *out);

/* 16 hexadecimal digits, or "0". */
bool keys_parse_hash(struct slice text, uint64_t *ret) __attribute__((warn_unused_result));
/* Back again; the slices point into `text`. false: that is no counter of ours. */
bool keys_parse_counter(const struct keys *keys, struct slice text, struct counter_key *ret)
	__attribute__((warn_unused_result));

bool keys_parse_transaction(const struct keys *keys, struct slice text, struct hash128 *ret)
	__attribute__((warn_unused_result));

#endif
