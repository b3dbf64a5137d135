/* SPDX-License-Identifier: ISC */
/*
 * A struct bans under a configuration given as text, on a clock that the test moves, and what it told.
 * There is one at a time (Criterion runs each test in a process of its own).
 */
#ifndef REEVE_TESTS_UNIT_BANS_SUPPORT_H
#define REEVE_TESTS_UNIT_BANS_SUPPORT_H

#include "daemon/bans/bans.h"

#define SECOND_MS UINT64_C(1000)
#define HOUR_MS (3600 * SECOND_MS)
#define DAY_MS (24 * HOUR_MS)
#define MAX_EVENTS 512
#define WALL_MS UINT64_C(1700000000000)

#define ENFORCE "bans: { mode: enforce, ban_at: 4/1h, max_per_minute: 1000 }\n"

struct event {
	enum bans_event_kind kind;
	struct ban ban;
	char login[64];
	uint64_t count;
	char why[32];
};

struct fixture {
	struct bans_sink sink;
	struct bans *bans;
	struct clock_now now;
	struct event events[MAX_EVENTS];
	size_t count;
};

extern struct fixture f;

/* `text` NULL: not configured. */
void start(const char *text);
void stop(void);
void configure(const char *text);
/* Moves both clocks, and ticks. */
void wait_ms(uint64_t ms);

struct ip address(const char *text);
struct cidr network(const char *text);
/* Strikes with the reason "ehlo-names". */
void strike(const char *text, unsigned times);
const struct ban *find(const char *text);
bool is_banned(const char *text);
/* By "me", because of "x". */
enum bans_add by_hand(const char *text, uint64_t until_wall_ms);

/* The last event, which must be of this kind. */
const struct event *last(enum bans_event_kind kind);
unsigned how_many(enum bans_event_kind kind);

#endif
