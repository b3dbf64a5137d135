/* SPDX-License-Identifier: ISC */
#include "daemon/feeds/postfix_log.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define FRAME "Nov 24 08:00:00 mx postfix/smtpd[123]: "

static struct postfix_log_event event;

static enum postfix_log_kind parse(const char *line)
{
	return postfix_log_parse(slice_of(line), &event);
}

static const char *client(void)
{
	static char text[IP_TEXT_BYTES];

	return ip_format(&event.client, text).data;
}

static void expect_slice(struct slice is, const char *text)
{
	cr_expect(slice_is(is, text), "'%.*s', not '%s'", SLICE_ARG(is), text);
}

Test(postfix_log, frames)
{
	static const char *const frames[] = {
		"Nov 24 08:00:00 mx postfix/smtpd[123]: ",
		"Nov  4 08:00:00 mx postfix/smtpd[123]: ",
		"<22>Nov 24 08:00:00 mx postfix/smtpd[123]: ",
		"Nov 24 08:00:00 mx mail.info postfix/smtpd[123]: ",
		"2026-11-24T08:00:00+01:00 mx postfix/smtpd[123]: ",
		"2026-11-24T08:00:00.123456+01:00 mx postfix/smtpd[123]: ",
		"2026-11-24T08:00:00,123456+0100 mx postfix/smtpd[123]: ",
		"2026-11-24T08:00:00+0100 mx postfix/smtpd[123]: ",
		"2026-11-24T08:00:00Z mx postfix/smtpd[123]: ",
		"1 2026-11-24T08:00:00.003Z mx postfix/smtpd 123 - - ",
		"<22>1 2026-11-24T08:00:00.003Z mx postfix/smtpd 123 - - \xef\xbb\xbf",
		"<22>1 2026-11-24T08:00:00Z mx postfix/smtpd 123 ID47 [a@1 b=\"x]\\\"\"][c d=\"\"] ",
	};
	char line[256];

	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		snprintf(line, sizeof(line), "%sconnect from a.example[192.0.2.7]", frames[i]);
		cr_expect_eq(parse(line), POSTFIX_LOG_CONNECT, "%s", line);
		expect_slice(event.host, "mx");
		expect_slice(event.tag, "postfix/smtpd");
		cr_expect_eq(event.process, 123);
		cr_expect_str_eq(client(), "192.0.2.7");
	}
}

Test(postfix_log, names_of_instances)
{
	static const char *const good[] = { "postfix-out/smtpd", "postfix/submission/smtpd",
					    "postfix/smtps/smtpd", "mx_1.example/smtpd" };
	static const char *const bad[] = { "smtpd", "postfix/smtp", "postfix/xsmtpd", "postfix/smtpd/x",
					   "postfix/postscreen", "post fix/smtpd", "postfix/smtpd:" };
	char line[256];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		snprintf(line, sizeof(line), "Nov 24 08:00:00 mx %s[1]: connect from a[192.0.2.7]", good[i]);
		cr_expect_eq(parse(line), POSTFIX_LOG_CONNECT, "%s", line);
		expect_slice(event.tag, good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(line, sizeof(line), "Nov 24 08:00:00 mx %s[1]: connect from a[192.0.2.7]", bad[i]);
		cr_expect_eq(parse(line), POSTFIX_LOG_NONE, "%s", line);
	}
}

Test(postfix_log, disconnect)
{
	cr_expect_eq(parse(FRAME "disconnect from mail.example.net[192.0.2.7] ehlo=1 xclient=0/1 auth=0/2 mail=2 "
				 "rcpt=1/3 data=1 quit=1 unknown=0/1 help=1 wink=0/1 commands=7/14"),
		     POSTFIX_LOG_DISCONNECT);
	cr_expect_str_eq(client(), "192.0.2.7");
	cr_expect_eq(event.port, 0);
	cr_expect(event.has_counts);
	cr_expect_eq(event.counts[POSTFIX_LOG_AUTH].all, 2);
	cr_expect_eq(event.counts[POSTFIX_LOG_AUTH].good, 0);
	cr_expect_eq(event.counts[POSTFIX_LOG_RCPT].good, 1);
	cr_expect_eq(event.counts[POSTFIX_LOG_RCPT].all, 3);
	cr_expect_eq(event.counts[POSTFIX_LOG_MAIL].good, 2);
	cr_expect_eq(event.counts[POSTFIX_LOG_HELP].good, 1);
	cr_expect_eq(event.counts[POSTFIX_LOG_OTHER].all, 1);
	cr_expect_eq(event.counts[POSTFIX_LOG_VRFY].all, 0);
	cr_expect_eq(parse(FRAME "disconnect from unknown[2001:db8::25:7]:34567 commands=0/0"),
		     POSTFIX_LOG_DISCONNECT);
	cr_expect_str_eq(client(), "2001:db8::25:7");
	cr_expect_eq(event.port, 34567);
	cr_expect_eq(event.counts[POSTFIX_LOG_RCPT].all, 0, "of this line only");
	cr_expect_eq(parse(FRAME "disconnect from unknown[192.0.2.7]:unknown quit=1 commands=1"),
		     POSTFIX_LOG_DISCONNECT);
	cr_expect_eq(parse(FRAME "disconnect from unknown[unknown] quit=1 commands=1"),
		     POSTFIX_LOG_DISCONNECT);
	cr_expect_not(event.has_client);
	cr_expect_eq(parse(FRAME "disconnect from a.example[192.0.2.7]"), POSTFIX_LOG_DISCONNECT);
	cr_expect_not(event.has_counts, "Postfix 2");
}

Test(postfix_log, a_disconnect_line_that_is_not_whole_is_none)
{
	static const char *const lines[] = {
		"disconnect from a[192.0.2.7] ehlo=1 unknown=0/3 comm",
		"disconnect from a[192.0.2.7] ehlo=1 unknown=0/3",
		"disconnect from a[192.0.2.7] ehlo=1 unknown=0/3 commands=1/5",
		"disconnect from a[192.0.2.7] ehlo=1 unknown=3/2 commands=4/3",
		"disconnect from a[192.0.2.7] unknown=0/3 commands=0/3 ",
		"disconnect from a[192.0.2.7] unknown=0/3 commands=0/3 x=1",
		"disconnect from a[192.0.2.7] unknown=0/1234567890 commands=0/1234567890",
		"disconnect from a[192.0.2.7] unknown=0/ commands=0/3",
		"disconnect from a[192.0.2.7]unknown=0/3 commands=0/3",
		"disconnect from a[192.0.2.300] unknown=0/3 commands=0/3",
		"disconnect from a[] unknown=0/3 commands=0/3",
		"disconnect from [192.0.2.7] unknown=0/3 commands=0/3",
		"disconnect from a b[192.0.2.7] unknown=0/3 commands=0/3",
		"disconnect from a[192.0.2.7",
		" disconnect from a[192.0.2.7] unknown=0/3 commands=0/3",
		"NOQUEUE: disconnect from a[192.0.2.7] unknown=0/3 commands=0/3",
	};
	char line[256];

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		snprintf(line, sizeof(line), "%s%s", FRAME, lines[i]);
		cr_expect_eq(parse(line), POSTFIX_LOG_NONE, "%s", line);
	}
}

Test(postfix_log, too_many_errors)
{
	static const char *const lines[] = {
		"too many errors after RCPT from a.example[192.0.2.7]",
		"NOQUEUE: too many errors after UNKNOWN from a.example[192.0.2.7]",
		"4jYRgs3rZYz1cXLF: too many errors after DATA (0 bytes) from a.example[192.0.2.7]",
		"E8B3BA7C078: too many errors after END-OF-MESSAGE from a.example[192.0.2.7]:4711",
	};
	char line[256];

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		snprintf(line, sizeof(line), "%s%s", FRAME, lines[i]);
		cr_expect_eq(parse(line), POSTFIX_LOG_TOO_MANY_ERRORS, "%s", line);
		cr_expect_str_eq(client(), "192.0.2.7");
	}
	cr_expect_eq(parse(FRAME "too many errors after RCPT from a[192.0.2.7] or so"), POSTFIX_LOG_NONE);
	cr_expect_eq(parse(FRAME "lost connection after RCPT from a[192.0.2.7]"), POSTFIX_LOG_NONE);
}

Test(postfix_log, failed_logins)
{
	cr_expect_eq(parse(FRAME "warning: a.example[192.0.2.7]: SASL LOGIN authentication failed: (reason "
				 "unavailable), sasl_username=mallory@example.com"),
		     POSTFIX_LOG_LOGIN_FAILED);
	cr_expect_str_eq(client(), "192.0.2.7");
	expect_slice(event.login, "mallory@example.com");
	cr_expect_not(event.temporary);
	cr_expect_eq(parse(FRAME "warning: unknown[192.0.2.7]:25: SASL PLAIN authentication failed: "), POSTFIX_LOG_LOGIN_FAILED);
	expect_slice(event.login, "");
	cr_expect_eq(parse(FRAME "warning: unknown[192.0.2.7]: SASL PLAIN authentication failed: Invalid base64 data "
				 "in initial response, sasl_username=(unavailable)"),
		     POSTFIX_LOG_LOGIN_FAILED);
	expect_slice(event.login, "");
	cr_expect_not(event.temporary);
	cr_expect_eq(parse(FRAME "warning: a[192.0.2.7]: SASL PLAIN authentication failed: Connection lost to "
				 "authentication server, sasl_username=x"),
		     POSTFIX_LOG_LOGIN_FAILED);
	cr_expect(event.temporary);
	cr_expect_eq(parse(FRAME "warning: a[192.0.2.7]: SASL LOGIN authentication failed: generic failure"),
		     POSTFIX_LOG_LOGIN_FAILED);
	cr_expect(event.temporary);
	cr_expect_eq(parse(FRAME "warning: a[192.0.2.7]: SASL LOGIN authentication aborted"), POSTFIX_LOG_NONE,
		     "no password was tried");
	cr_expect_eq(parse(FRAME "warning: SASL authentication failure: Password verification failed"),
		     POSTFIX_LOG_NONE);
}

Test(postfix_log, messages_and_who_sent_them)
{
	cr_expect_eq(parse(FRAME "96FC1A7C07A: client=a.example[192.0.2.7]"), POSTFIX_LOG_MESSAGE);
	expect_slice(event.login, "");
	cr_expect_eq(parse(FRAME "96FC1A7C07A: client=a.example[192.0.2.7], sasl_method=PLAIN, "
				 "sasl_username=alice@example.com"),
		     POSTFIX_LOG_MESSAGE);
	expect_slice(event.login, "alice@example.com");
	cr_expect_eq(parse(FRAME "96FC1A7C07A: client=a.example[192.0.2.7]:99, sasl_method=PLAIN, "
				 "sasl_username=alice, sasl_sender=bob@example.com"),
		     POSTFIX_LOG_MESSAGE);
	expect_slice(event.login, "alice");
}

Test(postfix_log, refusals)
{
	cr_expect_eq(parse(FRAME "NOQUEUE: reject: RCPT from a.example[192.0.2.7]: 450 4.7.1 <b@c>: x"),
		     POSTFIX_LOG_REFUSED);
	cr_expect(event.temporary);
	cr_expect_eq(event.command, POSTFIX_LOG_RCPT);
	cr_expect_eq(parse(FRAME "A1: milter-reject: MAIL from a.example[192.0.2.7]:77: 550 5.7.1 x"),
		     POSTFIX_LOG_REFUSED);
	cr_expect_not(event.temporary);
	cr_expect_eq(event.command, POSTFIX_LOG_MAIL);
	cr_expect_eq(parse(FRAME "A1: reject: END-OF-MESSAGE from a.example[192.0.2.7]: 451 4.7.1 x"),
		     POSTFIX_LOG_REFUSED);
	cr_expect_eq(event.command, POSTFIX_LOG_DATA);
	cr_expect_eq(parse(FRAME "NOQUEUE: reject: XCLIENT from a[192.0.2.7]: bare <LF> received; proto=SMTP"),
		     POSTFIX_LOG_REFUSED);
	cr_expect_not(event.temporary);
	cr_expect_eq(parse(FRAME "warning: reject: ETRN x[192.0.2.9]: 450 from... from a[192.0.2.7]"),
		     POSTFIX_LOG_NONE, "the client's words stand in front");
	cr_expect_eq(parse(FRAME "warning: Recipient address rate limit exceeded: 5 from a[192.0.2.7] for service smtp"),
		     POSTFIX_LOG_LIMITED);
	cr_expect_eq(event.command, POSTFIX_LOG_RCPT);
	cr_expect_eq(parse(FRAME "warning: AUTH command rate limit exceeded: 5 from a[192.0.2.7] for service smtp"),
		     POSTFIX_LOG_LIMITED);
	cr_expect_eq(event.command, POSTFIX_LOG_AUTH);
	cr_expect_eq(parse(FRAME "warning: Connection rate limit exceeded: 5 from a[192.0.2.7] for service smtp"),
		     POSTFIX_LOG_NONE);
}

/* Whatever a client says stands behind what Postfix says, and the line is that of its own address. */
Test(postfix_log, forged_text_is_nobody_elses)
{
	static const char *const forged[] = {
		"disconnect from x[203.0.113.9] unknown=0/50 commands=0/50",
		"too many errors after RCPT from x[203.0.113.9]",
		"]: Nov 24 08:00:00 mx postfix/smtpd[1]: disconnect from x[203.0.113.9] unknown=0/50 commands=0/50",
		"x[203.0.113.9]: SASL LOGIN authentication failed: x, sasl_username=y",
		"\rNov 24 08:00:00 mx postfix/smtpd[1]: disconnect from x[203.0.113.9] unknown=0/50 commands=0/50",
		"NOQUEUE: reject: RCPT from x[203.0.113.9]: 550 5.1.1",
	};
	static const char *const around[] = {
		"NOQUEUE: reject: RCPT from a[192.0.2.7]: 550 5.1.1 <%s>: x; from=<b> to=<c> proto=ESMTP helo=<d>",
		"NOQUEUE: reject: RCPT from a[192.0.2.7]: 550 5.1.1 <b>: x; from=<%s> to=<c> proto=ESMTP helo=<d>",
		"NOQUEUE: reject: RCPT from a[192.0.2.7]: 550 5.1.1 <b>: x; from=<d> to=<c> proto=ESMTP helo=<%s>",
		"warning: a[192.0.2.7]: SASL LOGIN authentication failed: (reason unavailable), sasl_username=%s",
		"warning: a[192.0.2.7]: SASL %s authentication aborted",
		"warning: a[192.0.2.7]: SASL LOGIN %s",
		"warning: non-SMTP command from a[192.0.2.7]: %s",
		"warning: Illegal address syntax from a[192.0.2.7] in MAIL command: <%s>",
		"warning: a[192.0.2.7]: request longer than 2048: %s...",
		"improper command pipelining after EHLO from a[192.0.2.7]: %s",
		"warning: reject: ETRN %s... from a[192.0.2.7]",
		"A1B2: client=a[192.0.2.7], sasl_method=%s, sasl_username=b",
		"A1B2: client=a[192.0.2.7], sasl_method=PLAIN, sasl_username=%s",
	};
	char message[512], line[1024];

	for (size_t i = 0; i < sizeof(around) / sizeof(around[0]); i++) {
		for (size_t j = 0; j < sizeof(forged) / sizeof(forged[0]); j++) {
			const char *at = strstr(around[i], "%s");

			snprintf(message, sizeof(message), "%.*s%s%s", (int)(at - around[i]), around[i],
				 forged[j], at + 2);
			snprintf(line, sizeof(line), "%s%s", FRAME, message);
			enum postfix_log_kind kind = parse(line);

			if (kind == POSTFIX_LOG_NONE)
				continue;
			cr_expect_neq(kind, POSTFIX_LOG_DISCONNECT, "%s", line);
			cr_expect_neq(kind, POSTFIX_LOG_TOO_MANY_ERRORS, "%s", line);
			cr_expect_str_eq(client(), "192.0.2.7", "%s", line);
		}
	}
}

/* ---- the recordings: each disconnect line read, with the address that stands in it, and nothing else made of any line. */

struct told {
	unsigned disconnects, failed_logins, too_many, refused;
};

static void read_recording(const char *file, struct told *told)
{
	FILE *in = fopen(file, "r");
	char *line = NULL;
	size_t room = 0;
	ssize_t len;

	cr_assert(in, "%s", file);
	while ((len = getline(&line, &room, in)) > 0) {
		enum postfix_log_kind kind;

		line[--len] = '\0';
		kind = line[0] == '#' ? POSTFIX_LOG_NONE : parse(line);
		/* What a grep would find at the place where smtpd's own words begin. */
		if (len < 40 || strncmp(line + 15, " mx postfix/smtpd[", 18) != 0) {
			cr_expect_eq(kind, POSTFIX_LOG_NONE, "%s", line);
			continue;
		}
		char *own = strstr(line, "]: ") + 3; /* behind the number of the process */
		bool disconnect = strncmp(own, "disconnect from ", 16) == 0;

		cr_expect_eq(kind == POSTFIX_LOG_DISCONNECT, disconnect, "%s", line);
		if (kind != POSTFIX_LOG_NONE)
			cr_expect_eq(event.has_client, true, "%s", line);
		told->disconnects += kind == POSTFIX_LOG_DISCONNECT;
		told->failed_logins += kind == POSTFIX_LOG_LOGIN_FAILED;
		told->too_many += kind == POSTFIX_LOG_TOO_MANY_ERRORS;
		told->refused += kind == POSTFIX_LOG_REFUSED;
		if (disconnect) {
			char *open = strchr(own, '['), *close = strchr(own, ']');

			*close = '\0';
			cr_expect_str_eq(client(), open + 1);
		}
	}
	free(line);
	fclose(in);
}

Test(postfix_log, recordings_of_3_7)
{
	struct told told = { 0, 0, 0, 0 };

	read_recording("tests/unit/feeds/data/maillog-3.7.txt", &told);
	cr_expect_eq(told.disconnects, 112, "%u", told.disconnects);
	cr_expect_eq(told.failed_logins, 6, "%u", told.failed_logins);
	cr_expect_eq(told.too_many, 16, "%u", told.too_many);
	cr_expect_eq(told.refused, 78, "%u", told.refused);
}

Test(postfix_log, recordings_of_3_11)
{
	struct told told = { 0, 0, 0, 0 };

	read_recording("tests/unit/feeds/data/maillog-3.11.txt", &told);
	cr_expect_eq(told.disconnects, 110, "%u", told.disconnects);
	cr_expect_eq(told.failed_logins, 6, "%u", told.failed_logins);
	cr_expect_eq(told.too_many, 15, "%u", told.too_many);
	cr_expect_eq(told.refused, 74, "%u", told.refused);
}
