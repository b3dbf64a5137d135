/* SPDX-License-Identifier: ISC */
/*
 * Strangers choose what stands in most values, so nothing they send may end a
 * line, forge a field or reach a terminal as an escape sequence. Most values
 * are clean: they are copied eight bytes at a time (sixteen on x86-64) and looked at on the way.
 */
#include "common/logline.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define ESCAPE_BYTES 4 /* \xNN */
/* Of log_event(): a whole message, escaped, and what stands in front. */
#define LINE_BYTES (LOGLINE_MESSAGE_BYTES * ESCAPE_BYTES + 200)

#define EACH_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))
#define HIGH_BITS EACH_BYTE(0x80)

/*
 * Has a high bit set unless all eight bytes are clean. Below 0x80, what is subtracted or added sets the high
 * bit of exactly the bytes that are not; a borrow or carry comes from such a byte only, so it can call
 * others dirty but none clean.
 */
static inline uint64_t dirt_of(uint64_t word)
{
	return word | (word - EACH_BYTE(0x21)) | (word + EACH_BYTE(1)) |
	       ((word ^ EACH_BYTE('"')) - EACH_BYTE(1)) | ((word ^ EACH_BYTE('\\')) - EACH_BYTE(1));
}

static inline bool byte_is_clean(char byte)
{
	return byte > 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

static inline uint64_t copy_word(char *to, const char *from)
{
	uint64_t word;

	memcpy(&word, from, sizeof(word));
	memcpy(to, &word, sizeof(word));
	return dirt_of(word);
}

#ifdef __SSE2__

/* Copies sixteen bytes; the bytes of the result are 0 where those are clean. From 0x80 on they are negative. */
static inline __m128i copy_block(char *to, const char *from)
{
	__m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)from);
	__m128i dirt = _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x21));

	_mm_storeu_si128((__m128i *)(void *)to, bytes);
	dirt = _mm_or_si128(dirt, _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f)));
	dirt = _mm_or_si128(dirt, _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')));
	return _mm_or_si128(dirt, _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')));
}

/* At least sixteen bytes, the last of them perhaps twice. */
static inline bool copy_blocks(char *to, struct slice value)
{
	size_t last = value.len - 16;
	__m128i dirt = copy_block(to + last, value.data + last);

	for (size_t i = 0; i < last; i += 16)
		dirt = _mm_or_si128(dirt, copy_block(to + i, value.data + i));
	return _mm_movemask_epi8(dirt) == 0;
}

#else

static inline bool copy_blocks(char *to, struct slice value)
{
	size_t last = value.len - 8;
	uint64_t dirt = copy_word(to + last, value.data + last);

	for (size_t i = 0; i < last; i += 8)
		dirt |= copy_word(to + i, value.data + i);
	return (dirt & HIGH_BITS) == 0;
}

#endif

/* Copies `value`; false (and what was copied is nothing): not all of it is clean, or it is empty or too long. */
static inline bool copy_clean(char *to, struct slice value)
{
	uint64_t dirt = 0;

	if (value.len - 1 >= LOGLINE_VALUE_BYTES)
		return false;
	if (value.len < 8) {
		for (size_t i = 0; i < value.len; i++) {
			to[i] = value.data[i];
			dirt |= byte_is_clean(to[i]) ? 0 : HIGH_BITS;
		}
		return !dirt;
	}
	if (value.len >= 16)
		return copy_blocks(to, value);
	dirt = copy_word(to, value.data) |
		copy_word(to + value.len - 8, value.data + value.len - 8);
	return (dirt & HIGH_BITS) == 0;
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

static bool is_quoted(struct slice value)
{
	return value.len == 0 || memchr(value.data, ' ', value.len);
}

static __attribute__((noinline)) char *put_dirty(char *at, struct slice value, size_t max_bytes)
{
	bool cut = value.len > max_bytes, quoted;

	value = slice_first(value, max_bytes);
	quoted = is_quoted(value);
	if (quoted)
		*at++ = '"';
	at = put_escaped(at, value);
	if (cut)
		at = put(at, "...", 3);
	if (quoted)
		*at++ = '"';
	return at;
}

static size_t dirty_len(struct slice value, size_t max_bytes)
{
	bool cut = value.len > max_bytes;

	value = slice_first(value, max_bytes);
	return escaped_len(value) + (is_quoted(value) ? 2 : 0) + (cut ? 3 : 0);
}

char *logline_put_value(char *at, struct slice value)
{
	return copy_clean(at, value) ? at + value.len
				     : put_dirty(at, value, LOGLINE_VALUE_BYTES);
}

void logline_slice(struct buf *line, const char *key, struct slice value)
{
	char *at = begin(line, key, slice_first(value, LOGLINE_VALUE_BYTES).len);

	if (at && copy_clean(at, value)) {
		end(line, at + value.len);
		return;
	}
	at = begin(line, key, dirty_len(value, LOGLINE_VALUE_BYTES));
	if (at)
		end(line, put_dirty(at, value, LOGLINE_VALUE_BYTES));
}

void logline_message(struct buf *line, const char *key, struct slice message)
{
	char *at = begin(line, key, dirty_len(message, LOGLINE_MESSAGE_BYTES));

	if (at)
		end(line, put_dirty(at, message, LOGLINE_MESSAGE_BYTES));
}

void logline_text(struct buf *line, const char *key, const char *value)
{
	logline_slice(line, key, slice_of(value));
}

void logline_u64(struct buf *line, const char *key, uint64_t value)
{
	char digits[BUF_U64_DIGITS];

	logline_slice(line, key, slice_make(digits, (size_t)(buf_put_u64(digits, value) - digits)));
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
		logline_message(&line, detail_key, detail);
	sink->write(sink, level, buf_slice(&line));
}
