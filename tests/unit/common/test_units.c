/* SPDX-License-Identifier: ISC */
/*
 * Values with units: the forms that are read, what the others are told, limits of 64 bits, and what
 * is written for people.
 */
#include "common/units.h"

#include <criterion/criterion.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

Test(units, durations)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} good[] = {
		{"300ms", 300},
		{"90s", 90000},
		{"15m", 900000},
		{"1h", 3600000},
		{"7d", 604800000},
		{"1h30m", 5400000},
		{"1d2h3m4s5ms", 93784005},
		{"0s", 0},
		{"007s", 7000},
		{"18446744073709551615ms", UINT64_MAX},
		{"213503982334d", UINT64_C(18446744073657600000)},
	};

	for (size_t i = 0; i < COUNT(good); i++) {
		uint64_t ms = 1;

		cr_assert_null(
			units_parse_duration(slice_of(good[i].text), &ms), "%s", good[i].text);
		cr_assert_eq(ms, good[i].ms, "%s", good[i].text);
	}
}

Test(units, no_durations)
{
	static const char *const form = "needs a unit, like 300ms, 90s, 15m, 1h or 7d";
	static const char *const order =
		"must name each unit once and the greater one first, like 1h30m";
	static const char *const bad[][2] = {
		{"", form},
		{"90", form},
		{"0", form},
		{"s", form},
		{"90 s", form},
		{"-1s", form},
		{"1.5h", form},
		{"1w", form},
		{"1H", form},
		{"1h30", form},
		{"1h ", form},
		{"one", form},
		{"30m1h", order},
		{"1h1h", order},
		{"18446744073709551616ms", "is too large"},
		{"18446744073709552s", "is too large"},
		{"213503982335d", "is too large"},
		{"213503982334d99999h", "is too large"},
		{"99999999999999999999999999999d", "is too large"},
	};

	for (size_t i = 0; i < COUNT(bad); i++) {
		uint64_t ms = 77;
		const char *why = units_parse_duration(slice_of(bad[i][0]), &ms);

		cr_assert_not_null(why, "%s", bad[i][0]);
		cr_assert_str_eq(why, bad[i][1], "%s", bad[i][0]);
		cr_assert_eq(ms, 77);
	}
}

Test(units, sizes)
{
	uint64_t bytes = 5;

	cr_assert_null(units_parse_size(SLICE("512B"), &bytes));
	cr_assert_eq(bytes, 512);
	cr_assert_null(units_parse_size(SLICE("10KiB"), &bytes));
	cr_assert_eq(bytes, 10240);
	cr_assert_null(units_parse_size(SLICE("10MiB"), &bytes));
	cr_assert_eq(bytes, 10485760);
	cr_assert_null(units_parse_size(SLICE("1GiB"), &bytes));
	cr_assert_eq(bytes, 1073741824);
	cr_assert_null(units_parse_size(SLICE("3kB"), &bytes));
	cr_assert_eq(bytes, 3000);
	cr_assert_null(units_parse_size(SLICE("2MB"), &bytes));
	cr_assert_eq(bytes, 2000000);
	cr_assert_null(units_parse_size(SLICE("1GB"), &bytes));
	cr_assert_eq(bytes, 1000000000);
	cr_assert_null(units_parse_size(SLICE("17179869183GiB"), &bytes));
	cr_assert_eq(bytes, UINT64_C(18446744072635809792));
	cr_assert_str_eq(units_parse_size(SLICE("17179869184GiB"), &bytes), "is too large");
	cr_assert_not_null(units_parse_size(SLICE("10"), &bytes));
	cr_assert_not_null(units_parse_size(SLICE("10M"), &bytes));
	cr_assert_not_null(units_parse_size(SLICE("1MiB2KiB"), &bytes));
	cr_assert_not_null(units_parse_size(SLICE(""), &bytes));
	cr_assert_not_null(units_parse_size(SLICE("MiB"), &bytes));
}

Test(units, rates)
{
	struct rate rate = {1, 1};

	cr_assert_null(units_parse_rate(SLICE("200/1h"), &rate));
	cr_assert(rate.limit == 200 && rate.window_ms == 3600000);
	cr_assert_null(units_parse_rate(SLICE("10MiB/1d"), &rate));
	cr_assert(rate.limit == 10485760 && rate.window_ms == 86400000);
	cr_assert_null(units_parse_rate(SLICE("0/1m"), &rate));
	cr_assert(rate.limit == 0 && rate.window_ms == 60000);
	cr_assert_null(units_parse_rate(SLICE("unlimited"), &rate));
	cr_assert_eq(rate.limit, RATE_UNLIMITED);
}

Test(units, no_rates)
{
	static const char *const form =
		"must be a limit and a window, like 200/1h or 10MiB/1d, or \"unlimited\"";
	static const char *const bad[][2] = {
		{"", form},
		{"200", form},
		{"200/", form},
		{"/1h", form},
		{"x/1h", form},
		{"200/h", form},
		{"-1/1h", form},
		{"10M/1h", form},
		{"200/1h/1d", "needs a unit, like 300ms, 90s, 15m, 1h or 7d"},
		{"200/60", "needs a unit, like 300ms, 90s, 15m, 1h or 7d"},
		{"200/0s", "needs a window longer than 0"},
		{"18446744073709551615/1h", "is too large"},
		{"18446744073709551616/1h", "is too large"},
		{"99999999999999GiB/1h", "is too large"},
		{"1/99999999999999999999s", "is too large"},
	};

	for (size_t i = 0; i < COUNT(bad); i++) {
		struct rate rate = {5, 6};
		const char *why = units_parse_rate(slice_of(bad[i][0]), &rate);

		cr_assert_not_null(why, "%s", bad[i][0]);
		cr_assert_str_eq(why, bad[i][1], "%s", bad[i][0]);
		cr_assert(rate.limit == 5 && rate.window_ms == 6);
	}
}

Test(units, percents)
{
	unsigned percent = 7;

	cr_assert_null(units_parse_percent(SLICE("0%"), &percent));
	cr_assert_eq(percent, 0);
	cr_assert_null(units_parse_percent(SLICE("100%"), &percent));
	cr_assert_eq(percent, 100);
	cr_assert_not_null(units_parse_percent(SLICE("101%"), &percent));
	cr_assert_not_null(units_parse_percent(SLICE("80"), &percent));
	cr_assert_not_null(units_parse_percent(SLICE("%"), &percent));
	cr_assert_not_null(units_parse_percent(SLICE("8 %"), &percent));
	cr_assert_not_null(units_parse_percent(SLICE("99999999999999999999%"), &percent));
	cr_assert_eq(percent, 100);
}

Test(units, bools)
{
	static const char *const yes[] = {"yes", "true", "on", "Yes", "TRUE"};
	static const char *const no[] = {"no", "false", "off", "No"};
	static const char *const bad[] = {"", "y", "1", "0", "enabled", "yes "};
	bool value;

	for (size_t i = 0; i < COUNT(yes); i++) {
		value = false;
		cr_assert_null(units_parse_bool(slice_of(yes[i]), &value));
		cr_assert(value);
	}
	for (size_t i = 0; i < COUNT(no); i++) {
		value = true;
		cr_assert_null(units_parse_bool(slice_of(no[i]), &value));
		cr_assert_not(value);
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		cr_assert_not_null(units_parse_bool(slice_of(bad[i]), &value));
}

Test(units, numbers)
{
	uint64_t value = 9;
	double decimal = 9;

	cr_assert_null(units_parse_u64(SLICE("0"), &value));
	cr_assert_eq(value, 0);
	cr_assert_null(units_parse_u64(SLICE("18446744073709551615"), &value));
	cr_assert_eq(value, UINT64_MAX);
	cr_assert_str_eq(units_parse_u64(SLICE("18446744073709551616"), &value), "is too large");
	cr_assert_str_eq(units_parse_u64(SLICE("184467440737095516150"), &value), "is too large");
	cr_assert_not_null(units_parse_u64(SLICE(""), &value));
	cr_assert_not_null(units_parse_u64(slice_make(NULL, 0), &value));
	cr_assert_not_null(units_parse_u64(SLICE("1O0"), &value));
	cr_assert_not_null(units_parse_u64(SLICE("+1"), &value));
	cr_assert_not_null(units_parse_u64(SLICE("0x10"), &value));
	cr_assert_null(units_parse_decimal(SLICE("1.25"), &decimal));
	cr_assert(decimal > 1.2499 && decimal < 1.2501);
	cr_assert_null(units_parse_decimal(SLICE("3"), &decimal));
	cr_assert(decimal > 2.9999 && decimal < 3.0001);
	cr_assert_not_null(units_parse_decimal(SLICE("1."), &decimal));
	cr_assert_not_null(units_parse_decimal(SLICE(".5"), &decimal));
	cr_assert_not_null(units_parse_decimal(SLICE("1e3"), &decimal));
	cr_assert_not_null(units_parse_decimal(SLICE("nan"), &decimal));
	cr_assert_not_null(units_parse_decimal(SLICE("-1"), &decimal));
	cr_assert_not_null(units_parse_decimal(SLICE("1.0000000000000000000000001"), &decimal));
	cr_assert_not_null(units_parse_decimal(SLICE("99999999999999999999"), &decimal));
}

Test(units, dates)
{
	static const char *const bad[] = {
		"",
		"2030-12-31T00:00:00Z",
		"2030-1-01",
		"2030/12/31",
		"2030-13-01",
		"2030-00-01",
		"2030-02-29",
		"2100-02-29",
		"2030-04-31",
		"1969-12-31",
		"20301231",
		"2030-12-3x",
	};
	uint64_t ms = 3;

	for (size_t i = 0; i < COUNT(bad); i++)
		cr_assert_not_null(units_parse_date(slice_of(bad[i]), &ms), "%s", bad[i]);
	cr_assert_eq(ms, 3);
	cr_assert_null(units_parse_date(SLICE("1970-01-01"), &ms));
	cr_assert_eq(ms, 86400000);
	cr_assert_null(units_parse_date(SLICE("2030-12-31"), &ms));
	cr_assert_eq(ms, UINT64_C(1924992000000));
	cr_assert_null(units_parse_date(SLICE("2000-02-29"), &ms));
	cr_assert_eq(ms, UINT64_C(951868800000));
}

/* Each day of a few centuries, against the C library's calendar. */
Test(units, dates_agree_with_gmtime)
{
	for (uint64_t day = 0; day < 200000; day++) {
		char memory[40];
		struct buf text;
		uint64_t ms;

		buf_init_fixed(&text, memory, sizeof(memory));
		units_format_time(&text, day * 86400000);
		cr_assert_null(units_parse_date(slice_first(buf_slice(&text), 10), &ms));
		cr_assert_eq(ms, (day + 1) * 86400000);
	}
}

static void shows(void (*format)(struct buf *, uint64_t), uint64_t ms, const char *expected)
{
	char memory[64];
	struct buf buf;

	buf_init_fixed(&buf, memory, sizeof(memory));
	format(&buf, ms);
	cr_assert(slice_is(buf_slice(&buf), expected), "%.*s is not %s", SLICE_ARG(buf_slice(&buf)),
		expected);
}

Test(units, durations_for_people)
{
	shows(units_format_duration, 0, "1 s");
	shows(units_format_duration, 1, "1 s");
	shows(units_format_duration, 45000, "45 s");
	shows(units_format_duration, 44001, "45 s");
	shows(units_format_duration, 59001, "1 min");
	shows(units_format_duration, 60000, "1 min");
	shows(units_format_duration, 60001, "2 min");
	shows(units_format_duration, 720000, "12 min");
	shows(units_format_duration, 59 * 60000 + 1, "1 h");
	shows(units_format_duration, 3 * 3600000, "3 h");
	shows(units_format_duration, 2 * 3600000 + 5 * 60000, "2 h 5 min");
	shows(units_format_duration, 86400000 - 1, "1 d");
	shows(units_format_duration, 6 * 86400000, "6 d");
	shows(units_format_duration, 86400000 + 1, "1 d 1 h");
	shows(units_format_duration, UINT64_MAX, "213503982334 d 15 h");
}

Test(units, windows)
{
	shows(units_format_window, 3600000, "1h");
	shows(units_format_window, 86400000, "1d");
	shows(units_format_window, 90000, "90s");
	shows(units_format_window, 5400000, "90m");
	shows(units_format_window, 300, "300ms");
	shows(units_format_window, 0, "0s");
}

Test(units, times)
{
	shows(units_format_time, 0, "1970-01-01T00:00:00Z");
	shows(units_format_time, UINT64_C(1795492260999), "2026-11-24T03:51:00Z");
	shows(units_format_time, UINT64_MAX, "584556019-04-03T14:25:51Z");
}
