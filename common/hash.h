/* SPDX-License-Identifier: ISC */
/*
 * SipHash with 1 compression and 3 finalisation rounds (Aumasson, Bernstein:
 * "SipHash: a fast short-input PRF"), keyed: strangers choose what is put into our
 * tables. hash128 is the 128-bit variant, for identities that are kept
 * instead of the bytes themselves.
 */
#ifndef REEVE_COMMON_HASH_H
#define REEVE_COMMON_HASH_H

#include <stdint.h>

#include "common/slice.h"

struct hash_key {
	uint64_t k0, k1;
};

struct hash128 {
	uint64_t lo, hi;
};

uint64_t hash64(const struct hash_key *key, struct slice bytes);
struct hash128 hash128(const struct hash_key *key, struct slice bytes);
/* Mixes a further word into a hash: cheap, for keys made of several parts. */
uint64_t hash64_mix(uint64_t hash, uint64_t word);

/* From getrandom(2); aborts if the kernel has none. */
struct hash_key hash_key_random(void);

static inline bool hash128_equal(struct hash128 a, struct hash128 b)
{
	return a.lo == b.lo && a.hi == b.hi;
}

static inline bool hash128_is_zero(struct hash128 a)
{
	return a.lo == 0 && a.hi == 0;
}

#endif
