/* SPDX-License-Identifier: ISC */
/*
 * Any bytes as lines of Postfix's log. First the lines as they are: slices stay inside the line, counts make
 * sense, the text "]: " of smtpd's own tag stands in front of all that was found. Then the same bytes as what a client
 * said, inside lines that Postfix would write about it: nothing is ever made of anybody's address but its own.
 */
#include <assert.h>
#include <stdint.h>

#include "common/buf.h"
#include "daemon/feeds/postfix_log.h"
#include "daemon/feeds/witness.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FRAME "Nov 24 08:00:00 mx postfix/smtpd[123]: "
#define MAX_SAID_BYTES 2048

static bool is_within(struct slice part, struct slice whole)
{
	return part.len == 0 ||
	       (part.data >= whole.data && part.data + part.len <= whole.data + whole.len);
}

static void check_event(struct slice line, const struct postfix_log_event *event)
{
	assert(event->host.len && is_within(event->host, line));
	assert(event->tag.len && is_within(event->tag, line));
	assert(slice_ends_with(event->tag, SLICE("/smtpd")));
	if (event->kind == POSTFIX_LOG_LOGIN_FAILED || event->kind == POSTFIX_LOG_MESSAGE)
		assert(is_within(event->login, line));
	if (event->kind != POSTFIX_LOG_DISCONNECT)
		return;
	for (unsigned i = 0; i < POSTFIX_LOG_COMMANDS; i++)
		assert(event->counts[i].good <= event->counts[i].all);
}

static void on_session(struct witness_sink *sink, const struct bans_session *session,
		       struct clock_now now)
{
	(void)sink;
	(void)now;
	assert(session->refused_recipients <= session->recipients);
	assert(session->login.len < WITNESS_LOGIN_BYTES);
}

static void on_login(struct witness_sink *sink, const struct witness_login *login,
		     struct clock_now now)
{
	(void)sink;
	(void)login;
	(void)now;
}

static void read_lines(struct slice text)
{
	static struct witness_sink sink = { on_session, on_login };
	static struct witness *witness;
	struct postfix_log_event event;
	struct slice line, rest;

	if (!witness)
		witness = witness_new((struct hash_key){ 1, 2 }, &sink);
	while (slice_split(text, '\n', &line, &rest)) {
		if (postfix_log_parse(line, &event) != POSTFIX_LOG_NONE)
			check_event(line, &event);
		witness_line(witness, line, (struct clock_now){ 1000, 1000 });
		text = rest;
	}
}

/* Postfix turns what cannot be printed into '?', so no newline is among it. */
static void say(const char *before, struct slice said, const char *after)
{
	static const struct ip own = { { [10] = 0xff, [11] = 0xff, 192, 0, 2, 7 } };
	char memory[MAX_SAID_BYTES + 512];
	struct postfix_log_event event;
	enum postfix_log_kind kind;
	struct buf line;

	buf_init_fixed(&line, memory, sizeof(memory));
	buf_add(&line, SLICE(FRAME));
	buf_add(&line, slice_of(before));
	buf_add(&line, said);
	buf_add(&line, slice_of(after));
	kind = postfix_log_parse(buf_slice(&line), &event);
	if (kind == POSTFIX_LOG_NONE)
		return;
	assert(kind == POSTFIX_LOG_REFUSED || kind == POSTFIX_LOG_LOGIN_FAILED ||
	       kind == POSTFIX_LOG_MESSAGE);
	assert(event.has_client && ip_equal(&event.client, &own));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = { (const char *)data, size };
	struct slice said = slice_first(text, MAX_SAID_BYTES);

	read_lines(text);
	say("NOQUEUE: reject: RCPT from a[192.0.2.7]: 550 5.1.1 <", said, ">: x; from=<b> to=<c>");
	say("NOQUEUE: reject: RCPT from a[192.0.2.7]: 450 4.1.1 <b>: x; helo=<", said, ">");
	say("warning: a[192.0.2.7]: SASL LOGIN authentication failed: x, sasl_username=", said, "");
	say("warning: a[192.0.2.7]: SASL ", said, " authentication aborted");
	say("warning: non-SMTP command from a[192.0.2.7]: ", said, "");
	say("warning: Illegal address syntax from a[192.0.2.7] in MAIL command: <", said, ">");
	say("warning: reject: ETRN ", said, "... from a[192.0.2.7]");
	say("A1B2: client=a[192.0.2.7], sasl_method=PLAIN, sasl_username=", said, "");
	return 0;
}
