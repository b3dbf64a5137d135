/* SPDX-License-Identifier: ISC */
#include "daemon/operate/notify.h"

#include <criterion/criterion.h>

static char memory[4096];
static struct buf out;

static const char *text(void)
{
	cr_assert_lt(out.len, sizeof(memory));
	memory[out.len] = '\0';
	return memory;
}

Test(notify, which_lines)
{
	cr_expect(notify_wants(SLICE("event=limit_warning rule=x")));
	cr_expect(notify_wants(SLICE("event=login_alarm")));
	cr_expect_not(notify_wants(SLICE("event=limit_warnings rule=x")));
	cr_expect_not(notify_wants(SLICE("event=decision helo=\"event=login_alarm\"")));
	cr_expect_not(notify_wants(SLICE("xevent=login_alarm")));
	cr_expect_not(notify_wants(SLICE("event=hook_failed")), "its own failures");
	cr_expect_not(notify_wants(SLICE("")));
}

Test(notify, json)
{
	struct notification notification = {
		.line = SLICE("event=login_alarm login=\"a b=c\" why=login_strikes empty=\"\" count=100"),
		.level = LOG_LEVEL_WARNING, .node = SLICE("mx1"), .left_out = 2,
		.now = { 1, 1800000000000 },
	};

	buf_init_fixed(&out, memory, sizeof(memory));
	notify_json(&out, &notification);
	cr_expect_str_eq(text(), "{\"event\":\"login_alarm\",\"level\":\"warning\",\"node\":\"mx1\","
				 "\"time\":\"2027-01-15T08:00:00Z\",\"left_out\":2,\"fields\":{\"login\":\"a b=c\","
				 "\"why\":\"login_strikes\",\"empty\":\"\",\"count\":\"100\"}}\n");
}

Test(notify, mail)
{
	struct slice addresses[] = { SLICE("postmaster@example.com"), SLICE("b@example.net") };
	struct config_strings to = { .items = addresses, .count = 2 };
	struct notification notification = {
		.line = SLICE("event=limit_warning rule=hourly subject=\"a b\" used=160"),
		.level = LOG_LEVEL_WARNING, .node = SLICE("mx1"), .now = { 1, 1800000000000 },
	};

	buf_init_fixed(&out, memory, sizeof(memory));
	notify_mail(&out, &notification, &to);
	cr_expect_str_eq(text(), "To: postmaster@example.com,\n\tb@example.net\n"
				 "Subject: Reeve on mx1: limit_warning rule=hourly subject=\"a b\" used=160\n"
				 "Auto-Submitted: auto-generated\n\n"
				 "event: limit_warning\nrule: hourly\nsubject: a b\nused: 160\ntime: 2027-01-15T08:00:00Z\n\n"
				 "What this means stands in reeved(8), under LOG.\n");
}

Test(notify, so_many_an_hour)
{
	struct notify_brake brake = { 0, 0, 0 };
	uint64_t left_out = 7;

	for (int i = 0; i < NOTIFY_PER_HOUR; i++) {
		cr_expect(notify_brake_ask(&brake, 1000, &left_out));
		cr_expect_eq(left_out, 0);
	}
	for (int i = 0; i < 5; i++)
		cr_expect_not(notify_brake_ask(&brake, 3600999, &left_out));
	cr_expect(notify_brake_ask(&brake, 3601000, &left_out));
	cr_expect_eq(left_out, 5);
	cr_expect(notify_brake_ask(&brake, 3601000, &left_out));
	cr_expect_eq(left_out, 0);
}
