/* SPDX-License-Identifier: ISC */
/*
 * The decision line: its keys, what hostile values become, and when it is written.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/engine/fixture.h"

TestSuite(decision, .fini = fixture_stop);

Test(decision, all_that_postfix_said)
{
	fixture_start("  - {name: a, check: look}", NULL);
	script("a", "bad:0:nxdomain");
	ask("RCPT client_name=c.example helo_name=h sasl_username=alice queue_id=Q "
	    "policy_context=submission");
	is(last_decision(),
	   "event=decision state=RCPT action=reject rule=a reason=nxdomain "
	   "reply=\"550 5.7.27 s@example.net refused\" client=198.51.100.7 client_name=c.example "
	   "helo=h sender=s@example.net recipient=r@example.com login=alice queue_id=Q "
	   "instance=1.1 context=submission time_us=0");
}

Test(decision, what_is_not_there_is_left_out)
{
	fixture_start("  - {name: a, check: look}", NULL);
	ask("CONNECT");
	is(last_decision(), "event=decision state=CONNECT action=dunno client=198.51.100.7 time_us=0");
	ask("MAIL sender=");
	is(last_decision(),
	   "event=decision state=MAIL action=dunno client=198.51.100.7 sender=<> time_us=0");
	ask("DATA recipient_count=3 sender=a@b.example");
	has(last_decision(), " sender=a@b.example recipients=3 instance=1.1 time_us=0");
}

Test(decision, nothing_a_stranger_sends_ends_or_forges_a_line)
{
	fixture_start("  - {name: a, check: look}", NULL);
	script("a", "bad");
	ask("RCPT helo_name=x^event=decision~action=hold sender=\"a\\b\"@example.org "
	    "recipient=\x1b[31m@example.com sasl_username=\xff~\x7f");
	has(last_decision(), " helo=\"x\\x0aevent=decision action=hold\" ");
	has(last_decision(), " sender=\\x22a\\x5cb\\x22@example.org ");
	has(last_decision(), " recipient=\\x1b[31m@example.com ");
	has(last_decision(), " login=\"\\xff \\x7f\" ");
	has(last_decision(), " reply=\"550 5.7.27 ?a?b?@example.org refused\" ");
}

/* On a policy connection that remembers, later lines of a client and sender copy the first one. */
Test(decision, what_is_remembered_reads_the_same)
{
	static const struct {
		const char *text, *has;
	} rows[] = {
		{ "RCPT client_name=c.example helo_name=h~h sender=\"q\"@example.org sasl_username=a",
		  " helo=\"h h\" sender=\\x22q\\x22@example.org " },
		{ "RCPT client_name=c.example sender= sasl_username=a", " sender=<> " },
		{ "DATA client_name=c.example helo_name=x recipient_count=2", " helo=x " },
	};
	struct request_memo memo = { 0 };

	fixture_start("  - {name: a, check: look}", NULL);
	for (unsigned i = 0; i < 9; i++) {
		char text[300], plain[1000];

		snprintf(text, sizeof(text), "%s instance=%u", rows[i / 3].text, i);
		fixture.repeat = 0;
		fixture.peers[0].memo = NULL;
		ask(text);
		snprintf(plain, sizeof(plain), "%s", last_decision());
		has(plain, rows[i / 3].has);
		fixture.repeat = i / 3 + 1;
		fixture.peers[0].memo = &memo;
		ask(text);
		is(last_decision(), plain);
	}
	fixture.peers[0].memo = NULL;
	request_memo_release(&memo);
}

/* Ten long values that are all escaped, and the line is still whole. */
Test(decision, long_hostile_values_are_cut_and_leave_room)
{
	char bytes[1001], text[8192];

	fixture_start("  - {name: c, check: count}", NULL);
	script("c", NULL)->charges = STORE_MAX_CHARGES;
	memset(bytes, 1, 1000);
	bytes[1000] = '\0';
	snprintf(text, sizeof(text),
		 "RCPT client_name=%s helo_name=%s sender=%s recipient=%s sasl_username=%s queue_id=%s",
		 bytes, bytes, bytes, bytes, bytes, bytes);
	ask(text);
	has(last_decision(), " queue_id=\\x01\\x01");
	has(last_decision(), "\\x01... instance=1.1 counters=c/1h:0/10,");
	has(last_decision(), " time_us=0");
	cr_assert(strlen(last_decision()) < 16384);
}

Test(decision, log_decisions)
{
	fixture_start("  - {name: a, check: look}\n  - {name: w, check: look, mode: monitor}",
		      "log: {decisions: refusals}");
	script("a", "next bad:5");
	ask("RCPT");
	is(fixture.log_text, "");
	ask("RCPT");
	has(last_decision(), "action=defer");
	fixture_reload("  - {name: a, check: look}", "log: {decisions: none}");
	*fixture.log_text = '\0';
	ask("RCPT");
	is(fixture.log_text, "");
	fixture_reload("  - {name: a, check: look}", NULL);
	fixture.log.level = LOG_LEVEL_WARNING;
	ask("RCPT");
	is(fixture.log_text, "");
}

Test(decision, names_of_verdicts)
{
	fixture_start("  - {name: a, check: look}", NULL);
	is(verdict_name(VERDICT_DUNNO), "dunno");
	is(verdict_name(VERDICT_DISCONNECT), "disconnect");
	is(verdict_name(VERDICT_MARK), "mark");
}
