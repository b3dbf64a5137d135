/* SPDX-License-Identifier: ISC */
/*
 * Many connections: the limit on their number, half-open ones, a peer that does not read, and the
 * end of service.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

#include "common/alloc.h"
#include "tests/unit/server/fixture.h"

#define DUNNO "action=DUNNO\n\n"
#define GOOD request_text("host.example", "a@good.example")
#define SLOW request_text("host.example", "a@slow.example")
#define SLOW_ANSWER "action=550 5.1.8 slow.example: sender domain not found\n\n"

TestSuite(server, .fini = server_stop, .timeout = 120);

Test(server, above_max_connections_the_others_wait_their_turn)
{
	struct client *clients[6];

	cr_assert(server_start(NULL, "max_connections: 2"), "%s", parts.why);
	for (unsigned i = 0; i < 6; i++) {
		clients[i] = client_unix();
		client_text(clients[i], GOOD);
	}
	read_text(clients[0], DUNNO);
	read_text(clients[1], DUNNO);
	turns();
	cr_assert(health().connections == 2 && health().full && health().max_connections == 2);
	cr_assert(strstr(parts.log_text, "warning event=connections_full advice="));
	for (unsigned i = 2; i < 6; i++) {
		turn(clients[i]);
		cr_assert(clients[i]->len == 0 && !clients[i]->ended, "held, not refused");
		client_free(&clients[i - 2]);
		read_text(clients[i], DUNNO);
	}
	client_free(&clients[4]);
	client_free(&clients[5]);
	turn_until(health().connections == 0);
	cr_assert(!health().full && health().accepted == 6);
	cr_assert(parts.log_lines == 2, "told once: %s", parts.log_text);
	cr_assert(strstr(parts.log_text, "notice event=connections_free\n"));
}

Test(server, the_limit_holds_for_all_listeners_together)
{
	struct client *first, *second, *third;

	cr_assert(server_start("[\"unix:%D/sock\", \"inet:127.0.0.1:%P\"]", "max_connections: 1"),
		  "%s", parts.why);
	first = client_unix();
	turns();
	second = client_inet();
	third = client_unix();
	client_text(second, GOOD);
	client_text(third, GOOD);
	turns();
	cr_assert(health().connections == 1);
	client_free(&first);
	read_text(third, DUNNO);
	client_free(&third);
	read_text(second, DUNNO);
	client_free(&second);
}

Test(server, a_limit_below_the_configured)
{
	struct client *first, *second;

	cr_assert(server_start(NULL, NULL), "%s", parts.why);
	server_limit(parts.server, 1);
	first = client_unix();
	turns();
	second = client_unix();
	turns();
	cr_assert(health().connections == 1 && health().full);
	client_free(&first);
	client_free(&second);
}

Test(server, four_hundred_half_open_connections)
{
	struct client *half[400], *whole;

	cr_assert(server_start(NULL, NULL), "%s", parts.why);
	for (unsigned i = 0; i < 400; i++) {
		half[i] = client_unix();
		client_send(half[i], GOOD, 30 + i % 100);
		if (i % 50 == 0)
			turns();
	}
	turn_until(health().connections == 400);
	whole = client_unix();
	for (unsigned i = 0; i < 20; i++) {
		client_text(whole, GOOD);
		read_text(whole, DUNNO);
	}
	client_text(half[200], GOOD + 30 + 200 % 100);
	read_text(half[200], DUNNO);
	for (unsigned i = 0; i < 400; i++)
		client_free(&half[i]);
	turn_until(health().connections == 1);
	client_free(&whole);
}

/*
 * Requests without end and a reader who takes no answer: the connection stands still, holds no
 * more than its buffers, and all answers come, in order, when he reads.
 */
#define MANY 5000

static char *many_requests(void)
{
	struct buf text;
	char *result;

	buf_init(&text, 4 << 20);
	for (unsigned i = 0; i < MANY; i++)
		buf_add_format(&text, "request=smtpd_access_policy\nhelo_name=bad%u\nprotocol_state=EHLO\n\n",
			       i);
	result = mem_dup(buf_slice(&text));
	buf_release(&text);
	return result;
}

static size_t send_until_it_stands(struct client *client, const char *text)
{
	size_t len = strlen(text), sent = 0;

	for (unsigned idle = 0; idle < 100 && sent < len; idle++) {
		size_t now = client_send_some(client, text + sent, len - sent);

		sent += now;
		if (now)
			idle = 0;
		turn(NULL);
	}
	return sent;
}

Test(server, a_reader_who_is_slow_gets_the_rest)
{
	struct client *client, *other;
	char *text = many_requests();
	size_t sent, at = 0;

	cr_assert(server_start(NULL, NULL), "%s", parts.why);
	client = client_unix();
	sent = send_until_it_stands(client, text);
	cr_assert(sent < strlen(text), "the sender is held up");
	other = client_unix();
	client_text(other, GOOD);
	read_text(other, DUNNO);
	while (sent < strlen(text)) {
		sent += client_send_some(client, text + sent, strlen(text) - sent);
		turn(client);
	}
	client_shutdown(client);
	while (!client->ended)
		turn(client);
	client->text[client->len] = '\0';
	for (unsigned i = 0; i < MANY; i++) {
		char answer[64];
		int len = snprintf(answer, sizeof(answer), "action=550 5.7.1 bad%u\n\n", i);

		cr_assert(strncmp(client->text + at, answer, (size_t)len) == 0, "answer %u", i);
		at += (size_t)len;
	}
	cr_assert(client->text[at] == '\0');
	client_free(&client);
	client_free(&other);
	free(text);
}

Test(server, a_reader_who_never_reads_is_closed)
{
	struct client *client;
	char *text = many_requests();
	struct clock_now now;

	cr_assert(server_start(NULL, NULL), "%s", parts.why);
	client = client_unix();
	send_until_it_stands(client, text);
	cr_assert(health().connections == 1);
	now = loop_refresh(parts.loop);
	now.mono_ms += 9000;
	server_expire(parts.server, now);
	turns();
	cr_assert(health().connections == 1);
	now.mono_ms += 1001;
	server_expire(parts.server, now);
	turn_until(health().connections == 0);
	cr_assert(health().timed_out == 1);
	client_free(&client);
	free(text);
}

/* ---- the end of service ---- */

Test(server, draining_answers_what_runs_and_closes)
{
	struct client *idle, *half, *busy;

	cr_assert(server_start(NULL, NULL), "%s", parts.why);
	idle = client_unix();
	half = client_unix();
	busy = client_unix();
	client_send(half, GOOD, 50);
	client_text(busy, SLOW);
	turn_until(pipeline_under_way(parts.pipeline) == 1 && health().connections == 3);
	server_drain(parts.server);
	cr_assert(!server_is_drained(parts.server));
	read_end(idle, "");
	read_end(half, "");
	cr_assert(access(parts.socket_path, F_OK) != 0, "the socket is removed");
	read_end(busy, SLOW_ANSWER);
	turn_until(server_is_drained(parts.server));
	client_free(&idle);
	client_free(&half);
	client_free(&busy);
}

Test(server, draining_leaves_what_libuv_holds_back)
{
	struct client *first, *second;

	cr_assert(server_start(NULL, "max_connections: 1"), "%s", parts.why);
	first = client_unix();
	turns();
	second = client_unix();
	client_text(second, GOOD);
	turns();
	server_drain(parts.server);
	read_end(first, "");
	read_end(second, "");
	turn_until(server_is_drained(parts.server));
	client_free(&first);
	client_free(&second);
}

Test(server, timeouts_after_a_reload)
{
	struct client *client;
	struct clock_now now;
	struct config *config;

	cr_assert(server_start(NULL, NULL), "%s", parts.why);
	config = parts.config;
	config->request_timeout_ms = 500;
	server_configure(parts.server, config);
	client = client_unix();
	client_send(client, GOOD, 50);
	turns();
	now = loop_refresh(parts.loop);
	now.mono_ms += 501;
	server_expire(parts.server, now);
	read_end(client, "");
	client_free(&client);
}
