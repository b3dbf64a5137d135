/* SPDX-License-Identifier: ISC */
/*
 * A plan as people and programs read it: the settings (`print`), and what is wrong, each with the lines that mend
 * it (`check`).
 */
#ifndef REEVE_DAEMON_CTL_POSTFIX_REPORT_H
#define REEVE_DAEMON_CTL_POSTFIX_REPORT_H

#include "common/buf.h"
#include "daemon/ctl/postfix/plan.h"

/* What the lines that mend name. */
struct report_names {
	const char *config_dir; /* for `-c`; NULL: Postfix's own */
	const char *file;       /* reeve.yaml */
};

struct report_counts {
	size_t mistakes, warnings, mendable; /* findings; those that `apply` mends */
};

/* The line that fulfils a wish. */
struct slice report_line(struct arena *arena, const struct report_names *names, const struct wish *wish);
void report_count(const struct plan *plan, struct report_counts *ret_counts);

void report_print(const struct plan *plan, const struct report_names *names, struct buf *out);
void report_print_json(const struct plan *plan, struct buf *out);
void report_check(const struct plan *plan, const struct report_names *names, struct buf *out);
void report_check_json(const struct plan *plan, const struct report_names *names, struct buf *out);

#endif
