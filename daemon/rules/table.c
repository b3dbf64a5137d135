/* SPDX-License-Identifier: ISC */
/*
 * The table that the configuration and the ruleset walk through.
 */
#include "daemon/rules/table.h"

#define RULES_ENTRY(name) &rule_##name,

const struct rule_ops *const rules_table[] = { RULES_EACH(RULES_ENTRY) NULL };
