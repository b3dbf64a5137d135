/* SPDX-License-Identifier: ISC */
/*
 * Texts made in an arena, and lists of them: what the tool's Postfix part builds values and messages from.
 */
#ifndef REEVE_DAEMON_CTL_POSTFIX_TEXT_H
#define REEVE_DAEMON_CTL_POSTFIX_TEXT_H

#include "common/arena.h"

#define TEXT_MAX_BYTES ((size_t)256 * 1024) /* of one text */

/* A list that grows in an arena. Zeroed: empty. */
struct text_list {
	struct slice *items;
	size_t count;
	/* private */
	size_t room;
};

/* NUL-terminated behind its length. Longer than TEXT_MAX_BYTES: empty. */
struct slice text_format(struct arena *arena, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* With a NUL behind it, for system calls. */
const char *text_terminated(struct arena *arena, struct slice text);

void text_add(struct arena *arena, struct text_list *list, struct slice item);
/* Not added if it is there already. */
void text_add_new(struct arena *arena, struct text_list *list, struct slice item);
bool text_holds(const struct text_list *list, struct slice item);
struct slice text_join(struct arena *arena, const struct text_list *list, const char *between);

/* The next line of `*text` without its newline; false: no more. */
bool text_line(struct slice *text, struct slice *ret_line);
/* "name = value" as postconf prints it. */
bool text_setting(struct slice line, struct slice *ret_name, struct slice *ret_value);

/* The next item of a Postfix list: separated by commas and blanks, `{...}` is one item, braces kept. */
bool text_item(struct slice *list, struct slice *ret_item);
/* Without the braces around it, and trimmed. */
struct slice text_unbrace(struct slice item);
/* A list without its blanks: "a, b { c, d }" -> "a,b,{c,d}"; blanks that mean something stay. */
struct slice text_squeeze(struct arena *arena, struct slice list);
bool text_has_blank(struct slice text);

/* Fit for a POSIX shell: in single quotes where it needs them. */
struct slice text_quote(struct arena *arena, struct slice text);
/* Bytes that a regular expression gives a meaning get a backslash. */
struct slice text_regexp(struct arena *arena, struct slice text);

#endif
