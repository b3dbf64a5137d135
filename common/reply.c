/* SPDX-License-Identifier: ISC */
/*
 * Writing replies. A reply is built in one fixed piece of memory and added to the output whole:
 * action word, head ("550 5.7.1 " or "Name: "), then the pieces of the
 * text. Whatever the variables hold, the text is never blank: Postfix 3.7 reads past the
 * end of a refusal without text. Templates are made in reply_template.c.
 */
#include "common/reply.h"

#include "common/reply_template.h"

#define OWN_VALUE_BYTES 128

/* Bytes that a stranger's value may keep. */
static bool is_plain(char byte)
{
	if ((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
		(byte >= '0' && byte <= '9'))
		return true;
	return byte && strchr(".@:_+=/-[]", byte);
}

static bool is_printable(char byte)
{
	return byte >= 0x20 && byte < 0x7f;
}

static bool is_strangers(enum reply_var var)
{
	return var <= REPLY_VAR_HELO;
}

struct text {
	char memory[REPLY_BYTES];
	size_t len;
};

static void add(struct text *text, struct slice bytes)
{
	bytes = slice_first(bytes, sizeof(text->memory) - text->len);
	memcpy(text->memory + text->len, bytes.data, bytes.len);
	text->len += bytes.len;
}

static void add_var(struct text *text, enum reply_var var, struct slice value)
{
	bool strangers = is_strangers(var);
	size_t max = strangers ? REPLY_VAR_BYTES : OWN_VALUE_BYTES;

	if (max > sizeof(text->memory) - text->len)
		max = sizeof(text->memory) - text->len;
	value = slice_first(value, max);
	for (size_t i = 0; i < value.len; i++) {
		char byte = value.data[i];
		bool keep = strangers ? is_plain(byte) : is_printable(byte);

		text->memory[text->len++] = keep ? byte : '?';
	}
}

static bool is_blank(const char *data, size_t len)
{
	while (len && data[len - 1] == ' ')
		len--;
	return len == 0;
}

static void add_body(
	struct text *text, const struct reply_template *template, const struct reply_vars *vars)
{
	size_t start = text->len;

	for (size_t i = 0; i < template->piece_count; i++) {
		const struct reply_piece *piece = &template->pieces[i];

		if (piece->var == REPLY_VARS)
			add(text, piece->literal);
		else if (vars)
			add_var(text, piece->var, vars->value[piece->var]);
	}
	if (!is_blank(text->memory + start, text->len - start))
		return;
	text->len = start;
	add(text, template->fallback);
}

static __attribute__((noinline)) void write_template(
	struct buf *out, const struct reply_template *template, const struct reply_vars *vars)
{
	struct text text = {.len = 0};

	add(&text, template->word);
	add(&text, template->head);
	add_body(&text, template, vars);
	if (!buf_reserve(out, sizeof("action=\n\n") - 1 + text.len))
		return;
	buf_add(out, SLICE("action="));
	buf_add(out, slice_make(text.memory, text.len));
	buf_add(out, SLICE("\n\n"));
}

void reply_write(
	struct buf *out, const struct reply_template *template, const struct reply_vars *vars)
{
	if (!template || template->kind == REPLY_NONE)
		buf_add(out, SLICE("action=DUNNO\n\n"));
	else
		write_template(out, template, vars);
}

void reply_write_text(
	struct buf *out, const struct reply_template *template, const struct reply_vars *vars)
{
	struct text text = {.len = 0};

	if (!template)
		return;
	add(&text, template->head);
	add_body(&text, template, vars);
	buf_add(out, slice_make(text.memory, text.len));
}
