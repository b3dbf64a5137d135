/* SPDX-License-Identifier: ISC */
/*
 * Recursive descent, with the depth as its only bound on the stack.
 */
#include "common/json_read.h"

#include "common/buf.h"
#include "common/json.h"
#include "common/units.h"

struct reader {
	struct slice rest;
	struct arena *arena;
	const char *why;
};

static bool fail(struct reader *reader, const char *why)
{
	if (!reader->why)
		reader->why = why;
	return false;
}

static void skip_blanks(struct reader *reader)
{
	while (reader->rest.len && memchr(" \t\r\n", reader->rest.data[0], 4))
		reader->rest = slice_from(reader->rest, 1);
}

/* Takes `byte` if it is next. */
static bool take(struct reader *reader, char byte)
{
	if (reader->rest.len == 0 || reader->rest.data[0] != byte)
		return false;
	reader->rest = slice_from(reader->rest, 1);
	return true;
}

static bool read_hex4(struct reader *reader, uint32_t *ret)
{
	uint32_t value = 0;

	if (reader->rest.len < 4)
		return fail(reader, "a \\u escape ends early");
	for (unsigned i = 0; i < 4; i++) {
		char c = reader->rest.data[i];
		int digit = c >= '0' && c <= '9'   ? c - '0'
			    : c >= 'a' && c <= 'f' ? c - 'a' + 10
			    : c >= 'A' && c <= 'F' ? c - 'A' + 10
						   : -1;

		if (digit < 0)
			return fail(reader, "a \\u escape without four hexadecimal digits");
		value = value << 4 | (uint32_t)digit;
	}
	reader->rest = slice_from(reader->rest, 4);
	*ret = value;
	return true;
}

static void add_utf8(struct buf *out, uint32_t c)
{
	if (c < 0x80) {
		buf_add_char(out, (char)c);
	} else if (c < 0x800) {
		buf_add_char(out, (char)(0xc0 | c >> 6));
		buf_add_char(out, (char)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		buf_add_char(out, (char)(0xe0 | c >> 12));
		buf_add_char(out, (char)(0x80 | (c >> 6 & 0x3f)));
		buf_add_char(out, (char)(0x80 | (c & 0x3f)));
	} else {
		buf_add_char(out, (char)(0xf0 | c >> 18));
		buf_add_char(out, (char)(0x80 | (c >> 12 & 0x3f)));
		buf_add_char(out, (char)(0x80 | (c >> 6 & 0x3f)));
		buf_add_char(out, (char)(0x80 | (c & 0x3f)));
	}
}

static bool read_unicode(struct reader *reader, struct buf *out)
{
	uint32_t high, low;

	if (!read_hex4(reader, &high))
		return false;
	if (high >= 0xdc00 && high < 0xe000)
		return fail(reader, "half a surrogate pair");
	if (high >= 0xd800 && high < 0xdc00) {
		if (!take(reader, '\\') || !take(reader, 'u') || !read_hex4(reader, &low) ||
			low < 0xdc00 || low >= 0xe000)
			return fail(reader, "half a surrogate pair");
		high = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
	}
	add_utf8(out, high);
	return true;
}

static bool read_escape(struct reader *reader, struct buf *out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *at;

	if (take(reader, 'u'))
		return read_unicode(reader, out);
	at = reader->rest.len ? memchr(from, reader->rest.data[0], sizeof(from) - 1) : NULL;
	if (!at)
		return fail(reader, "an unknown escape");
	reader->rest = slice_from(reader->rest, 1);
	buf_add_char(out, to[at - from]);
	return true;
}

/* How far the string goes, with its quote left out; finds whether it needs decoding. */
static bool measure(struct reader *reader, size_t *ret_len, bool *ret_escaped)
{
	struct slice rest = reader->rest;
	bool escaped = false;
	uint32_t character;

	while (rest.len && rest.data[0] != '"') {
		unsigned len = json_utf8(rest, &character);

		if (len == 0)
			return fail(reader, "a string that is no UTF-8");
		if (character < 0x20)
			return fail(reader, "a control character in a string");
		if (character == '\\') {
			escaped = true;
			len = rest.len > 1 ? 2 : 1;
		}
		rest = slice_from(rest, len);
	}
	if (rest.len == 0)
		return fail(reader, "a string without an end");
	*ret_len = reader->rest.len - rest.len;
	*ret_escaped = escaped;
	return true;
}

/* After the opening quote. An escape never takes more room decoded than written. */
static bool read_string(struct reader *reader, struct slice *ret)
{
	struct buf out;
	size_t len;
	bool escaped;

	if (!measure(reader, &len, &escaped))
		return false;
	if (!escaped) {
		*ret = slice_first(reader->rest, len);
		reader->rest = slice_from(reader->rest, len + 1);
		return true;
	}
	buf_init_fixed(&out, arena_alloc(reader->arena, len), len);
	while (!take(reader, '"')) {
		if (take(reader, '\\')) {
			if (!read_escape(reader, &out))
				return false;
		} else {
			buf_add_char(&out, reader->rest.data[0]);
			reader->rest = slice_from(reader->rest, 1);
		}
	}
	*ret = buf_slice(&out);
	return true;
}

static size_t digits(struct slice text)
{
	size_t count = 0;

	while (count < text.len && text.data[count] >= '0' && text.data[count] <= '9')
		count++;
	return count;
}

static bool read_number(struct reader *reader, struct slice *ret)
{
	struct slice begin = reader->rest;
	size_t count;

	(void)take(reader, '-');
	count = digits(reader->rest);
	if (count == 0 || (count > 1 && reader->rest.data[0] == '0'))
		return fail(reader, "a number that is none");
	reader->rest = slice_from(reader->rest, count);
	if (take(reader, '.')) {
		count = digits(reader->rest);
		if (count == 0)
			return fail(reader, "a number that is none");
		reader->rest = slice_from(reader->rest, count);
	}
	if (take(reader, 'e') || take(reader, 'E')) {
		if (!take(reader, '+'))
			(void)take(reader, '-');
		count = digits(reader->rest);
		if (count == 0)
			return fail(reader, "a number that is none");
		reader->rest = slice_from(reader->rest, count);
	}
	*ret = slice_first(begin, begin.len - reader->rest.len);
	return true;
}

static bool read_word(struct reader *reader, struct json_value *value)
{
	if (slice_starts_with(reader->rest, SLICE("true"))) {
		value->type = JSON_BOOL;
		value->truth = true;
		reader->rest = slice_from(reader->rest, 4);
	} else if (slice_starts_with(reader->rest, SLICE("false"))) {
		value->type = JSON_BOOL;
		reader->rest = slice_from(reader->rest, 5);
	} else if (slice_starts_with(reader->rest, SLICE("null"))) {
		reader->rest = slice_from(reader->rest, 4);
	} else {
		value->type = JSON_NUMBER;
		return read_number(reader, &value->text);
	}
	return true;
}

static bool read_value(struct reader *reader, struct json_value *value, unsigned depth);

static bool read_key(struct reader *reader, struct slice *ret)
{
	skip_blanks(reader);
	if (!take(reader, '"') || !read_string(reader, ret))
		return fail(reader, "a name was expected");
	skip_blanks(reader);
	return take(reader, ':') || fail(reader, "a colon was expected");
}

/* After the opening bracket. */
static bool read_members(struct reader *reader, struct json_value *value, unsigned depth)
{
	char end = value->type == JSON_OBJECT ? '}' : ']';
	struct json_value **tail = &value->child;

	skip_blanks(reader);
	if (take(reader, end))
		return true;
	for (;;) {
		struct json_value *member = arena_zalloc(reader->arena, sizeof(*member));

		if (end == '}' && !read_key(reader, &member->key))
			return false;
		if (!read_value(reader, member, depth + 1))
			return false;
		*tail = member;
		tail = &member->next;
		skip_blanks(reader);
		if (take(reader, end))
			return true;
		if (!take(reader, ','))
			return fail(reader, "a comma or an end was expected");
	}
}

static bool read_value(struct reader *reader, struct json_value *value, unsigned depth)
{
	if (depth > JSON_DEPTH)
		return fail(reader, "nested too deeply");
	skip_blanks(reader);
	if (take(reader, '{')) {
		value->type = JSON_OBJECT;
		return read_members(reader, value, depth);
	}
	if (take(reader, '[')) {
		value->type = JSON_ARRAY;
		return read_members(reader, value, depth);
	}
	if (take(reader, '"')) {
		value->type = JSON_STRING;
		return read_string(reader, &value->text);
	}
	return read_word(reader, value);
}

const struct json_value *json_parse(struct slice text, struct arena *arena, const char **ret_why)
{
	struct reader reader = {.rest = text, .arena = arena};
	struct json_value *value = arena_zalloc(arena, sizeof(*value));

	if (read_value(&reader, value, 1)) {
		skip_blanks(&reader);
		if (reader.rest.len == 0)
			return value;
		reader.why = "something after the end";
	}
	*ret_why = reader.why;
	return NULL;
}

const struct json_value *json_get(const struct json_value *value, const char *key)
{
	if (!value || value->type != JSON_OBJECT)
		return NULL;
	for (const struct json_value *member = value->child; member; member = member->next) {
		if (slice_is(member->key, key))
			return member;
	}
	return NULL;
}

struct slice json_get_text(const struct json_value *value, const char *key)
{
	const struct json_value *member = json_get(value, key);

	return member && member->type == JSON_STRING ? member->text : SLICE_EMPTY;
}

uint64_t json_get_u64(const struct json_value *value, const char *key)
{
	const struct json_value *member = json_get(value, key);
	uint64_t number = 0;

	if (!member || member->type != JSON_NUMBER || units_parse_u64(member->text, &number))
		return 0;
	return number;
}

bool json_get_bool(const struct json_value *value, const char *key)
{
	const struct json_value *member = json_get(value, key);

	return member && member->type == JSON_BOOL && member->truth;
}

const struct json_value *json_get_array(const struct json_value *value, const char *key)
{
	const struct json_value *member = json_get(value, key);

	return member && member->type == JSON_ARRAY ? member->child : NULL;
}
