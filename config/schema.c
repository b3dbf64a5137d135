/* SPDX-License-Identifier: ISC */
/*
 * Reads maps by table. Every value is text until a key says what it should be;
 * what is wrong becomes an error at the value's place and the field keeps its
 * default, so that one run finds all errors. Texts about expected values are made here and
 * not taken from common/units.c, because they must name the key and the bounds.
 */
#include "config/schema.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/suggest.h"
#include "config/limits.h"

#define MAX_KEYS 64 /* of the tables of one map together */
#define LENGTH_OF(array) (sizeof(array) / sizeof((array)[0]))

const struct config_node *config_map_get(const struct config_node *map, const char *key)
{
	if (!map || map->kind != CONFIG_MAP)
		return NULL;
	for (size_t i = 0; i < map->count; i++)
		if (slice_is(map->keys[i]->text, key))
			return map->items[i];
	return NULL;
}

void config_need(const struct config_reader *reader, const struct config_node *node,
	const char *name, const char *what)
{
	if (node->kind != CONFIG_SCALAR) {
		const char *hint = node->kind == CONFIG_MAP && strcmp(what, "a text") == 0
					   ? "; a text with braces or ': ' needs quotes"
					   : "";

		config_error(reader->errors, node->pos, "'%s' needs %s, not a %s%s", name, what,
			node->kind == CONFIG_LIST ? "list" : "map", hint);
	} else if (config_node_is_empty(node)) {
		config_error(reader->errors, node->pos, "'%s' needs %s, but nothing stands here",
			name, what);
	} else {
		config_error(reader->errors, node->pos, "'%s' needs %s, not '%s'", name, what,
			config_quote(node->text).text);
	}
}

/* ---- words */

/* Values that the format keeps for later: not wrong, not there yet. */
static const struct {
	const char *key, *word;
} reserved_words[] = {
	{"count", "networks"},
};

static bool is_reserved_word(const char *key, struct slice word)
{
	for (size_t i = 0; i < LENGTH_OF(reserved_words); i++)
		if (strcmp(reserved_words[i].key, key) == 0 &&
			slice_is(word, reserved_words[i].word))
			return true;
	return false;
}

static size_t count_words(const char *const *words)
{
	size_t count = 0;

	while (words[count])
		count++;
	return count;
}

/* "a, b or c" */
static void list_words(struct buf *out, const char *const *words)
{
	size_t count = count_words(words);

	for (size_t i = 0; i < count; i++)
		buf_add_format(out, "%s%s", i == 0 ? "" : i + 1 == count ? " or " : ", ", words[i]);
}

int config_read_word(const struct config_reader *reader, const struct config_node *node,
	const char *name, const char *const *words)
{
	char memory[256];
	struct buf wanted;
	const char *near;

	if (node->kind == CONFIG_SCALAR) {
		for (int i = 0; words[i]; i++)
			if (slice_is(node->text, words[i]))
				return i;
		if (is_reserved_word(name, node->text)) {
			config_error(reader->errors, node->pos, "'%s: %s' is not yet supported",
				name, config_quote(node->text).text);
			return -1;
		}
	}
	buf_init_fixed(&wanted, memory, sizeof(memory) - 1);
	list_words(&wanted, words);
	memory[wanted.len] = '\0';
	near = node->kind == CONFIG_SCALAR ? suggest_word(node->text, words, count_words(words))
					   : NULL;
	if (near)
		config_error(reader->errors, node->pos,
			"'%s' needs %s, not '%s' (did you mean '%s'?)", name, memory,
			config_quote(node->text).text, near);
	else
		config_need(reader, node, name, memory);
	return -1;
}

static void read_word(const struct config_reader *reader, const struct config_node *node,
	const struct config_key *key, int *ret)
{
	int index = config_read_word(reader, node, key->name, key->words);

	if (index >= 0)
		*ret = index;
}

/* ---- numbers */

/* A bound as one would write it. */
static void format_bound(struct buf *out, enum config_type type, uint64_t value)
{
	static const struct {
		uint64_t bytes;
		const char *name;
	} sizes[] = {{UINT64_C(1) << 30, "GiB"}, {UINT64_C(1) << 20, "MiB"}, {1024, "KiB"}};

	if (type == CONFIG_TYPE_DURATION) {
		units_format_window(out, value);
		return;
	}
	for (size_t i = 0; type == CONFIG_TYPE_SIZE && i < LENGTH_OF(sizes); i++) {
		if (value == 0 || value % sizes[i].bytes != 0)
			continue;
		buf_add_format(out, "%" PRIu64 "%s", value / sizes[i].bytes, sizes[i].name);
		return;
	}
	buf_add_format(out, "%" PRIu64 "%s", value,
		type == CONFIG_TYPE_PERCENT ? "%"
		: type == CONFIG_TYPE_SIZE  ? "B"
					    : "");
}

static const char *form_of(enum config_type type, bool has_bounds)
{
	if (type == CONFIG_TYPE_DURATION)
		return has_bounds ? "a duration"
				  : "a duration with a unit, like 300ms, 90s, 15m, 1h or 7d";
	if (type == CONFIG_TYPE_SIZE)
		return has_bounds ? "a size" : "a size with a unit, like 512B, 10KiB or 10MiB";
	if (type == CONFIG_TYPE_PERCENT)
		return has_bounds ? "a percentage" : "a percentage, like 80%";
	return "a whole number";
}

static void need_number(const struct config_reader *reader, const struct config_node *node,
	const struct config_key *key, bool show_bounds)
{
	char memory[200];
	struct buf what;

	buf_init_fixed(&what, memory, sizeof(memory) - 1);
	buf_add(&what, slice_of(form_of(key->type, show_bounds)));
	if (show_bounds && key->max == UINT64_MAX) {
		buf_add(&what, SLICE(" of at least "));
		format_bound(&what, key->type, key->min);
	} else if (show_bounds && key->min == key->max) {
		buf_add(&what, SLICE(" that is "));
		format_bound(&what, key->type, key->min);
	} else if (show_bounds) {
		buf_add(&what, SLICE(" from "));
		format_bound(&what, key->type, key->min);
		buf_add(&what, SLICE(" to "));
		format_bound(&what, key->type, key->max);
	}
	if (key->flags & CONFIG_OR_OFF)
		buf_add(&what, SLICE(" or off"));
	if (key->flags & CONFIG_OR_AUTO)
		buf_add(&what, SLICE(" or auto"));
	memory[what.len] = '\0';
	config_need(reader, node, key->name, memory);
}

static bool parse_number(struct slice text, enum config_type type, uint64_t *ret)
{
	unsigned percent;

	if (type == CONFIG_TYPE_DURATION)
		return !units_parse_duration(text, ret);
	if (type == CONFIG_TYPE_SIZE)
		return !units_parse_size(text, ret);
	if (type != CONFIG_TYPE_PERCENT)
		return !units_parse_u64(text, ret);
	if (units_parse_percent(text, &percent))
		return false;
	*ret = percent;
	return true;
}

/* U64, DURATION, SIZE and PERCENT. */
static bool read_number(const struct config_reader *reader, const struct config_node *node,
	const struct config_key *key, uint64_t *ret)
{
	uint64_t value = 0;

	if ((key->flags & CONFIG_OR_OFF && node->kind == CONFIG_SCALAR &&
		    slice_is(node->text, "off")) ||
		(key->flags & CONFIG_OR_AUTO && node->kind == CONFIG_SCALAR &&
			slice_is(node->text, "auto"))) {
		*ret = 0;
		return true;
	}
	if (node->kind != CONFIG_SCALAR || !parse_number(node->text, key->type, &value)) {
		need_number(
			reader, node, key, key->type == CONFIG_TYPE_U64 && (key->min || key->max));
		return false;
	}
	if ((key->min || key->max) && (value < key->min || value > key->max)) {
		need_number(reader, node, key, true);
		return false;
	}
	*ret = value;
	return true;
}

static void read_bool(const struct config_reader *reader, const struct config_node *node,
	const struct config_key *key, void *at)
{
	bool value = false;

	if (node->kind != CONFIG_SCALAR || units_parse_bool(node->text, &value)) {
		config_need(reader, node, key->name, "yes or no");
		return;
	}
	if (key->type == CONFIG_TYPE_BOOL)
		*(bool *)at = value;
	else
		*(enum config_tristate *)at = value ? CONFIG_YES : CONFIG_NO;
}

static void read_decimal(const struct config_reader *reader, const struct config_node *node,
	const struct config_key *key, double *ret)
{
	double value = 0;
	char bounds[80] = "a number, like 1.0";

	if (key->min || key->max)
		snprintf(bounds, sizeof(bounds),
			"a number from %" PRIu64 " to %" PRIu64 ", like 1.0", key->min, key->max);
	if (node->kind != CONFIG_SCALAR || units_parse_decimal(node->text, &value) ||
		((key->min || key->max) && (value < (double)key->min || value > (double)key->max)))
		config_need(reader, node, key->name, bounds);
	else
		*ret = value;
}

/* A rate of events: what counts bytes has a type of its own (LIMITS). */
static void read_rate(const struct config_reader *reader, const struct config_node *node,
	const struct config_key *key, struct rate *ret)
{
	bool or_off = key->flags & CONFIG_OR_OFF;
	struct rate rate = {0, 0};

	if (or_off && node->kind == CONFIG_SCALAR && slice_is(node->text, "off")) {
		*ret = rate;
		return;
	}
	if (node->kind != CONFIG_SCALAR || !config_parse_rate(node->text, &rate) ||
		rate.limit == 0 || rate.limit == RATE_UNLIMITED ||
		memchr(node->text.data, 'B', node->text.len))
		config_need(reader, node, key->name,
			or_off ? "a rate, like 200/1h, or off" : "a rate, like 200/1h");
	else
		*ret = rate;
}

static void read_date(const struct config_reader *reader, const struct config_node *node,
	const struct config_key *key, uint64_t *ret)
{
	if (node->kind != CONFIG_SCALAR || units_parse_date(node->text, ret))
		config_need(reader, node, key->name, "a date, like 2030-12-31");
}

static void read_text(const struct config_reader *reader, const struct config_node *node,
	const struct config_key *key, struct slice *ret)
{
	if (node->kind != CONFIG_SCALAR || config_node_is_empty(node))
		config_need(reader, node, key->name, "a text");
	else
		*ret = node->text;
}

static void read_limits(struct config_reader *reader, const struct config_node *node,
	const struct config_key *key, struct config_limits *ret)
{
	bool plain = key->flags & CONFIG_PLAIN_LIMITS;

	if (key->flags & CONFIG_ONE_LIMIT)
		config_read_one_limit(reader, node, plain, ret);
	else
		config_read_limits(reader, node, plain, ret);
}

static void read_value(struct config_reader *reader, const struct config_node *node,
	const struct config_key *key, void *target)
{
	void *at = (char *)target + key->offset;
	uint64_t number = 0;

	switch (key->type) {
	case CONFIG_TYPE_BOOL:
	case CONFIG_TYPE_TRISTATE:
		read_bool(reader, node, key, at);
		break;
	case CONFIG_TYPE_U64:
	case CONFIG_TYPE_DURATION:
	case CONFIG_TYPE_SIZE:
		if (read_number(reader, node, key, &number))
			*(uint64_t *)at = number;
		break;
	case CONFIG_TYPE_PERCENT:
		if (read_number(reader, node, key, &number))
			*(unsigned *)at = (unsigned)number;
		break;
	case CONFIG_TYPE_DECIMAL:
		read_decimal(reader, node, key, at);
		break;
	case CONFIG_TYPE_RATE:
		read_rate(reader, node, key, at);
		break;
	case CONFIG_TYPE_WORD:
		read_word(reader, node, key, at);
		break;
	case CONFIG_TYPE_TEXT:
		read_text(reader, node, key, at);
		break;
	case CONFIG_TYPE_STRINGS:
		config_read_strings(reader, node, key->name, at);
		break;
	case CONFIG_TYPE_LINES:
		if (key->flags & CONFIG_MAY_LACK_FILES)
			config_read_maps(reader, node, key->name, at);
		else
			config_read_lines(reader, node, key->name, at);
		break;
	case CONFIG_TYPE_NETWORKS:
		*(struct cidr_set **)at = config_read_networks(reader, node, key->name);
		break;
	case CONFIG_TYPE_DATE:
		read_date(reader, node, key, at);
		break;
	case CONFIG_TYPE_LIMITS:
		read_limits(reader, node, key, at);
		break;
	case CONFIG_TYPE_NODE:
		*(const struct config_node **)at = node;
		break;
	}
}

/* ---- tables */

static bool are_alternatives(const struct config_key *a, const struct config_key *b)
{
	return a != b && a->type == b->type && a->offset == b->offset &&
	       !((a->flags | b->flags) & CONFIG_RESERVED);
}

/* The other key of this field that was given, if any. */
static const struct config_key *given_alternative(const struct config_node *map,
	const struct config_key *keys, size_t count, const struct config_key *key)
{
	for (size_t i = 0; i < count; i++)
		if (are_alternatives(&keys[i], key) && config_map_get(map, keys[i].name))
			return &keys[i];
	return NULL;
}

/* A default is read like a value; only what begins like a list, a map or a quoted text needs the parser. */
static void read_fallback(struct config_reader *reader, const struct config_key *key, void *target)
{
	struct slice text = slice_of(key->fallback);
	struct config_node scalar = {
		.kind = CONFIG_SCALAR, .pos = {"(default)", 0, 0}, .text = text};
	struct config_node *node;

	if (text.len == 0 || !memchr("[{\"'", text.data[0], 4)) {
		scalar.quoted = text.len == 0;
		node = arena_alloc(reader->arena, sizeof(*node));
		*node = scalar;
	} else {
		node = config_tree_parse("(default)", text, reader->arena, reader->errors);
	}
	assert(node);
	if (node)
		read_value(reader, node, key, target);
}

static void read_absent(struct config_reader *reader, const struct config_node *map,
	const char *what, const struct config_key *keys, size_t count, size_t index, void *target)
{
	const struct config_key *key = &keys[index], *other = NULL;

	if (given_alternative(map, keys, count, key))
		return;
	for (size_t i = 0; i < count && !other; i++)
		if (are_alternatives(&keys[i], key))
			other = &keys[i];
	if (key->flags & CONFIG_REQUIRED) {
		struct config_pos pos = map ? map->pos : (struct config_pos){NULL, 0, 0};

		if (other)
			config_error(reader->errors, pos, "%s needs '%s' or '%s'", what, key->name,
				other->name);
		else
			config_error(reader->errors, pos, "%s needs '%s'", what, key->name);
	}
	if (key->fallback)
		read_fallback(reader, key, target);
	else if (key->type == CONFIG_TYPE_NETWORKS) {
		struct cidr_set *set = config_new_set(reader);

		cidr_set_seal(set);
		*(struct cidr_set **)(void *)((char *)target + key->offset) = set;
	}
}

static const struct config_node *key_node(const struct config_node *map, const char *name)
{
	for (size_t i = 0; i < map->count; i++)
		if (slice_is(map->keys[i]->text, name))
			return map->keys[i];
	return map;
}

/* A wrong value leaves the default. Lists have none then. */
static bool is_single(enum config_type type)
{
	return type != CONFIG_TYPE_STRINGS && type != CONFIG_TYPE_LINES &&
	       type != CONFIG_TYPE_NETWORKS && type != CONFIG_TYPE_LIMITS &&
	       type != CONFIG_TYPE_NODE;
}

static void read_table(struct config_reader *reader, const struct config_node *map,
	const char *what, const struct config_key *keys, size_t count, void *target)
{
	for (size_t i = 0; i < count; i++) {
		const struct config_node *node = config_map_get(map, keys[i].name);
		const struct config_key *other;

		if (!node) {
			read_absent(reader, map, what, keys, count, i, target);
			continue;
		}
		if (keys[i].fallback && is_single(keys[i].type))
			read_fallback(reader, &keys[i], target);
		other = given_alternative(map, keys, count, &keys[i]);
		if (keys[i].flags & CONFIG_RESERVED)
			config_error(reader->errors, key_node(map, keys[i].name)->pos,
				"'%s' is not yet supported", keys[i].name);
		else if (other && other < &keys[i])
			config_error(reader->errors, key_node(map, keys[i].name)->pos,
				"'%s' and '%s' cannot both be given", other->name, keys[i].name);
		else
			read_value(reader, node, &keys[i], target);
	}
}

static const struct config_key *find_key(
	struct slice name, const struct config_key *keys, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (slice_is(name, keys[i].name))
			return &keys[i];
	return NULL;
}

static void report_unknown(struct config_reader *reader, const struct config_node *map,
	const char *what, const struct config_key *keys, size_t key_count,
	const struct config_key *more, size_t more_count)
{
	const char *names[MAX_KEYS];
	size_t count = 0;

	assert(key_count + more_count <= MAX_KEYS);
	for (size_t i = 0; i < key_count; i++)
		names[count++] = keys[i].name;
	for (size_t i = 0; i < more_count; i++)
		names[count++] = more[i].name;
	for (size_t i = 0; map && i < map->count; i++) {
		struct slice name = map->keys[i]->text;
		const char *near;

		if (find_key(name, keys, key_count) || find_key(name, more, more_count))
			continue;
		near = suggest_word(name, names, count);
		if (near)
			config_error(reader->errors, map->keys[i]->pos,
				"unknown key '%s' in %s (did you mean '%s'?)",
				config_quote(name).text, what, near);
		else
			config_error(reader->errors, map->keys[i]->pos, "unknown key '%s' in %s",
				config_quote(name).text, what);
	}
}

/* NULL where there is nothing to read. */
static const struct config_node *as_map(
	const struct config_reader *reader, const struct config_node *node, const char *what)
{
	if (!node || node->kind == CONFIG_MAP || config_node_is_empty(node))
		return node && node->kind == CONFIG_MAP ? node : NULL;
	config_need(reader, node, what, "a map of keys");
	return NULL;
}

void config_read_known(struct config_reader *reader, const struct config_node *map,
	const char *what, const struct config_key *keys, size_t key_count, void *target)
{
	read_table(reader, as_map(reader, map, what), what, keys, key_count, target);
}

void config_read_map(struct config_reader *reader, const struct config_node *map, const char *what,
	const struct config_key *keys, size_t key_count, void *target)
{
	config_read_map2(reader, map, what, keys, key_count, target, NULL, 0, NULL);
}

void config_read_map2(struct config_reader *reader, const struct config_node *map, const char *what,
	const struct config_key *keys, size_t key_count, void *target,
	const struct config_key *more, size_t more_count, void *more_target)
{
	map = as_map(reader, map, what);
	read_table(reader, map, what, keys, key_count, target);
	read_table(reader, map, what, more, more_count, more_target);
	report_unknown(reader, map, what, keys, key_count, more, more_count);
}
