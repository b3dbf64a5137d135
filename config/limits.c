/* SPDX-License-Identifier: ISC */
/*
 * Limits: what a list of `limits` says, entry by entry, and the lines of files
 * that give single subjects theirs. The order is the operator's: the first entry
 * that matches decides, so nothing is sorted or merged here.
 */
#include "config/limits.h"

#include <inttypes.h>

#include "common/alloc.h"

struct limit_list {
	struct config_limit *items;
	size_t count, room;
	bool full;
};

static bool push(
	struct config_reader *reader, struct limit_list *list, const struct config_limit *limit)
{
	if (list->count == CONFIG_MAX_LIMIT_ENTRIES) {
		if (!list->full)
			config_error(reader->errors, limit->pos, "a rule has at most %d limits",
				CONFIG_MAX_LIMIT_ENTRIES);
		list->full = true;
		return false;
	}
	if (list->count == list->room) {
		list->room = list->room ? 2 * list->room : 8;
		list->items = mem_grow(list->items, list->room * sizeof(list->items[0]));
	}
	list->items[list->count++] = *limit;
	return true;
}

static void keep(struct config_reader *reader, struct limit_list *list, struct config_limits *ret)
{
	struct config_limits limits = {NULL, list->count};

	if (limits.count) {
		limits.items = arena_alloc(reader->arena, limits.count * sizeof(limits.items[0]));
		memcpy(limits.items, list->items, limits.count * sizeof(limits.items[0]));
	}
	mem_free(&list->items);
	*ret = limits;
}

bool config_parse_rate(struct slice text, struct rate *ret)
{
	struct rate rate = {0, 0};

	if (units_parse_rate(text, &rate))
		return false;
	if (rate.limit != RATE_UNLIMITED &&
		(rate.limit > RATE_MAX_LIMIT || rate.window_ms < CONFIG_MIN_WINDOW_MS ||
			rate.window_ms > CONFIG_MAX_WINDOW_MS))
		return false;
	*ret = rate;
	return true;
}

/* What is wrong with the text of a limit; NULL if nothing is. */
static const char *why_no_limit(struct slice text, bool plain)
{
	struct rate rate = {0, 0};
	uint64_t number = 0;
	const char *why;

	if (plain)
		return units_parse_u64(text, &number) ? "a whole number, like 100, or unlimited"
						      : "a whole number below 2^53";
	why = units_parse_rate(text, &rate);
	if (why && !units_parse_u64(text, &number))
		return "a rate with a window, like 200/1h";
	if (why)
		return "a rate, like 200/1h or 10MiB/1d, or unlimited";
	if (rate.limit > RATE_MAX_LIMIT)
		return "a limit below 2^53";
	return "a window from 1s to 366d";
}

/* Adds one rate; an error names what was expected. */
static bool add_rate(struct config_reader *reader, struct slice text, struct config_pos pos,
	bool plain, struct config_limit *limit)
{
	struct rate rate = {0, 0};
	bool good;

	if (slice_is(text, "unlimited")) {
		limit->unlimited = true;
		return true;
	}
	good = plain ? !units_parse_u64(text, &rate.limit) && rate.limit <= RATE_MAX_LIMIT
		     : config_parse_rate(text, &rate);
	if (!good) {
		config_error(reader->errors, pos, "'limit' needs %s, not '%s'",
			why_no_limit(text, plain), config_quote(text).text);
		return false;
	}
	if (limit->rate_count == CONFIG_MAX_RATES) {
		config_error(
			reader->errors, pos, "a limit has at most %d windows", CONFIG_MAX_RATES);
		return false;
	}
	for (size_t i = 0; i < limit->rate_count; i++) {
		if (limit->rates[i].window_ms != rate.window_ms)
			continue;
		config_error(reader->errors, pos, "'%s' has the window of another limit beside it",
			config_quote(text).text);
		return false;
	}
	if (memchr(text.data, 'B', text.len))
		limit->in_bytes = true;
	limit->rates[limit->rate_count++] = rate;
	return true;
}

/* What stands behind `limit:`. */
static bool read_rates(struct config_reader *reader, const struct config_node *node, bool plain,
	struct config_limit *limit)
{
	const char *form = plain ? "a whole number, like 100, or unlimited"
				 : "a rate, like 200/1h, a list of rates, or unlimited";
	bool good = true;

	if (node->kind == CONFIG_SCALAR && !config_node_is_empty(node))
		return add_rate(reader, node->text, node->pos, plain, limit);
	if (node->kind != CONFIG_LIST || node->count == 0 || (plain && node->count > 1)) {
		if (node->kind == CONFIG_LIST && node->count == 0)
			config_error(reader->errors, node->pos,
				"'limit' needs %s, not an empty list", form);
		else
			config_need(reader, node, "limit", form);
		return false;
	}
	for (size_t i = 0; i < node->count; i++) {
		const struct config_node *item = node->items[i];

		if (item->kind != CONFIG_SCALAR) {
			config_need(reader, item, "limit", form);
			good = false;
		} else {
			good = add_rate(reader, item->text, item->pos, plain, limit) && good;
		}
	}
	if (good && limit->unlimited && node->count > 1) {
		config_error(
			reader->errors, node->pos, "'unlimited' cannot stand beside other limits");
		good = false;
	}
	return good;
}

void config_read_one_limit(struct config_reader *reader, const struct config_node *node, bool plain,
	struct config_limits *ret)
{
	struct config_limit limit = {
		.pos = node->pos, .when.pos = node->pos, .subject = SLICE_EMPTY};

	if (!read_rates(reader, node, plain, &limit))
		return;
	ret->items = arena_alloc(reader->arena, sizeof(limit));
	ret->items[0] = limit;
	ret->count = 1;
}

/* ---- files: "subject 500/1h,2000/1d" */

/* "alice@example.com 500/1h, 2000/1d # new" -> subject and rates. */
static bool split_line(struct slice line, struct slice *ret_subject, struct slice *ret_rates)
{
	size_t len = 0;
	struct slice rates, comment;

	while (len < line.len && line.data[len] != ' ' && line.data[len] != '\t')
		len++;
	rates = slice_from(line, len);
	if (slice_split(rates, '#', &rates, &comment))
		rates = slice_trim(rates);
	rates = slice_trim(rates);
	*ret_subject = slice_first(line, len);
	*ret_rates = rates;
	return rates.len > 0;
}

static bool read_line(struct config_reader *reader, struct slice line, struct config_pos pos,
	bool plain, struct config_limit *ret)
{
	struct config_limit limit = {.pos = pos, .when.pos = pos};
	struct slice rates, rate;
	size_t count = 0;
	bool more = true, good = true;

	if (!split_line(line, &limit.subject, &rates)) {
		config_error(reader->errors, pos,
			"needs a subject and its limit, like '%s', not '%s'",
			plain ? "a@example.com 100" : "a@example.com 500/1h,2000/1d",
			config_quote(line).text);
		return false;
	}
	if (plain && memchr(rates.data, ',', rates.len)) {
		config_error(reader->errors, pos, "this rule takes one number for each subject");
		return false;
	}
	for (; more; count++) {
		more = slice_split(rates, ',', &rate, &rates);
		good = add_rate(reader, slice_trim(more ? rate : rates), pos, plain, &limit) &&
		       good;
	}
	if (good && count > 1 && limit.unlimited) {
		config_error(reader->errors, pos, "'unlimited' cannot stand beside other limits");
		good = false;
	}
	if (good)
		*ret = limit;
	return good;
}

static void read_file(struct config_reader *reader, const struct config_node *node, bool plain,
	struct limit_list *list)
{
	struct config_strings lines = {0};

	config_read_entry(reader, node, "limits", &lines);
	for (size_t i = 0; i < lines.count; i++) {
		struct config_limit limit;

		if (read_line(reader, lines.items[i], lines.pos[i], plain, &limit) &&
			!push(reader, list, &limit))
			return;
	}
}

/* ---- entries */

static void read_entry(struct config_reader *reader, const struct config_node *node, bool plain,
	struct limit_list *list)
{
	struct config_limit limit = {.pos = node->pos, .subject = SLICE_EMPTY};
	const struct config_node *rates = NULL;

	if (config_read_limit_map(reader, node, &limit.when, &rates, &limit.until_wall_ms) &&
		read_rates(reader, rates, plain, &limit))
		push(reader, list, &limit);
}

void config_read_limits(struct config_reader *reader, const struct config_node *node, bool plain,
	struct config_limits *ret)
{
	const char *form = plain ? "a map like { limit: 100 } or file:/path for each entry"
				 : "a map like { limit: 200/1h } or file:/path for each entry";
	struct limit_list list = {0};
	size_t count = node->kind == CONFIG_LIST ? node->count : 1;

	for (size_t i = 0; i < count; i++) {
		const struct config_node *item = node->kind == CONFIG_LIST ? node->items[i] : node;

		if (item->kind == CONFIG_MAP)
			read_entry(reader, item, plain, &list);
		else if (item->kind == CONFIG_SCALAR &&
			 slice_starts_with(item->text, SLICE("file:")))
			read_file(reader, item, plain, &list);
		else
			config_need(reader, item, "limits", form);
	}
	if (count == 0)
		config_error(reader->errors, node->pos, "'limits' needs at least one entry");
	keep(reader, &list, ret);
}
