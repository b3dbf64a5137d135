/* SPDX-License-Identifier: ISC */
/*
 * Replies to Postfix that cannot be malformed: a refusal always has code,
 * enhanced code and text (postfix.md c5, c6), all is ASCII, at most 400 bytes, and what is
 * substituted is filtered: [A-Za-z0-9.@:_+=/-] and brackets, anything else becomes `?`, 64 bytes at most.
 * Our own values (numbers, times, reasons) may hold blanks and other printable ASCII.
 */
#ifndef REEVE_COMMON_REPLY_H
#define REEVE_COMMON_REPLY_H

#include "common/buf.h"
#include "common/slice.h"

#define REPLY_BYTES 400           /* "action=" and the two newlines not counted */

enum reply_kind {
	REPLY_REJECT,             /* 5xx */
	REPLY_DEFER,              /* 4xx */
	REPLY_DISCONNECT,         /* 521 */
	REPLY_DISCONNECT_TEMPORARY, /* 421 */
	REPLY_HOLD,               /* HOLD text */
	REPLY_DISCARD,            /* DISCARD text */
	REPLY_MARK,               /* PREPEND Name: value */
	REPLY_NONE                /* DUNNO; the text goes to the log only (warn, pass) */
};

enum reply_var {
	REPLY_VAR_CLIENT, REPLY_VAR_SENDER, REPLY_VAR_RECIPIENT, REPLY_VAR_DOMAIN, REPLY_VAR_LOGIN,
	REPLY_VAR_HELO, REPLY_VAR_RULE, REPLY_VAR_REASON, REPLY_VAR_UNTIL, REPLY_VAR_USED,
	REPLY_VAR_LIMIT, REPLY_VAR_COUNT, REPLY_VAR_WINDOW, REPLY_VAR_RETRY,
	REPLY_VARS
};

/* Values by enum reply_var; what is not set is SLICE_EMPTY (zeroed works too). */
struct reply_vars {
	struct slice value[REPLY_VARS];
};

struct reply_template;

/*
 * Compiles "550 5.7.1 {sender}: text". `default_enhanced` ("5.7.1") and `default_code` stand in where the text
 * does not begin with its own. Code and enhanced code must be of the class that
 * `kind` asks for (REPLY_DISCONNECT: exactly 521, ..._TEMPORARY: exactly 421), a mark must be a legal header line
 * `Name: value`, variables must exist, `{{` is a brace, bytes must be printable ASCII. NULL: `*ret_why` says why
 * not (static text). Free with reply_template_free().
 */
struct reply_template *reply_template_new(struct slice text, enum reply_kind kind,
					  unsigned default_code, const char *default_enhanced,
					  const char **ret_why) __attribute__((warn_unused_result));
void reply_template_free(struct reply_template **template);
/* The first variable of `text` that there is none of, without its braces; false: all exist. */
bool reply_find_unknown_var(struct slice text, struct slice *ret_name);
/* The text behind the code and enhanced code at its front, if it has them; points into `text`. */
struct slice reply_text_without_codes(struct slice text);
enum reply_kind reply_template_kind(const struct reply_template *template);
unsigned reply_template_code(const struct reply_template *template); /* 0 for kinds without */
/* Does the text use this variable? (Counters are filled in for authenticated clients only.) */
bool reply_template_uses(const struct reply_template *template, enum reply_var var);

/* Writes "action=...\n\n". A template of kind REPLY_NONE, or NULL, writes DUNNO. */
void reply_write(struct buf *out, const struct reply_template *template,
		 const struct reply_vars *vars);
/* The text alone as it would go out (code and all), for logs and `explain`. */
void reply_write_text(struct buf *out, const struct reply_template *template,
		      const struct reply_vars *vars);

const char *const *reply_var_names(void);   /* NULL-terminated; for messages and manuals */

#endif
