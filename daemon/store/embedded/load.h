/* SPDX-License-Identifier: ISC */
/*
 * Reading the disk at start. Records that are damaged, foreign or long over are dropped one by
 * one; only a folder that is not ours, or that LMDB cannot read, is an error.
 */
#ifndef REEVE_DAEMON_STORE_EMBEDDED_LOAD_H
#define REEVE_DAEMON_STORE_EMBEDDED_LOAD_H

#include "daemon/store/embedded/disk.h"
#include "daemon/store/embedded/snapshot.h"

struct load_result {
	uint64_t counters, transactions, dropped;
};

/* The key of this store: what is on disk, or `fallback` (zero: a random one), which is put there.
 */
bool load_hash_key(struct disk *disk, struct hash_key fallback, struct hash_key *ret_key,
	char ret_why[static DISK_WHY_BYTES]) __attribute__((warn_unused_result));
/* All the rest, into empty tables. */
bool load_tables(struct disk *disk, const struct snapshot_tables *tables, struct clock_now now,
	struct load_result *ret, char ret_why[static DISK_WHY_BYTES])
	__attribute__((warn_unused_result));

#endif
