/* SPDX-License-Identifier: ISC */
/*
 * What one disk transaction writes: a flat list of records, made on the loop from the tables and
 * read on the worker, which therefore shares nothing with them. Records of one database whose
 * numbers ascend are written at the least cost (see group.h); any order is right.
 */
#ifndef REEVE_DAEMON_STORE_EMBEDDED_BATCH_H
#define REEVE_DAEMON_STORE_EMBEDDED_BATCH_H

#include <stdint.h>

#include "common/slice.h"

/* The databases, in the order in which they are read at start: transactions refer to counters. */
enum batch_db {
	BATCH_META,
	BATCH_COUNTERS,
	BATCH_TRANSACTIONS,
	BATCH_BANS,
	BATCH_OVERRIDES,
	BATCH_DBS
};

struct batch {
	char *bytes;
	size_t len, cap;
	size_t records;
	size_t values; /* that they touch on disk, at most: records that share one count once */
	size_t open;   /* where the record that is being made begins */
};

struct batch_record {
	enum batch_db db;
	uint32_t key;
	bool remove;
	struct slice value;
};

void batch_init(struct batch *batch);
void batch_release(struct batch *batch);
void batch_reset(struct batch *batch);

/* A record: room for a value of up to `max_bytes`. batch_end() says where the value ends. */
char *batch_begin(struct batch *batch, enum batch_db db, uint32_t key, size_t max_bytes)
	__attribute__((returns_nonnull, warn_unused_result));
void batch_end(struct batch *batch, const char *end);
void batch_remove(struct batch *batch, enum batch_db db, uint32_t key);

/* Steps through: `*at` begins as 0. false: that was all. */
bool batch_next(const struct batch *batch, size_t *at, struct batch_record *ret);

#endif
