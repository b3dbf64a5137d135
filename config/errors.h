/* SPDX-License-Identifier: ISC */
/*
 * All that is wrong with a configuration, gathered in one run and shown as
 * `file:line:column: message`. Warnings ride along and do not fail a load.
 */
#ifndef REEVE_CONFIG_ERRORS_H
#define REEVE_CONFIG_ERRORS_H

#include <stddef.h>
#include <stdbool.h>

#include "common/buf.h"

/* Line and column are 1-based, columns in characters; line 0: the file as a whole.
 * `file` lives as long as the configuration (or errors list) that made it. */
struct config_pos {
	const char *file;
	unsigned line, column;
};

struct config_errors;

struct config_errors *config_errors_new(void);
void config_errors_free(struct config_errors **errors);

/* At most 100 errors and 100 warnings are kept, the rest is counted. Bytes from the file go in as "%s" of
 * config_quote() or as %.*s of checked words only; what is printed is escaped again. */
void config_error(struct config_errors *errors, struct config_pos pos, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void config_warning(struct config_errors *errors, struct config_pos pos, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define CONFIG_QUOTED_BYTES 64

/* Bytes from outside made fit for a message: what is no printable ASCII as \xNN, cut with `...`.
 * For one expression: config_error(e, pos, "unknown key '%s'", config_quote(key).text). */
struct config_quoted {
	char text[CONFIG_QUOTED_BYTES + 8];
};

struct config_quoted config_quote(struct slice bytes);

size_t config_errors_count(const struct config_errors *errors);     /* errors only */
size_t config_warnings_count(const struct config_errors *errors);
/* One line each, sorted by file, line and column: "f:3:5: unknown key ..." and
 * "f:3:5: warning: ...". `index` runs over both kinds; NULL past the end. The same line is kept once;
 * what was left out is told in a last line. */
const char *config_errors_line(const struct config_errors *errors, size_t index, bool *ret_is_warning);

#endif
