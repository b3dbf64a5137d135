/* SPDX-License-Identifier: ISC */
/*
 * The packed form of a window. Packing walks the bits of the live buckets, so a counter with
 * three of them costs three steps.
 */
#include "daemon/counting/pack.h"

#define RING_MASK ((UINT64_C(1) << WINDOW_BUCKETS) - 1)
#define NIBBLE 15

/* Bit 60 - age, whatever the slot: the newest bucket is the highest bit. */
static uint64_t bits_by_age(const struct window *window)
{
	unsigned newest = (unsigned)(window->newest % WINDOW_BUCKETS);
	unsigned turn = (newest + 1) % WINDOW_BUCKETS;

	return (window->live >> turn | window->live << (WINDOW_BUCKETS - turn)) & RING_MASK;
}

static uint8_t *put_varint(uint8_t *at, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		*at++ = (uint8_t)(value | 0x80);
	*at++ = (uint8_t)value;
	return at;
}

size_t pack_window(const struct window *window, uint8_t bytes[static PACK_MAX_BYTES])
{
	unsigned newest = (unsigned)(window->newest % WINDOW_BUCKETS);
	uint64_t bits = bits_by_age(window);
	uint8_t *at = bytes;
	unsigned last = WINDOW_BUCKETS;

	while (bits) {
		unsigned bit = 63 - (unsigned)__builtin_clzll(bits);
		unsigned slot = newest + 1 + bit;
		unsigned distance = last - bit;
		uint64_t count;

		count = window->count[slot >= WINDOW_BUCKETS ? slot - WINDOW_BUCKETS : slot];
		*at++ = (uint8_t)((distance <= NIBBLE ? distance << 4 : 0) |
				  (count <= NIBBLE ? (unsigned)count : 0));
		if (distance > NIBBLE)
			*at++ = (uint8_t)distance;
		if (count > NIBBLE)
			at = put_varint(at, count);
		bits ^= UINT64_C(1) << bit;
		last = bit;
	}
	return (size_t)(at - bytes);
}

void pack_unpack(struct window *window, const uint8_t *bytes, size_t len)
{
	const uint8_t *end = bytes + len;
	unsigned slot = (unsigned)(window->newest % WINDOW_BUCKETS) + 1;
	uint64_t live = 0, total = 0;

	while (bytes < end) {
		uint8_t token = *bytes++;
		unsigned distance = token >> 4 ? token >> 4 : *bytes++;
		uint64_t count = token & NIBBLE;

		for (unsigned shift = 0; !(token & NIBBLE); shift += 7) {
			count |= (uint64_t)(*bytes & 0x7f) << shift;
			if (!(*bytes++ & 0x80))
				break;
		}
		slot = slot >= distance ? slot - distance : slot + WINDOW_BUCKETS - distance;
		window->count[slot] = count;
		live |= UINT64_C(1) << slot;
		total += count;
	}
	window->live = live;
	window->total = total;
}

/* One token: steps `*bytes` over it. */
static bool read_token(
	const uint8_t **bytes, const uint8_t *end, unsigned *ret_distance, uint64_t *ret_count)
{
	uint8_t token = *(*bytes)++;
	uint64_t count = token & NIBBLE;
	unsigned distance = token >> 4;

	if (!distance) {
		if (*bytes == end || **bytes <= NIBBLE)
			return false;
		distance = *(*bytes)++;
	}
	if (!count) {
		unsigned shift = 0;
		uint8_t byte;

		do {
			if (*bytes == end || shift > 63)
				return false;
			byte = *(*bytes)++;
			if (shift == 63 && byte > 1)
				return false;
			count |= (uint64_t)(byte & 0x7f) << shift;
			shift += 7;
		} while (byte & 0x80);
		if (count <= NIBBLE || !byte)
			return false;
	}
	*ret_distance = distance;
	*ret_count = count;
	return true;
}

bool pack_is_valid(const uint8_t *bytes, size_t len)
{
	const uint8_t *end = bytes + len;
	unsigned place = 0, distance;
	uint64_t total = 0, count;

	while (bytes < end) {
		if (!read_token(&bytes, end, &distance, &count))
			return false;
		place += distance;
		if (place > WINDOW_BUCKETS || count > UINT64_MAX - total)
			return false;
		total += count;
	}
	return true;
}
