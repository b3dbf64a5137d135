/* SPDX-License-Identifier: ISC */
/*
 * The facts of a request: which are known in which state, and what exempts it.
 */
#include <criterion/criterion.h>

#include "tests/unit/engine/fixture.h"

static const char site[] = "site:\n"
			   "  domains: [example.com]\n"
			   "  login_domain: example.com\n"
			   "  addresses: [192.0.2.25]\n"
			   "  local_networks: [10.0.0.0/8]\n"
			   "  privileged_networks: [172.16.0.0/12]\n";

static char memory[8192];
static struct policy_request in;
static struct request request;
static struct arena arena;

static void start(void)
{
	fixture_start("  - {name: a, check: look}", site);
	arena_init(&arena, 4096);
}

static void stop(void)
{
	arena_release(&arena);
	fixture_stop();
}

TestSuite(request, .init = start, .fini = stop);

static void read_as(const char *text)
{
	struct request_tables tables = {
		.connections = fixture.connections,
		.transactions = fixture.transactions,
		.key = { 11, 12 },
	};

	arena_reset(&arena);
	read_request(text, memory, sizeof(memory), &in);
	request_read(&request, &in, fixture.ruleset, fixture.ruleset->site, &arena, &tables, 7,
		     fixture.now);
}

static void knows(const char *text, unsigned facts)
{
	read_as(text);
	cr_assert(request.facts == facts, "%s knows %x, not %x", text, request.facts, facts);
}

Test(request, facts_by_state)
{
	unsigned early = FACT_CLIENT | FACT_HELO;
	unsigned at_mail = early | FACT_LOGIN | FACT_SENDER;

	knows("CONNECT", FACT_CLIENT);
	knows("EHLO helo_name=h", early);
	knows("MAIL helo_name=h", at_mail);
	knows("RCPT helo_name=h", at_mail | FACT_RECIPIENT);
	knows("DATA helo_name=h recipient_count=2", at_mail);
	knows("DATA helo_name=h recipient_count=1 recipient=r@example.com",
	      at_mail | FACT_RECIPIENT);
	knows("END-OF-MESSAGE helo_name=h", at_mail);
	knows("VRFY helo_name=h", early | FACT_LOGIN | FACT_RECIPIENT);
	knows("ETRN helo_name=h", early | FACT_LOGIN);
	knows("NOVELTY helo_name=h", early);
}

Test(request, what_is_missing_is_not_known)
{
	knows("RCPT client_address=- sender=- recipient=-", FACT_LOGIN);
	knows("RCPT client_address=unknown sender=- recipient=-", FACT_LOGIN);
	knows("RCPT client_address=300.1.1.1 sender=- recipient=", FACT_LOGIN);
	/* A login that is sent before AUTH can have been is no login. */
	read_as("EHLO sasl_username=alice");
	cr_assert(!request.authenticated && !(request.facts & FACT_LOGIN));
}

Test(request, null_sender_from_mail_on)
{
	read_as("EHLO sender=");
	cr_assert(!(request.facts & FACT_SENDER) && !(request.exempt & EXEMPT_NULL_SENDER));
	read_as("MAIL sender=");
	cr_assert(request.facts & FACT_SENDER && request.exempt & EXEMPT_NULL_SENDER);
	cr_assert(request.sender.kind == MAIL_ADDRESS_NULL);
	read_as("VRFY sender=");
	cr_assert(!(request.exempt & EXEMPT_NULL_SENDER));
}

Test(request, exemptions)
{
	read_as("RCPT");
	cr_assert(request.exempt == EXEMPT_UNAUTHENTICATED);
	read_as("RCPT sasl_username=alice");
	cr_assert(request.exempt == EXEMPT_AUTHENTICATED && request.authenticated);
	cr_assert(slice_is(request.login.subject, "alice@example.com"));
	read_as("RCPT client_address=10.1.2.3");
	cr_assert(request.exempt == (EXEMPT_UNAUTHENTICATED | EXEMPT_LOCAL));
	read_as("RCPT client_address=::ffff:10.1.2.3");
	cr_assert(request.exempt == (EXEMPT_UNAUTHENTICATED | EXEMPT_LOCAL));
	read_as("RCPT client_address=172.16.9.9");
	cr_assert(request.exempt == (EXEMPT_UNAUTHENTICATED | EXEMPT_PRIVILEGED));
	read_as("RCPT client_address=192.0.2.25");
	cr_assert(request.exempt == (EXEMPT_UNAUTHENTICATED | EXEMPT_OWN));
	read_as("RCPT client_address=127.0.0.1");
	cr_assert(request.exempt & EXEMPT_OWN, "loopback is our own");
	read_as("RCPT client_address=::1");
	cr_assert(request.exempt & EXEMPT_OWN);
	read_as("CONNECT client_address=10.1.2.3");
	cr_assert(request.exempt == (EXEMPT_UNAUTHENTICATED | EXEMPT_LOCAL));
}

Test(request, small_facts)
{
	read_as("RCPT client_name=unknown size=1234 server_port=587 encryption_protocol=TLSv1.3");
	cr_assert(request.client_name.len == 0);
	cr_assert(request.size_bytes == 1234 && request.server_port == 587 && request.tls);
	cr_assert(request.recipient_count == 0);
	read_as("RCPT client_name=c.example size=12x server_port= recipient_count=7");
	cr_assert(slice_is(request.client_name, "c.example"));
	cr_assert(request.size_bytes == 0 && request.server_port == 0 && !request.tls);
	cr_assert(request.recipient_count == 0, "a count says nothing at RCPT");
	read_as("DATA recipient_count=7");
	cr_assert(request.recipient_count == 7);
}

Test(request, identity_of_transaction_and_recipient)
{
	struct hash128 first;
	uint64_t recipient, service;

	read_as("RCPT");
	first = request.ids.transaction;
	recipient = request.recipient_hash;
	service = request.ids.service;
	cr_assert(!hash128_is_zero(first) && recipient && !request.transaction_known);
	cr_assert(request.recipients_with == 1 && request.recipients_before == 0);
	/* Another policy connection, context or spelling: the same message, the same recipient. */
	read_as("RCPT policy_context=x recipient=R@Example.COM. server_port=25");
	cr_assert(hash128_equal(request.ids.transaction, first));
	cr_assert(request.recipient_hash == recipient && request.ids.service == service);
	read_as("RCPT recipient=r+tag@example.com server_port=587");
	cr_assert(request.recipient_hash != recipient, "another recipient");
	cr_assert(request.ids.service != service);
	read_as("RCPT instance=1.2");
	cr_assert(!hash128_equal(request.ids.transaction, first));
	read_as("RCPT instance=-");
	cr_assert(hash128_is_zero(request.ids.transaction));
	read_as("MAIL instance=1.1");
	cr_assert(hash128_is_zero(request.ids.transaction), "no message yet");
	read_as("VRFY instance=1.1");
	cr_assert(hash128_is_zero(request.ids.transaction) && request.recipient_hash == 0);
}

Test(request, what_tables_remember)
{
	struct smtp_connection *connection;
	struct transaction *transaction;

	read_as("RCPT");
	cr_assert(connections_count(fixture.connections) == 0, "reading adds nothing");
	cr_assert(transactions_count(fixture.transactions) == 0);
	connection = connections_get(fixture.connections, request.ids.connection,
				     fixture.now.mono_ms);
	connection->strikes = 3;
	connection->helo_rule = 99;
	transaction = transactions_get(fixture.transactions, request.ids.transaction,
				       fixture.now.mono_ms);
	transaction_add_recipient(transaction, request.recipient_hash);
	read_as("RCPT");
	cr_assert(request.connection_strikes == 3 && request.connection_helo_rule == 99);
	cr_assert(request.transaction_known && request.recipients_before == 1);
	cr_assert(request.recipients_with == 1, "asked about again");
	read_as("RCPT recipient=b@example.com");
	cr_assert(request.recipients_before == 1 && request.recipients_with == 2);
	read_as("DATA recipient_count=1");
	cr_assert(request.recipients_before == 1 && request.recipients_with == 1);
	read_as("CONNECT");
	cr_assert(request.connection_strikes == 3);
	read_as("CONNECT client_port=40002");
	cr_assert(request.connection_strikes == 0);
}
