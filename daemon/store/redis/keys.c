/* SPDX-License-Identifier: ISC */
/*
 * Put together and taken apart; what Redis gives back is from outside and is checked.
 */
#include "daemon/store/redis/keys.h"

#include <endian.h>

#include "common/units.h"

#define RULE_BYTES 64

static const char digits[] = "0123456789abcdef";

static const char what_letters[] = {
	[COUNT_RECIPIENTS] = 'r',
	[COUNT_MESSAGES] = 'm',
	[COUNT_BYTES] = 'b',
};

void keys_init(struct keys *keys, struct slice prefix)
{
	struct buf out;

	buf_init_fixed(&out, keys->memory, sizeof(keys->memory));
	buf_add_char(&out, '{');
	buf_add(&out, prefix);
	buf_add(&out, SLICE("}:"));
	keys->base = buf_slice(&out);
}

void keys_counter_head(const struct keys *keys, const struct counter_key *key, struct buf *out)
{
	buf_reset(out);
	buf_add(out, keys->base);
	buf_add(out, SLICE("c:"));
	buf_add(out, key->rule);
	buf_add_char(out, ':');
	buf_add_char(out, what_letters[key->what]);
	buf_add_char(out, ':');
	buf_add_u64(out, key->window_ms);
	buf_add_char(out, ':');
}

void keys_counter(const struct keys *keys, const struct counter_key *key, struct buf *out)
{
	keys_counter_head(keys, key, out);
	buf_add(out, key->subject);
}

/* Eight digits at once: each of the bytes of a word takes one of them, the first one lowest. */
static uint64_t eight_digits(uint32_t word)
{
	uint64_t x = word, letters;

	x = (x >> 16 & 0xffff) | (x & 0xffff) << 32;
	x = (x >> 8 & 0x000000ff000000ff) | (x & 0x000000ff000000ff) << 16;
	x = (x >> 4 & 0x000f000f000f000f) | (x & 0x000f000f000f000f) << 8;
	letters = (x + 0x0606060606060606) >> 4 & 0x0101010101010101;
	return x + 0x3030303030303030 + letters * ('a' - '9' - 1);
}

static char *put_hex(char *at, uint64_t word)
{
	uint64_t halves[2] = {htole64(eight_digits((uint32_t)(word >> 32))),
		htole64(eight_digits((uint32_t)word))};

	memcpy(at, halves, sizeof(halves));
	return at + sizeof(halves);
}

void keys_transaction(const struct keys *keys, struct hash128 id, struct buf *out)
{
	char name[34] = "x:";

	put_hex(put_hex(name + 2, id.hi), id.lo);
	buf_reset(out);
	buf_add(out, keys->base);
	buf_add(out, slice_make(name, sizeof(name)));
}

void keys_plain(const struct keys *keys, const char *kind, struct slice name, struct buf *out)
{
	buf_reset(out);
	buf_add(out, keys->base);
	buf_add(out, slice_of(kind));
	if (name.len) {
		buf_add_char(out, ':');
		buf_add(out, name);
	}
}

static bool parse_what(struct slice text, enum counter_what *ret)
{
	for (unsigned i = 0; i < sizeof(what_letters); i++)
		if (text.len == 1 && text.data[0] == what_letters[i]) {
			*ret = (enum counter_what)i;
			return true;
		}
	return false;
}

bool keys_parse_counter(const struct keys *keys, struct slice text, struct counter_key *ret)
{
	struct slice rest, rule, what, window;
	struct counter_key key;

	if (!slice_starts_with(text, keys->base))
		return false;
	rest = slice_from(text, keys->base.len);
	if (!slice_starts_with(rest, SLICE("c:")) ||
		!slice_split(slice_from(rest, 2), ':', &rule, &rest) ||
		!slice_split(rest, ':', &what, &rest) || !slice_split(rest, ':', &window, &rest))
		return false;
	key.rule = rule;
	key.subject = rest;
	if (rule.len == 0 || rule.len > RULE_BYTES || rest.len == 0 ||
		rest.len > COUNTER_SUBJECT_BYTES || !parse_what(what, &key.what) ||
		units_parse_u64(window, &key.window_ms) || key.window_ms == 0)
		return false;
	*ret = key;
	return true;
}

bool keys_parse_hash(struct slice text, uint64_t *ret)
{
	uint64_t hash = 0;

	if (text.len != 16 && !slice_is(text, "0"))
		return false;
	for (size_t i = 0; i < text.len; i++) {
		const char *digit = memchr(digits, text.data[i], 16);

		if (!digit)
			return false;
		hash = hash << 4 | (uint64_t)(digit - digits);
	}
	*ret = hash;
	return true;
}

bool keys_parse_transaction(const struct keys *keys, struct slice text, struct hash128 *ret)
{
	struct slice rest;
	struct hash128 id;

	if (!slice_starts_with(text, keys->base))
		return false;
	rest = slice_from(text, keys->base.len);
	if (rest.len != 34 || !slice_starts_with(rest, SLICE("x:")) ||
		!keys_parse_hash(slice_make(rest.data + 2, 16), &id.hi) ||
		!keys_parse_hash(slice_make(rest.data + 18, 16), &id.lo) || hash128_is_zero(id))
		return false;
	*ret = id;
	return true;
}
