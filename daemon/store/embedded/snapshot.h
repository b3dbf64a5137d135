/* SPDX-License-Identifier: ISC */
/*
 * From the tables into a batch for the disk, and, when it could not be written, the marks back.
 * Runs on the loop: what it copies is a moment of the whole.
 */
#ifndef REEVE_DAEMON_STORE_EMBEDDED_SNAPSHOT_H
#define REEVE_DAEMON_STORE_EMBEDDED_SNAPSHOT_H

#include "daemon/counting/ledger.h"
#include "daemon/store/embedded/banlist.h"
#include "daemon/store/embedded/batch.h"

/* Above this a snapshot stops, and the rest follows in the next. A second of a thousand messages
 * makes 300 KB. */
#define SNAPSHOT_BYTES ((size_t)8 << 20)
/* The same for values that are touched: LMDB holds a page or two of memory for each. */
#define SNAPSHOT_VALUES 8192

#define META_FORMAT 1u
#define META_HASH_KEY 2u
#define META_SERVICES 3u

/* What there is to write. */
struct snapshot_tables {
	struct ledger *ledger;
	struct banlist *bans;
	struct overrides *overrides;
};

enum snapshot_part {
	SNAPSHOT_URGENT, /* only what a person or a rule did to bans and live limits */
	SNAPSHOT_ALL,
	SNAPSHOT_REST /* all too, after one that was full */
};

/* What changed, up to those bounds. Returns whether something is left. */
bool snapshot_take(struct batch *batch, const struct snapshot_tables *tables,
	enum snapshot_part part, struct clock_now now);
/* Is there something urgent? */
bool snapshot_is_urgent(const struct snapshot_tables *tables);
/* The batch was lost: marks all of it again. */
void snapshot_undo(const struct batch *batch, const struct snapshot_tables *tables);

#endif
