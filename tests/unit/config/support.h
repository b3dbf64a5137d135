/* SPDX-License-Identifier: ISC */
/*
 * Shared by the tests of config/: loading texts, and comparing what was said about them.
 */
#ifndef REEVE_TESTS_UNIT_CONFIG_SUPPORT_H
#define REEVE_TESTS_UNIT_CONFIG_SUPPORT_H

#include <criterion/criterion.h>

#include "config/config.h"

struct message_case {
	const char *name, *text;
	const char *expected; /* all lines, each with its newline; of warnings about rules none */
};

/* Each text as file "f"; it must not load. */
void expect_messages(const struct message_case *cases, size_t count);

/* Loads with the checks of checks.h; must succeed. Free with config_unref(). */
struct config *load_text(const char *text);
/* All lines, each with its newline; of warnings that a rule can never apply none. `ret_loaded` may be NULL. Free it. */
char *messages_of(const char *text, bool *ret_loaded);
/* A file in a new folder under /tmp with these bytes; both are removed by remove_file(). */
char *make_file(const char *text, size_t len);
void remove_file(char **path);

/* Options of the rule `index`. */
#define OPTIONS(config, index, type) ((const struct type *)(config)->rules[index].options)

static inline bool is(struct slice slice, const char *text)
{
	return slice_is(slice, text);
}

#endif
