/* SPDX-License-Identifier: ISC */
/*
 * A ring of parts by their number; what has left the window is passed over when it is summed up,
 * and cleared when its place is needed.
 */
#include "daemon/bans/traffic.h"

#include <string.h>

static uint64_t part_number(uint64_t mono_ms)
{
	return mono_ms / (TRAFFIC_WINDOW_MS / TRAFFIC_PARTS);
}

void traffic_add(struct traffic *traffic, uint64_t mono_ms)
{
	uint64_t part = part_number(mono_ms);

	if (part >= traffic->newest + TRAFFIC_PARTS) {
		memset(traffic->part, 0, sizeof(traffic->part));
		traffic->newest = part;
	}
	while (traffic->newest < part)
		traffic->part[++traffic->newest % TRAFFIC_PARTS] = 0;
	traffic->part[part % TRAFFIC_PARTS]++;
}

uint64_t traffic_sum(const struct traffic *traffic, uint64_t mono_ms)
{
	uint64_t part = part_number(mono_ms), sum = 0;

	for (uint64_t i = 0; i < TRAFFIC_PARTS && i <= traffic->newest; i++)
		if (traffic->newest - i + TRAFFIC_PARTS > part)
			sum += traffic->part[(traffic->newest - i) % TRAFFIC_PARTS];
	return sum;
}
