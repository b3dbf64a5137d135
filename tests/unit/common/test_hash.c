/* SPDX-License-Identifier: ISC */
/*
 * SipHash-1-3 against the paper's algorithm written down once more, byte by byte, which itself is
 * held against the paper's own example (for 2-4).
 */
#include "common/hash.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "common/sip.h"

/* SipHash-c-d from the paper, byte by byte. */
struct reference {
	uint64_t v[4];
};

static uint64_t turn(uint64_t x, int by)
{
	return (x << by) | (x >> (64 - by));
}

static void rounds(struct reference *r, int count)
{
	uint64_t *v = r->v;

	while (count--) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = turn(v[1], 13);
		v[3] = turn(v[3], 16);
		v[1] ^= v[0];
		v[3] ^= v[2];
		v[0] = turn(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = turn(v[1], 17);
		v[3] = turn(v[3], 21);
		v[1] ^= v[2];
		v[3] ^= v[0];
		v[2] = turn(v[2], 32);
	}
}

static void reference(uint64_t k0, uint64_t k1, const unsigned char *in, size_t len, int c, int d,
	int wide, uint64_t out[2])
{
	struct reference r = {{k0 ^ 0x736f6d6570736575ULL, k1 ^ 0x646f72616e646f6dULL,
		k0 ^ 0x6c7967656e657261ULL, k1 ^ 0x7465646279746573ULL}};
	size_t padded = len / 8 * 8 + 8;

	if (wide)
		r.v[1] ^= 0xee;
	for (size_t i = 0; i < padded; i += 8) {
		uint64_t m = 0;

		for (size_t j = 0; j < 8; j++) {
			uint64_t byte = i + j < len           ? in[i + j]
					: i + j == padded - 1 ? len & 0xff
							      : 0;

			m |= byte << (8 * j);
		}
		r.v[3] ^= m;
		rounds(&r, c);
		r.v[0] ^= m;
	}
	r.v[2] ^= wide ? 0xee : 0xff;
	rounds(&r, d);
	out[0] = r.v[0] ^ r.v[1] ^ r.v[2] ^ r.v[3];
	r.v[1] ^= 0xdd;
	rounds(&r, d);
	out[1] = r.v[0] ^ r.v[1] ^ r.v[2] ^ r.v[3];
}

static const struct hash_key paper_key = {0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL};

/* The example at the end of the paper is for 2-4: it shows that the reference is right. */
Test(hash, reference_gives_the_papers_value)
{
	unsigned char in[15];
	uint64_t out[2];

	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (unsigned char)i;
	reference(paper_key.k0, paper_key.k1, in, sizeof(in), 2, 4, 0, out);
	cr_assert_eq(out[0], 0xa129ca6149be45e5ULL);
}

Test(hash, agrees_with_the_reference_at_each_length_and_alignment)
{
	char memory[160];

	for (size_t i = 0; i < sizeof(memory); i++)
		memory[i] = (char)(i * 37 + 11);
	for (size_t len = 0; len < 140; len++) {
		for (size_t shift = 0; shift < 8; shift++) {
			const char *in = memory + shift;
			struct hash128 wide = hash128(&paper_key, slice_make(in, len));
			uint64_t out[2];

			reference(paper_key.k0, paper_key.k1, (const unsigned char *)in, len, 1, 3,
				0, out);
			cr_assert_eq(hash64(&paper_key, slice_make(in, len)), out[0]);
			reference(paper_key.k0, paper_key.k1, (const unsigned char *)in, len, 1, 3,
				1, out);
			cr_assert(hash128_equal(wide, (struct hash128){out[0], out[1]}));
		}
	}
}

Test(hash, empty_slices_are_one_value)
{
	uint64_t hash = hash64(&paper_key, SLICE_EMPTY);

	cr_assert_eq(hash, hash64(&paper_key, slice_make("x", 0)));
	cr_assert_eq(hash, hash64(&paper_key, slice_make(NULL, 0)));
	cr_assert(hash128_equal(
		hash128(&paper_key, SLICE_EMPTY), hash128(&paper_key, slice_make(NULL, 0))));
}

static int ascending(const void *left, const void *right)
{
	uint64_t a, b;

	memcpy(&a, left, sizeof(a));
	memcpy(&b, right, sizeof(b));
	return a < b ? -1 : a > b;
}

/* sip.h: one part is what hash64() and hash128() say; more of them are told apart however they are cut. */
Test(hash, parts)
{
	struct slice ab = SLICE("ab"), c = SLICE("c"), a = SLICE("a"), bc = SLICE("bc");
	struct sip one = sip_start128(&paper_key), other = one, wide = one;
	struct sip narrow = sip_start64(&paper_key);

	sip_first_part(&narrow, ab);
	cr_assert_eq(sip_end64(narrow), hash64(&paper_key, ab));
	sip_first_part(&one, ab);
	sip_first_part(&other, a);
	cr_assert(hash128_equal(sip_end128(one), hash128(&paper_key, ab)));
	wide = one;
	sip_next_number(&wide, 7);
	sip_next_part(&one, c);
	sip_next_part(&other, bc);
	cr_assert_neq(sip_end64(one), sip_end64(other));
	cr_assert_not(hash128_equal(sip_end128(one), sip_end128(other)));
	cr_assert_not(hash128_equal(sip_end128(one), sip_end128(wide)));
}

Test(hash, mix_keeps_parts_apart)
{
	enum { HASHES = 64, WORDS = 64 };
	static uint64_t mixed[HASHES * WORDS];

	for (uint64_t hash = 0; hash < HASHES; hash++)
		for (uint64_t word = 0; word < WORDS; word++)
			mixed[hash * WORDS + word] = hash64_mix(hash, word);
	qsort(mixed, HASHES * WORDS, sizeof(mixed[0]), ascending);
	for (size_t i = 1; i < HASHES * WORDS; i++)
		cr_assert_neq(mixed[i - 1], mixed[i]);
	cr_assert_neq(hash64_mix(hash64_mix(1, 2), 3), hash64_mix(hash64_mix(1, 3), 2));
}

Test(hash, keys_are_drawn)
{
	struct hash_key a = hash_key_random(), b = hash_key_random();

	cr_assert(a.k0 != b.k0 || a.k1 != b.k1);
	cr_assert_not(hash128_is_zero(hash128(&a, SLICE("x"))));
	cr_assert(hash128_is_zero((struct hash128){0, 0}));
}
