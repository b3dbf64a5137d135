/* SPDX-License-Identifier: ISC */
/*
 * Texts that people can read in redis-cli, and that have one form only: the same ban is the same
 * text on every node.
 */
#include "daemon/store/redis/facts.h"

#include "common/units.h"

#define MAX_MS ((uint64_t)1 << 53)

/* ---- pieces ---- */

static bool take(struct slice *text, char end, struct slice *ret)
{
	return slice_split(*text, end, ret, text);
}

static bool take_u64(struct slice *text, char end, uint64_t *ret)
{
	struct slice number;

	return take(text, end, &number) && !units_parse_u64(number, ret);
}

static bool take_time(struct slice *text, int64_t offset_ms, uint64_t *ret)
{
	uint64_t time;

	if (!take_u64(text, ' ', &time) || time > MAX_MS)
		return false;
	*ret = time - (uint64_t)offset_ms;
	return *ret <= MAX_MS;
}

/* "4:text" */
static bool take_counted(struct slice *text, struct slice *ret)
{
	uint64_t len;

	if (!take_u64(text, ':', &len) || len > text->len)
		return false;
	*ret = slice_first(*text, (size_t)len);
	*text = slice_from(*text, (size_t)len);
	return true;
}

static void put_counted(struct buf *out, const char *text)
{
	struct slice slice = slice_of(text);

	buf_add_u64(out, slice.len);
	buf_add_char(out, ':');
	buf_add(out, slice);
}

static bool copy(struct slice text, char *to, size_t bytes)
{
	if (text.len >= bytes)
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] < ' ' || text.data[i] > '~')
			return false;
	memcpy(to, text.data, text.len);
	to[text.len] = '\0';
	return true;
}

/* ---- bans ---- */

void facts_put_ban(struct buf *out, const struct ban *ban, int64_t offset_ms)
{
	buf_add_u64(out, ban->since_wall_ms + (uint64_t)offset_ms);
	buf_add_char(out, ' ');
	buf_add_u64(out, ban->times);
	buf_add_char(out, ' ');
	put_counted(out, ban->node);
	put_counted(out, ban->by);
	buf_add(out, slice_of(ban->reason));
}

bool facts_get_ban(struct slice member, struct slice facts, uint64_t until_wall_ms, bool sticky,
	int64_t offset_ms, struct ban *ret)
{
	struct ban ban = {.until_wall_ms = until_wall_ms, .manual = sticky};
	char text[CIDR_TEXT_BYTES];
	struct slice node, by;
	const char *why;
	uint64_t times;

	if (!cidr_parse(member, &ban.network, &why) ||
		!slice_equal(cidr_format(&ban.network, text), member) ||
		!take_time(&facts, offset_ms, &ban.since_wall_ms) ||
		!take_u64(&facts, ' ', &times) || times == 0 || times > UINT32_MAX ||
		!take_counted(&facts, &node) || !copy(node, ban.node, sizeof(ban.node)) ||
		!take_counted(&facts, &by) || !copy(by, ban.by, sizeof(ban.by)) ||
		!copy(facts, ban.reason, sizeof(ban.reason)))
		return false;
	ban.times = (uint32_t)times;
	*ret = ban;
	return true;
}

/* ---- live limits ---- */

static const char hex[] = "0123456789abcdef";

void facts_put_override_name(struct buf *out, struct slice rule, struct slice subject)
{
	buf_add(out, rule);
	buf_add_char(out, '/');
	for (size_t i = 0; i < subject.len; i++) {
		unsigned char byte = (unsigned char)subject.data[i];

		if (byte > ' ' && byte <= '~' && byte != '%') {
			buf_add_char(out, (char)byte);
			continue;
		}
		buf_add_char(out, '%');
		buf_add_char(out, hex[byte >> 4]);
		buf_add_char(out, hex[byte & 15]);
	}
}

static int digit(char c)
{
	const char *at = c ? strchr(hex, c) : NULL;

	return at ? (int)(at - hex) : -1;
}

/* "%41": its byte; -1: it is none. */
static int escaped(struct slice text)
{
	int high, low;

	if (text.len < 3)
		return -1;
	high = digit(text.data[1]);
	low = digit(text.data[2]);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static bool read_subject(struct slice text, char *to, size_t bytes)
{
	size_t len = 0;

	while (text.len) {
		bool is_escaped = text.data[0] == '%';
		int byte = is_escaped ? escaped(text) : (unsigned char)text.data[0];

		if (byte <= 0 || len + 1 >= bytes)
			return false;
		to[len++] = (char)byte;
		text = slice_from(text, is_escaped ? 3 : 1);
	}
	to[len] = '\0';
	return len > 0;
}

void facts_put_override(struct buf *out, const struct override *override, int64_t offset_ms)
{
	buf_add_u64(out, override->since_wall_ms + (uint64_t)offset_ms);
	buf_add_char(out, ' ');
	put_counted(out, override->by);
	for (unsigned i = 0; i < override->rate_count; i++) {
		if (i)
			buf_add_char(out, ',');
		buf_add_u64(out, override->rates[i].limit);
		buf_add_char(out, '/');
		buf_add_u64(out, override->rates[i].window_ms);
	}
}

bool facts_get_override_name(struct slice member, struct override *ret)
{
	struct slice rule;

	return slice_split(member, '/', &rule, &member) && rule.len > 0 &&
	       copy(rule, ret->rule, sizeof(ret->rule)) &&
	       read_subject(member, ret->subject, sizeof(ret->subject));
}

static bool read_rate(struct slice text, struct rate *ret)
{
	struct slice limit, window;

	return slice_split(text, '/', &limit, &window) && !units_parse_u64(limit, &ret->limit) &&
	       ret->limit <= RATE_MAX_LIMIT && !units_parse_u64(window, &ret->window_ms) &&
	       ret->window_ms > 0 && ret->window_ms <= MAX_MS;
}

static bool read_rates(struct slice text, struct override *ret)
{
	struct slice rate = text;
	bool more = text.len > 0;

	while (more) {
		more = slice_split(text, ',', &rate, &text);
		if (!more)
			rate = text;
		if (ret->rate_count == OVERRIDE_RATES ||
			!read_rate(rate, &ret->rates[ret->rate_count++]))
			return false;
	}
	return true;
}

bool facts_get_override(struct slice member, struct slice facts, uint64_t until_wall_ms,
	int64_t offset_ms, struct override *ret)
{
	struct override override = {.until_wall_ms = until_wall_ms};
	struct slice by;

	if (!facts_get_override_name(member, &override) ||
		!take_time(&facts, offset_ms, &override.since_wall_ms) ||
		!take_counted(&facts, &by) || !copy(by, override.by, sizeof(override.by)) ||
		!read_rates(facts, &override))
		return false;
	*ret = override;
	return true;
}
