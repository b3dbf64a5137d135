/* SPDX-License-Identifier: ISC */
/*
 * How many connections there were in the last hour, from everybody. Counted in 30 parts, like
 * strikes. Pure: monotonic time comes in.
 */
#ifndef REEVE_DAEMON_BANS_TRAFFIC_H
#define REEVE_DAEMON_BANS_TRAFFIC_H

#include <stdint.h>

#define TRAFFIC_WINDOW_MS UINT64_C(3600000)
#define TRAFFIC_PARTS 30

/* Zeroed before first use. */
struct traffic {
	uint64_t newest, part[TRAFFIC_PARTS];
};

void traffic_add(struct traffic *traffic, uint64_t mono_ms);
uint64_t traffic_sum(const struct traffic *traffic, uint64_t mono_ms);

#endif
