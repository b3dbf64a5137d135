/* SPDX-License-Identifier: ISC */
/*
 * One connection: bytes in any pieces, answers in order, ends at every point, time-outs, and
 * peers that are not Postfix.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/unit/server/fixture.h"

#define DUNNO "action=DUNNO\n\n"
#define GOOD request_text("host.example", "a@good.example")
#define SLOW request_text("host.example", "a@slow.example")
#define SILENT request_text("host.example", "a@silent.example")
#define BAD_NAME(name) request_text(name, "a@good.example")
#define SLOW_ANSWER "action=550 5.1.8 slow.example: sender domain not found\n\n"

static struct client *client;

static void begin(void)
{
	cr_assert(server_start(NULL, NULL), "%s", parts.why);
	client = client_unix();
	turns();
}

static void finish(void)
{
	if (client)
		client_free(&client);
	server_stop();
}

TestSuite(connection, .init = begin, .fini = finish, .timeout = 60);

Test(connection, one_request_after_the_other)
{
	for (unsigned i = 0; i < 5; i++) {
		client_text(client, GOOD);
		read_text(client, DUNNO);
		client_text(client, BAD_NAME("bad1"));
		read_text(client, "action=550 5.7.1 bad1\n\n");
	}
	cr_assert(health().connections == 1 && health().accepted == 1);
}

Test(connection, byte_by_byte)
{
	char text[1024];

	snprintf(text, sizeof(text), "%s", BAD_NAME("bad1"));
	for (size_t i = 0; text[i]; i++) {
		cr_assert(client->len == 0);
		client_send(client, text + i, 1);
		turn(client);
	}
	read_text(client, "action=550 5.7.1 bad1\n\n");
}

Test(connection, split_at_every_byte)
{
	char text[1024];
	size_t len;

	snprintf(text, sizeof(text), "%s", BAD_NAME("bad1"));
	len = strlen(text);
	for (size_t at = 1; at < len; at++) {
		client_send(client, text, at);
		turn(client);
		turn(client);
		client_send(client, text + at, len - at);
		read_text(client, "action=550 5.7.1 bad1\n\n");
	}
}

Test(connection, two_requests_in_one_piece_are_answered_in_order)
{
	char text[2048];
	size_t len = 0;

	len += (size_t)snprintf(text + len, sizeof(text) - len, "%s", SLOW);
	len += (size_t)snprintf(text + len, sizeof(text) - len, "%s", BAD_NAME("bad2"));
	snprintf(text + len, sizeof(text) - len, "%s", GOOD);
	client_text(client, text);
	read_text(client, SLOW_ANSWER "action=550 5.7.1 bad2\n\n" DUNNO);
}

/* The next request may come in while one is under way, in any pieces. */
Test(connection, early_bytes_wait_for_the_answer)
{
	char text[1024];

	snprintf(text, sizeof(text), "%s", BAD_NAME("bad2"));
	client_text(client, SLOW);
	turns();
	cr_assert(pipeline_under_way(parts.pipeline) == 1);
	client_send(client, text, 40);
	turns();
	cr_assert(pipeline_under_way(parts.pipeline) == 1);
	read_text(client, SLOW_ANSWER);
	client_text(client, text + 40);
	read_text(client, "action=550 5.7.1 bad2\n\n");
}

Test(connection, a_large_request)
{
	char *text = calloc(1, 70000);
	size_t len = (size_t)snprintf(text, 1024, "request=smtpd_access_policy\n"
						  "protocol_state=RCPT\nhelo_name=bad\n");

	cr_assert(text);
	for (unsigned i = 0; i < 4; i++) {
		len += (size_t)snprintf(text + len, 100, "x%u=", i);
		memset(text + len, 'y', 15000);
		len += 15000;
		text[len++] = '\n';
	}
	text[len++] = '\n';
	for (unsigned i = 0; i < 3; i++) {
		client_send(client, text, len);
		read_text(client, "action=550 5.7.1 bad\n\n");
	}
	free(text);
}

/* ---- ends ---- */

Test(connection, end_of_file_between_requests)
{
	client_text(client, GOOD);
	read_text(client, DUNNO);
	client_shutdown(client);
	read_end(client, "");
	turn_until(health().connections == 0);
	cr_assert(health().closed == 1 && health().malformed == 0);
}

Test(connection, end_of_file_while_a_request_runs)
{
	client_text(client, SLOW);
	client_shutdown(client);
	read_end(client, SLOW_ANSWER);
}

Test(connection, end_of_file_after_two_requests)
{
	char text[2048];
	size_t len = (size_t)snprintf(text, sizeof(text), "%s", SLOW);

	snprintf(text + len, sizeof(text) - len, "%s", GOOD);
	client_text(client, text);
	client_shutdown(client);
	read_end(client, SLOW_ANSWER DUNNO);
}

Test(connection, end_of_file_in_the_middle_of_a_request)
{
	client_send(client, GOOD, 50);
	client_shutdown(client);
	read_end(client, "");
	cr_assert(health().malformed == 0);
}

Test(connection, end_of_file_in_the_middle_of_the_second)
{
	char text[2048];
	size_t len = (size_t)snprintf(text, sizeof(text), "%s", SLOW);

	snprintf(text + len, 50, "%s", GOOD);
	client_text(client, text);
	client_shutdown(client);
	read_end(client, SLOW_ANSWER);
}

Test(connection, a_peer_that_is_gone_gets_nothing_and_harms_nobody)
{
	struct client *other = client_unix();

	client_text(client, SLOW);
	client_text(other, SLOW);
	turns();
	cr_assert(pipeline_under_way(parts.pipeline) == 2);
	client_free(&client);
	read_text(other, SLOW_ANSWER);
	turn_until(health().connections == 1);
	client_text(other, GOOD);
	read_text(other, DUNNO);
	client_free(&other);
}

Test(connection, closing_the_server_cancels_what_runs)
{
	client_text(client, SILENT);
	turns();
	cr_assert(pipeline_under_way(parts.pipeline) == 1);
	server_close(parts.server);
	cr_assert(pipeline_under_way(parts.pipeline) == 0);
	read_end(client, "");
}

/* ---- time-outs (request_timeout 10 s, idle_timeout 1 h), on a clock of the test's ---- */

static uint64_t expire_after_ms(uint64_t ms)
{
	struct clock_now now = loop_refresh(parts.loop);

	now.mono_ms += ms;
	return server_expire(parts.server, now);
}

Test(connection, half_a_request_times_out)
{
	client_send(client, GOOD, 50);
	turns();
	cr_assert(expire_after_ms(9000) > 0);
	turns();
	cr_assert(health().connections == 1);
	cr_assert(expire_after_ms(10000) == 0);
	read_end(client, "");
	cr_assert(health().timed_out == 1);
	cr_assert(strstr(parts.log_text, "warning event=slow_peer why=request_timeout "
					 "sample=request=smtpd_access_policy\\x0aprotocol_state"),
		  "%s", parts.log_text);
}

/* A byte now and then does not buy time. */
Test(connection, a_trickle_times_out)
{
	uint64_t begun;

	client_send(client, GOOD, 50);
	turns();
	begun = expire_after_ms(1000);
	client_send(client, GOOD + 50, 20);
	turns();
	cr_assert(expire_after_ms(1000) == begun);
}

Test(connection, an_idle_connection_is_kept_for_long)
{
	client_text(client, GOOD);
	read_text(client, DUNNO);
	cr_assert(expire_after_ms(3500 * 1000) > 0);
	client_text(client, GOOD);
	read_text(client, DUNNO);
	expire_after_ms(3601 * 1000);
	read_end(client, "");
	cr_assert(health().timed_out == 1);
	cr_assert(parts.log_lines == 0, "that is no fault");
}

Test(connection, a_request_under_way_has_the_pipeline_s_deadline)
{
	client_text(client, SILENT);
	turns();
	cr_assert(expire_after_ms(1000 * 1000) == 0);
	cr_assert(health().connections == 1 && pipeline_under_way(parts.pipeline) == 1);
}

/* ---- no request ---- */

Test(connection, http)
{
	*parts.log_text = '\0';
	client_text(client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	read_end(client, "");
	cr_assert(health().malformed == 1);
	cr_assert(strstr(parts.log_text, "sample=\"GET / HTTP/1.1\\x0d\\x0aHost: x\\x0d\\x0a"), "%s",
		  parts.log_text);
}

static void ends_without_reply(const char *bytes, size_t len)
{
	client_send(client, bytes, len);
	read_end(client, "");
	cr_assert(health().malformed == 1);
}

Test(connection, a_nul_byte)
{
	static const char bytes[] = "request=smtpd_access_policy\nhelo_name=a\0b\n\n";

	ends_without_reply(bytes, sizeof(bytes) - 1);
}

Test(connection, an_empty_request)
{
	ends_without_reply("\n", 1);
}

Test(connection, another_request)
{
	static const char bytes[] = "request=something_else\nprotocol_state=RCPT\n\n";

	ends_without_reply(bytes, sizeof(bytes) - 1);
}

Test(connection, a_line_over_16_kib)
{
	char *bytes = malloc(17000);

	cr_assert(bytes);
	memset(bytes, 'x', 17000);
	bytes[5] = '=';
	client_send_some(client, bytes, 17000);
	read_end(client, "");
	cr_assert(health().malformed == 1);
	free(bytes);
}

Test(connection, bad_bytes_behind_a_good_request)
{
	char text[2048];

	snprintf(text, sizeof(text), "%snonsense\n\n", SLOW);
	client_text(client, text);
	read_end(client, SLOW_ANSWER);
	cr_assert(health().malformed == 1);
}

/* One line in ten seconds for all peers, with the number of the others. */
Test(connection, complaints_are_throttled)
{
	for (unsigned i = 0; i < 5; i++) {
		if (client)
			client_free(&client);
		client = client_unix();
		client_text(client, "nonsense\n\n");
		read_end(client, "");
	}
	cr_assert(health().malformed == 5 && parts.log_lines == 1, "%s", parts.log_text);
}
