/* SPDX-License-Identifier: ISC */
/*
 * Where a value begins is what the parser says; where it ends is found here, by its first byte. That is simple because
 * whatever goes wrong shows when the result is parsed again.
 */
#include "daemon/ctl/postfix/yaml_edit.h"

#include "config/tree.h"

struct span {
	size_t start, end;
};

static size_t line_start(struct slice text, size_t at)
{
	while (at > 0 && text.data[at - 1] != '\n')
		at--;
	return at;
}

/* The byte behind the newline of the line that `at` is in. */
static size_t next_line(struct slice text, size_t at)
{
	while (at < text.len && text.data[at] != '\n')
		at++;
	return at < text.len ? at + 1 : at;
}

/* Positions count characters of UTF-8. */
static size_t offset_of(struct slice text, struct config_pos pos)
{
	size_t at = 0;

	for (unsigned line = 1; line < pos.line && at < text.len; line++)
		at = next_line(text, at);
	for (unsigned column = 1; column < pos.column && at < text.len; column++) {
		at++;
		while (at < text.len && ((unsigned char)text.data[at] & 0xc0) == 0x80)
			at++;
	}
	return at;
}

static size_t skip_blanks(struct slice text, size_t at)
{
	while (at < text.len && (text.data[at] == ' ' || text.data[at] == '\t'))
		at++;
	return at;
}

/* Behind the quote that ends a text in quotes. */
static size_t quoted_end(struct slice text, size_t at)
{
	char quote = text.data[at++];

	while (at < text.len) {
		if (text.data[at] == '\\' && quote == '"')
			at++;
		else if (text.data[at] == quote) {
			if (quote != '\'' || at + 1 >= text.len || text.data[at + 1] != '\'')
				return at + 1;
			at++;
		}
		at++;
	}
	return text.len;
}

static bool begins_comment(struct slice text, size_t at)
{
	return text.data[at] == '#' && (at == 0 || strchr(" \t\n", text.data[at - 1]));
}

/* Behind the bracket that closes the one at `at`. */
static size_t flow_end(struct slice text, size_t at)
{
	size_t depth = 0;

	while (at < text.len) {
		char byte = text.data[at];

		if ((byte == '"' || byte == '\'') && strchr(" \t\n,[{:", text.data[at - 1])) {
			at = quoted_end(text, at);
			continue;
		}
		if (begins_comment(text, at)) {
			at = next_line(text, at);
			continue;
		}
		if (byte == '[' || byte == '{')
			depth++;
		else if ((byte == ']' || byte == '}') && --depth == 0)
			return at + 1;
		at++;
	}
	return text.len;
}

static size_t plain_end(struct slice text, size_t at, bool in_flow)
{
	size_t end = at;

	while (at < text.len && text.data[at] != '\n' && !begins_comment(text, at) &&
		!(in_flow && strchr(",]}", text.data[at]))) {
		if (text.data[at] != ' ' && text.data[at] != '\t' && text.data[at] != '\r')
			end = at + 1;
		at++;
	}
	return end;
}

static size_t inline_end(struct slice text, size_t at, bool in_flow)
{
	if (text.data[at] == '[' || text.data[at] == '{')
		return flow_end(text, at);
	if (text.data[at] == '"' || text.data[at] == '\'')
		return quoted_end(text, at);
	return plain_end(text, at, in_flow);
}

static size_t indent_of(struct slice text, size_t line)
{
	return skip_blanks(text, line) - line;
}

/* A block list under its key: all lines that are deeper, or items at the key's own depth. Empty lines and comments
 * behind it belong to what follows. */
static size_t block_end(struct slice text, size_t key)
{
	size_t own = indent_of(text, line_start(text, key)), line = next_line(text, key),
	       end = line;

	while (line < text.len) {
		size_t at = skip_blanks(text, line);
		bool is_empty = at >= text.len || text.data[at] == '\n' || text.data[at] == '#' ||
				text.data[at] == '\r';

		if (!is_empty && at - line <= own && !(at - line == own && text.data[at] == '-'))
			break;
		line = next_line(text, line);
		if (!is_empty)
			end = line;
	}
	return end;
}

static struct slice spliced(
	struct arena *arena, struct slice text, struct span gone, struct slice put)
{
	return text_format(arena, "%.*s%.*s%.*s", SLICE_ARG(slice_first(text, gone.start)),
		SLICE_ARG(put), SLICE_ARG(slice_from(text, gone.end)));
}

static size_t index_of(const struct config_node *map, const char *key)
{
	for (size_t i = 0; map && map->kind == CONFIG_MAP && i < map->count; i++)
		if (slice_is(map->keys[i]->text, key))
			return i;
	return SIZE_MAX;
}

/* Behind the colon of a key, which may be in quotes. */
static size_t behind_colon(struct slice text, size_t key)
{
	while (key < text.len && text.data[key] != ':' && text.data[key] != '\n')
		key++;
	return key < text.len ? key + 1 : key;
}

static struct slice replace_value(struct arena *arena, struct slice text,
	const struct config_node *key_node, const struct config_node *old, bool in_flow,
	struct slice value)
{
	size_t key = offset_of(text, key_node->pos), colon = behind_colon(text, key);
	size_t at = offset_of(text, old->pos);
	struct span gone = {colon, colon};

	if (config_node_is_empty(old))
		return spliced(arena, text, gone, text_format(arena, " %.*s", SLICE_ARG(value)));
	if (old->kind != CONFIG_SCALAR && at < text.len && text.data[at] != '[' &&
		text.data[at] != '{') {
		gone.end = block_end(text, key);
		return spliced(arena, text, gone, text_format(arena, " %.*s\n", SLICE_ARG(value)));
	}
	gone = (struct span){at, inline_end(text, at, in_flow)};
	return spliced(arena, text, gone, value);
}

static struct slice add_key(struct arena *arena, struct slice text,
	const struct config_node *section_key, const struct config_node *map, const char *key,
	struct slice value)
{
	size_t at = offset_of(text, map->pos);
	bool in_flow = at < text.len && text.data[at] == '{';

	if (map->kind == CONFIG_MAP && in_flow) {
		const char *tail = map->count ? "," : " ";

		at++;
		return spliced(arena, text, (struct span){at, at},
			text_format(arena, " %s: %.*s%s", key, SLICE_ARG(value), tail));
	}
	if (map->kind == CONFIG_MAP && map->count) {
		size_t line = line_start(text, offset_of(text, map->keys[0]->pos));
		size_t indent = offset_of(text, map->keys[0]->pos) - line;

		return spliced(arena, text, (struct span){line, line},
			text_format(
				arena, "%*s%s: %.*s\n", (int)indent, "", key, SLICE_ARG(value)));
	}
	at = next_line(text, offset_of(text, section_key->pos));
	return spliced(arena, text, (struct span){at, at},
		text_format(arena, "%s  %s: %.*s\n", at && text.data[at - 1] != '\n' ? "\n" : "",
			key, SLICE_ARG(value)));
}

static struct slice edited(struct arena *arena, struct slice text, const struct config_node *root,
	const char *section, const char *key, struct slice value)
{
	size_t at = index_of(root, section), inner;
	const struct config_node *map;
	bool in_flow;

	if (at == SIZE_MAX)
		return text_format(arena, "%.*s%s\n%s:\n  %s: %.*s\n", SLICE_ARG(text),
			text.len && text.data[text.len - 1] != '\n' ? "\n" : "", section, key,
			SLICE_ARG(value));
	map = root->items[at];
	inner = index_of(map, key);
	if (inner == SIZE_MAX)
		return add_key(arena, text, root->keys[at], map, key, value);
	in_flow = text.data[offset_of(text, map->pos)] == '{';
	return replace_value(arena, text, map->keys[inner], map->items[inner], in_flow, value);
}

/* ---- the proof */

static bool same(const struct config_node *a, const struct config_node *b)
{
	if (a->kind != b->kind || a->count != b->count)
		return false;
	if (a->kind == CONFIG_SCALAR)
		return slice_equal(a->text, b->text) && a->quoted == b->quoted;
	for (size_t i = 0; i < a->count; i++)
		if (!same(a->items[i], b->items[i]) ||
			(a->kind == CONFIG_MAP && !slice_equal(a->keys[i]->text, b->keys[i]->text)))
			return false;
	return true;
}

/* Both maps (or NULL: none) have the same keys and values, `but` left out. */
static bool same_but(const struct config_node *a, const struct config_node *b, const char *but)
{
	const struct config_node *sides[2] = {a, b};

	for (size_t n = 0; n < 2; n++) {
		const struct config_node *here = sides[n], *there = sides[1 - n];

		for (size_t i = 0; here && here->kind == CONFIG_MAP && i < here->count; i++) {
			size_t at;

			if (slice_is(here->keys[i]->text, but))
				continue;
			at = index_of(there, here->keys[i]->text.data);
			if (at == SIZE_MAX || !same(here->items[i], there->items[at]))
				return false;
		}
	}
	return true;
}

static const struct config_node *member(const struct config_node *map, const char *key)
{
	size_t at = index_of(map, key);

	return at == SIZE_MAX ? NULL : map->items[at];
}

static struct config_node *parsed(struct arena *arena, struct slice text)
{
	struct config_errors *errors = config_errors_new();
	struct config_node *root = config_tree_parse("reeve.yaml", text, arena, errors);

	if (config_errors_count(errors))
		root = NULL;
	config_errors_free(&errors);
	return root;
}

static bool is_proved(struct arena *arena, const struct config_node *old, struct slice text,
	const char *section, const char *key, struct slice value)
{
	const struct config_node *now = parsed(arena, text), *one, *put;

	one = parsed(arena, text_format(arena, "%s: %.*s\n", key, SLICE_ARG(value)));
	if (!now || !one || !same_but(old, now, section) ||
		!same_but(member(old, section), member(now, section), key))
		return false;
	put = member(member(now, section), key);
	return put && member(one, key) && same(put, member(one, key));
}

bool yaml_edit(struct arena *arena, struct slice text, const char *section, const char *key,
	struct slice value, struct slice *ret_text)
{
	const struct config_node *root = parsed(arena, text), *map;
	struct slice out;

	map = root ? member(root, section) : NULL;
	if (!root || root->kind != CONFIG_MAP ||
		(map && map->kind != CONFIG_MAP && !config_node_is_empty(map)))
		return false;
	out = edited(arena, text, root, section, key, value);
	if (!is_proved(arena, root, out, section, key, value))
		return false;
	*ret_text = out;
	return true;
}

static bool is_plain(struct slice text)
{
	bool letter = false;

	for (size_t i = 0; i < text.len; i++) {
		char byte = text.data[i];

		if (byte >= 'a' && byte <= 'z')
			letter = true;
		else if (!((byte >= '0' && byte <= '9') || (byte == '-' && i) || byte == '_' ||
				 byte == '/' || (byte == '.' && i)))
			return false;
	}
	return (letter && memchr(text.data, '.', text.len)) ||
	       (text.len && memchr(text.data, '/', text.len));
}

struct slice yaml_scalar(struct arena *arena, struct slice text)
{
	struct text_list out = {0};

	if (is_plain(text))
		return text;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] == '"' || text.data[i] == '\\')
			text_add(arena, &out, SLICE("\\"));
		text_add(arena, &out, slice_make(text.data + i, 1));
	}
	return text_format(arena, "\"%.*s\"", SLICE_ARG(text_join(arena, &out, "")));
}
