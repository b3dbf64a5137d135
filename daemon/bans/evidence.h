/* SPDX-License-Identifier: ISC */
/*
 * What Postfix's log says of an SMTP connection that is over, weighed against what Reeve answered in
 * it: what is left is what somebody else refused, for good. Pure arithmetic.
 */
#ifndef REEVE_DAEMON_BANS_EVIDENCE_H
#define REEVE_DAEMON_BANS_EVIDENCE_H

#include "daemon/bans/answers.h"

/* By the log. Refusals of recipients are no failed commands here, nor are logins. */
struct bans_session {
	struct ip client;
	uint32_t process;            /* smtpd's */
	struct slice login;          /* of an authenticated session; empty: none, or not known */
	uint32_t recipients, refused_recipients;
	uint32_t temporary_recipients; /* of the refused ones: with a 4xx */
	uint32_t failed_commands, temporary_commands;
	uint32_t failed_logins;      /* without those where the server behind SASL was in trouble */
	uint32_t reported_logins;    /* of them: bans_auth_failure() was called already */
	bool authenticated;
	bool message_passed;
	bool too_many_errors;        /* Postfix cut it off */
};

struct evidence {
	uint32_t recipients;         /* by others, for good */
	uint32_t commands;
	uint32_t logins;             /* not reported yet */
	uint32_t unasked_recipients; /* that Reeve was not asked about */
	uint32_t in_connection;      /* failures of the connection, Reeve's own strikes included */
};

/* `own`: of this process and client, NULL: none. `pool`: Reeve's refusals to this client of which the process is
 * not known; what is used up is taken from it. NULL: none. */
void evidence_weigh(const struct bans_session *session, const struct answers_entry *own,
		    struct answers_entry *pool, struct evidence *ret);

#endif
