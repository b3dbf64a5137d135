/* SPDX-License-Identifier: ISC */
/*
 * Who is the master? Asks the sentinels one after the other, each for a short time, beginning
 * with the one that knew it last; where none says, the answer is that nobody knows. The first
 * answer counts. A question is asked once; who wants to know again starts again.
 */
#ifndef REEVE_DAEMON_STORE_REDIS_SENTINEL_H
#define REEVE_DAEMON_STORE_REDIS_SENTINEL_H

#include "daemon/store/redis/link.h"

struct sentinels;

enum sentinels_state {
	SENTINELS_IDLE,
	SENTINELS_ASKING,
	SENTINELS_KNOWN, /* sentinels_host() and sentinels_port() */
	SENTINELS_NOBODY /* sentinels_detail() */
};

/* `options`: where, dns, loop, timeout_ms, password_file; they and what they point to outlive
 * this. */
struct sentinels *sentinels_new(const struct redis_link_options *options)
	__attribute__((warn_unused_result));
/* Silent. */
void sentinels_free(struct sentinels **sentinels);

/* Drops a question that is under way. */
void sentinels_start(struct sentinels *sentinels, uint64_t mono_ms);
void sentinels_stop(struct sentinels *sentinels);
/* What the one that answered last named is no master, or not there: the next question begins with
 * another one. */
void sentinels_doubt(struct sentinels *sentinels);
/* Each turn. No callback comes from here; ask for the state. */
void sentinels_run(struct sentinels *sentinels, uint64_t mono_ms);
enum sentinels_state sentinels_state(const struct sentinels *sentinels);
uint64_t sentinels_next(const struct sentinels *sentinels); /* 0: nothing to wait for */

struct slice sentinels_host(const struct sentinels *sentinels); /* name or address */
uint16_t sentinels_port(const struct sentinels *sentinels);
const char *sentinels_detail(const struct sentinels *sentinels);

#endif
