/* SPDX-License-Identifier: ISC */
/*
 * Fulfils what a plan wishes. The changes are made by postconf in a copy of main.cf and master.cf, looked at once
 * more there, and then put in place; reeve.yaml too. Whatever fails before that leaves everything as it was.
 */
#ifndef REEVE_DAEMON_CTL_POSTFIX_APPLY_H
#define REEVE_DAEMON_CTL_POSTFIX_APPLY_H

#include "daemon/ctl/postfix/job.h"

struct apply_result {
	size_t main_count, master_count, reeve_count; /* changes */
	struct slice folder;                          /* where the copies are; empty: nothing was changed */
};

/* EX_OK, or an exit code after the reason was printed. */
int apply_plan(struct ctl *ctl, struct job *job, struct apply_result *ret_result);

#endif
