/* SPDX-License-Identifier: ISC */
/*
 * Strangers choose what stands in most values, so nothing they send may end a
 * line, forge a field or reach a terminal as an escape sequence. Most values
 * are clean: those are found eight bytes at a time and copied.
 */
#include "common/logline.h"

#define LINE_BYTES 2048
#define ESCAPE_BYTES 4 /* \xNN */

#define EACH_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))
#define HIGH_BITS EACH_BYTE(0x80)

/* High bits set where a byte of `word` is 0 (and perhaps above one that is). */
static inline uint64_t zero_bytes(uint64_t word)
{
	return (word - EACH_BYTE(1)) & ~word & HIGH_BITS;
}

/* True only if all eight bytes are clean; the borrow of a dirty byte can only call others dirty. */
static inline bool word_is_clean(const char *data)
{
	uint64_t word, dirty;

	memcpy(&word, data, sizeof(word));
	dirty = word & HIGH_BITS;
	dirty |= (word - EACH_BYTE(0x21)) & ~word & HIGH_BITS;
	dirty |= zero_bytes(word ^ EACH_BYTE('"'));
	dirty |= zero_bytes(word ^ EACH_BYTE('\\'));
	dirty |= zero_bytes(word ^ EACH_BYTE(0x7f));
	return !dirty;
}

static inline bool byte_is_clean(char byte)
{
	return byte > 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

static bool is_clean(struct slice value)
{
	if (value.len == 0)
		return false; /* shown as "" */
	if (value.len < 8) {
		for (size_t i = 0; i < value.len; i++)
			if (!byte_is_clean(value.data[i]))
				return false;
		return true;
	}
	for (size_t i = 0; i + 8 < value.len; i += 8)
		if (!word_is_clean(value.data + i))
			return false;
	return word_is_clean(value.data + value.len - 8);
}

static char *put(char *at, const char *data, size_t len)
{
	memcpy(at, data, len);
	return at + len;
}

/* Makes room for the whole pair and writes " key="; NULL if there is none. */
static char *begin(struct buf *line, const char *key, size_t value_bytes)
{
	size_t key_len = strlen(key);
	char *at;

	if (!buf_reserve(line, 1 + key_len + 1 + value_bytes))
		return NULL;
	at = line->data + line->len;
	if (line->len)
		*at++ = ' ';
	at = put(at, key, key_len);
	*at++ = '=';
	return at;
}

static void end(struct buf *line, const char *at)
{
	line->len = (size_t)(at - line->data);
}

static char *put_escaped(char *at, struct slice value)
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = 0; i < value.len; i++) {
		unsigned char byte = (unsigned char)value.data[i];

		if (byte == ' ' || byte_is_clean((char)byte)) {
			*at++ = (char)byte;
			continue;
		}
		*at++ = '\\';
		*at++ = 'x';
		*at++ = hex[byte >> 4];
		*at++ = hex[byte & 15];
	}
	return at;
}

static size_t escaped_len(struct slice value)
{
	size_t len = value.len;

	for (size_t i = 0; i < value.len; i++)
		if (value.data[i] != ' ' && !byte_is_clean(value.data[i]))
			len += ESCAPE_BYTES - 1;
	return len;
}

static void add_dirty(struct buf *line, const char *key, struct slice value, bool cut)
{
	bool quoted = value.len == 0 || memchr(value.data, ' ', value.len);
	char *at = begin(line, key, escaped_len(value) + (quoted ? 2 : 0) + (cut ? 3 : 0));

	if (!at)
		return;
	if (quoted)
		*at++ = '"';
	at = put_escaped(at, value);
	if (cut)
		at = put(at, "...", 3);
	if (quoted)
		*at++ = '"';
	end(line, at);
}

void logline_slice(struct buf *line, const char *key, struct slice value)
{
	bool cut = value.len > LOGLINE_VALUE_BYTES;
	char *at;

	value = slice_first(value, LOGLINE_VALUE_BYTES);
	if (cut || !is_clean(value)) {
		add_dirty(line, key, value, cut);
		return;
	}
	at = begin(line, key, value.len);
	if (at)
		end(line, put(at, value.data, value.len));
}

void logline_text(struct buf *line, const char *key, const char *value)
{
	logline_slice(line, key, slice_of(value));
}

void logline_u64(struct buf *line, const char *key, uint64_t value)
{
	char digits[20];
	struct buf number;

	buf_init_fixed(&number, digits, sizeof(digits));
	buf_add_u64(&number, value);
	logline_slice(line, key, buf_slice(&number));
}

const char *log_level_name(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERROR:
		return "error";
	case LOG_LEVEL_WARNING:
		return "warning";
	case LOG_LEVEL_NOTICE:
		return "notice";
	case LOG_LEVEL_INFO:
		return "info";
	case LOG_LEVEL_DEBUG:
		return "debug";
	}
	return "info";
}

void log_event(struct log_sink *sink, enum log_level level, const char *event,
	const char *detail_key, struct slice detail)
{
	char memory[LINE_BYTES];
	struct buf line;

	if (!log_wants(sink, level))
		return;
	buf_init_fixed(&line, memory, sizeof(memory));
	logline_text(&line, "event", event);
	if (detail_key)
		logline_slice(&line, detail_key, detail);
	sink->write(sink, level, buf_slice(&line));
}
