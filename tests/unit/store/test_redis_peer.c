/* SPDX-License-Identifier: ISC */
/*
 * The link against a peer that is played by hand: nonsense, too much, too deep, byte by byte, two
 * answers for one question, and ends at every place.
 */
#include <stdio.h>

#include "tests/unit/store/redis_rig.h"

static void begin(void)
{
	rig_setup();
	peer_listen();
}

TestSuite(redis_peer, .init = begin, .fini = rig_teardown, .timeout = 60);

static void up(void)
{
	rig_link();
	peer_greet();
}

/* The link hangs up, and comes again. */
static void given_up(enum redis_trouble trouble, const char *detail)
{
	RIG_UNTIL(rig.downs == 1);
	cr_assert(rig_health().trouble == trouble, "%s", redis_trouble_name(rig_health().trouble));
	cr_assert_str_eq(rig_health().detail, detail);
	peer_greet();
	cr_assert(rig.connection == 2);
}

Test(redis_peer, what_is_said_first)
{
	rig.where.user = SLICE("anna");
	rig.where.db = 3;
	rig.options.password_file = rig_file("geheim\r\nmore\n");
	rig_link();
	peer_accept();
	peer_expect(
		"*3\r\n$4\r\nAUTH\r\n$4\r\nanna\r\n$6\r\ngeheim\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n"
		"*1\r\n$4\r\nROLE\r\n*2\r\n$4\r\nINFO\r\n$6\r\nmemory\r\n");
	PEER_SAY("+OK\r\n+OK\r\n*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n");
	rig_turn();
	cr_assert(rig.ups == 0);
	PEER_SAY("$5\r\nhello\r\n");
	RIG_UNTIL(rig.ups == 1);
	cr_assert(rig.notices == 0);
}

Test(redis_peer, a_port_that_is_protected)
{
	rig_link();
	peer_accept();
	PEER_SAY(
		"-DENIED Redis is running in protected mode because protected mode is enabled\r\n");
	peer_hang_up();
	RIG_UNTIL(rig_health().trouble == REDIS_TROUBLE_FORBIDDEN);
	cr_assert_str_eq(rig_health().detail, "DENIED: protected mode; no password is set there");
}

Test(redis_peer, byte_by_byte)
{
	static const char answer[] = "*4\r\n$5\r\na\r\nbc\r\n$-1\r\n:-17\r\n*1\r\n+OK\r\n";
	struct probe probe = {0};

	up();
	cr_assert(probe_send(&probe, 10000, "X", NULL));
	for (size_t i = 0; i < sizeof(answer) - 1; i++) {
		cr_assert(!probe.answered);
		peer_say(answer + i, 1);
		rig_turn();
	}
	RIG_UNTIL(probe.answered);
	cr_assert(probe.type == REDIS_TYPE_ARRAY);
}

Test(redis_peer, garbage)
{
	struct probe probe = {0};

	up();
	cr_assert(probe_send(&probe, 10000, "X", NULL));
	PEER_SAY("HTTP/1.1 400 Bad Request\r\n\r\n");
	given_up(REDIS_TROUBLE_PROTOCOL, "Protocol error, got \"H\" as reply type byte");
	cr_assert(probe.answered == 1 && probe.ended);
}

Test(redis_peer, garbage_in_place_of_the_greeting)
{
	rig_link();
	peer_accept();
	PEER_SAY("220 mail.example.com ESMTP\r\n");
	RIG_UNTIL(rig_health().trouble == REDIS_TROUBLE_PROTOCOL);
	cr_assert(rig.ups == 0);
}

Test(redis_peer, an_answer_without_a_question)
{
	up();
	PEER_SAY("+OK\r\n");
	given_up(REDIS_TROUBLE_PROTOCOL, "a reply that nothing was asked for");
}

Test(redis_peer, an_array_that_claims_to_be_huge)
{
	struct probe probe = {0};

	up();
	cr_assert(probe_send(&probe, 10000, "X", NULL));
	PEER_SAY("*2147483647\r\n");
	given_up(REDIS_TROUBLE_PROTOCOL, "a reply is too large");
	cr_assert(probe.ended);
}

Test(redis_peer, a_string_that_goes_on)
{
	struct probe probe = {0};
	static char bytes[70000];

	memset(bytes, 'x', 70000);
	up();
	cr_assert(probe_send(&probe, 10000, "X", NULL));
	PEER_SAY("$500000000\r\n");
	peer_say(bytes, 70000);
	given_up(REDIS_TROUBLE_PROTOCOL, "a reply is too large");
}

/* A line without an end, too. */
Test(redis_peer, a_line_that_goes_on)
{
	static char bytes[70000];

	memset(bytes, 'x', 70000);
	up();
	PEER_SAY("+");
	peer_say(bytes, 70000);
	given_up(REDIS_TROUBLE_PROTOCOL, "a reply is too large");
}

Test(redis_peer, many_small_ones_are_too_large_in_sum)
{
	static char bytes[4 * 1500];
	struct probe probe = {0};

	for (size_t i = 0; i < sizeof(bytes); i += 4)
		memcpy(bytes + i, ":1\r\n", 4);
	up();
	cr_assert(probe_send(&probe, 10000, "X", NULL));
	PEER_SAY("*2000\r\n");
	peer_say(bytes, sizeof(bytes));
	given_up(REDIS_TROUBLE_PROTOCOL, "a reply is too large");
}

Test(redis_peer, as_large_as_it_may_be)
{
	struct probe probe = {0};
	static char bytes[60000];
	char head[32];

	memset(bytes, 'x', 60000);
	up();
	for (int i = 0; i < 3; i++) {
		probe = (struct probe){0};
		cr_assert(probe_send(&probe, 10000, "X", NULL));
		snprintf(head, sizeof(head), "$%d\r\n", 60000);
		peer_say(head, strlen(head));
		peer_say(bytes, 60000);
		PEER_SAY("\r\n");
		RIG_UNTIL(probe.answered);
		cr_assert(probe.type == REDIS_TYPE_STRING);
	}
}

Test(redis_peer, four_deep_is_read_and_five_is_not)
{
	struct probe probe = {0};

	up();
	cr_assert(probe_send(&probe, 10000, "X", NULL));
	PEER_SAY("*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n");
	RIG_UNTIL(probe.answered);
	cr_assert(probe.type == REDIS_TYPE_ARRAY);
	cr_assert(probe_send(&probe, 10000, "X", NULL));
	PEER_SAY("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n");
	given_up(REDIS_TROUBLE_PROTOCOL, "a reply is nested too deep");
}

/* The whole talk, cut after each byte. */
Test(redis_peer, an_end_at_every_place)
{
	static const char talk[] = "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n$5\r\nhello\r\n";

	rig_link();
	for (size_t len = 0; len < sizeof(talk) - 1; len++) {
		uint64_t attempts;

		peer_accept();
		attempts = rig_health().attempts;
		peer_say(talk, len);
		peer_hang_up();
		RIG_UNTIL(rig_health().attempts > attempts);
	}
	cr_assert(rig.ups == 0);
	peer_greet();
}

/* Reset while something is unsent: the error comes out of the write, and is seen. */
Test(redis_peer, the_peer_goes_before_the_write)
{
	struct probe probe = {0};

	up();
	cr_assert(probe_send(&probe, 10000, "X", NULL));
	peer_hang_up();
	RIG_UNTIL(rig.downs == 1);
	cr_assert(probe.answered == 1 && probe.ended);
}

/* More than the socket takes goes out when it can. */
Test(redis_peer, a_slow_reader)
{
	static struct probe probes[64];
	static char big[100001];
	unsigned sent = 0, answered = 0;

	memset(big, 'x', 100000);
	up();
	while (sent < 64 && probe_send(&probes[sent], 60000, "X", big, NULL))
		sent++;
	cr_assert(sent == 64);
	for (int i = 0; i < 3; i++)
		rig_turn();
	for (unsigned i = 0; i < sent; i++) {
		peer_skip(100000 + 21);
		PEER_SAY("+OK\r\n");
	}
	while (answered < sent) {
		RIG_UNTIL(probes[answered].answered);
		cr_assert(!probes[answered++].ended);
	}
}

Test(redis_peer, too_much_unsent_is_refused)
{
	static struct probe probes[300];
	static char big[100001];
	unsigned sent = 0;

	memset(big, 'x', 100000);
	up();
	while (sent < 300 && probe_send(&probes[sent], 60000, "X", big, NULL))
		sent++;
	cr_assert(sent > 150 && sent < 180, "%u", sent);
	cr_assert(rig.downs == 0);
}

Test(redis_peer, errors_that_end_the_connection)
{
	static const struct {
		const char *text;
		enum redis_trouble trouble;
	} cases[] = {
		{"-READONLY You can't write against a read only replica.\r\n",
			REDIS_TROUBLE_NO_MASTER},
		{"-MASTERDOWN Link with MASTER is down.\r\n", REDIS_TROUBLE_LOADING},
		{"-LOADING Redis is loading the dataset in memory\r\n", REDIS_TROUBLE_LOADING},
	};

	rig_link();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct probe first = {0}, second = {0};
		unsigned downs = rig.downs;

		peer_greet();
		cr_assert(probe_send(&first, 10000, "X", NULL));
		cr_assert(probe_send(&second, 10000, "Y", NULL));
		peer_say(cases[i].text, strlen(cases[i].text));
		RIG_UNTIL(rig.downs > downs);
		cr_assert(first.answered == 1 && first.type == REDIS_TYPE_ERROR);
		cr_assert(second.answered == 1 && second.ended);
		cr_assert(rig_health().trouble == cases[i].trouble);
	}
}

/* These need a person: no new attempt for a while. */
Test(redis_peer, a_cluster_is_told_and_left)
{
	struct probe probe = {0};

	up();
	cr_assert(probe_send(&probe, 10000, "X", NULL));
	PEER_SAY("-MOVED 15495 127.0.0.1:27403\r\n");
	RIG_UNTIL(rig.downs == 1);
	cr_assert(probe.error == REDIS_ERROR_CLUSTER);
	cr_assert(rig_health().trouble == REDIS_TROUBLE_CLUSTER);
	cr_assert(redis_link_next(rig.link) >= rig_mono_ms() + 7000);
}

/* Dropped again and again right after it came up: the pauses grow all the same. */
Test(redis_peer, pauses_grow_when_it_never_lasts)
{
	uint64_t last_ms = 0;

	rig_link();
	for (int i = 0; i < 6; i++) {
		unsigned downs = rig.downs;

		peer_greet();
		peer_hang_up();
		RIG_UNTIL(rig.downs > downs);
		last_ms = redis_link_next(rig.link) - rig_mono_ms();
	}
	cr_assert(last_ms > 700 && last_ms <= 1250, "%d ms", (int)last_ms);
}

Test(redis_peer, messages_of_a_subscriber)
{
	rig.options.channel = SLICE("c");
	rig_link();
	peer_accept();
	peer_expect("*1\r\n$4\r\nROLE\r\n*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nc\r\n");
	PEER_SAY("*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
	RIG_UNTIL(rig.ups == 1);
	PEER_SAY("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\n42\r\n");
	PEER_SAY("*2\r\n$7\r\nmessage\r\n$1\r\nc\r\n"); /* lame ones are passed over */
	PEER_SAY("*0\r\n:5\r\n+OK\r\n");
	PEER_SAY("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\n43\r\n");
	RIG_UNTIL(rig.messages == 2);
	cr_assert_str_eq(rig.message, "43");
	peer_expect("*1\r\n$4\r\nPING\r\n");
	PEER_SAY("*2\r\n$4\r\npong\r\n$0\r\n\r\n");
	RIG_UNTIL(rig_health().replies == 1);
	PEER_SAY("-ERR no\r\n");
	RIG_UNTIL(rig.downs == 1);
}
