/* SPDX-License-Identifier: ISC */
/*
 * Two times, always handed in together: `mono_ms` never steps and drives
 * deadlines and ages; `wall_ms` (Unix epoch) drives what must survive a
 * restart or be shown (buckets, bans). Taken once a loop turn by the loop,
 * or set by a test.
 */
#ifndef REEVE_COMMON_CLOCK_H
#define REEVE_COMMON_CLOCK_H

#include <stdint.h>

struct clock_now {
	uint64_t mono_ms;
	uint64_t wall_ms;
};

#endif
