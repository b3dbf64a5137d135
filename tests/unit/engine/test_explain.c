/* SPDX-License-Identifier: ISC */
/*
 * Explaining: every rule says what it would find, the answer is the one the same request then
 * gets, and nothing has changed in between.
 */
#include "daemon/engine/explain.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "common/alloc.h"
#include "tests/unit/engine/fixture.h"

TestSuite(explain, .fini = fixture_stop);

static struct {
	struct arena arena;
	char memory[8192];
	struct policy_request in;
	struct ticket *ticket;
	unsigned calls;
	char reply[512];
	char rules[4096];   /* "a bad reject\n" */
	char charges[1024]; /* "hourly used/limit\n" */
	bool settles, strikes, known;
} got;

static const char *const kinds[] = {
	"skipped", "waits", "unmatched", "exempt", "clear", "bad", "unknown", "charged", "over"};

static void keep(void *arg, const struct explanation *explanation)
{
	struct buf rules, charges;

	(void)arg;
	buf_init_fixed(&rules, got.rules, sizeof(got.rules) - 1);
	buf_init_fixed(&charges, got.charges, sizeof(got.charges) - 1);
	for (unsigned i = 0; i < explanation->ruleset->count; i++) {
		const struct explained_rule *rule = &explanation->rules[i];

		buf_add(&rules, rule->rule->name);
		buf_add_format(&rules, " %s%s%s%s", kinds[rule->kind], rule->after ? " after" : "",
			rule->would == VERDICT_DUNNO ? "" : " ",
			rule->would == VERDICT_DUNNO ? "" : verdict_name(rule->would));
		buf_add_char(&rules, '\n');
	}
	for (unsigned i = 0; i < explanation->charge_count; i++) {
		const struct store_charge *charge = &explanation->charges[i];

		buf_add(&charges, charge->key.rule);
		buf_add_format(
			&charges, " %u/%u\n", (unsigned)charge->used, (unsigned)charge->limit);
	}
	got.rules[rules.len] = got.charges[charges.len] = '\0';
	snprintf(got.reply, sizeof(got.reply), "%.*s", SLICE_ARG(explanation->reply));
	got.settles = explanation->settles;
	got.strikes = explanation->strikes;
	got.known = explanation->request->transaction_known;
	got.calls++;
}

static void begin(const char *text)
{
	arena_init(&got.arena, 4096);
	got.calls = 0;
	read_request(text, got.memory, sizeof(got.memory), &got.in);
	got.ticket =
		pipeline_explain(fixture.pipeline, &got.in, &got.arena, fixture.now, keep, NULL);
	cr_assert_eq(got.calls, 0, "never from inside the call");
}

/* The answer without `action=`. */
static const char *explained(const char *text)
{
	static char reply[512];

	begin(text);
	run();
	cr_assert_eq(got.calls, 1);
	arena_release(&got.arena);
	snprintf(reply, sizeof(reply), "%.*s", (int)strlen(got.reply) - 9, got.reply + 7);
	return reply;
}

/* What could have changed. */
struct state {
	unsigned bans, connections, transactions, refunds, abandons;
	struct pipeline_counts counts;
	size_t logged;
	char said[2048];
};

static struct state look(void)
{
	struct state state;

	memset(&state, 0, sizeof(state));
	state.bans = (unsigned)bans_count(fixture.bans);
	state.connections = (unsigned)connections_count(fixture.connections);
	state.transactions = (unsigned)transactions_count(fixture.transactions);
	state.refunds = fixture.store.refunds;
	state.abandons = fixture.store.abandons;
	pipeline_counts(fixture.pipeline, &state.counts);
	state.logged = strlen(fixture.log_text);
	snprintf(state.said, sizeof(state.said), "%s", fixture.bans_said);
	return state;
}

/* Explains twice, asks, and explains differently only if asking has changed something. */
static void same(const char *text, const char *expected)
{
	struct state before = look(), after;
	char first[512];

	snprintf(first, sizeof(first), "%s", explained(text));
	is(explained(text), first);
	after = look();
	cr_assert_eq(memcmp(&before, &after, sizeof(before)), 0, "%s changed something", text);
	is(first, expected);
	is(answer(text), expected);
}

Test(explain, goes_on_behind_a_refusal)
{
	fixture_start(
		"  - {name: a, check: look}\n  - {name: b, check: look}\n"
		"  - {name: c, check: look, mode: monitor}\n  - {name: d, check: look}\n"
		"  - {name: e, check: look, match: {client: [192.0.2.1]}}\n  - {name: f, check: guard}\n"
		"  - {name: g, check: count}",
		NULL);
	script("a", "next");
	script("b", "bad");
	script("c", "bad:2");
	script("d", "unknown:1");
	same("RCPT", "550 5.7.27 s@example.net refused");
	is(got.rules, "a clear\nb bad reject\nc bad after disconnect\nd unknown after\n"
		      "e unmatched\nf clear after\ng charged after\n");
	same("CONNECT", "550 5.7.27 s@example.net refused");
	has(got.rules, "f waits\n");
	same("RCPT sasl_username=u", "550 5.7.27 s@example.net refused");
	has(got.rules, "f exempt\n");
}

Test(explain, what_does_not_refuse_is_collected_as_always)
{
	fixture_start("  - {name: a, check: look, action: mark, reply: \"X-A: 1\"}\n"
		      "  - {name: b, check: look, action: hold, reply: held}\n"
		      "  - {name: c, check: look, action: warn}\n  - {name: d, check: count}",
		NULL);
	script("a", "bad");
	script("b", "bad");
	script("c", "bad");
	same("RCPT", "HOLD held");
	is(got.rules, "a bad mark\nb bad hold\nc bad\nd charged\n");
	script("b", "next");
	same("RCPT instance=2.1", "PREPEND X-A: 1");
	/* A mark goes out once a message. */
	same("RCPT instance=2.1", "DUNNO");
}

Test(explain, pass_leaves_the_rules_above_it_their_say)
{
	fixture_start("  - {name: a, check: count}\n  - {name: b, check: look, action: pass}\n"
		      "  - {name: c, check: look}\n  - {name: d, check: count}",
		NULL);
	script("b", "bad");
	script("c", "bad");
	same("RCPT", "DUNNO");
	is(got.rules, "a charged\nb bad\nc bad after reject\nd charged after\n");
	fixture.store.outcomes[0] = CHARGE_OVER;
	fixture.store.retry_ms[0] = 60000;
	same("RCPT instance=3.1", "450 4.7.1 too much mail for now, try again later");
	has(got.rules, "a over defer\n");
}

Test(explain, counters_are_only_looked_at)
{
	fixture_start("  - {name: a, check: count}\n  - {name: b, check: count}\n"
		      "  - {name: c, check: look}",
		NULL);
	fixture.store.used = 7;
	fixture.store.outcomes[1] = CHARGE_OVER;
	fixture.store.retry_ms[1] = 120000;
	is(explained("RCPT"), "450 4.7.1 too much mail for now, try again later");
	cr_assert(fixture.store.last_reserve.dry);
	is(got.charges, "a 7/10\nb 7/10\n");
	is(got.rules, "a charged\nb over defer\nc clear\n");
	/* After a refusal they have no part in the answer, and are looked at all the same. */
	script("c", "bad");
	is(explained("RCPT"), "550 5.7.27 s@example.net refused");
	is(got.rules, "a charged after\nb over after defer\nc bad reject\n");
	is(got.charges, "a 7/10\nb 7/10\n");
	cr_assert(fixture.store.last_reserve.dry);
	cr_assert_eq(fixture.store.abandons, 0);
}

Test(explain, a_message_is_settled_dry)
{
	fixture_start("  - {name: a, check: count}", NULL);
	fixture.store.settle_known = true;
	is(explained("DATA recipient_count=3"), "DUNNO");
	cr_assert(fixture.store.last_settle.dry);
	cr_assert(got.settles);
	cr_assert(fixture.store.last_reserve.dry);
	is(got.charges, "a 0/10\n");
	fixture.store.settle_refused = "a";
	fixture.store.retry_ms[0] = 60000;
	same("DATA recipient_count=3 instance=4.1",
		"450 4.7.1 too much mail for now, try again later");
	is(got.rules, "a over defer\n");
}

Test(explain, foresees_the_end_of_the_connection)
{
	fixture_start("  - {name: a, check: guard}",
		"bans: {mode: enforce, disconnect_at: 3, ban_at: 10/1h}");
	script("a", "bad");
	same("RCPT", "550 5.7.27 s@example.net refused");
	cr_assert(got.strikes);
	same("RCPT recipient=2@example.com", "550 5.7.27 s@example.net refused");
	is(explained("RCPT recipient=2@example.com"), "550 5.7.27 s@example.net refused");
	cr_assert_not(got.strikes, "it has struck before");
	same("RCPT recipient=3@example.com", "421 4.7.0 too many errors in this connection");
	/* From now on nothing is asked, but explained all the same. */
	script("a", "next");
	same("RCPT recipient=4@example.com", "421 4.7.0 too many errors in this connection");
	is(got.rules, "a clear after\n");
}

Test(explain, waits_and_can_be_cancelled)
{
	fixture_start("  - {name: a, check: look}\n  - {name: b, check: look}", NULL);
	script("a", "wait bad");
	begin("RCPT");
	run();
	cr_assert_eq(got.calls, 0);
	wake("a");
	run();
	cr_assert_eq(got.calls, 1);
	is(got.rules, "a bad reject\nb clear after\n");
	arena_release(&got.arena);
	script("a", "wait");
	begin("RCPT");
	run();
	pipeline_cancel(fixture.pipeline, &got.ticket);
	arena_release(&got.arena);
	cr_assert_eq(script("a", NULL)->cancelled, script("a", NULL)->states);
	cr_assert_eq(pipeline_under_way(fixture.pipeline), 0);
	/* Nor does a store that does not answer hold it. */
	script("a", "next");
	fixture_reload("  - {name: a, check: count}", NULL);
	fixture.store.pending = true;
	begin("RCPT");
	run();
	cr_assert_eq(got.calls, 0);
	pass_ms(4000);
	cr_assert_eq(got.calls, 1);
	arena_release(&got.arena);
	begin("RCPT");
	run();
	pipeline_cancel(fixture.pipeline, &got.ticket);
	arena_release(&got.arena);
	cr_assert_not(fake_store_is_pending(&fixture.store));
}

Test(explain, keeps_nothing_alive)
{
	fixture_start("  - {name: a, check: look}", NULL);
	is(answer("RCPT"), "DUNNO");
	for (int i = 0; i < 14; i++) {
		pass_ms(60000);
		(void)explained("RCPT");
		cr_assert(got.known, "minute %d", i);
	}
	pass_ms(61000);
	(void)explained("RCPT");
	cr_assert_not(got.known);
}
