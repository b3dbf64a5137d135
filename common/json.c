/* SPDX-License-Identifier: ISC */
/*
 * The writer. Overflow is the buffer's matter: who writes looks at buf.overflow at the end.
 */
#include "common/json.h"

#include "common/units.h"

void json_init(struct json *json, struct buf *out)
{
	json->out = out;
	json->comma = false;
}

unsigned json_utf8(struct slice bytes, uint32_t *ret_character)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *at = (const unsigned char *)bytes.data;
	unsigned len;
	uint32_t character;

	if (bytes.len == 0)
		return 0;
	len = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
	if (len == 0 || at[0] > 0xf4 || len > bytes.len)
		return 0;
	character = len == 1 ? at[0] : at[0] & (0x7fU >> len);
	for (unsigned i = 1; i < len; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		character = character << 6 | (at[i] & 0x3fU);
	}
	if (character > 0x10ffff || (character >= 0xd800 && character < 0xe000) ||
		(len > 1 && character < least[len]))
		return 0;
	*ret_character = character;
	return len;
}

/* Controls of both sets, and what changes the direction or the lines of a text. */
static bool is_hostile(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

static void add_character(struct buf *out, uint32_t character, struct slice bytes)
{
	if (character == '"' || character == '\\') {
		buf_add_char(out, '\\');
		buf_add_char(out, (char)character);
	} else if (is_hostile(character)) {
		buf_add_format(out, "\\u%04x", (unsigned)character);
	} else {
		buf_add(out, bytes);
	}
}

static void add_string(struct buf *out, struct slice text)
{
	buf_add_char(out, '"');
	while (text.len) {
		uint32_t character = 0;
		unsigned len = json_utf8(text, &character);

		if (len == 0) {
			buf_add_format(out, "\\\\x%02x", (unsigned char)text.data[0]);
			len = 1;
		} else {
			add_character(out, character, slice_first(text, len));
		}
		text = slice_from(text, len);
	}
	buf_add_char(out, '"');
}

void json_plain(struct buf *out, struct slice text)
{
	while (text.len) {
		uint32_t character = 0;
		unsigned len = json_utf8(text, &character);

		if (len == 0)
			buf_add_format(out, "\\x%02x", (unsigned char)text.data[0]);
		else if (is_hostile(character))
			buf_add_format(out, "\\u%04x", (unsigned)character);
		else
			buf_add(out, slice_first(text, len));
		text = slice_from(text, len ? len : 1);
	}
}

static void begin(struct json *json, const char *key)
{
	if (json->comma)
		buf_add_char(json->out, ',');
	json->comma = true;
	if (!key)
		return;
	buf_add_char(json->out, '"');
	buf_add(json->out, slice_of(key));
	buf_add(json->out, SLICE("\":"));
}

static void open_level(struct json *json, const char *key, char bracket)
{
	begin(json, key);
	buf_add_char(json->out, bracket);
	json->comma = false;
}

static void close_level(struct json *json, char bracket)
{
	buf_add_char(json->out, bracket);
	json->comma = true;
}

void json_object(struct json *json, const char *key)
{
	open_level(json, key, '{');
}

void json_end_object(struct json *json)
{
	close_level(json, '}');
}

void json_array(struct json *json, const char *key)
{
	open_level(json, key, '[');
}

void json_end_array(struct json *json)
{
	close_level(json, ']');
}

void json_slice(struct json *json, const char *key, struct slice value)
{
	begin(json, key);
	add_string(json->out, value);
}

void json_text(struct json *json, const char *key, const char *value)
{
	json_slice(json, key, slice_of(value));
}

void json_u64(struct json *json, const char *key, uint64_t value)
{
	begin(json, key);
	buf_add_u64(json->out, value);
}

void json_i64(struct json *json, const char *key, int64_t value)
{
	begin(json, key);
	buf_add_i64(json->out, value);
}

void json_bool(struct json *json, const char *key, bool value)
{
	begin(json, key);
	buf_add(json->out, value ? SLICE("true") : SLICE("false"));
}

void json_null(struct json *json, const char *key)
{
	begin(json, key);
	buf_add(json->out, SLICE("null"));
}

void json_time(struct json *json, const char *key, uint64_t wall_ms)
{
	char memory[32];
	struct buf text;

	buf_init_fixed(&text, memory, sizeof(memory));
	units_format_time(&text, wall_ms);
	json_slice(json, key, buf_slice(&text));
}
