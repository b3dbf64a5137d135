/* SPDX-License-Identifier: ISC */
/*
 * One line of Postfix's log -> what smtpd says of a client in it. Only what smtpd itself writes in
 * front counts: the tag of the process, a fixed text, and the address in brackets. What a client can
 * choose (EHLO name, addresses, commands, logins) stands behind these, so it cannot pass for them;
 * of it only `login` is handed out, to be shown.
 *
 * Known frames: "Nov 24 08:00:00 host postfix/smtpd[1]: ", the same with an RFC 3339 time (also as
 * journalctl writes it), "<22>" in front of either, "mail.info" behind the host, and RFC 5424. Postfix
 * 3.7 to 3.11, any syslog_name (postfix-out/smtpd, postfix/submission/smtpd), with and without
 * smtpd_client_port_logging. Pure; slices point into the line.
 */
#ifndef REEVE_DAEMON_FEEDS_POSTFIX_LOG_H
#define REEVE_DAEMON_FEEDS_POSTFIX_LOG_H

#include "common/ip.h"

enum postfix_log_kind {
	POSTFIX_LOG_NONE,            /* not smtpd's, or of no interest */
	POSTFIX_LOG_CONNECT,
	POSTFIX_LOG_DISCONNECT,      /* `counts` */
	POSTFIX_LOG_TOO_MANY_ERRORS, /* smtpd_hard_error_limit was reached */
	POSTFIX_LOG_LOGIN_FAILED,    /* `login`, `temporary` */
	POSTFIX_LOG_MESSAGE,         /* a first recipient was accepted; `login` where there is one */
	POSTFIX_LOG_REFUSED,         /* `command`, `temporary`: with a 4xx */
	POSTFIX_LOG_LIMITED          /* a 4xx by one of Postfix's own limits; `command`, `temporary` */
};

/* Of a disconnect line, in its order. OTHER: words that Postfix 3.11 does not have. */
enum postfix_log_command {
	POSTFIX_LOG_HELO, POSTFIX_LOG_EHLO, POSTFIX_LOG_XCLIENT, POSTFIX_LOG_XFORWARD,
	POSTFIX_LOG_STARTTLS, POSTFIX_LOG_AUTH, POSTFIX_LOG_MAIL, POSTFIX_LOG_RCPT, POSTFIX_LOG_DATA,
	POSTFIX_LOG_BDAT, POSTFIX_LOG_RSET, POSTFIX_LOG_NOOP, POSTFIX_LOG_VRFY, POSTFIX_LOG_ETRN,
	POSTFIX_LOG_QUIT, POSTFIX_LOG_UNKNOWN, POSTFIX_LOG_HELP, POSTFIX_LOG_OTHER,
	POSTFIX_LOG_COMMANDS
};

struct postfix_log_count {
	uint32_t good, all;          /* good <= all */
};

struct postfix_log_event {
	enum postfix_log_kind kind;
	struct slice host;           /* as the log has it */
	struct slice tag;            /* "postfix/submission/smtpd" */
	uint32_t process;            /* smtpd's */
	bool has_client;             /* false: Postfix does not know the address ("[unknown]") */
	struct ip client;
	uint16_t port;               /* 0: not logged */
	struct postfix_log_count counts[POSTFIX_LOG_COMMANDS];
	bool has_counts;             /* DISCONNECT: false in logs of before Postfix 3.0 */
	enum postfix_log_command command; /* END-OF-MESSAGE is DATA, CONNECT is OTHER */
	bool temporary;
	struct slice login;          /* any bytes; empty: none */
};

/* `line` is without its newline. Returns ret_event->kind; NONE leaves the rest undefined. A line that departs
 * from the form in any place is NONE. */
enum postfix_log_kind postfix_log_parse(struct slice line, struct postfix_log_event *ret_event);

#endif
