/* SPDX-License-Identifier: ISC */
/*
 * The counterpart of common/logline.c, for what engine/decision.c writes. Other keys are skipped,
 * so lines of an older or newer Reeve are good too.
 */
#include "daemon/ctl/log_request.h"

static const struct {
	const char *key, *attribute;
} attributes[] = {
	{"state", "protocol_state"},
	{"client", "client_address"},
	{"client_name", "client_name"},
	{"helo", "helo_name"},
	{"sender", "sender"},
	{"recipient", "recipient"},
	{"recipients", "recipient_count"},
	{"login", "sasl_username"},
	{"context", "policy_context"},
};

/* Behind `words`, which stand at the beginning or after a blank; NULL: they do not. */
static const char *behind(struct slice line, struct slice words)
{
	const char *found = memmem(line.data, line.len, words.data, words.len);

	return found && (found == line.data || found[-1] == ' ') ? found + words.len : NULL;
}

bool log_request_begin(struct slice line, struct slice *ret_pairs)
{
	const char *pairs = behind(line, SLICE("event=decision "));

	if (pairs)
		*ret_pairs = slice_from(line, (size_t)(pairs - line.data));
	return pairs != NULL;
}

bool log_request_is_log(struct slice line)
{
	return behind(line, SLICE("event=")) != NULL;
}

static int hex_digit(char byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* \xNN is a byte; a backslash stands for nothing else. */
static void add_unescaped(struct buf *value, struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		int high = -1, low = -1;

		if (text.data[i] == '\\' && i + 3 < text.len && text.data[i + 1] == 'x') {
			high = hex_digit(text.data[i + 2]);
			low = hex_digit(text.data[i + 3]);
		}
		if (high < 0 || low < 0) {
			buf_add_char(value, text.data[i]);
			continue;
		}
		buf_add_char(value, (char)(high * 16 + low));
		i += 3;
	}
}

/* One key=value, quoted or not. */
static bool next_pair(struct slice *pairs, struct slice *ret_key, struct slice *ret_text)
{
	while (pairs->len && pairs->data[0] == ' ')
		*pairs = slice_from(*pairs, 1);
	if (!slice_split(*pairs, '=', ret_key, pairs))
		return false;
	if (pairs->len && pairs->data[0] == '"') {
		*pairs = slice_from(*pairs, 1);
		return slice_split(*pairs, '"', ret_text, pairs);
	}
	if (!slice_split(*pairs, ' ', ret_text, pairs)) {
		*ret_text = *pairs;
		*pairs = SLICE_EMPTY;
	}
	return true;
}

bool log_request_next(struct slice *pairs, struct slice *ret_name, struct buf *value)
{
	struct slice key, text;

	while (next_pair(pairs, &key, &text))
		for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++) {
			if (!slice_is(key, attributes[i].key))
				continue;
			buf_reset(value);
			/* The null sender. */
			if (!slice_is(text, "<>"))
				add_unescaped(value, text);
			*ret_name = slice_of(attributes[i].attribute);
			return true;
		}
	return false;
}
