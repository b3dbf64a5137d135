/* SPDX-License-Identifier: ISC */
/*
 * Reading and writing values with units. Everything is exact: a value that
 * does not fit in 64 bits is an error, never a wrapped or rounded number.
 * Readers work on a cursor and fill `ret_x` only when the whole text is right.
 */
#include "common/units.h"

#include <time.h>

#define SECOND_MS UINT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)

#define DURATION_FORM "needs a unit, like 300ms, 90s, 15m, 1h or 7d"
#define SIZE_FORM "needs a unit, like 512B, 10KiB, 10MiB or 1GiB (or kB, MB, GB)"
#define RATE_FORM "must be a limit and a window, like 200/1h or 10MiB/1d, or \"unlimited\""
#define PERCENT_FORM "must be a percentage from 0% to 100%, like 80%"
#define BOOL_FORM "must be yes or no"
#define U64_FORM "must be a whole number"
#define DECIMAL_FORM "must be a number, like 1.0"
#define DATE_FORM "must be a date, like 2030-12-31"

static const char too_large[] = "is too large";

struct unit {
	const char *name;
	uint64_t factor;
};

/* Greatest first, which is also the order that a compound needs. */
static const struct unit duration_units[] = {
	{"d", DAY_MS},
	{"h", HOUR_MS},
	{"m", MINUTE_MS},
	{"s", SECOND_MS},
	{"ms", 1},
};

static const struct unit size_units[] = {
	{"B", 1},
	{"KiB", UINT64_C(1) << 10},
	{"MiB", UINT64_C(1) << 20},
	{"GiB", UINT64_C(1) << 30},
	{"kB", 1000},
	{"MB", 1000000},
	{"GB", 1000000000},
};

#define LENGTH_OF(array) (sizeof(array) / sizeof((array)[0]))

static bool is_digit(char byte)
{
	return byte >= '0' && byte <= '9';
}

enum digits { DIGITS_OK, DIGITS_NONE, DIGITS_OVERFLOW };

/* Takes all digits at the start of `text`. */
static enum digits take_digits(struct slice *text, uint64_t *ret_value)
{
	uint64_t value = 0;
	size_t i = 0;
	bool overflow = false;

	for (; i < text->len && is_digit(text->data[i]); i++)
		overflow = __builtin_mul_overflow(value, 10, &value) ||
			   __builtin_add_overflow(value, (uint64_t)(text->data[i] - '0'), &value) ||
			   overflow;
	*text = slice_from(*text, i);
	if (i == 0)
		return DIGITS_NONE;
	if (overflow)
		return DIGITS_OVERFLOW;
	*ret_value = value;
	return DIGITS_OK;
}

/* Takes what is no digit at the start of `text` and finds that unit. */
static const struct unit *take_unit(struct slice *text, const struct unit *units, size_t count)
{
	size_t len = 0;
	struct slice name;

	while (len < text->len && !is_digit(text->data[len]))
		len++;
	name = slice_first(*text, len);
	*text = slice_from(*text, len);
	for (size_t i = 0; i < count; i++)
		if (slice_is(name, units[i].name))
			return &units[i];
	return NULL;
}

const char *units_parse_duration(struct slice text, uint64_t *ret_ms)
{
	uint64_t total = 0, factor_before = UINT64_MAX;

	if (text.len == 0)
		return DURATION_FORM;
	while (text.len) {
		uint64_t value = 0;
		enum digits digits = take_digits(&text, &value);
		const struct unit *unit =
			take_unit(&text, duration_units, LENGTH_OF(duration_units));

		if (digits == DIGITS_NONE || !unit)
			return DURATION_FORM;
		if (unit->factor >= factor_before)
			return "must name each unit once and the greater one first, like 1h30m";
		factor_before = unit->factor;
		if (digits == DIGITS_OVERFLOW ||
			__builtin_mul_overflow(value, unit->factor, &value) ||
			__builtin_add_overflow(total, value, &total))
			return too_large;
	}
	*ret_ms = total;
	return NULL;
}

const char *units_parse_size(struct slice text, uint64_t *ret_bytes)
{
	uint64_t value = 0;
	enum digits digits = take_digits(&text, &value);
	const struct unit *unit = take_unit(&text, size_units, LENGTH_OF(size_units));

	if (digits == DIGITS_NONE || !unit || text.len)
		return SIZE_FORM;
	if (digits == DIGITS_OVERFLOW || __builtin_mul_overflow(value, unit->factor, &value))
		return too_large;
	*ret_bytes = value;
	return NULL;
}

const char *units_parse_rate(struct slice text, struct rate *ret_rate)
{
	struct slice limit, window;
	struct rate rate;
	const char *why;

	if (slice_is(text, "unlimited")) {
		*ret_rate = (struct rate){RATE_UNLIMITED, 0};
		return NULL;
	}
	if (!slice_split(text, '/', &limit, &window) || limit.len == 0 || !is_digit(limit.data[0]))
		return RATE_FORM;
	if (is_digit(limit.data[limit.len - 1]))
		why = units_parse_u64(limit, &rate.limit);
	else
		why = units_parse_size(limit, &rate.limit);
	if (why)
		return why == too_large ? why : RATE_FORM;
	if (rate.limit == RATE_UNLIMITED)
		return too_large;
	why = units_parse_duration(window, &rate.window_ms);
	if (why)
		return window.len && is_digit(window.data[0]) ? why : RATE_FORM;
	if (rate.window_ms == 0)
		return "needs a window longer than 0";
	*ret_rate = rate;
	return NULL;
}

const char *units_parse_percent(struct slice text, unsigned *ret_percent)
{
	uint64_t value;

	if (take_digits(&text, &value) != DIGITS_OK || !slice_is(text, "%") || value > 100)
		return PERCENT_FORM;
	*ret_percent = (unsigned)value;
	return NULL;
}

const char *units_parse_bool(struct slice text, bool *ret_value)
{
	static const char *const words[][2] = {{"no", "yes"}, {"false", "true"}, {"off", "on"}};

	for (size_t i = 0; i < LENGTH_OF(words); i++) {
		for (size_t value = 0; value < 2; value++) {
			if (!slice_equal_fold(text, slice_of(words[i][value])))
				continue;
			*ret_value = value == 1;
			return NULL;
		}
	}
	return BOOL_FORM;
}

const char *units_parse_u64(struct slice text, uint64_t *ret_value)
{
	uint64_t value = 0;
	enum digits digits = take_digits(&text, &value);

	if (digits == DIGITS_NONE || text.len)
		return U64_FORM;
	if (digits == DIGITS_OVERFLOW)
		return too_large;
	*ret_value = value;
	return NULL;
}

const char *units_parse_decimal(struct slice text, double *ret_value)
{
	uint64_t whole = 0, part = 0;
	double scale = 1;
	enum digits digits = take_digits(&text, &whole);

	if (digits == DIGITS_NONE)
		return DECIMAL_FORM;
	if (text.len && text.data[0] == '.') {
		size_t len;

		text = slice_from(text, 1);
		len = text.len;
		if (len > 15 || take_digits(&text, &part) != DIGITS_OK)
			return DECIMAL_FORM;
		for (len -= text.len; len; len--)
			scale *= 10;
	}
	if (text.len)
		return DECIMAL_FORM;
	if (digits == DIGITS_OVERFLOW || whole > UINT64_C(1) << 53)
		return too_large;
	*ret_value = (double)whole + (double)part / scale;
	return NULL;
}

/* Days from 1970-01-01, in the calendar that is used for all years. Years are counted from March. */
static uint64_t days_of(unsigned year, unsigned month, unsigned day)
{
	uint64_t y = month > 2 ? year : year - 1;
	unsigned months = (month + 9) % 12;

	return y * 365 + y / 4 - y / 100 + y / 400 + (months * 153 + 2) / 5 + day - 1 - 719468;
}

static unsigned days_in_month(unsigned year, unsigned month)
{
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	if (month == 2)
		return leap ? 29 : 28;
	return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

/* Two or four digits, all of which must be there. */
static unsigned digits_at(struct slice text, size_t start, size_t count)
{
	unsigned value = 0;

	for (size_t i = start; i < start + count; i++)
		value = value * 10 + (unsigned)(text.data[i] - '0');
	return value;
}

const char *units_parse_date(struct slice text, uint64_t *ret_wall_ms)
{
	unsigned year, month, day;

	if (text.len != 10)
		return DATE_FORM;
	for (size_t i = 0; i < 10; i++)
		if (i == 4 || i == 7 ? text.data[i] != '-' : !is_digit(text.data[i]))
			return DATE_FORM;
	year = digits_at(text, 0, 4);
	month = digits_at(text, 5, 2);
	day = digits_at(text, 8, 2);
	if (year < 1970 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month))
		return "is no day of the calendar (from 1970 on)";
	*ret_wall_ms = (days_of(year, month, day) + 1) * DAY_MS;
	return NULL;
}

static uint64_t divide_up(uint64_t value, uint64_t by)
{
	return value / by + (value % by != 0);
}

static void add_part(struct buf *buf, uint64_t value, const char *unit)
{
	buf_add_format(buf, "%llu %s", (unsigned long long)value, unit);
}

/* `count` small units, of which `per` make a large one. */
static void add_two(
	struct buf *buf, uint64_t count, uint64_t per, const char *large, const char *small)
{
	if (count % per == 0)
		add_part(buf, count / per, large);
	else
		buf_add_format(buf, "%llu %s %llu %s", (unsigned long long)(count / per), large,
			(unsigned long long)(count % per), small);
}

void units_format_duration(struct buf *buf, uint64_t ms)
{
	if (divide_up(ms, SECOND_MS) < 60)
		add_part(buf, ms ? divide_up(ms, SECOND_MS) : 1, "s");
	else if (divide_up(ms, MINUTE_MS) < 60)
		add_part(buf, divide_up(ms, MINUTE_MS), "min");
	else if (divide_up(ms, MINUTE_MS) < UINT64_C(24) * 60)
		add_two(buf, divide_up(ms, MINUTE_MS), 60, "h", "min");
	else
		add_two(buf, divide_up(ms, HOUR_MS), 24, "d", "h");
}

void units_format_window(struct buf *buf, uint64_t ms)
{
	for (size_t i = 0; i < LENGTH_OF(duration_units); i++) {
		const struct unit *unit = &duration_units[i];

		if (ms == 0 || ms % unit->factor != 0)
			continue;
		/* Stands in every decision line: no printf here. */
		buf_add_u64(buf, ms / unit->factor);
		buf_add(buf, slice_of(unit->name));
		return;
	}
	buf_add(buf, SLICE("0s"));
}

void units_format_time(struct buf *buf, uint64_t wall_ms)
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm;

	if (!gmtime_r(&seconds, &tm)) {
		buf_add_char(buf, '-');
		return;
	}
	buf_add_format(buf, "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900, tm.tm_mon + 1,
		tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}
