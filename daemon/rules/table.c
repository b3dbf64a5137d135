/* SPDX-License-Identifier: ISC */
/*
 * All checks, in the order of the manual. Adding a rule is one line here.
 */
#include "daemon/rules/table.h"

const struct rule_ops *const rules_table[] = {
	&rule_ban,
	&rule_helo,
	&rule_local_sender,
	&rule_sender_login,
	&rule_sender_domain,
	&rule_ptr,
	&rule_address_literal,
	&rule_catchall,
	&rule_recipients,
	&rule_rate,
	NULL,
};
