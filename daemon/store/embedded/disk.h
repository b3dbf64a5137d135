/* SPDX-License-Identifier: ISC */
/*
 * The only file that knows LMDB: a folder with an environment, one database for each kind of
 * record, keys that are record numbers. Opening and reading are done at start, on the loop's
 * thread; afterwards disk_write() is called from one thread at a time.
 *
 * A lock on reeve.lock keeps a second daemon out of the folder; LMDB's own lock stays, so that
 * its tools can look while we run.
 */
#ifndef REEVE_DAEMON_STORE_EMBEDDED_DISK_H
#define REEVE_DAEMON_STORE_EMBEDDED_DISK_H

#include "daemon/store/embedded/batch.h"

#define DISK_WHY_BYTES 256

struct disk;

/* NULL: `ret_why` says why not, with the path. `map_bytes` bounds the file. */
struct disk *disk_open(struct slice folder, size_t map_bytes, char ret_why[static DISK_WHY_BYTES])
	__attribute__((warn_unused_result));
void disk_close(struct disk **disk);
const char *disk_folder(const struct disk *disk);

/* Hands out all records of a database in the order of their keys; what has no such key is passed
 * over. `value` is valid until `each` returns. false: `ret_why` says why. */
bool disk_read(struct disk *disk, enum batch_db db,
	void (*each)(void *arg, uint32_t key, struct slice value), void *arg,
	char ret_why[static DISK_WHY_BYTES]) __attribute__((warn_unused_result));

/* Reading is over: opens the environment anew, so that the pages which that mapped are not ours
 * any longer. */
void disk_unload(struct disk *disk);

/* Writes all of the batch durably, or nothing of it: then false, and `ret_why` says why. */
bool disk_write(struct disk *disk, const struct batch *batch, char ret_why[static DISK_WHY_BYTES])
	__attribute__((warn_unused_result));

#endif
