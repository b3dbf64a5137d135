/* SPDX-License-Identifier: ISC */
/*
 * Output for people: aligned columns, times and amounts as they say them. Nothing that came from
 * outside reaches the terminal as it is.
 */
#ifndef REEVE_DAEMON_CTL_SHOW_H
#define REEVE_DAEMON_CTL_SHOW_H

#include "daemon/ctl/ctl.h"

#define SHOW_COLUMNS 8

struct show_table {
	struct ctl *ctl;
	unsigned columns;
	const char **cells; /* row after row, the first is the heading */
	size_t count, room;
};

/* Fit for a terminal, NUL-terminated; all these live in ctl->arena. */
const char *show_text(struct ctl *ctl, struct slice text);
const char *show_member(struct ctl *ctl, const struct json_value *value, const char *key);
/* "-" where it is missing or empty. */
const char *show_or_dash(struct ctl *ctl, const struct json_value *value, const char *key);
const char *show_number(struct ctl *ctl, uint64_t number);
/* "1 h 5 min" */
const char *show_duration(struct ctl *ctl, uint64_t ms);
/* "1h", as in the configuration */
const char *show_window(struct ctl *ctl, uint64_t ms);
/* "143 of 200 recipients in 1h" from a counter's members */
const char *show_used(struct ctl *ctl, const struct json_value *counter);
/* "12 free again in 5 min"; "" if nothing is used */
const char *show_free(struct ctl *ctl, const struct json_value *counter);

/* `headings` are `columns` words. */
void show_table_begin(
	struct show_table *table, struct ctl *ctl, unsigned columns, const char *const *headings);
void show_table_row(struct show_table *table, const char *const *cells);
/* Prints and frees; `none` instead, if there is no row. */
void show_table_end(struct show_table *table, const char *none);
/* Only frees. */
void show_table_drop(struct show_table *table);

/* Headings and the like, bold where that is wanted. */
void show_strong(struct ctl *ctl, const char *text);

#endif
