/* SPDX-License-Identifier: ISC */
/*
 * Every condition of `match`, `except` and limits: when it holds, when it does not, and that it
 * does not hold while its fact is missing.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "daemon/engine/match.h"
#include "tests/unit/engine/fixture.h"

static const char site[] = "site:\n"
			   "  domains: [example.com]\n"
			   "  origin: example.com\n"
			   "  login_domain: example.com\n"
			   "  local_networks: [10.0.0.0/8]\n"
			   "  privileged_networks: [172.16.0.0/12]\n"
			   "lists:\n"
			   "  bulk: [news@example.com]\n";

static struct arena arena;

static void start(const char *conditions)
{
	char rules[1024];

	snprintf(rules, sizeof(rules), "  - {name: a, check: look, match: %s}", conditions);
	fixture_start(rules, site);
	arena_init(&arena, 4096);
}

static void stop(void)
{
	arena_release(&arena);
	fixture_stop();
}

TestSuite(match, .fini = stop);

static bool holds(const char *text)
{
	static char memory[4096];
	static struct policy_request in;
	struct request_tables tables = {
		.connections = fixture.connections,
		.transactions = fixture.transactions,
		.key = { 11, 12 },
	};
	struct request request;
	const struct rule *rule = rule_named("a");
	bool any = false;

	arena_reset(&arena);
	read_request(text, memory, sizeof(memory), &in);
	request_read(&request, &in, fixture.ruleset, fixture.ruleset->site, &arena, &tables, 7,
		     fixture.now);
	for (size_t i = 0; i < rule->match_count; i++)
		any = any || match_holds(rule->match[i], &request);
	return any;
}

static unsigned facts(void)
{
	return match_facts(rule_named("a")->match[0]);
}

#define yes(text) cr_assert(holds(text), "%s should match", text)
#define no(text) cr_assert(!holds(text), "%s should not match", text)

Test(match, authenticated)
{
	start("{authenticated: yes}");
	cr_assert(facts() == FACT_LOGIN);
	yes("RCPT sasl_username=alice");
	no("RCPT");
	no("EHLO sasl_username=alice");
}

Test(match, not_authenticated)
{
	start("{authenticated: no}");
	yes("RCPT");
	no("RCPT sasl_username=alice");
	no("EHLO");
}

Test(match, login)
{
	start("{login: [bob, \"@sub.example.com\", \"list:bulk\"]}");
	cr_assert(facts() == FACT_LOGIN);
	yes("RCPT sasl_username=bob");
	yes("RCPT sasl_username=Bob@Example.COM");
	yes("RCPT sasl_username=x@sub.example.com");
	yes("RCPT sasl_username=news@example.com");
	no("RCPT sasl_username=alice");
	no("RCPT");
	no("EHLO sasl_username=bob");
}

Test(match, login_negated_is_not_for_strangers)
{
	start("{login: [\"!bob\"]}");
	yes("RCPT sasl_username=alice");
	no("RCPT sasl_username=bob");
	no("RCPT");
}

Test(match, client)
{
	start("{client: [192.0.2.0/24, \"!192.0.2.9\", \"2001:db8::/32\"]}");
	cr_assert(facts() == FACT_CLIENT);
	yes("CONNECT client_address=192.0.2.1");
	yes("CONNECT client_address=::ffff:192.0.2.1");
	yes("CONNECT client_address=2001:db8::1");
	no("CONNECT client_address=192.0.2.9");
	no("CONNECT client_address=198.51.100.1");
	no("CONNECT client_address=unknown");
}

Test(match, client_negated_only)
{
	start("{client: [\"!192.0.2.0/24\"]}");
	yes("CONNECT client_address=198.51.100.1");
	no("CONNECT client_address=192.0.2.9");
	no("CONNECT client_address=-");
}

Test(match, client_name)
{
	start("{client_name: [.example.net, mx.example.org]}");
	cr_assert(facts() == 0);
	yes("CONNECT client_name=a.example.net");
	yes("CONNECT client_name=MX.example.org");
	no("CONNECT client_name=example.net");
	no("CONNECT client_name=unknown reverse_client_name=a.example.net");
	no("CONNECT");
}

Test(match, client_local)
{
	start("{client_local: yes, client_privileged: no}");
	cr_assert(facts() == FACT_CLIENT);
	yes("CONNECT client_address=10.0.0.1");
	no("CONNECT client_address=172.16.0.1");
	no("CONNECT client_address=198.51.100.1");
	no("CONNECT client_address=unknown");
}

Test(match, client_not_local)
{
	start("{client_local: no}");
	yes("CONNECT");
	no("CONNECT client_address=10.0.0.1");
	no("CONNECT client_address=unknown");
}

Test(match, client_privileged)
{
	start("{client_privileged: yes}");
	yes("CONNECT client_address=172.16.0.1");
	no("CONNECT");
}

Test(match, sender)
{
	start("{sender: [boss@example.com, \"@example.org\", \"@.example.net\", \"<>\"]}");
	cr_assert(facts() == FACT_SENDER);
	yes("MAIL sender=BOSS@example.com");
	yes("RCPT sender=x@example.org");
	yes("RCPT sender=x@a.example.net");
	yes("RCPT sender=");
	no("RCPT sender=x@example.net");
	no("RCPT sender=x@example.com");
	no("RCPT sender=-");
	no("EHLO sender=boss@example.com");
}

Test(match, sender_local)
{
	start("{sender_local: yes}");
	yes("MAIL sender=x@example.com");
	yes("MAIL sender=x");
	yes("MAIL sender=example.org!x@example.com");
	yes("MAIL sender=a..b!x@example.com");
	no("MAIL sender=x@example.org");
	no("MAIL sender=example.com!x@example.org");
	no("MAIL sender=");
	no("EHLO sender=x@example.com");
}

Test(match, sender_not_local)
{
	start("{sender_local: no}");
	yes("MAIL sender=x@example.org");
	yes("MAIL sender=");
	no("MAIL sender=x@example.com");
	no("MAIL sender=example.org!x@example.com");
	no("EHLO");
}

Test(match, recipient)
{
	start("{recipient: [\"*-owner@example.com\", \"!bad-owner@example.com\"]}");
	cr_assert(facts() == FACT_RECIPIENT);
	yes("RCPT recipient=list-owner@example.com");
	yes("VRFY recipient=list-owner@example.com");
	yes("DATA recipient_count=1 recipient=list-owner@example.com");
	no("RCPT recipient=bad-owner@example.com");
	no("RCPT recipient=list@example.com");
	no("DATA recipient_count=2");
	no("RCPT recipient=-");
}

Test(match, recipient_local)
{
	start("{recipient_local: yes}");
	yes("RCPT recipient=x@example.com");
	no("RCPT recipient=x@example.org");
	no("DATA recipient_count=2");
}

Test(match, helo)
{
	start("{helo: [.bad.example, \"[192.0.2.1]\"]}");
	cr_assert(facts() == FACT_HELO);
	yes("EHLO helo_name=x.bad.example.");
	yes("EHLO helo_name=[192.0.2.1]");
	no("EHLO helo_name=good.example");
	no("EHLO helo_name=");
	no("CONNECT");
}

Test(match, context)
{
	start("{context: [submission, \"!never\"]}");
	cr_assert(facts() == 0);
	yes("RCPT policy_context=submission");
	no("RCPT policy_context=Submission");
	no("RCPT policy_context=never");
	no("RCPT");
}

Test(match, context_negated_only)
{
	start("{context: [\"!never\"]}");
	yes("RCPT");
	yes("RCPT policy_context=other");
	no("RCPT policy_context=never");
}

Test(match, server_port)
{
	start("{server_port: [25, 587]}");
	yes("CONNECT server_port=25");
	yes("CONNECT server_port=587");
	no("CONNECT server_port=465");
	no("CONNECT server_port=-");
}

Test(match, state)
{
	start("{state: [RCPT, EHLO]}");
	yes("RCPT");
	yes("EHLO");
	no("MAIL");
	no("DATA");
	no("CONNECT");
}

Test(match, tls)
{
	start("{tls: yes}");
	yes("RCPT encryption_protocol=TLSv1.2");
	no("RCPT");
}

Test(match, no_tls)
{
	start("{tls: no}");
	yes("RCPT encryption_protocol=");
	no("RCPT encryption_protocol=TLSv1.2");
}

Test(match, size_over)
{
	start("{size: \">10KiB\"}");
	yes("MAIL size=10241");
	no("MAIL size=10240");
	no("MAIL");
}

Test(match, size_under)
{
	start("{size: \"<10KiB\"}");
	yes("MAIL size=10239");
	no("MAIL size=10240");
}

Test(match, all_conditions_of_a_map_hold)
{
	start("{authenticated: no, server_port: [25], recipient: [\"@example.com\"], helo: [h]}");
	cr_assert(facts() == (FACT_LOGIN | FACT_RECIPIENT | FACT_HELO));
	yes("RCPT helo_name=h");
	no("RCPT helo_name=g");
	no("RCPT helo_name=h server_port=26");
	no("RCPT helo_name=h sasl_username=a");
	no("RCPT helo_name=h recipient=x@example.org");
}

Test(match, one_map_of_a_list_holds)
{
	start("[{helo: [h]}, {server_port: [26]}]");
	yes("EHLO helo_name=h");
	yes("CONNECT server_port=26");
	no("CONNECT helo_name=g");
}

Test(match, nothing_holds_always)
{
	start("{helo: [h]}");
	cr_assert(match_holds(NULL, NULL));
	cr_assert(match_facts(NULL) == 0);
}

Test(match, bad_patterns_are_errors_in_their_place)
{
	start("{helo: [h]}");
	has(fixture_errors("  - name: a\n    check: look\n    match:\n      sender: [ok@example.com, \"@b..c\"]",
			   NULL),
	    "f:5:32: ");
}
