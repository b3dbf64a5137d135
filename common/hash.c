/* SPDX-License-Identifier: ISC */
/*
 * SipHash-1-3 of one text, as its authors describe it (the rounds are in sip.h), and what else
 * hashes need.
 */
#include "common/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "common/sip.h"

uint64_t hash64(const struct hash_key *key, struct slice bytes)
{
	struct sip sip = sip_start64(key);

	sip_first_part(&sip, bytes);
	return sip_end64(sip);
}

struct hash128 hash128(const struct hash_key *key, struct slice bytes)
{
	struct sip sip = sip_start128(key);

	sip_first_part(&sip, bytes);
	return sip_end128(sip);
}

/* A bijection of `word` for each `hash` (odd factors, xor-shifts): equal parts stay apart. */
uint64_t hash64_mix(uint64_t hash, uint64_t word)
{
	uint64_t mixed = (sip_rotate_left(hash, 29) ^ word) * UINT64_C(0x9e3779b97f4a7c15);

	mixed = (mixed ^ mixed >> 32) * UINT64_C(0xd6e8feb86659fd93);
	return mixed ^ mixed >> 32;
}

struct hash_key hash_key_random(void)
{
	struct hash_key key;
	ssize_t got;

	/* Up to 256 bytes are never cut short once the pool is ready. */
	do
		got = getrandom(&key, sizeof(key), 0);
	while (got < 0 && errno == EINTR);
	if (got != (ssize_t)sizeof(key))
		abort();
	return key;
}
