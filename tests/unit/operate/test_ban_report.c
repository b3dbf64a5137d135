/* SPDX-License-Identifier: ISC */
#include "daemon/operate/ban_report.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct {
	struct log_sink sink;
	char line[1024];
	enum log_level level;
	unsigned count;
} out;

static void keep(struct log_sink *sink, enum log_level level, struct slice line)
{
	cr_assert_eq(sink, &out.sink);
	snprintf(out.line, sizeof(out.line), "%.*s", SLICE_ARG(line));
	out.level = level;
	out.count++;
}

static struct ban ban_of(const char *network)
{
	struct ban ban = { .since_wall_ms = 1800000000000, .until_wall_ms = 1800003600000,
			   .times = 2, .by = "auto", .node = "mx1", .reason = "failed \"logins\"" };
	const char *why;

	cr_assert(cidr_parse(slice_of(network), &ban.network, &why));
	return ban;
}

static const char *json(enum bans_event_kind kind, const struct ban *ban, const char *why)
{
	static char memory[1024];
	const struct bans_event event = { .kind = kind, .ban = ban, .why = why };
	struct buf buf;

	buf_init_fixed(&buf, memory, sizeof(memory) - 1);
	if (!ban_report_json(&buf, &event, (struct clock_now){ 5, 1800000000500 }))
		return NULL;
	memory[buf.len] = '\0';
	return memory;
}

Test(ban_report, json)
{
	struct ban ban = ban_of("198.51.100.7");

	cr_expect_str_eq(json(BANS_BANNED, &ban, "strikes"),
			 "{\"event\":\"ban\",\"network\":\"198.51.100.7/32\",\"family\":4,\"manual\":false,"
			 "\"since\":\"2027-01-15T08:00:00Z\",\"until\":\"2027-01-15T09:00:00Z\",\"seconds\":3600,"
			 "\"times\":2,\"reason\":\"failed \\\"logins\\\"\",\"by\":\"auto\",\"node\":\"mx1\","
			 "\"why\":\"strikes\",\"time\":\"2027-01-15T08:00:00Z\"}\n");
	ban = ban_of("2001:db8:1:2::/64");
	ban.until_wall_ms = UINT64_MAX;
	ban.manual = true;
	cr_expect_not_null(strstr(json(BANS_EXTENDED, &ban, "by_hand"),
				  "\"event\":\"ban\",\"network\":\"2001:db8:1:2::/64\",\"family\":6,\"manual\":true,"));
	cr_expect_not_null(strstr(json(BANS_EXTENDED, &ban, "by_hand"), "\"until\":null,\"seconds\":null,"));
}

Test(ban_report, what_on_ban_is_told)
{
	struct ban ban = ban_of("198.51.100.7");

	cr_expect_not_null(strstr(json(BANS_REMOVED, &ban, "removed"), "\"event\":\"unban\""));
	cr_expect_not_null(strstr(json(BANS_ENDED, &ban, "expired"), "\"event\":\"unban\""));
	cr_expect_null(json(BANS_REMOVED, &ban, "forgotten"), "it has ended before");
	cr_expect_null(json(BANS_WOULD_BAN, &ban, "strikes"));
	cr_expect_null(json(BANS_SPARED, &ban, "bad_share"));
	cr_expect_null(json(BANS_STORM_BEGIN, NULL, "max_per_minute"));
	cr_expect_null(json(BANS_LOGIN_ALARM, NULL, "login_strikes"));
}

Test(ban_report, log_lines)
{
	struct ban ban = ban_of("198.51.100.7");
	struct bans_event event = { .kind = BANS_BANNED, .ban = &ban, .why = "strikes", .count = 40 };

	out.sink = (struct log_sink){ keep, LOG_LEVEL_NOTICE };
	ban_report_log(&out.sink, &event);
	cr_expect_str_eq(out.line, "event=ban client=198.51.100.7/32 reason=\"failed \\x22logins\\x22\" by=auto "
				   "until=2027-01-15T09:00:00Z why=strikes count=40");
	cr_expect_eq(out.level, LOG_LEVEL_WARNING);
	event = (struct bans_event){ .kind = BANS_LOGIN_ALARM, .login = SLICE("a b"), .why = "login_strikes", .count = 9 };
	ban_report_log(&out.sink, &event);
	cr_expect_str_eq(out.line, "event=login_alarm login=\"a b\" why=login_strikes count=9");
	event = (struct bans_event){ .kind = BANS_ENDED, .ban = &ban, .why = "expired" };
	ban_report_log(&out.sink, &event);
	cr_expect_eq(out.level, LOG_LEVEL_NOTICE);
	event = (struct bans_event){ .kind = BANS_REMOVED, .ban = &ban, .why = "forgotten" };
	ban_report_log(&out.sink, &event);
	cr_expect_eq(out.count, 3, "it has ended before");
	out.sink.level = LOG_LEVEL_ERROR;
	event.why = "removed";
	ban_report_log(&out.sink, &event);
	cr_expect_eq(out.count, 3);
}
