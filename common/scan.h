/* SPDX-License-Identifier: ISC */
/*
 * Where the line ends are in 64 bytes at a time, as a word of bits. x86-64 has instructions for that
 * (SSE2 is part of it); what is written for all machines gives the same bits.
 */
#ifndef REEVE_COMMON_SCAN_H
#define REEVE_COMMON_SCAN_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define SCAN_BYTES 64

struct scan {
	uint64_t line_ends;      /* bit i: byte i is LF */
	bool has_nul;
};

/* The high bit of each byte of `word` that is 0, and of no other. */
static inline uint64_t scan_zero_bytes(uint64_t word)
{
	const uint64_t low7 = UINT64_C(0x7f7f7f7f7f7f7f7f);

	return ~(((word & low7) + low7) | word | low7);
}

static inline struct scan scan64_anywhere(const char *data)
{
	struct scan scan = {0, false};

	for (unsigned i = 0; i < SCAN_BYTES; i += 8) {
		uint64_t word, ends;

		memcpy(&word, data + i, sizeof(word));
		word = le64toh(word);
		scan.has_nul |= scan_zero_bytes(word) != 0;
		ends = scan_zero_bytes(word ^ UINT64_C(0x0a0a0a0a0a0a0a0a)) >> 7;
		/* Bits 0, 8, ... 56 come together in the highest byte. */
		scan.line_ends |= (ends * UINT64_C(0x0102040810204080) >> 56) << i;
	}
	return scan;
}

#ifdef __SSE2__

static inline __m128i scan_load(const char *data)
{
	return _mm_loadu_si128((const __m128i *)(const void *)data);
}

static inline uint64_t scan_equal(__m128i a, __m128i b)
{
	return (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(a, b));
}

static inline struct scan scan64(const char *data)
{
	const __m128i lf = _mm_set1_epi8('\n'), zero = _mm_setzero_si128();
	__m128i a = scan_load(data), b = scan_load(data + 16);
	__m128i c = scan_load(data + 32), d = scan_load(data + 48);
	__m128i least = _mm_min_epu8(_mm_min_epu8(a, b), _mm_min_epu8(c, d));

	return (struct scan){
		.line_ends = scan_equal(a, lf) | scan_equal(b, lf) << 16 |
			     scan_equal(c, lf) << 32 | scan_equal(d, lf) << 48,
		.has_nul = scan_equal(least, zero) != 0,
	};
}

#else

static inline struct scan scan64(const char *data)
{
	return scan64_anywhere(data);
}

#endif
#endif
