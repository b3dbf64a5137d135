/* SPDX-License-Identifier: ISC */
/*
 * A shared list in three files: shared.c what is asked of it, shared_push.c what goes to Redis,
 * shared_pull.c what is read from there.
 */
#ifndef REEVE_DAEMON_STORE_REDIS_SHARED_PARTS_H
#define REEVE_DAEMON_STORE_REDIS_SHARED_PARTS_H

#include "daemon/store/redis/members.h"
#include "daemon/store/redis/shared.h"

#define SHARED_PAGE 250
#define SHARED_PUSHES_OUT 64
#define SHARED_RETRY_MS 1000
#define SHARED_KEYS 5
#define SHARED_EPOCH_BYTES 24
#define SHARED_MAX_MS ((uint64_t)1 << 53) /* a time beyond it is none */

struct push {
	struct redis_call call;
	struct shared *shared;
	struct member *member;   /* NULL: not in use */
	enum member_state state; /* what was sent */
};

struct shared {
	struct shared_options options;
	struct redis_port *port;
	struct redis_runner *runner;
	struct members members;
	struct clock_now now;
	struct buf keys[SHARED_KEYS];
	struct buf channel, out;
	int64_t offset_ms;
	bool has_offset;
	bool up, channel_up;
	/* what goes out */
	struct list unsent;
	size_t unsent_count; /* those that are out included */
	struct push pushes[SHARED_PUSHES_OUT];
	uint64_t retry_mono_ms;
	/* what comes in */
	struct redis_call pull;
	bool pulling, want_new, want_all;
	bool in_pass; /* a whole reading is under way */
	bool lossy;   /* what is missing was lost, not dropped */
	uint32_t pass;
	uint64_t cursor, version;
	char epoch[SHARED_EPOCH_BYTES];
	uint64_t pass_mono_ms, poll_mono_ms; /* when the next is due */
	uint64_t down_mono_ms;
	struct shared_health health;
};

/* ---- shared.c */
/* The keys of the list, and the number of arguments that follow. */
void shared_begin(struct shared *shared, enum script script, size_t arguments);
void shared_add_time(struct shared *shared);
void shared_note_time(struct shared *shared, const struct redis_reply *time);
/* Redis is to be told of it. */
void shared_queue(struct shared *shared, struct member *member, enum member_state state);
/* Our clock for a time of Redis'; 0 for one that was before our clock began. */
uint64_t shared_wall_ms(const struct shared *shared, uint64_t store_ms);
bool shared_is_over(const struct shared *shared, uint64_t until_ms);
void shared_drop(struct shared *shared, struct member *member);

/* ---- shared_pull.c */
void shared_pull(struct shared *shared);
/* "made sticky until facts" of a member; an empty one is a removal. */
void shared_apply(struct shared *shared, uint64_t version, struct slice name, struct slice value);

#endif
