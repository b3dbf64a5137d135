/* SPDX-License-Identifier: ISC */
/*
 * A list that all nodes share: bans, or live limits. Every node holds all of it in memory, and
 * hears of changes within moments: a change has a number, a hint on the channel tells the newest
 * one, and what is newer than what was seen is read in pages. A new connection, a number that
 * went back, and each minute: the whole list is read again, page by page, and what is no longer
 * there goes.
 *
 * A change made here holds here at once; it is sent as soon as Redis is there, and until Redis
 * has taken it nothing that is read undoes it. What Redis lost (a flush, a fail-over) is put
 * there again by every node that has it.
 *
 * Members and facts are printable ASCII without TAB (members: without blanks, too). Times are
 * this node's wall clock outside and Redis' clock inside.
 */
#ifndef REEVE_DAEMON_STORE_REDIS_SHARED_H
#define REEVE_DAEMON_STORE_REDIS_SHARED_H

#include "common/clock.h"
#include "common/hash.h"
#include "daemon/store/redis/link.h"
#include "daemon/store/redis/runner.h"

#define SHARED_MEMBER_BYTES 511
#define SHARED_FACTS_BYTES 1024

struct shared;

/* What others changed. Called from shared_run() and from the link's callbacks, where nothing else
 * of the list may be called but shared_offset_ms(). */
struct shared_events {
	/* Came, or changed. false: absurd; counted and told once a pass. */
	bool (*put)(void *arg, struct slice member, struct slice facts, uint64_t until_wall_ms,
		bool sticky);
	void (*gone)(void *arg, struct slice member);
};

struct shared_options {
	struct slice prefix; /* outlives the list */
	char word;           /* 'b', 'o': the list's name in keys and hints */
	uint64_t timeout_ms;
	size_t max_members;
	uint64_t keep_ms; /* so long after its end a member is kept */
	struct hash_key hash_key;
	bool given_time; /* tests: the times handed in count, not Redis' own */
	const struct shared_events *events;
	void *arg;
};

struct shared *shared_new(const struct shared_options *options, struct redis_port *port,
	struct redis_runner *runner) __attribute__((returns_nonnull, warn_unused_result));
/* No call may be out. */
void shared_free(struct shared **shared);
/* After a reload; and all members are offered again, since others may be wanted now. */
void shared_configure(struct shared *shared, size_t max_members, uint64_t keep_ms);

/* Made here. `until_wall_ms` UINT64_MAX: for ever. Sticky: made by a person; never put out for
 * want of room, and the latest counts; of others the one that ends last. */
void shared_put(struct shared *shared, struct slice member, struct slice facts,
	uint64_t until_wall_ms, bool sticky, struct clock_now now);
void shared_remove(struct shared *shared, struct slice member, struct clock_now now);

/* All that is on the list, as far as it is known here; `put` as in struct shared_events. */
void shared_each(struct shared *shared,
	bool (*put)(void *arg, struct slice member, struct slice facts, uint64_t until_wall_ms,
		bool sticky),
	void *arg);

void shared_up(struct shared *shared, struct clock_now now);
void shared_down(struct shared *shared, struct clock_now now);
/* The channel works, or not: then it is asked once a second. */
void shared_channel(struct shared *shared, bool up);
/* A payload of the channel; one of another list is passed over. */
void shared_hint(struct shared *shared, struct slice payload);
/* Each turn. */
void shared_run(struct shared *shared, struct clock_now now);
/* At the end of a turn, before redis_link_flush(): sends what was changed in it. */
void shared_flush(struct shared *shared);
uint64_t shared_next(const struct shared *shared); /* mono_ms; 0: nothing */

/* Redis' wall clock minus ours, as last seen. */
int64_t shared_offset_ms(const struct shared *shared);

struct shared_health {
	size_t members;   /* those to be removed included */
	size_t unsent;    /* changes made here that Redis has not taken */
	uint64_t version; /* the newest change seen */
	bool complete;    /* everything was read since the connection came up */
	uint64_t pages, passes, bad, refused, lost;
	uint64_t passed_mono_ms; /* end of the last pass */
};
void shared_health(const struct shared *shared, struct shared_health *ret);

#endif
