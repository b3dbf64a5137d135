/* SPDX-License-Identifier: ISC */
/*
 * Texts in an arena. Nothing here knows what they mean to Postfix but the form of its lists.
 */
#include "daemon/ctl/postfix/text.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/buf.h"

#define FIRST_ROOM 8

static bool is_blank(char byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

struct slice text_format(struct arena *arena, const char *format, ...)
{
	va_list args;
	char *memory;
	int len;

	va_start(args, format);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (len < 0 || (size_t)len > TEXT_MAX_BYTES)
		return SLICE_EMPTY;
	memory = arena_alloc(arena, (size_t)len + 1);
	va_start(args, format);
	(void)vsnprintf(memory, (size_t)len + 1, format, args);
	va_end(args);
	return slice_make(memory, (size_t)len);
}

const char *text_terminated(struct arena *arena, struct slice text)
{
	char *memory = arena_alloc(arena, text.len + 1);

	if (text.len)
		memcpy(memory, text.data, text.len);
	memory[text.len] = '\0';
	return memory;
}

void text_add(struct arena *arena, struct text_list *list, struct slice item)
{
	if (list->count == list->room) {
		size_t room = list->room ? list->room * 2 : FIRST_ROOM;
		struct slice *items = arena_alloc(arena, room * sizeof(*items));

		if (list->count)
			memcpy(items, list->items, list->count * sizeof(*items));
		list->items = items;
		list->room = room;
	}
	list->items[list->count++] = item;
}

bool text_holds(const struct text_list *list, struct slice item)
{
	for (size_t i = 0; i < list->count; i++)
		if (slice_equal(list->items[i], item))
			return true;
	return false;
}

void text_add_new(struct arena *arena, struct text_list *list, struct slice item)
{
	if (!text_holds(list, item))
		text_add(arena, list, item);
}

static struct slice taken(struct arena *arena, struct buf *buf)
{
	struct slice out = SLICE_EMPTY;

	if (!buf->overflow)
		out = slice_make(text_terminated(arena, buf_slice(buf)), buf->len);
	buf_release(buf);
	return out;
}

struct slice text_join(struct arena *arena, const struct text_list *list, const char *between)
{
	struct buf buf;

	buf_init(&buf, TEXT_MAX_BYTES);
	for (size_t i = 0; i < list->count; i++) {
		if (i)
			buf_add(&buf, slice_of(between));
		buf_add(&buf, list->items[i]);
	}
	return taken(arena, &buf);
}

bool text_line(struct slice *text, struct slice *ret_line)
{
	struct slice line;

	if (text->len == 0)
		return false;
	if (!slice_split(*text, '\n', &line, text)) {
		line = *text;
		*text = SLICE_EMPTY;
	}
	*ret_line = line;
	return true;
}

bool text_setting(struct slice line, struct slice *ret_name, struct slice *ret_value)
{
	struct slice name, value;

	if (!slice_split(line, '=', &name, &value))
		return false;
	*ret_name = slice_trim(name);
	*ret_value = slice_trim(value);
	return ret_name->len > 0;
}

/* How long the item at the start of `list` is. A brace that is never closed goes to the end. */
static size_t item_len(struct slice list)
{
	size_t depth = 0, i;

	for (i = 0; i < list.len; i++) {
		if (list.data[i] == '{')
			depth++;
		else if (list.data[i] == '}' && depth)
			depth--;
		if (depth == 0 && i + 1 < list.len &&
			(is_blank(list.data[i + 1]) || list.data[i + 1] == ','))
			return i + 1;
	}
	return i;
}

bool text_item(struct slice *list, struct slice *ret_item)
{
	size_t len;

	while (list->len && (is_blank(list->data[0]) || list->data[0] == ','))
		*list = slice_from(*list, 1);
	if (list->len == 0)
		return false;
	len = item_len(*list);
	*ret_item = slice_first(*list, len);
	*list = slice_from(*list, len);
	return true;
}

struct slice text_unbrace(struct slice item)
{
	item = slice_trim(item);
	if (item.len >= 2 && item.data[0] == '{' && item.data[item.len - 1] == '}')
		item = slice_trim(slice_make(item.data + 1, item.len - 2));
	return item;
}

/* `{ name = value }`: the blanks in the value are its own. */
static struct slice squeeze_braced(struct arena *arena, struct slice item)
{
	struct slice inside = text_unbrace(item), name, value;

	if (!text_setting(inside, &name, &value) || memchr(name.data, ',', name.len) ||
		text_has_blank(name))
		return text_format(arena, "{%.*s}", SLICE_ARG(text_squeeze(arena, inside)));
	if (text_has_blank(value))
		return text_format(arena, "{%.*s=%.*s}", SLICE_ARG(name), SLICE_ARG(value));
	return text_format(arena, "%.*s=%.*s", SLICE_ARG(name), SLICE_ARG(value));
}

struct slice text_squeeze(struct arena *arena, struct slice list)
{
	struct text_list items = {0};
	struct slice item;

	while (text_item(&list, &item)) {
		if (item.data[0] == '{' && item.data[item.len - 1] == '}')
			item = squeeze_braced(arena, item);
		text_add(arena, &items, item);
	}
	return text_join(arena, &items, ",");
}

bool text_has_blank(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (is_blank(text.data[i]))
			return true;
	return false;
}

static bool is_plain_for_shell(struct slice text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "_-./:=,@+%";

	for (size_t i = 0; i < text.len; i++)
		if (!text.data[i] || !strchr(plain, text.data[i]))
			return false;
	return text.len > 0;
}

struct slice text_quote(struct arena *arena, struct slice text)
{
	struct buf buf;

	if (is_plain_for_shell(text))
		return text;
	buf_init(&buf, TEXT_MAX_BYTES);
	buf_add_char(&buf, '\'');
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] == '\'')
			buf_add(&buf, SLICE("'\\''"));
		else
			buf_add_char(&buf, text.data[i]);
	}
	buf_add_char(&buf, '\'');
	return taken(arena, &buf);
}

struct slice text_regexp(struct arena *arena, struct slice text)
{
	struct buf buf;

	buf_init(&buf, TEXT_MAX_BYTES);
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] && strchr(".[]{}()*+?^$|\\/", text.data[i]))
			buf_add_char(&buf, '\\');
		buf_add_char(&buf, text.data[i]);
	}
	return taken(arena, &buf);
}
