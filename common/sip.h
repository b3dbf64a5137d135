/* SPDX-License-Identifier: ISC */
/*
 * SipHash-1-3 (see hash.h) as a state that parts are added to, inline: for several hashes whose texts
 * begin alike. The state is a value; a copy of it goes on by itself. sip_end64() and sip_end128() of a state
 * with one part is hash64() and hash128() of it.
 *
 * Each further part is marked in v2, where no byte of a text gets to: whatever the texts hold, two different
 * lists of parts are two different inputs.
 */
#ifndef REEVE_COMMON_SIP_H
#define REEVE_COMMON_SIP_H

#include <endian.h>

#include "common/hash.h"

/* Kept in registers only if all of it is inline. */
#define SIP_INLINE static inline __attribute__((always_inline))

struct sip {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t sip_rotate_left(uint64_t word, unsigned bits)
{
	return word << bits | word >> (64 - bits);
}

SIP_INLINE void sip_round(struct sip *sip)
{
	sip->v0 += sip->v1;
	sip->v1 = sip_rotate_left(sip->v1, 13) ^ sip->v0;
	sip->v0 = sip_rotate_left(sip->v0, 32);
	sip->v2 += sip->v3;
	sip->v3 = sip_rotate_left(sip->v3, 16) ^ sip->v2;
	sip->v0 += sip->v3;
	sip->v3 = sip_rotate_left(sip->v3, 21) ^ sip->v0;
	sip->v2 += sip->v1;
	sip->v1 = sip_rotate_left(sip->v1, 17) ^ sip->v2;
	sip->v2 = sip_rotate_left(sip->v2, 32);
}

/* For an end of 64 bits; sip_start128() for one of 128. */
static inline struct sip sip_start64(const struct hash_key *key)
{
	return (struct sip){
		key->k0 ^ UINT64_C(0x736f6d6570736575),
		key->k1 ^ UINT64_C(0x646f72616e646f6d),
		key->k0 ^ UINT64_C(0x6c7967656e657261),
		key->k1 ^ UINT64_C(0x7465646279746573),
	};
}

static inline struct sip sip_start128(const struct hash_key *key)
{
	struct sip sip = sip_start64(key);

	sip.v1 ^= 0xee;
	return sip;
}

SIP_INLINE void sip_word(struct sip *sip, uint64_t word)
{
	sip->v3 ^= word;
	sip_round(sip);
	sip->v0 ^= word;
}

static inline uint64_t sip_load64(const char *data)
{
	uint64_t word;

	memcpy(&word, data, sizeof(word));
	return le64toh(word);
}

static inline uint64_t sip_load32(const char *data)
{
	uint32_t word;

	memcpy(&word, data, sizeof(word));
	return le32toh(word);
}

/* The last `rest` bytes (0 to 7) of `len` at `data`, low ones first. Where there are eight, they come with one read. */
SIP_INLINE uint64_t sip_load_rest(const char *data, size_t len, size_t rest)
{
	const char *end;

	if (rest == 0)
		return 0;
	if (len >= 8)
		return sip_load64(data + len - 8) >> (64 - 8 * rest);
	end = data + len - rest;
	if (rest >= 4)
		return sip_load32(end) | sip_load32(end + rest - 4) << (8 * rest - 32);
	return (uint64_t)(uint8_t)end[0] | (uint64_t)(uint8_t)end[rest / 2] << (rest / 2 * 8) |
	       (uint64_t)(uint8_t)end[rest - 1] << (8 * rest - 8);
}

SIP_INLINE void sip_first_part(struct sip *sip, struct slice part)
{
	size_t whole = part.len & ~(size_t)7;

	for (size_t i = 0; i < whole; i += 8)
		sip_word(sip, sip_load64(part.data + i));
	sip_word(sip, (uint64_t)part.len << 56 | sip_load_rest(part.data, part.len, part.len & 7));
}

SIP_INLINE void sip_next_part(struct sip *sip, struct slice part)
{
	sip->v2 ^= 0xaa;
	sip_first_part(sip, part);
}

static inline void sip_next_number(struct sip *sip, uint64_t number)
{
	sip->v2 ^= 0xbb;
	sip_word(sip, number);
}

static inline uint64_t sip_finish(struct sip *sip)
{
	sip_round(sip);
	sip_round(sip);
	sip_round(sip);
	return sip->v0 ^ sip->v1 ^ sip->v2 ^ sip->v3;
}

static inline uint64_t sip_end64(struct sip sip)
{
	sip.v2 ^= 0xff;
	return sip_finish(&sip);
}

static inline struct hash128 sip_end128(struct sip sip)
{
	struct hash128 result;

	sip.v2 ^= 0xee;
	result.lo = sip_finish(&sip);
	sip.v1 ^= 0xdd;
	result.hi = sip_finish(&sip);
	return result;
}

#endif
