/* SPDX-License-Identifier: ISC */
/*
 * The sections around the rules.
 */
#include "tests/unit/config/support.h"

#include "common/alloc.h"

Test(config_bans, rates_may_be_off)
{
	struct config *config = load_text(
		"bans: { ban_at: off, auth_failures: off, login_strikes: 5/10m, duration: 2h }\n");

	cr_expect_eq(config->bans.ban_at.limit, 0);
	cr_expect_eq(config->bans.auth_failures.limit, 0);
	cr_expect_eq(config->bans.login_strikes.limit, 5);
	cr_expect_eq(config->bans.login_strikes.window_ms, 600000);
	cr_expect_eq(config->bans.duration_ms, 7200000);
	config_unref(&config);
}

Test(config_bans, where_the_log_is)
{
	static const char *const good[] = {
		"off", "file:/var/log/mail.log", "\"journal:\"", "journal"};
	static const char *const bad[] = {
		"on", "\"file:\"", "file:mail.log", "journal:x", "\"\"", "[off]"};

	for (size_t i = 0; i < 4 + 6; i++) {
		struct buf text;
		char *copy, *lines;
		bool loaded = true;

		buf_init(&text, 1000);
		buf_add_format(&text, "bans: { maillog: %s }\n", i < 4 ? good[i] : bad[i - 4]);
		copy = mem_dup(buf_slice(&text));
		lines = messages_of(copy, &loaded);
		cr_expect_eq(loaded, i < 4, "%s", copy);
		mem_free(&lines);
		mem_free(&copy);
		buf_release(&text);
	}
}

/* One wrong value must not drag in complaints about others. */
Test(config_bans, a_wrong_value_leaves_the_default)
{
	char *lines = messages_of("bans: { duration: 1, max_duration: x }\n", NULL);

	cr_expect_str_eq(lines,
		"f:1:19: 'duration' needs a duration with a unit, like 300ms, 90s, 15m, 1h or 7d, not '1'\n"
		"f:1:36: 'max_duration' needs a duration with a unit, like 300ms, 90s, 15m, 1h or 7d, not 'x'\n");
	mem_free(&lines);
}
