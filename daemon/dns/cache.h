/* SPDX-License-Identifier: ISC */
/*
 * Answers by (type, name), for as long as their TTL says. Bounded by number and by bytes
 * (DNS_CACHE_ENTRY_BYTES an entry on average); the least recently used leaves first.
 *
 * An entry is counted by reference: one is the cache's, one each asker's. It is never changed once
 * it is made, so that an answer stays what it was for the one who got it. Private to dns.c.
 */
#ifndef REEVE_DAEMON_DNS_CACHE_H
#define REEVE_DAEMON_DNS_CACHE_H

#include "daemon/dns/dns.h"

#define DNS_CACHE_ENTRY_BYTES 512
#define DNS_CACHE_RECENT 2048

struct dns_entry {
	struct list lru;
	struct dns_entry *next;            /* in the bucket */
	uint64_t hash, expires_mono_ms;
	const struct dns_answer *answer;
	const char *name;
	size_t bytes;
	unsigned refs;
	uint16_t type, name_len;
};

struct dns_cache {
	struct dns_entry **buckets;
	size_t mask;                       /* buckets - 1, a power of two - 1 */
	struct list lru;                   /* least recently used first */
	struct dns_entry *recent[DNS_CACHE_RECENT]; /* of the table, by a few bytes of the name */
	size_t count, bytes;
	size_t max_entries, max_bytes;
	size_t sweep_at;                   /* bucket */
	uint64_t sweep_mono_ms;
};

/* One reference, the caller's. `name` and `answer` are copied. */
struct dns_entry *dns_entry_new(enum dns_type type, struct slice name, uint64_t hash,
				const struct dns_answer *answer, uint64_t expires_mono_ms)
	__attribute__((warn_unused_result));
void dns_entry_unref(struct dns_entry **entry);

void dns_cache_init(struct dns_cache *cache, size_t max_entries);
void dns_cache_release(struct dns_cache *cache);
/* NULL: not there, or too old. Borrowed: take a reference to keep it. */
struct dns_entry *dns_cache_get(struct dns_cache *cache, enum dns_type type, struct slice name,
				uint64_t hash, uint64_t mono_ms);
/*
 * The same without the hash, for what was asked a moment ago: a keyed hash costs more than all the rest. NULL:
 * dns_cache_get() has to be asked. Names that are made to meet here are as slow as others are.
 */
struct dns_entry *dns_cache_recall(
	struct dns_cache *cache, enum dns_type type, struct slice name, uint64_t mono_ms);
/* Takes a reference of its own; an older entry of the same question goes. */
void dns_cache_put(struct dns_cache *cache, struct dns_entry *entry);
/* Drops entries that are too old, a sixty-fourth of the table at most every five seconds. */
void dns_cache_sweep(struct dns_cache *cache, uint64_t mono_ms);

#endif
