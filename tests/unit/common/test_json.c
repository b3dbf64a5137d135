/* SPDX-License-Identifier: ISC */
/*
 * The writer of JSON (strings above all), and the reader.
 */
#include <criterion/criterion.h>

#include "common/json.h"
#include "common/json_read.h"

static void expect_string(struct slice in, const char *out)
{
	char memory[512];
	struct json json;
	struct buf buf;

	buf_init_fixed(&buf, memory, sizeof(memory));
	json_init(&json, &buf);
	json_slice(&json, NULL, in);
	cr_assert(slice_is(buf_slice(&buf), out), "%.*s instead of %s", SLICE_ARG(buf_slice(&buf)),
		out);
}

Test(json, strings_are_escaped)
{
	expect_string(SLICE(""), "\"\"");
	expect_string(SLICE("a\"b\\c/d"), "\"a\\\"b\\\\c/d\"");
	expect_string(SLICE("\x1b[31m\r\n\t\x7f"), "\"\\u001b[31m\\u000d\\u000a\\u0009\\u007f\"");
	expect_string(SLICE("nul \0 in it"), "\"nul \\u0000 in it\"");
	expect_string(SLICE("k\xc3\xb6ln \xe2\x82\xac \xf0\x9f\x93\xa7"),
		"\"k\xc3\xb6ln \xe2\x82\xac \xf0\x9f\x93\xa7\"");
	/* Right-to-left override, a C1 control, line separator, byte order mark. */
	expect_string(SLICE("\xe2\x80\xae|\xc2\x9b|\xe2\x80\xa8|\xef\xbb\xbf"),
		"\"\\u202e|\\u009b|\\u2028|\\ufeff\"");
}

Test(json, what_is_no_utf8_is_shown)
{
	expect_string(SLICE("\xff\xfe"), "\"\\\\xff\\\\xfe\"");
	expect_string(SLICE("a\xc3"), "\"a\\\\xc3\"");
	expect_string(SLICE("\xc0\xaf"), "\"\\\\xc0\\\\xaf\"");            /* overlong */
	expect_string(SLICE("\xe0\x80\xaf"), "\"\\\\xe0\\\\x80\\\\xaf\""); /* overlong */
	expect_string(SLICE("\xed\xa0\x80"), "\"\\\\xed\\\\xa0\\\\x80\""); /* half a pair */
	expect_string(SLICE("\xf4\x90\x80\x80"), "\"\\\\xf4\\\\x90\\\\x80\\\\x80\"");
	expect_string(SLICE("\xf0\x9f\x93"), "\"\\\\xf0\\\\x9f\\\\x93\"");
}

Test(json, values_and_nesting)
{
	char memory[512];
	struct json json;
	struct buf buf;

	buf_init_fixed(&buf, memory, sizeof(memory));
	json_init(&json, &buf);
	json_object(&json, NULL);
	json_u64(&json, "u", UINT64_MAX);
	json_i64(&json, "i", -5);
	json_array(&json, "empty");
	json_end_array(&json);
	json_array(&json, "list");
	json_bool(&json, NULL, true);
	json_bool(&json, NULL, false);
	json_null(&json, NULL);
	json_object(&json, NULL);
	json_end_object(&json);
	json_end_array(&json);
	json_time(&json, "t", 0);
	json_text(&json, "last", "x");
	json_end_object(&json);
	cr_assert(slice_is(buf_slice(&buf),
		"{\"u\":18446744073709551615,\"i\":-5,\"empty\":[],\"list\":[true,false,null,{}],"
		"\"t\":\"1970-01-01T00:00:00Z\",\"last\":\"x\"}"));
}

static const struct json_value *parse(struct arena *arena, struct slice text)
{
	const char *why = NULL;
	const struct json_value *value = json_parse(text, arena, &why);

	cr_assert(value != NULL || why != NULL);
	return value;
}

Test(json, reads_what_it_wrote)
{
	struct arena arena;
	char memory[2048];
	struct json json;
	struct buf buf;
	const struct json_value *value;
	char every[256];

	for (unsigned i = 0; i < 256; i++)
		every[i] = (char)i;
	arena_init(&arena, 1024);
	buf_init_fixed(&buf, memory, sizeof(memory));
	json_init(&json, &buf);
	json_object(&json, NULL);
	json_slice(&json, "text", slice_make(every, 128));
	json_slice(&json, "bytes", slice_make(every + 128, 128));
	json_u64(&json, "number", 42);
	json_end_object(&json);
	value = parse(&arena, buf_slice(&buf));
	cr_assert(value);
	cr_assert(slice_equal(json_get_text(value, "text"), slice_make(every, 128)));
	cr_assert_eq(json_get_text(value, "bytes").len, 4 * 128);
	cr_assert(slice_starts_with(json_get_text(value, "bytes"), SLICE("\\x80\\x81")));
	cr_assert_eq(json_get_u64(value, "number"), 42);
	arena_release(&arena);
}

Test(json, reads_escapes_blanks_and_nesting)
{
	struct arena arena;
	const struct json_value *value, *item;

	arena_init(&arena, 1024);
	value = parse(&arena,
		SLICE(" { \"a\" : [ 1 , -2.5e+3 , \"\\u00e9\\ud83d\\udce7\\n\\/\" , null ] ,\r\n\t\"b\":{\"c\":true}} "));
	cr_assert(value);
	item = json_get_array(value, "a");
	cr_assert(slice_is(item->text, "1"));
	item = item->next;
	cr_assert(slice_is(item->text, "-2.5e+3"));
	item = item->next;
	cr_assert(slice_is(item->text, "\xc3\xa9\xf0\x9f\x93\xa7\n/"));
	cr_assert_eq(item->next->type, JSON_NULL);
	cr_assert_null(item->next->next);
	cr_assert(json_get_bool(json_get(value, "b"), "c"));
	cr_assert_null(json_get(json_get(value, "nothing"), "c"));
	cr_assert_eq(json_get_text(value, "a").len, 0);
	cr_assert_eq(json_get_u64(value, "b"), 0);
	arena_release(&arena);
}

Test(json, refuses_what_is_none)
{
	static const char *const bad[] = {"", " ", "{", "}", "[1,]", "{\"a\":1,}", "{a:1}", "[1 2]",
		"\"a", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\ud800\"", "\"\\ud800x\"",
		"\"\\udc00\"", "\"\\ud800\\u0041\"", "\"\x01\"", "\"\xff\"", "01", "-", "1.", "1e",
		".5", "+1", "tru", "nul", "1 1", "{\"a\"}", "{\"a\":}",
		"[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]"};
	struct arena arena;

	arena_init(&arena, 1024);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_null(parse(&arena, slice_of(bad[i])), "%s", bad[i]);
	cr_assert(parse(&arena, SLICE("[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]")));
	arena_release(&arena);
}
