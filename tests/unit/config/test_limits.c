/* SPDX-License-Identifier: ISC */
/*
 * Conditions and limits.
 */
#include "tests/unit/config/support.h"

#include <stdio.h>

#include "common/alloc.h"
#include "tests/unit/config/checks.h"

#define HOUR_MS UINT64_C(3600000)

Test(config_limits, forms_of_a_rate)
{
	struct config *config = load_text(
		"rules:\n"
		"  - { name: a, check: rate, per: login, limit: 200/1h }\n"
		"  - { name: b, check: rate, per: login, limit: [200/1h, 1000/1d] }\n"
		"  - { name: c, check: rate, per: login, limits: { limit: unlimited } }\n"
		"  - { name: d, check: rate, per: login, count: bytes, limit: 10MiB/1d }\n"
		"  - { name: e, check: rate, per: login, limit: 0/1h }\n");
	const struct config_limit *limit = &OPTIONS(config, 0, rate_options)->limits.items[0];

	cr_expect_eq(limit->rate_count, 1);
	cr_expect_eq(limit->rates[0].limit, 200);
	cr_expect_eq(limit->rates[0].window_ms, HOUR_MS);
	cr_expect_not(limit->unlimited);
	cr_expect_eq(limit->subject.len, 0);
	limit = &OPTIONS(config, 1, rate_options)->limits.items[0];
	cr_expect_eq(limit->rate_count, 2);
	cr_expect_eq(limit->rates[1].limit, 1000);
	cr_expect_eq(limit->rates[1].window_ms, 24 * HOUR_MS);
	limit = &OPTIONS(config, 2, rate_options)->limits.items[0];
	cr_expect(limit->unlimited);
	cr_expect_eq(limit->rate_count, 0);
	limit = &OPTIONS(config, 3, rate_options)->limits.items[0];
	cr_expect(limit->in_bytes);
	cr_expect_eq(limit->rates[0].limit, 10 * 1024 * 1024);
	cr_expect_eq(OPTIONS(config, 4, rate_options)->limits.items[0].rates[0].limit, 0);
	config_unref(&config);
}

Test(config_limits, plain_numbers_for_recipients)
{
	struct config *config = load_text(
		"rules:\n"
		"  - { name: a, check: recipients, limit: 100 }\n"
		"  - { name: b, check: recipients, limits: [{ authenticated: yes, limit: 500 },\n"
		"      { client_local: yes, limit: unlimited, until: 2030-12-31 }, { limit: 50 }] }\n");
	const struct config_limits *limits = &OPTIONS(config, 0, recipients_options)->limits;

	cr_assert_eq(limits->count, 1);
	cr_expect_eq(limits->items[0].rates[0].limit, 100);
	cr_expect_eq(limits->items[0].rates[0].window_ms, 0);
	limits = &OPTIONS(config, 1, recipients_options)->limits;
	cr_assert_eq(limits->count, 3);
	cr_expect_eq(limits->items[0].when.authenticated, CONFIG_YES);
	cr_expect(limits->items[0].when.uses_login);
	cr_expect(limits->items[1].unlimited);
	cr_expect_eq(limits->items[1].until_wall_ms, UINT64_C(1924992000000));
	cr_expect_eq(limits->items[2].when.client_local, CONFIG_UNSET);
	cr_expect_eq(limits->items[2].rates[0].limit, 50);
	config_unref(&config);
}

static char *rule_with(const char *check, const char *path)
{
	struct buf out;
	char *text;

	buf_init(&out, 4096);
	buf_add_format(&out,
		"rules:\n  - { name: a, check: %s, limits: [\"file:%s\", { limit: %s }] }\n", check,
		path, strstr(check, "rate") ? "200/1h" : "100");
	text = mem_dup(buf_slice(&out));
	buf_release(&out);
	return text;
}

Test(config_limits, files_give_subjects_their_own)
{
	static const char file[] = "# subject limits\nalice@example.com 500/1h,2000/1d\n"
				   "bob@example.com\t500/1h, 2000/1d  # new\ncarol unlimited\n";
	char *path = make_file(file, sizeof(file) - 1), *text = rule_with("rate, per: login", path);
	struct config *config = load_text(text);
	const struct config_limits *limits = &OPTIONS(config, 0, rate_options)->limits;

	cr_assert_eq(limits->count, 4);
	for (size_t i = 0; i < 2; i++) {
		cr_expect(
			is(limits->items[i].subject, i ? "bob@example.com" : "alice@example.com"));
		cr_assert_eq(limits->items[i].rate_count, 2);
		cr_expect_eq(limits->items[i].rates[1].limit, 2000);
		cr_expect_eq(limits->items[i].pos.line, 2 + i);
	}
	cr_expect(limits->items[2].unlimited);
	cr_expect_eq(limits->items[3].subject.len, 0);
	config_unref(&config);
	mem_free(&text);
	remove_file(&path);
}

static void expect_file(const char *check, const char *file, const char *expected)
{
	char *path = make_file(file, strlen(file)), *text = rule_with(check, path);
	char *lines = messages_of(text, NULL), *at = lines;

	cr_assert_eq(strncmp(lines, path, strlen(path)), 0, "%s", lines);
	at += strlen(path);
	cr_expect_str_eq(at, expected, "%s", at);
	mem_free(&lines);
	mem_free(&text);
	remove_file(&path);
}

Test(config_limits, files_are_checked_line_by_line)
{
	expect_file("rate, per: login", "a@example.com 5/1h\nb@example.com\n",
		":2:1: needs a subject and its limit, like 'a@example.com 500/1h,2000/1d', not 'b@example.com'\n");
	expect_file("rate, per: login", "\n  a@example.com 500\n",
		":2:3: 'limit' needs a rate with a window, like 200/1h, not '500'\n");
	expect_file("rate, per: login", "a@example.com 1/1h,unlimited\n",
		":1:1: 'unlimited' cannot stand beside other limits\n");
	expect_file("recipients", "a@example.com 10,20\n",
		":1:1: this rule takes one number for each subject\n");
	expect_file("recipients", "a@example.com 10/1h\n",
		":1:1: 'limit' needs a whole number, like 100, or unlimited, not '10/1h'\n");
}

Test(config_limits, eight_windows_and_no_more)
{
	char *lines = messages_of(
		"rules:\n  - name: a\n    check: rate\n    per: login\n    limit: [1/1s, 2/2s, 3/3s, "
		"4/4s, 5/5s, 6/6s, 7/7s, 8/8s, 9/9s]\n",
		NULL);

	cr_expect_str_eq(lines, "f:5:61: a limit has at most 8 windows\n", "%s", lines);
	mem_free(&lines);
}
