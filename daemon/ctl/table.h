/* SPDX-License-Identifier: ISC */
/*
 * All commands of reevectl.
 */
#ifndef REEVE_DAEMON_CTL_TABLE_H
#define REEVE_DAEMON_CTL_TABLE_H

#include "daemon/ctl/ctl.h"

/* In the order of the list that `reevectl --help` prints; NULL-terminated. */
extern const struct ctl_command *const ctl_table[];

/* The command whose name's words argv begins with, the longest that fits; NULL: none.
 * `*ret_words` says how many words that took. */
const struct ctl_command *ctl_find(int argc, char **argv, int *ret_words);

extern const struct ctl_command ctl_status, ctl_reload, ctl_check;
extern const struct ctl_command ctl_explain, ctl_usage, ctl_top, ctl_reset;
extern const struct ctl_command ctl_limit_set, ctl_limit_unset, ctl_limit_list;
extern const struct ctl_command ctl_watch, ctl_metrics;
extern const struct ctl_command ctl_ban_list, ctl_ban_show, ctl_ban_add, ctl_ban_remove;
extern const struct ctl_command ctl_postfix_print, ctl_postfix_check, ctl_postfix_apply;

#endif
