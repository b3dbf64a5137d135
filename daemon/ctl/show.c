/* SPDX-License-Identifier: ISC */
/*
 * Columns are as wide as their widest cell, counted in characters; the last has no padding.
 */
#include "daemon/ctl/show.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/json.h"
#include "common/units.h"

#define TEXT_BYTES ((size_t)256 << 10)

static const char *keep(struct ctl *ctl, const struct buf *text)
{
	char *copy = arena_alloc(&ctl->arena, text->len + 1);

	if (text->len)
		memcpy(copy, text->data, text->len);
	copy[text->len] = '\0';
	return copy;
}

const char *show_text(struct ctl *ctl, struct slice text)
{
	const char *copy;
	struct buf out;

	buf_init(&out, TEXT_BYTES);
	json_plain(&out, text);
	copy = keep(ctl, &out);
	buf_release(&out);
	return copy;
}

const char *show_member(struct ctl *ctl, const struct json_value *value, const char *key)
{
	return show_text(ctl, json_get_text(value, key));
}

const char *show_or_dash(struct ctl *ctl, const struct json_value *value, const char *key)
{
	const char *text = show_member(ctl, value, key);

	return *text ? text : "-";
}

const char *show_number(struct ctl *ctl, uint64_t number)
{
	char memory[24];
	struct buf out;

	buf_init_fixed(&out, memory, sizeof(memory));
	buf_add_u64(&out, number);
	return keep(ctl, &out);
}

const char *show_duration(struct ctl *ctl, uint64_t ms)
{
	char memory[64];
	struct buf out;

	buf_init_fixed(&out, memory, sizeof(memory));
	units_format_duration(&out, ms);
	return keep(ctl, &out);
}

const char *show_window(struct ctl *ctl, uint64_t ms)
{
	char memory[64];
	struct buf out;

	buf_init_fixed(&out, memory, sizeof(memory));
	units_format_window(&out, ms);
	return keep(ctl, &out);
}

const char *show_used(struct ctl *ctl, const struct json_value *counter)
{
	const struct json_value *limit = json_get(counter, "limit");
	char memory[160];
	struct buf out;

	buf_init_fixed(&out, memory, sizeof(memory));
	buf_add_u64(&out, json_get_u64(counter, "used"));
	if (!limit)
		buf_add(&out, SLICE(" of unlimited"));
	else if (limit->type != JSON_NULL) /* null: only other nodes know it */
		buf_add_format(&out, " of %llu",
			(unsigned long long)json_get_u64(counter, "limit"));
	buf_add(&out, SLICE(" "));
	buf_add(&out, json_get_text(counter, "count"));
	buf_add(&out, SLICE(" in "));
	units_format_window(&out, json_get_u64(counter, "window_ms"));
	if (json_get_bool(counter, "live"))
		buf_add(&out, SLICE(" (live limit)"));
	return show_text(ctl, buf_slice(&out));
}

const char *show_free(struct ctl *ctl, const struct json_value *counter)
{
	char memory[128];
	struct buf out;

	if (json_get_u64(counter, "free_amount") == 0)
		return "";
	buf_init_fixed(&out, memory, sizeof(memory));
	buf_add_u64(&out, json_get_u64(counter, "free_amount"));
	buf_add(&out, SLICE(" free again in "));
	units_format_duration(&out, json_get_u64(counter, "free_ms"));
	return keep(ctl, &out);
}

/* ---- tables ---- */

static size_t width(const char *text)
{
	size_t count = 0;

	for (; *text; text++)
		count += (*text & 0xc0) != 0x80;
	return count;
}

void show_table_begin(
	struct show_table *table, struct ctl *ctl, unsigned columns, const char *const *headings)
{
	*table = (struct show_table){.ctl = ctl, .columns = columns};
	show_table_row(table, headings);
}

void show_table_row(struct show_table *table, const char *const *cells)
{
	if (table->count + table->columns > table->room) {
		table->room = table->room ? 2 * table->room : 64;
		table->cells = mem_grow(table->cells, table->room * sizeof(*table->cells));
	}
	for (unsigned i = 0; i < table->columns; i++)
		table->cells[table->count++] = cells[i];
}

static void print_row(const struct show_table *table, size_t row, const size_t *widths)
{
	const char **cells = table->cells + row * table->columns;

	for (unsigned i = 0; i < table->columns; i++) {
		fputs(cells[i], table->ctl->out);
		if (i + 1 < table->columns)
			fprintf(table->ctl->out, "%*s", (int)(widths[i] - width(cells[i]) + 2), "");
	}
	fputc('\n', table->ctl->out);
}

void show_table_end(struct show_table *table, const char *none)
{
	size_t widths[SHOW_COLUMNS] = {0}, rows = table->count / table->columns;

	for (size_t i = 0; i < table->count; i++) {
		size_t mine = width(table->cells[i]), *widest = &widths[i % table->columns];

		*widest = mine > *widest ? mine : *widest;
	}
	if (rows == 1)
		fprintf(table->ctl->out, "%s\n", none);
	for (size_t row = 0; rows > 1 && row < rows; row++) {
		if (row == 0 && table->ctl->colours)
			fputs("\033[1m", table->ctl->out);
		print_row(table, row, widths);
		if (row == 0 && table->ctl->colours)
			fputs("\033[0m", table->ctl->out);
	}
	show_table_drop(table);
}

void show_table_drop(struct show_table *table)
{
	free(table->cells);
	*table = (struct show_table){0};
}

void show_strong(struct ctl *ctl, const char *text)
{
	if (ctl->colours)
		fprintf(ctl->out, "\033[1m%s\033[0m\n", text);
	else
		fprintf(ctl->out, "%s\n", text);
}
