/* SPDX-License-Identifier: ISC */
/*
 * Log lines: what is escaped, quoted and cut, byte by byte, and that nothing ends a line.
 */
#include "common/logline.h"

#include <criterion/criterion.h>

static void shows(struct slice value, const char *expected)
{
	struct buf line;

	buf_init(&line, 4096);
	logline_slice(&line, "k", value);
	cr_assert(slice_is(buf_slice(&line), expected), "%.*s is not %s",
		SLICE_ARG(buf_slice(&line)), expected);
	buf_release(&line);
}

Test(logline, values)
{
	shows(SLICE("user@example.com"), "k=user@example.com");
	shows(SLICE("x"), "k=x");
	shows(SLICE(""), "k=\"\"");
	shows(slice_make(NULL, 0), "k=\"\"");
	shows(SLICE("two words"), "k=\"two words\"");
	shows(SLICE(" "), "k=\" \"");
	shows(SLICE("a\nb"), "k=a\\x0ab");
	shows(SLICE("a\"b\\c"), "k=a\\x22b\\x5cc");
	shows(SLICE("\x1b[31m red"), "k=\"\\x1b[31m red\"");
	shows(SLICE("\0\x7f\x80\xff"), "k=\\x00\\x7f\\x80\\xff");
	shows(SLICE("%n%s"), "k=%n%s");
	shows(SLICE("sender=a=b"), "k=sender=a=b");
}

Test(logline, each_byte_at_each_place_of_a_clean_value)
{
	for (size_t len = 1; len < 40; len++) {
		for (size_t at = 0; at < len; at++) {
			for (int byte = 0; byte < 256; byte++) {
				char value[40], memory[400];
				struct buf line;
				bool clean =
					byte > 0x20 && byte < 0x7f && byte != '"' && byte != '\\';

				memset(value, 'z', sizeof(value));
				value[at] = (char)byte;
				buf_init_fixed(&line, memory, sizeof(memory));
				logline_slice(&line, "k", slice_make(value, len));
				cr_assert_eq(line.len, 2 + len + (clean ? 0 : byte == ' ' ? 2 : 3));
				for (size_t i = 0; i < line.len; i++)
					cr_assert(line.data[i] >= 0x20 && line.data[i] < 0x7f);
			}
		}
	}
}

Test(logline, long_values_are_cut)
{
	char value[200];
	struct buf line;

	memset(value, 'v', sizeof(value));
	buf_init(&line, 4096);
	logline_slice(&line, "k", slice_make(value, 128));
	cr_assert_eq(line.len, 2 + 128);
	buf_reset(&line);
	logline_slice(&line, "k", slice_make(value, 129));
	cr_assert_eq(line.len, 2 + 128 + 3);
	cr_assert(slice_ends_with(buf_slice(&line), SLICE("v...")));
	memset(value, '\n', sizeof(value));
	buf_reset(&line);
	logline_slice(&line, "k", slice_make(value, 200));
	cr_assert_eq(line.len, 2 + 4 * 128 + 3);
	buf_release(&line);
}

/* Whatever comes, both ways write the same, and the room that is promised suffices. */
Test(logline, put_value_writes_what_slice_writes)
{
	static const char *const samples[] = {
		"", "x", "seven77", "eight888", "user@example.com", "two words", "a\"b", "\xff\xff",
	};
	char memory[LOGLINE_ROOM + 2], hostile[LOGLINE_VALUE_BYTES + 1];
	struct buf line;

	buf_init(&line, 4096);
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		char *end = logline_put(memory, SLICE("k="));

		end = logline_put_value(end, slice_of(samples[i]));
		buf_reset(&line);
		logline_slice(&line, "k", slice_of(samples[i]));
		cr_assert(slice_equal(slice_make(memory, (size_t)(end - memory)), buf_slice(&line)));
	}
	memset(hostile, 1, sizeof(hostile));
	hostile[0] = ' ';
	cr_assert_eq(logline_put_value(memory, slice_make(hostile, sizeof(hostile))) - memory,
		     LOGLINE_ROOM - 3);
	buf_release(&line);
}

Test(logline, pairs_follow_each_other)
{
	struct buf line;

	buf_init(&line, 4096);
	logline_text(&line, "event", "decision");
	logline_u64(&line, "ms", 0);
	logline_u64(&line, "n", UINT64_MAX);
	cr_assert(slice_is(buf_slice(&line), "event=decision ms=0 n=18446744073709551615"));
	buf_release(&line);
}

Test(logline, what_does_not_fit_is_left_out_whole)
{
	char memory[20];
	struct buf line;

	buf_init_fixed(&line, memory, sizeof(memory));
	logline_text(&line, "a", "1");
	logline_text(&line, "b", "12345678901234567");
	cr_assert(line.overflow);
	logline_text(&line, "c", "\n\n\n\n");
	logline_text(&line, "d", "12345678");
	cr_assert(slice_is(buf_slice(&line), "a=1 d=12345678"));
}

struct test_sink {
	struct log_sink sink;
	char text[LOGLINE_MESSAGE_BYTES * 4 + 200];
	unsigned lines;
};

static void keep(struct log_sink *sink, enum log_level level, struct slice line)
{
	struct test_sink *test = (struct test_sink *)(void *)sink;

	(void)level;
	test->lines++;
	memcpy(test->text, line.data, line.len);
	test->text[line.len] = '\0';
}

Test(logline, events)
{
	struct test_sink test = {.sink = {keep, LOG_LEVEL_NOTICE}};

	log_event(&test.sink, LOG_LEVEL_INFO, "quiet", NULL, SLICE_EMPTY);
	cr_assert_eq(test.lines, 0);
	log_event(NULL, LOG_LEVEL_ERROR, "nowhere", NULL, SLICE_EMPTY);
	log_event(&test.sink, LOG_LEVEL_NOTICE, "started", NULL, SLICE_EMPTY);
	cr_assert_str_eq(test.text, "event=started");
	log_event(&test.sink, LOG_LEVEL_ERROR, "bad-request", "why", SLICE("a NUL byte"));
	cr_assert_str_eq(test.text, "event=bad-request why=\"a NUL byte\"");
	cr_assert_eq(test.lines, 2);
}

/* What is wrong with a configuration is told whole, also where it is all quotes. */
Test(logline, a_message_of_our_own_may_be_longer)
{
	struct test_sink test = {.sink = {keep, LOG_LEVEL_NOTICE}};
	char text[LOGLINE_MESSAGE_BYTES + 2];
	size_t prefix = strlen("event=e message=");

	memset(text, 'x', sizeof(text));
	log_event(&test.sink, LOG_LEVEL_ERROR, "e", "message", slice_make(text, LOGLINE_MESSAGE_BYTES));
	cr_assert_eq(strlen(test.text), prefix + LOGLINE_MESSAGE_BYTES);
	log_event(&test.sink, LOG_LEVEL_ERROR, "e", "message", slice_make(text, LOGLINE_MESSAGE_BYTES + 1));
	cr_assert_eq(strlen(test.text), prefix + LOGLINE_MESSAGE_BYTES + 3);
	cr_assert_str_eq(test.text + prefix + LOGLINE_MESSAGE_BYTES - 1, "x...");
	memset(text, '"', sizeof(text));
	log_event(&test.sink, LOG_LEVEL_ERROR, "e", "message", slice_make(text, LOGLINE_MESSAGE_BYTES));
	cr_assert_eq(strlen(test.text), prefix + LOGLINE_MESSAGE_BYTES * 4);
	log_event(&test.sink, LOG_LEVEL_ERROR, "e", "message", SLICE("it's a \"text\""));
	cr_assert_str_eq(test.text, "event=e message=\"it's a \\x22text\\x22\"");
}

Test(logline, level_names)
{
	cr_assert_str_eq(log_level_name(LOG_LEVEL_ERROR), "error");
	cr_assert_str_eq(log_level_name(LOG_LEVEL_WARNING), "warning");
	cr_assert_str_eq(log_level_name(LOG_LEVEL_NOTICE), "notice");
	cr_assert_str_eq(log_level_name(LOG_LEVEL_INFO), "info");
	cr_assert_str_eq(log_level_name(LOG_LEVEL_DEBUG), "debug");
}
