/* SPDX-License-Identifier: ISC */
/* What is answered on the control socket, and what is logged of it. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/operate/control_fixture.h"

#define RULES                              \
	"  - {name: banned, check: ban}\n" \
	"  - {name: hourly, check: rate, per: login, limit: 5/1h}\n"
#define TOP                                                     \
	"site: {origin: example.com, domains: [example.com]}\n" \
	"bans: {mode: enforce, never: [203.0.113.0/24]}\n"

static void start(void)
{
	parts_start(RULES, TOP);
}

#define has(text, part)                                                         \
	do {                                                                    \
		const char *text_ = (text);                                     \
		cr_assert(strstr(text_, (part)), "no %s in %s", (part), text_); \
	} while (0)

#define lacks(text, part)                                                        \
	do {                                                                     \
		const char *text_ = (text);                                      \
		cr_assert_not(strstr(text_, (part)), "%s in %s", (part), text_); \
	} while (0)

Test(control, status_and_what_is_no_command, .init = start, .fini = parts_stop)
{
	has(ask("status", ""), "\"rules\":[{\"name\":\"banned\",\"check\":\"ban\"");
	has(ask("status", ""), "\"control\":{\"calls\":1,\"accepted\":2,\"refused\":0,");
	has(ask("status", ""),
		"\"maillog\":{\"source\":\"file:/var/log/mail.log\",\"followed\":false,"
		"\"why\":\"no such file\",\"lines\":30,\"connections\":4,\"logins\":1}");
	has(ask("dance", ""), "\"exit\":69");
	cr_assert_not(is_logged("event=control"));
}

Test(control, usage_without_a_subject_is_refused_and_leaves_nothing, .init = start,
	.fini = parts_stop)
{
	char text[300];

	has(ask("usage", ""), "no subject was given");
	has(ask("usage", "subject=\n"), "no subject was given");
	memset(text, 'a', sizeof(text));
	memcpy(text, "subject=", 8);
	memcpy(text + sizeof(text) - 2, "\n", 2);
	(void)ask("usage", text);
	has(ask("reset", ""), "no subject was given");
}

Test(control, usage_and_top, .init = start, .fini = parts_stop)
{
	decide("198.51.100.1", "bob@example.com", "a@far.example");
	decide("198.51.100.1", "bob@example.com", "b@far.example");
	decide("198.51.100.1", "eve@example.com", "b@far.example");
	has(ask("usage", "subject=BOB\n"), "\"subject\":\"bob@example.com\"");
	has(ask("usage", "subject=bob\n"), "\"used\":2,\"limit\":5,");
	has(ask("top", "number=1\n"), "\"counters\":[{\"rule\":\"hourly\",\"subject\":\"bob@");
	has(ask("top", "number=1\n"), "\"more\":true");
	has(ask("top", "number=0\n"), "between 1 and");
	has(ask("reset", "subject=bob\n"), "\"emptied\":1");
	has(ask("usage", "subject=bob\n"), "\"counters\":[]");
}

Test(control, a_change_is_logged_with_what_became_of_it, .init = start, .fini = parts_stop)
{
	has(ask("ban.add", "network=198.51.100.7\nreason=spam\n"), "\"ok\":true");
	has(logged("event=control command=ban.add"), "args=\"network=198.51.100.7 reason=spam\"");
	has(logged("event=control command=ban.add"), " result=done");
	has(ask("ban.add", "network=203.0.113.7\n"), "never banned");
	has(logged("network=203.0.113.7"),
		" result=refused why=\"203.0.113.7/32 overlaps a network");
	has(ask("limit.set", "rule=hourly\nsubject=bob\nlimit=many\n"), "\"exit\":65");
	has(logged("command=limit.set"), " result=refused why=\"a limit is like 500/1h");
}

Test(control, a_change_whose_asker_left_is_logged_too, .init = start, .fini = parts_stop)
{
	int fd = ask_only("reload", "");

	while (!parts.reloads)
		turn();
	cr_assert_not(is_logged("event=control"));
	close(fd);
	control_reloaded(parts.control, 1);
	has(logged("event=control command=reload"), " result=done");
}

Test(control, a_change_at_the_end_is_logged_too, .init = start, .fini = parts_stop)
{
	int fd = ask_only("reload", "");

	while (!parts.reloads)
		turn();
	control_close(parts.control);
	log_flush(parts.operate.log);
	has(logged("event=control command=reload"), " result=unknown why=");
	close(fd);
}

Test(control, a_time_is_longer_than_none_and_ends, .init = start, .fini = parts_stop)
{
	static const char *const bad[] = {"0s", "40000d", "99999999h"};
	char text[128];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), "rule=hourly\nsubject=bob\nlimit=9/1h\nfor=%s\n",
			bad[i]);
		has(ask("limit.set", text), "between 1 s and 10 years");
		snprintf(text, sizeof(text), "network=198.51.100.7\nfor=%s\n", bad[i]);
		has(ask("ban.add", text), "between 1 s and 10 years");
	}
	has(ask("limit.list", ""), "\"limits\":[]");
	has(ask("ban.list", ""), "\"bans\":[]");
	has(ask("ban.add", "network=198.51.100.7\nfor=1h\n"), "\"until\":");
}

Test(control, a_reason_is_kept_as_it_is_or_refused, .init = start, .fini = parts_stop)
{
	char text[200] = "network=198.51.100.7\nreason=";

	has(ask("ban.add", "network=198.51.100.7\nreason=\xc3\xbc\n"), "printable ASCII");
	memset(text + strlen(text), 'r', 100);
	text[128] = '\n';
	text[129] = '\0';
	has(ask("ban.add", text), "at most 95");
	has(ask("ban.list", ""), "\"bans\":[]");
	has(ask("ban.add", "network=198.51.100.7\n"), "\"reason\":\"by hand\"");
}

/* The first line of a stream, and the decisions after it. */
static void read_stream(int fd, char *text, size_t bytes, const char *until)
{
	size_t len = 0;

	for (unsigned i = 0; i < 2000; i++) {
		ssize_t got = recv(fd, text + len, bytes - 1 - len, 0);

		len += got > 0 ? (size_t)got : 0;
		text[len] = '\0';
		if (strstr(text, until))
			return;
		turn();
	}
	cr_assert_fail("no %s in %s", until, text);
}

Test(control, a_watcher_sees_what_is_long_too, .init = start, .fini = parts_stop)
{
	static char text[65536], recipient[16000];
	int fd = ask_only("watch", "");

	read_stream(fd, text, sizeof(text), "\"stream\"");
	memset(recipient, '\x01', sizeof(recipient) - 1);
	decide("198.51.100.1", "bob@example.com", recipient);
	read_stream(fd, text, sizeof(text), "\"time_us\":");
	has(text, "\\u0001\\u0001");
	cr_assert(strlen(text) < 16384);
	close(fd);
	has(ask("watch", "attr.nonsense=1\n"), "no such attribute");
}

Test(control, a_ban_tells_whom_it_hits, .init = start, .fini = parts_stop)
{
	decide("198.51.100.1", "", "a@example.com");
	has(ask("ban.add", "network=192.0.2.0/24\n"), "\"hits\":[],\"hits_total\":0");
	has(ask("ban.add", "network=198.51.100.0/24\n"),
		"\"hits\":[{\"network\":\"198.51.100.1/32\",\"connections\":1,\"passed_ms\":");
	lacks(ask("ban.show", "network=198.51.100.0/24\n"), "hits");
}

static void start_full(void)
{
	char rules[4096];
	struct buf buf;

	buf_init_fixed(&buf, rules, sizeof(rules) - 1);
	buf_add_format(&buf, RULES);
	for (unsigned i = 0; i < 62; i++) {
		if (i % 8 == 0)
			buf_add_format(&buf, "%s  - {name: more%u, check: rate, limit: [",
				i ? "]}\n" : "", i);
		buf_add_format(&buf, "%s1/%uh", i % 8 ? ", " : "", i + 1);
	}
	buf_add_format(&buf, "]}\n");
	rules[buf.len] = '\0';
	parts_start(rules, TOP);
}

Test(control, a_live_limit_needs_room_in_a_request, .init = start_full, .fini = parts_stop)
{
	has(ask("limit.set", "rule=hourly\nsubject=bob\nlimit=9/1h,99/1d\n"), "\"ok\":true");
	has(ask("limit.set", "rule=hourly\nsubject=bob\nlimit=9/1h,99/1d,999/7d\n"),
		"more than 64 windows");
	has(ask("limit.set", "rule=hourly\nsubject=bob\nlimit=unlimited\n"), "\"ok\":true");
	has(ask("limit.set", "rule=more0\nsubject=bob\nlimit=9/1h,99/1d,999/7d\n"), "\"ok\":true");
}

Test(control, an_answer_to_a_change_says_whether_it_is_kept, .init = start, .fini = parts_stop)
{
	has(ask("limit.set", "rule=hourly\nsubject=bob\nlimit=9/1h\n"), "\"kept\":true}");
	has(ask("limit.unset", "rule=hourly\nsubject=bob\n"), "\"kept\":true}");
	has(ask("ban.add", "network=192.0.2.0/24\n"), "\"kept\":true}");
	lacks(ask("ban.show", "network=192.0.2.0/24\n"), "kept");
	has(ask("ban.remove", "network=192.0.2.0/24\n"), "\"kept\":true}");
}
