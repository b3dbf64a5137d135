/* SPDX-License-Identifier: ISC */
/*
 * What is counted of decisions, by rule and answer, and the text that Prometheus reads: all
 * metrics, with their help. Names are stable; reeved(8) lists them.
 */
#ifndef REEVE_DAEMON_OPERATE_METRICS_H
#define REEVE_DAEMON_OPERATE_METRICS_H

#include "daemon/operate/operate.h"

#define METRICS_BYTES ((size_t)4 << 20)

struct metrics;

struct metrics *metrics_new(void) __attribute__((warn_unused_result));
void metrics_free(struct metrics **metrics);
/* A decision was made. */
void metrics_note(struct metrics *metrics, const struct decision_view *view);
/* All there is, in the text format of Prometheus (version 0.0.4). */
void metrics_write(const struct metrics *metrics, const struct operate *operate, struct buf *out);

#endif
