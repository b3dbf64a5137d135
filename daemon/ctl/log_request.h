/* SPDX-License-Identifier: ISC */
/*
 * A line of Reeve's log about a decision, read back into the request that it was about.
 */
#ifndef REEVE_DAEMON_CTL_LOG_REQUEST_H
#define REEVE_DAEMON_CTL_LOG_REQUEST_H

#include "common/buf.h"

/* Finds "event=decision" in `line`, with whatever stands in front (syslog, the journal). false: it
 * is no such line. *ret_pairs: what follows. */
bool log_request_begin(struct slice line, struct slice *ret_pairs)
	__attribute__((warn_unused_result));

/* Is it a line of the log about anything? */
bool log_request_is_log(struct slice line) __attribute__((warn_unused_result));

/* The next attribute of the request, skipping what is none: the decision itself, and instance and
 * queue_id, which belong to a message that is over. `value` is emptied first and takes what was
 * there before it was escaped. false: there is no more. */
bool log_request_next(struct slice *pairs, struct slice *ret_name, struct buf *value)
	__attribute__((warn_unused_result));

#endif
