/* SPDX-License-Identifier: ISC */
/*
 * The storm brake: more than so many automatic bans a minute are more likely a mistake of ours (a
 * broken rule, a proxy in front) than so many spammers. Then none is made until a minute has
 * passed in which there would not have been more. Pure: monotonic time comes in.
 */
#ifndef REEVE_DAEMON_BANS_BRAKE_H
#define REEVE_DAEMON_BANS_BRAKE_H

#include "common/clock.h"
#include "common/ip.h"

#define BRAKE_MINUTE_MS UINT64_C(60000)
/* So many of the last networks are told apart; one banned before them counts again. */
#define BRAKE_LOOK_BACK 4096

struct brake {
	/* private */
	struct brake_mark *marks;       /* a ring: the oldest first */
	size_t start, count, room;
	uint64_t over_mono_ms;          /* when there was one too many for the last time */
	uint64_t refused;               /* bans that the present storm stopped */
	bool in_storm;
};

void brake_init(struct brake *brake);
void brake_release(struct brake *brake);

enum brake_answer { BRAKE_GO, BRAKE_STORM_BEGINS, BRAKE_STORM };

/* Asked before each ban. A /48 of IPv6, or an IPv4 address, counts once a minute. */
enum brake_answer brake_ask(struct brake *brake, const struct ip *ip, uint64_t max_per_minute,
			    uint64_t mono_ms) __attribute__((warn_unused_result));
/* Another node banned it: that counts here, too. */
void brake_note(struct brake *brake, const struct ip *ip, uint64_t mono_ms);
/* true: the storm has just ended; `ret_refused` is the number of bans it stopped. */
bool brake_tick(struct brake *brake, uint64_t mono_ms, uint64_t *ret_refused);

static inline bool brake_in_storm(const struct brake *brake)
{
	return brake->in_storm;
}

#endif
