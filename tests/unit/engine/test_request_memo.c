/* SPDX-License-Identifier: ISC */
/*
 * The facts of a request must be the same whether they come out of the policy connection's memo or not: over the
 * recordings of real Postfix servers in random order, with their changing lines changed, and with the
 * ruleset changed in between.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/policy_repeat.h"
#include "tests/unit/engine/fixture.h"

#define CORPUS "tests/fuzz/corpus/policy"
#define MAX_RECORDINGS 100
#define ROUNDS 20000

static const char *const sites[] = {
	"site:\n"
	"  domains: [example.com]\n"
	"  login_domain: example.com\n"
	"  recipient_delimiter: +\n"
	"  addresses: [192.0.2.25]\n"
	"  local_networks: [192.0.2.0/24]\n"
	"  privileged_networks: [198.51.100.0/24]\n",
	"site:\n"
	"  domains: [example.net, example.org]\n"
	"  login_domain: example.net\n"
	"  recipient_delimiter: '-'\n"
	"  addresses: [192.0.2.7]\n"
	"  local_networks: [127.0.0.0/8]\n"
	"  privileged_networks: [192.0.2.0/28]\n",
};

static struct policy_repeat repeat;
static struct policy_request in;
static struct request_memo memo;
static struct arena arena, plain_arena;
static struct request_tables tables;
static uint64_t dice = 1;
static unsigned taken;
static char text[70000];
static size_t text_len;

static struct slice recordings[MAX_RECORDINGS];
static size_t recording_count;

static void read_recordings(void)
{
	DIR *folder = opendir(CORPUS);
	struct dirent *entry;

	cr_assert_not_null(folder, "run from the root of the source tree");
	while ((entry = readdir(folder)) && recording_count < MAX_RECORDINGS) {
		char path[600], *data = mem_alloc(65536);
		FILE *file;

		snprintf(path, sizeof(path), CORPUS "/%s", entry->d_name);
		file = entry->d_name[0] == '.' ? NULL : fopen(path, "rb");
		if (file) {
			recordings[recording_count++] =
				slice_make(data, fread(data, 1, 65536, file));
			fclose(file);
		} else {
			free(data);
		}
	}
	closedir(folder);
	cr_assert(recording_count >= 40);
}

static void start(void)
{
	fixture_start("  - {name: a, check: look}", sites[0]);
	arena_init(&arena, 4096);
	arena_init(&plain_arena, 4096);
	tables = (struct request_tables){
		.connections = fixture.connections,
		.transactions = fixture.transactions,
		.key = {11, 12},
		.memo = &memo,
		.ruleset_number = 1,
	};
	read_recordings();
}

static void stop(void)
{
	while (recording_count)
		free((void *)(uintptr_t)recordings[--recording_count].data);
	request_memo_release(&memo);
	arena_release(&arena);
	arena_release(&plain_arena);
	fixture_stop();
}

TestSuite(request_memo, .init = start, .fini = stop);

static unsigned draw(unsigned below)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return (unsigned)(dice >> 33) % below;
}

/* ---- comparing ---- */

#define SAME(member) cr_assert(a->member == b->member, #member " of\n%s", text)
#define SAME_TEXT(member) cr_assert(slice_equal(a->member, b->member), #member " of\n%s", text)

static void same_address(const struct mail_address *a, const struct mail_address *b)
{
	SAME(kind);
	SAME_TEXT(raw);
	SAME_TEXT(local);
	SAME_TEXT(domain);
	SAME_TEXT(folded);
	SAME_TEXT(subject);
	cr_assert(ip_equal(&a->ip, &b->ip));
	SAME(domain_is_local);
	SAME(shown_local);
}

static void same(const struct request *a, const struct request *b)
{
	SAME(in);
	SAME(ruleset);
	SAME(site);
	SAME(policy_connection);
	SAME(now.mono_ms);
	SAME(state);
	SAME(facts);
	cr_assert(ip_equal(&a->client, &b->client));
	SAME(client_local);
	SAME(client_privileged);
	SAME(client_own);
	SAME(authenticated);
	SAME(tls);
	SAME(server_port);
	SAME(size_bytes);
	SAME(recipient_count);
	SAME_TEXT(helo);
	SAME_TEXT(client_name);
	same_address(&a->login, &b->login);
	same_address(&a->sender, &b->sender);
	same_address(&a->recipient, &b->recipient);
	cr_assert(hash128_equal(a->ids.connection, b->ids.connection));
	cr_assert(hash128_equal(a->ids.transaction, b->ids.transaction), "%s", text);
	SAME(ids.service);
	SAME(recipient_hash);
	SAME(exempt);
	SAME(situation);
	SAME(connection_strikes);
	SAME(connection_helo_rule);
	SAME(recipients_before);
	SAME(recipients_with);
	SAME(transaction_known);
}

/* ---- asking ---- */

/* What is known of it, in the tables, is left for those after it. */
static void leave_traces(const struct request *request)
{
	struct smtp_connection *connection =
		connections_get(fixture.connections, request->ids.connection, fixture.now.mono_ms);
	struct transaction *transaction = transactions_get(
		fixture.transactions, request->ids.transaction, fixture.now.mono_ms);

	connection->strikes += draw(2);
	if (transaction && request->recipient_hash)
		transaction_add_recipient(transaction, request->recipient_hash);
}

static void compare(void)
{
	struct request_tables plain_tables = tables;
	struct request with, without;
	const struct ruleset *ruleset = fixture.ruleset;

	plain_tables.memo = NULL;
	arena_reset(&arena);
	arena_reset(&plain_arena);
	fixture.now.mono_ms++;
	request_read(&with, &in, ruleset, ruleset->site, &arena, &tables, 7, fixture.now);
	request_read(
		&without, &in, ruleset, ruleset->site, &plain_arena, &plain_tables, 7, fixture.now);
	same(&with, &without);
	cr_assert(with.arena == &arena && with.arena != memo.known.arena);
	leave_traces(&with);
}

/* As a connection reads it. */
static void ask_text(void)
{
	struct policy_parser parser;
	const char *why;
	size_t used;

	if (policy_repeat_take(&repeat, text, text_len, &in, &used)) {
		taken++;
		compare();
		return;
	}
	policy_parser_reset(&parser);
	if (policy_parser_feed(&parser, text, text_len, &in, &used, &why) != POLICY_READY)
		return;
	policy_repeat_learn(&repeat, text, used, &in);
	compare();
}

/* One line of a recording, or another value for it: what changes within a message, and at times what does not. */
static struct slice change(struct slice line)
{
	static const char *const others[] = {
		"protocol_state=RCPT",
		"protocol_state=DATA",
		"protocol_state=END-OF-MESSAGE",
		"protocol_state=MAIL",
		"protocol_state=VRFY",
		"recipient=",
		"recipient=a@Example.COM",
		"recipient=b+x@example.com",
		"recipient=c-y@example.net",
		"recipient=\"a b\"@[192.0.2.25]",
		"recipient_count=0",
		"recipient_count=3",
		"queue_id=",
		"queue_id=ABC",
		"instance=",
		"instance=1.2.3.4",
		"instance=1.2.3.5",
		"instance=1111111111.2222222222222222.3333333333333333333.444444444444444444444444",
		"size=0",
		"size=99999999999999999999999",
		"size=4711",
		/* These end what is repeated. */
		"sender=",
		"sender=evil!user@example.com",
		"sasl_username=Bob+x",
		"client_address=unknown",
		"client_address=192.0.2.7",
		"client_port=unknown",
		"server_port=587",
		"helo_name=",
	};
	const unsigned lasting = 21, count = sizeof(others) / sizeof(others[0]);
	struct slice name, value, other;

	if (!slice_split(line, '=', &name, &value) || draw(2))
		return line;
	for (unsigned i = 0; i < 12; i++) {
		other = slice_of(others[draw(draw(30) ? lasting : count)]);
		if (slice_starts_with(other, slice_make(name.data, name.len + 1)))
			return other;
	}
	return line;
}

static void compose(struct slice recording)
{
	struct slice line;

	text_len = 0;
	while (slice_split(recording, '\n', &line, &recording)) {
		line = change(line);
		memcpy(text + text_len, line.data, line.len);
		text_len += line.len;
		text[text_len++] = '\n';
	}
	text[text_len] = '\0';
}

static void change_ruleset(void)
{
	static unsigned site;

	fixture_reload("  - {name: a, check: look}", sites[++site % 2]);
	tables.ruleset_number++;
}

Test(request_memo, gives_the_same_facts)
{
	struct slice recording = recordings[0];

	for (unsigned i = 0; i < ROUNDS; i++) {
		if (draw(8) == 0)
			recording = recordings[draw((unsigned)recording_count)];
		if (draw(100) == 0)
			change_ruleset();
		compose(recording);
		ask_text();
	}
	cr_assert(taken > ROUNDS / 10, "%u", taken);
}

static const char rcpt[] =
	"request=smtpd_access_policy\nprotocol_state=RCPT\n"
	"client_address=192.0.2.1\nsender=s@example.com\nrecipient=r@example.org\n"
	"recipient_count=0\nqueue_id=\ninstance=1.2.3.4\nsize=0\n"
	"etrn_domain=\nsasl_username=\nencryption_protocol=\npolicy_context=\n\n";

Test(request_memo, ends_with_the_ruleset)
{
	text_len = sizeof(rcpt) - 1;
	memcpy(text, rcpt, sizeof(rcpt));
	ask_text();
	ask_text();
	cr_assert(taken == 1 && memo.known.client_local && memo.known.sender.domain_is_local);
	change_ruleset();
	ask_text();
	cr_assert(taken == 2 && !memo.known.client_local && !memo.known.sender.domain_is_local);
	cr_assert(memo.known.site == fixture.ruleset->site);
}

static void on_done(void *arg, struct slice reply, const struct verdict *verdict)
{
	(void)reply;
	(void)verdict;
	++*(unsigned *)arg;
}

/* As a connection hands it to the pipeline, and daemon.c reloads. */
Test(request_memo, ends_with_the_pipelines_ruleset)
{
	struct pipeline_peer peer = {.id = 7, .memo = &memo};
	unsigned done = 0;

	text_len = sizeof(rcpt) - 1;
	memcpy(text, rcpt, sizeof(rcpt));
	ask_text();
	for (unsigned i = 0; i < 4; i++) {
		struct ticket *ticket;

		arena_reset(&arena);
		ticket = pipeline_submit(
			fixture.pipeline, &in, &arena, &peer, fixture.now, on_done, &done);
		cr_assert(ticket && memo.repeat == in.repeat);
		cr_assert(memo.known.site == fixture.ruleset->site);
		cr_assert(memo.known.client_local == (i != 2));
		pipeline_run(fixture.pipeline, fixture.now);
		cr_assert(done == i + 1);
		if (i > 0)
			change_ruleset();
	}
}
