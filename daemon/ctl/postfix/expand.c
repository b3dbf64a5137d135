/* SPDX-License-Identifier: ISC */
/*
 * Postfix's `$name`: also ${name}, $(name), ${name?text}, ${name:text}, ${name?{text}:{text}}, and
 * ${{left} == {right} ? {text} : {text}} with its other operators. `$$` is a dollar. A name that refers to
 * itself, and anything deeper than that, comes out empty: Postfix would stop there with an error.
 */
#include "common/buf.h"
#include "common/units.h"
#include "daemon/ctl/postfix/model.h"

#define MAX_DEPTH 20
#define MAX_STEPS 20000 /* names in one value: a knot of names must not keep us busy */

struct expansion {
	const struct model *model;
	const struct model_service *service;
	struct buf *out;
	unsigned *steps;
};

static void expand(const struct expansion *to, struct slice text, unsigned depth);

static bool is_name_byte(char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
	       (byte >= '0' && byte <= '9') || byte == '_';
}

static size_t name_len(struct slice text)
{
	size_t len = 0;

	while (len < text.len && is_name_byte(text.data[len]))
		len++;
	return len;
}

/* How long the group at the start of `text` is, with its braces or parentheses; 0: it is never closed. */
static size_t group_len(struct slice text)
{
	char open = text.data[0], close = open == '{' ? '}' : ')';
	size_t depth = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] == open)
			depth++;
		else if (text.data[i] == close && --depth == 0)
			return i + 1;
	}
	return 0;
}

/* A `{group}` in front of `*text`, without its braces; false: there is none. */
static bool take_group(struct slice *text, struct slice *ret_inside)
{
	size_t len;

	*text = slice_trim(*text);
	len = text->len && text->data[0] == '{' ? group_len(*text) : 0;
	if (len == 0)
		return false;
	*ret_inside = slice_make(text->data + 1, len - 2);
	*text = slice_trim(slice_from(*text, len));
	return true;
}

static bool take_byte(struct slice *text, char byte)
{
	if (text->len == 0 || text->data[0] != byte)
		return false;
	*text = slice_trim(slice_from(*text, 1));
	return true;
}

/* Behind a condition: `?text`, `:text`, `?{text}:{text}`. */
static void choose(const struct expansion *to, struct slice rest, bool holds, unsigned depth)
{
	struct slice yes = SLICE_EMPTY, no = SLICE_EMPTY;

	if (take_byte(&rest, '?')) {
		if (!take_group(&rest, &yes)) {
			yes = rest;
			rest = SLICE_EMPTY;
		}
	}
	if (take_byte(&rest, ':') && !take_group(&rest, &no))
		no = rest;
	expand(to, holds ? yes : no, depth + 1);
}

static struct slice expanded(const struct expansion *to, struct slice text, unsigned depth)
{
	struct expansion inner = *to;
	struct buf buf;
	struct slice out;

	buf_init(&buf, TEXT_MAX_BYTES);
	inner.out = &buf;
	expand(&inner, text, depth + 1);
	out = arena_dup(to->model->arena, buf_slice(&buf));
	buf_release(&buf);
	return out;
}

/* "3.6" and "3.10" as levels: part by part. */
static int compare_levels(struct slice a, struct slice b)
{
	while (a.len || b.len) {
		struct slice head_a = a, head_b = b, tail_a = SLICE_EMPTY, tail_b = SLICE_EMPTY;
		uint64_t left = 0, right = 0;

		(void)slice_split(a, '.', &head_a, &tail_a);
		(void)slice_split(b, '.', &head_b, &tail_b);
		(void)units_parse_u64(head_a, &left);
		(void)units_parse_u64(head_b, &right);
		if (left != right)
			return left < right ? -1 : 1;
		a = tail_a;
		b = tail_b;
	}
	return 0;
}

static int compare_texts(struct slice a, struct slice b)
{
	uint64_t left, right;
	size_t shorter = a.len < b.len ? a.len : b.len;
	int order;

	if (!units_parse_u64(a, &left) && !units_parse_u64(b, &right))
		return left < right ? -1 : left > right;
	order = shorter ? memcmp(a.data, b.data, shorter) : 0;
	if (order == 0)
		order = a.len < b.len ? -1 : a.len > b.len;
	return order;
}

static bool relation_holds(struct slice op, int order)
{
	if (slice_is(op, "=="))
		return order == 0;
	if (slice_is(op, "!="))
		return order != 0;
	if (slice_is(op, "<="))
		return order <= 0;
	if (slice_is(op, ">="))
		return order >= 0;
	return slice_is(op, "<") ? order < 0 : order > 0;
}

/* Inside of ${...}, beginning with `{left}`. */
static void expand_relation(const struct expansion *to, struct slice inside, unsigned depth)
{
	struct slice left, right, op;
	size_t len = 0;
	bool levels;
	int order;

	if (!take_group(&inside, &left))
		return;
	while (len < inside.len && inside.data[len] != '{' && inside.data[len] != ' ')
		len++;
	op = slice_first(inside, len);
	inside = slice_from(inside, len);
	if (!take_group(&inside, &right))
		return;
	levels = slice_ends_with(op, SLICE("level"));
	if (levels)
		op.len -= strlen("level");
	left = slice_trim(expanded(to, left, depth));
	right = slice_trim(expanded(to, right, depth));
	order = levels ? compare_levels(left, right) : compare_texts(left, right);
	choose(to, inside, relation_holds(op, order), depth);
}

static void expand_group(const struct expansion *to, struct slice inside, unsigned depth)
{
	size_t len;
	struct slice raw, rest;

	inside = slice_trim(inside);
	if (inside.len && inside.data[0] == '{') {
		expand_relation(to, inside, depth);
		return;
	}
	len = name_len(inside);
	rest = slice_trim(slice_from(inside, len));
	raw = model_raw_slice(to->model, to->service, slice_first(inside, len));
	if (rest.len)
		choose(to, rest, expanded(to, raw, depth).len > 0, depth);
	else
		expand(to, raw, depth + 1);
}

/* At a `$`: how many bytes that took. */
static size_t expand_one(const struct expansion *to, struct slice text, unsigned depth)
{
	size_t len;

	if (text.len > 1 && text.data[1] == '$') {
		buf_add_char(to->out, '$');
		return 2;
	}
	if (text.len > 1 && (text.data[1] == '{' || text.data[1] == '(')) {
		len = group_len(slice_from(text, 1));
		if (len) {
			expand_group(to, slice_make(text.data + 2, len - 2), depth);
			return len + 1;
		}
	}
	len = name_len(slice_from(text, 1));
	if (len)
		expand(to, model_raw_slice(to->model, to->service, slice_make(text.data + 1, len)),
			depth + 1);
	else
		buf_add_char(to->out, '$');
	return len + 1;
}

static void expand(const struct expansion *to, struct slice text, unsigned depth)
{
	size_t i = 0;

	if (depth > MAX_DEPTH || ++*to->steps > MAX_STEPS)
		return;
	while (i < text.len) {
		if (text.data[i] == '$') {
			i += expand_one(to, slice_from(text, i), depth);
		} else {
			buf_add_char(to->out, text.data[i]);
			i++;
		}
	}
}

struct slice model_expand(
	const struct model *model, const struct model_service *service, struct slice text)
{
	struct buf buf;
	unsigned steps = 0;
	struct expansion to = {model, service, &buf, &steps};
	struct slice out;

	if (text.len == 0 || !memchr(text.data, '$', text.len))
		return text;
	buf_init(&buf, TEXT_MAX_BYTES);
	expand(&to, text, 0);
	out = slice_trim(arena_dup(model->arena, buf_slice(&buf)));
	buf_release(&buf);
	return out;
}
