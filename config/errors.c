/* SPDX-License-Identifier: ISC */
/*
 * Keeps the lines sorted as they come: there are at most 200, and a load that
 * has none pays nothing. Each line is a finished text of its own, so it stays
 * valid when the configuration that it speaks of is freed. The same message at the
 * same place is kept once: a list that is used in five places is wrong once.
 */
#include "config/errors.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/alloc.h"

#define KEPT_OF_EACH 100
#define MESSAGE_BYTES 600

struct line {
	char *file;
	unsigned line, column;
	bool is_warning;
	char *text; /* as it is shown */
};

struct config_errors {
	struct line lines[2 * KEPT_OF_EACH];
	size_t count;
	size_t total[2], kept[2]; /* by is_warning */
	char left_out[80];
};

struct config_errors *config_errors_new(void)
{
	return mem_zalloc(sizeof(struct config_errors));
}

void config_errors_free(struct config_errors **errors)
{
	if (!*errors)
		return;
	for (size_t i = 0; i < (*errors)->count; i++) {
		mem_free(&(*errors)->lines[i].file);
		mem_free(&(*errors)->lines[i].text);
	}
	mem_free(errors);
}

static int compare(const struct line *a, const struct line *b)
{
	int order = strcmp(a->file, b->file);

	if (order)
		return order;
	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	if (a->column != b->column)
		return a->column < b->column ? -1 : 1;
	return 0;
}

static char *format_line(struct config_pos pos, bool is_warning, const char *message)
{
	struct buf out;
	char *text;

	buf_init(&out, 8192);
	buf_add_format(&out, "%s", pos.file);
	if (pos.line)
		buf_add_format(&out, ":%u:%u", pos.line, pos.column);
	buf_add(&out, is_warning ? SLICE(": warning: ") : SLICE(": "));
	for (const unsigned char *p = (const unsigned char *)message; *p; p++) {
		if (*p < 0x20 || *p > 0x7e)
			buf_add_format(&out, "\\x%02X", *p);
		else
			buf_add_char(&out, (char)*p);
	}
	text = mem_dup(buf_slice(&out));
	buf_release(&out);
	return text;
}

static bool is_known(const struct config_errors *errors, const char *text)
{
	for (size_t i = 0; i < errors->count; i++)
		if (strcmp(errors->lines[i].text, text) == 0)
			return true;
	return false;
}

static void insert(struct config_errors *errors, struct line line)
{
	size_t at = errors->count;

	while (at > 0 && compare(&errors->lines[at - 1], &line) > 0)
		at--;
	memmove(&errors->lines[at + 1], &errors->lines[at],
		(errors->count - at) * sizeof(errors->lines[0]));
	errors->lines[at] = line;
	errors->count++;
	errors->kept[line.is_warning]++;
}

static void leave_out(struct config_errors *errors)
{
	snprintf(errors->left_out, sizeof(errors->left_out),
		"%zu more errors and warnings are not shown",
		errors->total[0] + errors->total[1] - errors->count);
}

static void add(
	struct config_errors *errors, struct config_pos pos, bool is_warning, const char *message)
{
	struct line line = {.line = pos.line, .column = pos.column, .is_warning = is_warning};

	if (!pos.file)
		pos.file = "(configuration)";
	line.text = format_line(pos, is_warning, message);
	if (is_known(errors, line.text)) {
		mem_free(&line.text);
		return;
	}
	errors->total[is_warning]++;
	if (errors->kept[is_warning] == KEPT_OF_EACH) {
		mem_free(&line.text);
		leave_out(errors);
		return;
	}
	line.file = mem_dup(slice_of(pos.file));
	insert(errors, line);
	if (errors->left_out[0])
		leave_out(errors);
}

void config_error(struct config_errors *errors, struct config_pos pos, const char *format, ...)
{
	char message[MESSAGE_BYTES];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	add(errors, pos, false, message);
}

void config_warning(struct config_errors *errors, struct config_pos pos, const char *format, ...)
{
	char message[MESSAGE_BYTES];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	add(errors, pos, true, message);
}

struct config_quoted config_quote(struct slice bytes)
{
	static const char hex[] = "0123456789ABCDEF";
	struct config_quoted quoted;
	size_t used = 0;

	for (size_t i = 0; i < bytes.len; i++) {
		unsigned char byte = (unsigned char)bytes.data[i];

		if (used + 4 > CONFIG_QUOTED_BYTES) {
			memcpy(quoted.text + used, "...", 3);
			used += 3;
			break;
		}
		if (byte >= 0x20 && byte <= 0x7e) {
			quoted.text[used++] = (char)byte;
			continue;
		}
		quoted.text[used++] = '\\';
		quoted.text[used++] = 'x';
		quoted.text[used++] = hex[byte >> 4];
		quoted.text[used++] = hex[byte & 15];
	}
	assert(used < sizeof(quoted.text));
	quoted.text[used] = '\0';
	return quoted;
}

size_t config_errors_count(const struct config_errors *errors)
{
	return errors->total[0];
}

size_t config_warnings_count(const struct config_errors *errors)
{
	return errors->total[1];
}

const char *config_errors_line(
	const struct config_errors *errors, size_t index, bool *ret_is_warning)
{
	if (index < errors->count) {
		*ret_is_warning = errors->lines[index].is_warning;
		return errors->lines[index].text;
	}
	if (index == errors->count && errors->left_out[0]) {
		*ret_is_warning = errors->total[0] <= errors->kept[0];
		return errors->left_out;
	}
	return NULL;
}
