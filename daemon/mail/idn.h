/* SPDX-License-Identifier: ISC */
/*
 * The wrapper of libidn2 and libunistring: domains to A-labels by UTS46
 * (non-transitional, as Postfix has it), and case folding with NFC for local
 * parts. ASCII input never reaches the libraries.
 */
#ifndef REEVE_DAEMON_MAIL_IDN_H
#define REEVE_DAEMON_MAIL_IDN_H

#include "common/arena.h"
#include "common/slice.h"

/* Lower case, A-labels, no trailing dot. false: cannot be converted (bad UTF-8, an empty label, a label or the
 * name too long, code points that UTS46 forbids). Underscores and other ASCII pass as they are. */
bool idn_domain(struct slice domain, struct arena *arena, struct slice *ret_domain)
	__attribute__((warn_unused_result));
/* Case folded and NFC; bytes that are no UTF-8 are kept as they are, ASCII folded. So is text over
 * IDN_FOLD_BYTES, which is no name any more. */
struct slice idn_fold(struct slice text, struct arena *arena);
#define IDN_FOLD_BYTES 2048

/* Writes `text` with its ASCII letters in lower case to `ret_copy` (text.len bytes). Is all of it ASCII? */
bool idn_lower(struct slice text, char *ret_copy);
/* Labels of 1 to 63 bytes, at most 253 in all; `domain` has no trailing dot. */
bool idn_labels_fit(struct slice domain);

#endif
