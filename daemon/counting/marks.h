/* SPDX-License-Identifier: ISC */
/*
 * A bit for each slot of a table: what changed since it was last written out. The table holds the
 * words.
 */
#ifndef REEVE_DAEMON_COUNTING_MARKS_H
#define REEVE_DAEMON_COUNTING_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MARKS_NONE UINT32_MAX

static inline size_t marks_bytes(size_t slots)
{
	return (slots / 64 + 1) * sizeof(uint64_t);
}

static inline void marks_set(uint64_t *words, uint32_t slot)
{
	words[slot / 64] |= UINT64_C(1) << slot % 64;
}

static inline void marks_clear(uint64_t *words, uint32_t slot)
{
	words[slot / 64] &= ~(UINT64_C(1) << slot % 64);
}

static inline bool marks_has(const uint64_t *words, uint32_t slot)
{
	return words[slot / 64] >> slot % 64 & 1;
}

/* The next marked slot from `from` on and below `slots`; MARKS_NONE: no more. */
static inline uint32_t marks_next(const uint64_t *words, uint32_t from, uint32_t slots)
{
	uint64_t bits;

	if (from >= slots)
		return MARKS_NONE;
	bits = words[from / 64] & UINT64_MAX << from % 64;
	for (uint32_t word = from / 64; !bits;) {
		if (++word > (slots - 1) / 64)
			return MARKS_NONE;
		bits = words[word];
		from = word * 64;
	}
	from = from / 64 * 64 + (uint32_t)__builtin_ctzll(bits);
	return from < slots ? from : MARKS_NONE;
}

#endif
