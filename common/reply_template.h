/* SPDX-License-Identifier: ISC */
/*
 * What a compiled reply looks like inside: shared by reply.c and
 * reply_template.c only. All slices point into memory of the template.
 */
#ifndef REEVE_COMMON_REPLY_TEMPLATE_H
#define REEVE_COMMON_REPLY_TEMPLATE_H

#include "common/reply.h"

#define REPLY_VAR_BYTES 64 /* of a stranger's value */

struct reply_piece {
	struct slice literal;
	enum reply_var var; /* REPLY_VARS: the literal */
};

struct reply_template {
	enum reply_kind kind;
	unsigned code;         /* 0: none */
	unsigned uses;         /* bit 1 << enum reply_var */
	struct slice word;     /* "HOLD " and its like; what Postfix wants in front */
	struct slice head;     /* "550 5.7.1 ", "Name: " or empty */
	struct slice fallback; /* stands in for a blank text */
	struct reply_piece *pieces;
	size_t piece_count;
	char *memory; /* the text, braces undone, and the head */
};

#endif
