/* SPDX-License-Identifier: ISC */
/*
 * SipHash-1-3 as its authors describe it: eight bytes at a time, one round
 * each, then the length and the rest, then three rounds. Reads are by memcpy,
 * so any alignment and any byte order will do.
 */
#include "common/hash.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

struct sip {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate_left(uint64_t word, unsigned bits)
{
	return word << bits | word >> (64 - bits);
}

static inline void sip_round(struct sip *sip)
{
	sip->v0 += sip->v1;
	sip->v1 = rotate_left(sip->v1, 13) ^ sip->v0;
	sip->v0 = rotate_left(sip->v0, 32);
	sip->v2 += sip->v3;
	sip->v3 = rotate_left(sip->v3, 16) ^ sip->v2;
	sip->v0 += sip->v3;
	sip->v3 = rotate_left(sip->v3, 21) ^ sip->v0;
	sip->v2 += sip->v1;
	sip->v1 = rotate_left(sip->v1, 17) ^ sip->v2;
	sip->v2 = rotate_left(sip->v2, 32);
}

static inline struct sip sip_start(const struct hash_key *key)
{
	return (struct sip){
		key->k0 ^ UINT64_C(0x736f6d6570736575),
		key->k1 ^ UINT64_C(0x646f72616e646f6d),
		key->k0 ^ UINT64_C(0x6c7967656e657261),
		key->k1 ^ UINT64_C(0x7465646279746573),
	};
}

static inline uint64_t load64(const char *data)
{
	uint64_t word;

	memcpy(&word, data, sizeof(word));
	return le64toh(word);
}

/* The last 0 to 7 bytes, low ones first. */
static inline uint64_t load_rest(const char *data, size_t len)
{
	uint64_t word = 0;

	while (len--)
		word = word << 8 | (uint8_t)data[len];
	return word;
}

static inline void sip_word(struct sip *sip, uint64_t word)
{
	sip->v3 ^= word;
	sip_round(sip);
	sip->v0 ^= word;
}

static inline void sip_bytes(struct sip *sip, struct slice bytes)
{
	size_t whole = bytes.len & ~(size_t)7;

	for (size_t i = 0; i < whole; i += 8)
		sip_word(sip, load64(bytes.data + i));
	sip_word(sip, (uint64_t)bytes.len << 56 |
			      (bytes.len & 7 ? load_rest(bytes.data + whole, bytes.len & 7) : 0));
}

static inline uint64_t sip_finish(struct sip *sip)
{
	sip_round(sip);
	sip_round(sip);
	sip_round(sip);
	return sip->v0 ^ sip->v1 ^ sip->v2 ^ sip->v3;
}

uint64_t hash64(const struct hash_key *key, struct slice bytes)
{
	struct sip sip = sip_start(key);

	sip_bytes(&sip, bytes);
	sip.v2 ^= 0xff;
	return sip_finish(&sip);
}

struct hash128 hash128(const struct hash_key *key, struct slice bytes)
{
	struct sip sip = sip_start(key);
	struct hash128 result;

	sip.v1 ^= 0xee;
	sip_bytes(&sip, bytes);
	sip.v2 ^= 0xee;
	result.lo = sip_finish(&sip);
	sip.v1 ^= 0xdd;
	result.hi = sip_finish(&sip);
	return result;
}

/* A bijection of `word` for each `hash` (odd factors, xor-shifts): equal parts stay apart. */
uint64_t hash64_mix(uint64_t hash, uint64_t word)
{
	uint64_t mixed = (rotate_left(hash, 29) ^ word) * UINT64_C(0x9e3779b97f4a7c15);

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
