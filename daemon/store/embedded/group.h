/* SPDX-License-Identifier: ISC */
/*
 * Several records with neighbouring numbers in one value, so that a busy second writes hundreds
 * of pages rather than thousands of records: where each record ends (little-endian, 32 bits, from
 * the end of this list on), then the records. An empty one is not there. A group of ordinary
 * records fits a page of the disk.
 *
 * Pure; made and read on the worker, and read at start.
 */
#ifndef REEVE_DAEMON_STORE_EMBEDDED_GROUP_H
#define REEVE_DAEMON_STORE_EMBEDDED_GROUP_H

#include "common/buf.h"
#include "daemon/store/embedded/batch.h"

#define GROUP_MAX 16

/* How many records of this database share a value: a power of two, at most GROUP_MAX. 1: the
 * value is the record. */
unsigned group_size(enum batch_db db);

/* Takes a value apart; the slices point into it. false: nothing that group_write() made, and
 * `ret_records` are all empty. */
bool group_read(struct slice value, unsigned size, struct slice ret_records[static GROUP_MAX])
	__attribute__((warn_unused_result));
/* Appends them as one value; nothing if all are empty. */
void group_write(struct buf *out, unsigned size, const struct slice records[static GROUP_MAX]);

#endif
