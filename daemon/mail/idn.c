/* SPDX-License-Identifier: ISC */
/*
 * Names in ASCII are put in lower case eight bytes at a time (sixteen on x86-64) and go no
 * further; the rest goes to libidn2 and libunistring, whose results are copied into the arena
 * and freed at once. What is handed to them is capped before.
 */
#include "daemon/mail/idn.h"

#include <idn2.h>
#include <stdint.h>
#include <stdlib.h>
#include <unicase.h>
#include <unistr.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define LABEL_BYTES 63
#define NAME_BYTES 253
/* More UTF-8 than this cannot become a name of 253 bytes. */
#define U_NAME_BYTES 1024

#define ONES UINT64_C(0x0101010101010101)
#define HIGH_BITS (ONES * 0x80)

/* Sets the bit 0x20 in each of the eight bytes that is in A to Z: one add finds bytes from 'A' on,
 * the other those past 'Z', in bit 0x80. */
static inline uint64_t lower_word(uint64_t word)
{
	uint64_t low_bits = word & ~HIGH_BITS;
	uint64_t from_a = low_bits + ONES * (0x80 - 'A');
	uint64_t past_z = low_bits + ONES * (0x80 - 'Z' - 1);

	return word | ((from_a & ~past_z & ~word & HIGH_BITS) >> 2);
}

static inline uint64_t lower_at(const char *from, char *to)
{
	uint64_t word, lower;

	memcpy(&word, from, sizeof(word));
	lower = lower_word(word);
	memcpy(to, &lower, sizeof(lower));
	return word;
}

/* Fewer than sixteen bytes, or all of them. */
static bool lower_words(struct slice text, char *ret_copy)
{
	uint64_t seen = 0;
	size_t i = 0;

	for (; i + 8 <= text.len; i += 8)
		seen |= lower_at(text.data + i, ret_copy + i);
	/* The last word overlaps the one before it. */
	if (i < text.len && text.len >= 8) {
		seen |= lower_at(text.data + text.len - 8, ret_copy + text.len - 8);
		i = text.len;
	}
	for (; i < text.len; i++) {
		unsigned char byte = (unsigned char)text.data[i];

		seen |= byte;
		ret_copy[i] = (char)(byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte);
	}
	return (seen & HIGH_BITS) == 0;
}

#ifdef __SSE2__

/* lower_word() of sixteen bytes. Bytes from 0x80 on are negative: below 'A'. */
static inline __m128i lower_block(const char *from, char *to)
{
	__m128i block = _mm_loadu_si128((const __m128i *)(const void *)from);
	__m128i from_a = _mm_cmpgt_epi8(block, _mm_set1_epi8('A' - 1));
	__m128i to_z = _mm_cmplt_epi8(block, _mm_set1_epi8('Z' + 1));
	__m128i capital = _mm_and_si128(from_a, to_z);

	capital = _mm_and_si128(capital, _mm_set1_epi8(0x20));
	_mm_storeu_si128((__m128i *)(void *)to, _mm_or_si128(block, capital));
	return block;
}

bool idn_lower(struct slice text, char *ret_copy)
{
	size_t last = text.len - 16;
	__m128i seen;

	if (text.len < 16)
		return lower_words(text, ret_copy);
	seen = lower_block(text.data + last, ret_copy + last);
	for (size_t i = 0; i < last; i += 16)
		seen = _mm_or_si128(seen, lower_block(text.data + i, ret_copy + i));
	return _mm_movemask_epi8(seen) == 0;
}

#else

bool idn_lower(struct slice text, char *ret_copy)
{
	return lower_words(text, ret_copy);
}

#endif

bool idn_labels_fit(struct slice domain)
{
	struct slice label, rest = domain;

	if (domain.len > NAME_BYTES)
		return false;
	while (slice_split(rest, '.', &label, &rest)) {
		if (label.len == 0 || label.len > LABEL_BYTES)
			return false;
	}
	return rest.len > 0 && rest.len <= LABEL_BYTES;
}

static struct slice without_dot(struct slice domain)
{
	if (domain.len && domain.data[domain.len - 1] == '.')
		domain.len--;
	return domain;
}

/* UTS46 maps full-width forms to `@`, `%`, brackets and blanks: no host name has those. */
static bool is_host_name(struct slice domain)
{
	for (size_t i = 0; i < domain.len; i++) {
		char byte = domain.data[i];

		if (!(byte >= 'a' && byte <= 'z') && !(byte >= '0' && byte <= '9') &&
		    byte != '-' && byte != '_' && byte != '.')
			return false;
	}
	return idn_labels_fit(domain);
}

static bool convert(struct slice domain, struct arena *arena, struct slice *ret_domain)
{
	uint8_t text[U_NAME_BYTES + 1];
	uint8_t *converted = NULL;
	struct slice name;
	bool good;

	memcpy(text, domain.data, domain.len);
	text[domain.len] = 0;
	if (memchr(text, 0, domain.len) || u8_check(text, domain.len) ||
	    idn2_lookup_u8(text, &converted, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
		return false;
	/* Again: an ideographic full stop at the end has become a dot. */
	name = without_dot(slice_of((const char *)converted));
	good = is_host_name(name);
	if (good)
		*ret_domain = arena_dup(arena, name);
	idn2_free(converted);
	return good;
}

bool idn_domain(struct slice domain, struct arena *arena, struct slice *ret_domain)
{
	struct slice name = without_dot(domain);
	char *copy;

	if (name.len == 0 || name.len > U_NAME_BYTES)
		return false;
	copy = arena_alloc(arena, name.len);
	if (!idn_lower(name, copy))
		return convert(name, arena, ret_domain);
	name.data = copy;
	if (!idn_labels_fit(name))
		return false;
	*ret_domain = name;
	return true;
}

struct slice idn_fold(struct slice text, struct arena *arena)
{
	char *copy = arena_alloc(arena, text.len);
	struct slice folded = { copy, text.len };
	uint8_t *result;
	size_t result_len = 0;

	if (idn_lower(text, copy) || text.len > IDN_FOLD_BYTES ||
	    u8_check((const uint8_t *)copy, text.len))
		return folded;
	result = u8_casefold((const uint8_t *)copy, text.len, NULL, UNINORM_NFC, NULL, &result_len);
	if (!result)
		return folded;
	folded = arena_dup(arena, slice_make((const char *)result, result_len));
	free(result);
	return folded;
}
