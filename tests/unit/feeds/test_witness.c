/* SPDX-License-Identifier: ISC */
#include "daemon/feeds/witness.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define MAX_TOLD 512

struct told {
	struct bans_session session;
	char client[IP_TEXT_BYTES], login[WITNESS_LOGIN_BYTES];
};

static struct {
	struct witness_sink sink;
	struct witness *witness;
	struct clock_now now;
	struct told sessions[MAX_TOLD];
	size_t session_count, login_count;
	char last_login[256];
	bool last_temporary;
} w;

static void on_session(struct witness_sink *sink, const struct bans_session *session,
		       struct clock_now now)
{
	struct told *told = &w.sessions[w.session_count++ % MAX_TOLD];

	cr_assert_eq(sink, &w.sink);
	cr_assert_eq(now.mono_ms, w.now.mono_ms);
	told->session = *session;
	ip_format(&session->client, told->client);
	snprintf(told->login, sizeof(told->login), "%.*s", SLICE_ARG(session->login));
}

static void on_login_failed(struct witness_sink *sink, const struct witness_login *login,
			    struct clock_now now)
{
	cr_assert_eq(sink, &w.sink);
	cr_assert_eq(now.mono_ms, w.now.mono_ms);
	w.login_count++;
	w.last_temporary = login->temporary;
	snprintf(w.last_login, sizeof(w.last_login), "%.*s", SLICE_ARG(login->login));
}

static void start(void)
{
	memset(&w, 0, sizeof(w));
	w.sink.session = on_session;
	w.sink.login_failed = on_login_failed;
	w.now.mono_ms = 1000;
	w.witness = witness_new((struct hash_key){ 1, 2 }, &w.sink);
}

static void stop(void)
{
	witness_free(&w.witness);
	cr_expect_null(w.witness);
	witness_free(&w.witness);
}

/* By smtpd 123 of mx. */
static void says(const char *message)
{
	char line[1024];

	snprintf(line, sizeof(line), "Nov 24 08:00:00 mx postfix/smtpd[123]: %s", message);
	witness_line(w.witness, slice_of(line), w.now);
}

static const struct bans_session *last(void)
{
	cr_assert(w.session_count, "nothing was told");
	return &w.sessions[(w.session_count - 1) % MAX_TOLD].session;
}

Test(witness, the_sums_of_a_connection)
{
	start();
	says("connect from a[192.0.2.7]");
	cr_expect_eq(w.session_count, 0);
	says("disconnect from a[192.0.2.7] ehlo=1 auth=0/2 mail=1 rcpt=2/5 data=1 rset=1/2 quit=1 unknown=0/3 commands=7/16");
	cr_assert_eq(w.session_count, 1);
	cr_expect_str_eq(w.sessions[0].client, "192.0.2.7");
	cr_expect_eq(last()->process, 123);
	cr_expect_eq(last()->recipients, 5);
	cr_expect_eq(last()->refused_recipients, 3);
	cr_expect_eq(last()->failed_commands, 4, "rset and unknown");
	cr_expect_eq(last()->failed_logins, 2);
	cr_expect_eq(last()->reported_logins, 0);
	cr_expect(last()->message_passed);
	cr_expect_not(last()->authenticated);
	cr_expect_not(last()->too_many_errors);
	stop();
}

Test(witness, a_4xx_is_known_by_its_line)
{
	start();
	says("connect from a[192.0.2.7]");
	says("NOQUEUE: reject: RCPT from a[192.0.2.7]: 450 4.7.1 <x@y>: greylisted");
	says("NOQUEUE: reject: RCPT from a[192.0.2.7]: 550 5.1.1 <x@y>: User unknown");
	says("warning: Recipient address rate limit exceeded: 5 from a[192.0.2.7] for service smtp");
	says("NOQUEUE: reject: VRFY from a[192.0.2.7]: 450 4.7.1 <x@y>: later");
	says("NOQUEUE: reject: DATA from a[192.0.2.7]: 450 4.7.1 <DATA>: later");
	says("disconnect from a[192.0.2.7] mail=1 rcpt=0/3 data=0/1 vrfy=0/1 commands=1/6");
	cr_expect_eq(last()->refused_recipients, 3);
	cr_expect_eq(last()->temporary_recipients, 2);
	cr_expect_eq(last()->failed_commands, 1, "one DATA a message says nothing");
	cr_expect_eq(last()->temporary_commands, 1);
	says("connect from a[192.0.2.7]");
	says("disconnect from a[192.0.2.7] mail=1 rcpt=0/3 commands=1/4");
	cr_expect_eq(last()->temporary_recipients, 0, "of the connection before");
	stop();
}

Test(witness, data_beyond_one_a_message_is_a_failed_command)
{
	start();
	says("disconnect from a[192.0.2.7] ehlo=1 mail=1 data=0/4 commands=2/6");
	cr_expect_eq(last()->failed_commands, 3);
	says("disconnect from a[192.0.2.7] ehlo=1 data=0/4 bdat=0/1 commands=1/6");
	cr_expect_eq(last()->failed_commands, 5);
	says("disconnect from a[192.0.2.7] ehlo=1 xclient=0/1 xforward=0/2 starttls=0/1 commands=1/5");
	cr_expect_eq(last()->failed_commands, 0);
	stop();
}

Test(witness, logins)
{
	start();
	says("connect from a[192.0.2.7]");
	says("warning: a[192.0.2.7]: SASL LOGIN authentication failed: (reason unavailable), sasl_username=mallory");
	cr_expect_eq(w.login_count, 1, "at once");
	cr_expect_str_eq(w.last_login, "mallory");
	cr_expect_not(w.last_temporary);
	says("warning: a[192.0.2.7]: SASL LOGIN authentication failed: Connection lost to authentication server");
	cr_expect(w.last_temporary);
	says("warning: AUTH command rate limit exceeded: 5 from a[192.0.2.7] for service smtp");
	says("disconnect from a[192.0.2.7] ehlo=1 auth=0/4 commands=1/5");
	cr_expect_eq(last()->failed_logins, 2, "two were not the client's fault");
	cr_expect_eq(last()->reported_logins, 1);
	says("connect from a[192.0.2.7]");
	says("9A: client=a[192.0.2.7], sasl_method=PLAIN, sasl_username=alice");
	says("disconnect from a[192.0.2.7] ehlo=1 auth=1 mail=1 rcpt=1/2 data=1 commands=5/6");
	cr_expect(last()->authenticated);
	cr_expect_str_eq(w.sessions[1].login, "alice");
	cr_expect_eq(last()->reported_logins, 0);
	stop();
}

Test(witness, a_login_that_is_too_long_is_not_known)
{
	char line[512];

	start();
	snprintf(line, sizeof(line), "9A: client=a[192.0.2.7], sasl_method=PLAIN, sasl_username=%0200d", 0);
	says(line);
	says("disconnect from a[192.0.2.7] auth=1 commands=1");
	cr_expect_eq(last()->login.len, 0);
	stop();
}

Test(witness, cut_off_by_postfix)
{
	start();
	says("connect from a[192.0.2.7]");
	says("too many errors after RCPT from a[192.0.2.7]");
	says("disconnect from a[192.0.2.7] ehlo=1 mail=1 rcpt=0/4 commands=2/6");
	cr_expect(last()->too_many_errors);
	says("disconnect from a[192.0.2.7] ehlo=1 mail=1 rcpt=0/4 commands=2/6");
	cr_expect_not(last()->too_many_errors);
	stop();
}

Test(witness, processes_and_hosts_are_told_apart)
{
	static const char *const lines[] = {
		"Nov 24 08:00:00 mx1 postfix/smtpd[123]: too many errors after RCPT from a[192.0.2.7]",
		"Nov 24 08:00:00 mx2 postfix/smtpd[123]: disconnect from a[192.0.2.7] rcpt=0/4 commands=0/4",
		"Nov 24 08:00:00 mx1 postfix/smtpd[124]: disconnect from a[192.0.2.7] rcpt=0/4 commands=0/4",
		"Nov 24 08:00:00 mx1 postfix/smtpd[123]: disconnect from a[192.0.2.7] rcpt=0/4 commands=0/4",
	};

	start();
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		witness_line(w.witness, slice_of(lines[i]), w.now);
	cr_assert_eq(w.session_count, 3);
	cr_expect_not(w.sessions[0].session.too_many_errors);
	cr_expect_not(w.sessions[1].session.too_many_errors);
	cr_expect(w.sessions[2].session.too_many_errors);
	stop();
}

Test(witness, a_proxy_for_several_clients_charges_nobody)
{
	start();
	says("connect from proxy[10.0.0.1]");
	says("disconnect from a[192.0.2.7] xclient=0/2 unknown=0/9 commands=0/11");
	cr_expect_eq(w.session_count, 0);
	says("connect from proxy[10.0.0.1]");
	says("disconnect from a[192.0.2.7] xclient=0/1 unknown=0/9 commands=0/10");
	cr_expect_eq(w.session_count, 1);
	/* Who may not say XCLIENT does not hide behind it. */
	says("connect from a[192.0.2.7]");
	says("disconnect from a[192.0.2.7] xclient=0/2 unknown=0/9 commands=0/11");
	cr_expect_eq(w.session_count, 2);
	cr_expect_eq(last()->failed_commands, 9);
	stop();
}

Test(witness, an_unknown_address_is_nobody)
{
	start();
	says("disconnect from unknown[unknown] unknown=0/9 commands=0/9");
	says("warning: unknown[unknown]: SASL LOGIN authentication failed: x");
	says("disconnect from a[192.0.2.7]");
	cr_expect_eq(w.session_count, 0);
	cr_expect_eq(w.login_count, 0);
	stop();
}

Test(witness, bounded)
{
	char line[256];

	start();
	for (unsigned i = 0; i < 3 * WITNESS_MAX_SESSIONS; i++) {
		snprintf(line, sizeof(line), "Nov 24 08:00:00 mx postfix/smtpd[%u]: too many errors after RCPT from a[192.0.2.7]", i);
		witness_line(w.witness, slice_of(line), w.now);
	}
	for (unsigned i = 0; i < 3 * WITNESS_MAX_SESSIONS; i++) {
		snprintf(line, sizeof(line), "Nov 24 08:00:00 mx postfix/smtpd[%u]: disconnect from a[192.0.2.7] rcpt=0/4 commands=0/4", i);
		witness_line(w.witness, slice_of(line), w.now);
		if (i == 2 * WITNESS_MAX_SESSIONS - 1)
			cr_expect_not(last()->too_many_errors, "forgotten");
	}
	cr_expect(last()->too_many_errors, "the last ones are known");
	cr_expect_eq(w.session_count, 3 * WITNESS_MAX_SESSIONS);
	stop();
}

/* ---- the recordings: sums over all connections, by hand with grep and awk from the disconnect lines */

static void sum_recording(const char *file, struct bans_session *ret_sum, size_t *ret_others)
{
	FILE *in = fopen(file, "r");
	char *line = NULL;
	size_t room = 0, told = 0;
	ssize_t len;

	cr_assert(in, "%s", file);
	*ret_others = 0;
	while ((len = getline(&line, &room, in)) > 0) {
		witness_line(w.witness, slice_make(line, (size_t)len - 1), w.now);
		if (w.session_count == told)
			continue;
		told = w.session_count;
		ret_sum->refused_recipients += last()->refused_recipients;
		ret_sum->temporary_recipients += last()->temporary_recipients;
		ret_sum->failed_commands += last()->failed_commands;
		ret_sum->failed_logins += last()->failed_logins;
		/* 192.0.2.99 is the address that stands in every forged text. */
		*ret_others += strcmp(w.sessions[(told - 1) % MAX_TOLD].client, "192.0.2.99") == 0;
	}
	free(line);
	fclose(in);
}

Test(witness, recordings)
{
	static const char *const files[] = { "tests/unit/feeds/data/maillog-3.7.txt",
					     "tests/unit/feeds/data/maillog-3.11.txt" };
	static const uint32_t recipients[] = { 76, 72 }, logins[] = { 9, 9 };
	static const uint32_t temporary[] = { 7, 7 }, commands[] = { 42, 47 };

	for (size_t i = 0; i < 2; i++) {
		struct bans_session sum = { .process = 0 };
		size_t others;

		start();
		sum_recording(files[i], &sum, &others);
		cr_expect_eq(others, 0);
		cr_expect_eq(sum.refused_recipients, recipients[i], "%u", sum.refused_recipients);
		cr_expect_eq(sum.temporary_recipients, temporary[i], "%u", sum.temporary_recipients);
		cr_expect_eq(sum.failed_commands, commands[i], "%u", sum.failed_commands);
		cr_expect_eq(sum.failed_logins, logins[i], "%u", sum.failed_logins);
		stop();
	}
}
