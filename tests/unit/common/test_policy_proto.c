/* SPDX-License-Identifier: ISC */
/*
 * The parser against one that reads byte by byte (policy_oracle.h), over the
 * recordings of the fuzz corpus, split everywhere; and each rule of the protocol by itself.
 */
#include "common/policy_proto.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "tests/fuzz/policy_oracle.h"

#define CORPUS "tests/fuzz/corpus/policy"

struct result {
	enum policy_feed feed;
	struct policy_request request;
	size_t used;
	const char *why;
};

static struct result feed(const char *data, size_t len)
{
	struct policy_parser parser;
	struct result result = {0};

	policy_parser_reset(&parser);
	result.feed =
		policy_parser_feed(&parser, data, len, &result.request, &result.used, &result.why);
	return result;
}

static void same(const struct result *a, const struct result *b)
{
	cr_assert_eq(a->feed, b->feed);
	if (a->feed == POLICY_BAD)
		cr_assert_str_eq(a->why, b->why);
	if (a->feed != POLICY_READY)
		return;
	cr_assert_eq(a->used, b->used);
	cr_assert_eq(a->request.present, b->request.present);
	cr_assert_eq(a->request.state, b->request.state);
	for (size_t i = 0; i < POLICY_ATTR_COUNT; i++)
		if (!slice_equal(a->request.attr[i], b->request.attr[i]))
			cr_assert_fail("%s", policy_attr_name((enum policy_attr)i));
}

/* The bytes up to `first`, then all, each time in a heap block of exactly that size. */
static void split_at(const char *data, size_t len, size_t first, const struct result *expected)
{
	struct policy_parser parser;
	struct result result = {0};
	char *head = mem_dup(slice_make(data, first)), *all = mem_alloc(len);

	memcpy(all, data, len);
	head = mem_grow(head, first ? first : 1);
	policy_parser_reset(&parser);
	result.feed = policy_parser_feed(
		&parser, head, first, &result.request, &result.used, &result.why);
	if (result.feed == POLICY_MORE)
		result.feed = policy_parser_feed(
			&parser, all, len, &result.request, &result.used, &result.why);
	same(&result, expected);
	free(head);
	free(all);
}

static void each_way(const char *data, size_t len)
{
	struct result expected = {0}, whole = feed(data, len), bytewise = {0};
	struct policy_parser parser;

	expected.feed = oracle(data, len, &expected.request, &expected.used, &expected.why);
	same(&whole, &expected);
	for (size_t first = 0; first<len; first += len> 20000 ? 97 : 1)
		split_at(data, len, first, &expected);
	policy_parser_reset(&parser);
	for (size_t i = 1; i <= len && bytewise.feed == POLICY_MORE; i++)
		bytewise.feed = policy_parser_feed(
			&parser, data, i, &bytewise.request, &bytewise.used, &bytewise.why);
	same(&bytewise, &expected);
}

static char *read_file(const char *name, size_t *ret_len)
{
	char path[600], *data = mem_alloc(65536);
	FILE *file;

	snprintf(path, sizeof(path), CORPUS "/%s", name);
	file = fopen(path, "rb");
	cr_assert_not_null(file);
	*ret_len = fread(data, 1, 65536, file);
	fclose(file);
	return data;
}

Test(policy_proto, recordings_split_everywhere)
{
	DIR *folder = opendir(CORPUS);
	struct dirent *entry;
	unsigned files = 0;

	cr_assert_not_null(folder, "run from the root of the source tree");
	while ((entry = readdir(folder))) {
		size_t len;
		char *data;

		if (entry->d_name[0] == '.')
			continue;
		data = read_file(entry->d_name, &len);
		each_way(data, len);
		free(data);
		files++;
	}
	closedir(folder);
	cr_assert_geq(files, 40);
}

static const char rcpt[] =
	"request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\n"
	"client_address=192.0.2.7\nclient_name=mail.example.net\nclient_port=34567\n"
	"reverse_client_name=mail.example.net\nserver_address=192.0.2.25\nserver_port=25\n"
	"helo_name=client.example.net\nsender=sender@example.net\nrecipient=a=b@example.com\n"
	"recipient_count=0\nqueue_id=\ninstance=4407.6b04fc67.aca90.1\nsize=777\netrn_domain=\n"
	"stress=\nsasl_method=plain\nsasl_username=user one\nsasl_sender=\nccert_subject=\n"
	"ccert_issuer=\nccert_fingerprint=\nccert_pubkey_fingerprint=\nencryption_protocol=TLSv1.3\n"
	"encryption_cipher=\nencryption_keysize=256\npolicy_context=\ncompatibility_level=3.6\n"
	"mail_version=3.11.6\n\n";

Test(policy_proto, a_request_of_postfix)
{
	struct result result = feed(rcpt, sizeof(rcpt) - 1);
	const struct policy_request *request = &result.request;

	cr_assert_eq(result.feed, POLICY_READY);
	cr_assert_eq(result.used, sizeof(rcpt) - 1);
	cr_assert_eq(request->state, POLICY_STATE_RCPT);
	cr_assert_eq(request->present, UINT64_C(0x7fffffff));
	cr_assert(slice_is(request->attr[POLICY_CLIENT_ADDRESS], "192.0.2.7"));
	cr_assert(slice_is(request->attr[POLICY_RECIPIENT], "a=b@example.com"));
	cr_assert(slice_is(request->attr[POLICY_QUEUE_ID], ""));
	cr_assert(slice_is(request->attr[POLICY_SASL_USERNAME], "user one"));
	cr_assert(slice_is(request->attr[POLICY_MAIL_VERSION], "3.11.6"));
	cr_assert(slice_is(request->attr[POLICY_TLS_SNI], ""));
	each_way(rcpt, sizeof(rcpt) - 1);
}

#define REQUEST "request=smtpd_access_policy\n"

static void ready(const char *text, enum policy_attr attr, const char *value)
{
	struct result result = feed(text, strlen(text));

	cr_assert_eq(result.feed, POLICY_READY, "%s", text);
	cr_assert(slice_is(result.request.attr[attr], value), "%s", text);
	each_way(text, strlen(text));
}

Test(policy_proto, other_orders_and_names)
{
	ready("sender=x\n" REQUEST "\n", POLICY_SENDER, "x");
	ready(REQUEST "sender=first\nsender=second\n\n", POLICY_SENDER, "first");
	ready(REQUEST "sender=\nsender=second\n\n", POLICY_SENDER, "");
	ready(REQUEST "request=other\n\n", POLICY_REQUEST, "smtpd_access_policy");
	ready(REQUEST "color=red\nsender=x\nSender=y\n\n", POLICY_SENDER, "x");
	ready(REQUEST "sender =y\nsender=x\n\n", POLICY_SENDER, "x");
	ready(REQUEST "sender=a=b=\n\n", POLICY_SENDER, "a=b=");
	ready(REQUEST "sender==\n\n", POLICY_SENDER, "=");
	ready(REQUEST "sender=a\rb \n\n", POLICY_SENDER, "a\rb ");
	ready(REQUEST
		"tls_sni=mx\npolicy_context=c d\ncompatibility_level=3.6\nmail_version=3.12\n\n",
		POLICY_MAIL_VERSION, "3.12");
	ready(REQUEST "mail_version=3\ntls_sni=a\nprotocol_state=DATA\n\n", POLICY_PROTOCOL_STATE,
		"DATA");
}

Test(policy_proto, a_missing_attribute_is_not_an_empty_one)
{
	struct result result = feed(REQUEST "sender=\n\n", strlen(REQUEST) + 9);

	cr_assert_eq(result.request.present,
		UINT64_C(1) << POLICY_REQUEST | UINT64_C(1) << POLICY_SENDER);
	cr_assert_eq(result.request.attr[POLICY_RECIPIENT].len, 0);
	cr_assert_eq(result.request.state, POLICY_STATE_UNKNOWN);
}

Test(policy_proto, two_requests_in_one_read)
{
	static const char two[] = REQUEST "sender=a\n\n" REQUEST "sender=\0b\n\n";
	struct result first = feed(two, sizeof(two) - 1), second;

	cr_assert_eq(first.feed, POLICY_READY);
	cr_assert_eq(first.used, strlen(REQUEST) + 10);
	cr_assert(slice_is(first.request.attr[POLICY_SENDER], "a"));
	second = feed(two + first.used, sizeof(two) - 1 - first.used);
	cr_assert_eq(second.feed, POLICY_BAD);
	cr_assert_str_eq(second.why, "a NUL byte");
	each_way(two, sizeof(two) - 1);
}

static void is_bad(const char *data, size_t len, const char *why)
{
	struct result result = feed(data, len);

	cr_assert_eq(result.feed, POLICY_BAD);
	cr_assert_str_eq(result.why, why);
	each_way(data, len);
}

static void is_bad_text(const char *text, const char *why)
{
	is_bad(text, strlen(text), why);
}

Test(policy_proto, bad_requests)
{
	is_bad_text("\n", "an empty request");
	is_bad_text(REQUEST "sender\n\n", "a line without =");
	is_bad_text("GET / HTTP/1.1\r\n\r\n", "a line without =");
	is_bad_text(REQUEST "=x\n\n", "an attribute without a name");
	is_bad_text("=\n", "an attribute without a name");
	is_bad_text(REQUEST "\r\n", "a line without =");
	is_bad_text("sender=x\n\n", "no request=smtpd_access_policy");
	is_bad_text("request=\n\n", "no request=smtpd_access_policy");
	is_bad_text("request=smtpd_access_policy \n\n", "no request=smtpd_access_policy");
	is_bad_text("request=smtpd_access_polic\n\n", "no request=smtpd_access_policy");
	is_bad_text("request=junk\n" REQUEST "\n", "no request=smtpd_access_policy");
	is_bad("\0", 1, "a NUL byte");
	is_bad(REQUEST "sender=a\0b\n\n", strlen(REQUEST) + 12, "a NUL byte");
	is_bad(REQUEST "\0\n", strlen(REQUEST) + 2, "a NUL byte");
}

/* A request whose second line has `line` bytes, LF not counted. */
static void long_line(struct buf *buf, const char *name, size_t line)
{
	buf_reset(buf);
	buf_add(buf, SLICE(REQUEST));
	buf_add(buf, slice_of(name));
	for (size_t i = strlen(name); i < line; i++)
		buf_add_char(buf, 'x');
	buf_add(buf, SLICE("\n\n"));
}

Test(policy_proto, the_longest_line)
{
	static const char *const names[] = {"protocol_state=", "recipient=", "unknown="};
	struct buf buf;

	buf_init(&buf, 100000);
	for (size_t i = 0; i < 3; i++) {
		long_line(&buf, names[i], POLICY_LINE_BYTES);
		cr_assert_eq(feed(buf.data, buf.len).feed, POLICY_READY);
		each_way(buf.data, buf.len);
		long_line(&buf, names[i], POLICY_LINE_BYTES + 1);
		is_bad(buf.data, buf.len, "a line over 16 KiB");
		/* It is refused before its end has come. */
		is_bad(buf.data, strlen(REQUEST) + POLICY_LINE_BYTES + 1, "a line over 16 KiB");
	}
	buf_release(&buf);
}

static void long_request(struct buf *buf, size_t bytes)
{
	buf_reset(buf);
	buf_add(buf, SLICE(REQUEST));
	while (bytes - buf->len > 8002) {
		buf_add(buf, SLICE("sender="));
		for (size_t i = 0; i < 7000; i++)
			buf_add_char(buf, 'x');
		buf_add_char(buf, '\n');
	}
	buf_add(buf, SLICE("x="));
	while (buf->len < bytes - 2)
		buf_add_char(buf, 'y');
	buf_add(buf, SLICE("\n\n"));
}

Test(policy_proto, the_longest_request)
{
	struct buf buf;

	buf_init(&buf, 100000);
	long_request(&buf, POLICY_REQUEST_BYTES);
	cr_assert_eq(buf.len, POLICY_REQUEST_BYTES);
	cr_assert_eq(feed(buf.data, buf.len).feed, POLICY_READY);
	each_way(buf.data, buf.len);
	long_request(&buf, POLICY_REQUEST_BYTES + 1);
	is_bad(buf.data, buf.len, "a request over 64 KiB");
	/* A reader whose buffer is full never waits for more. */
	is_bad(buf.data, POLICY_REQUEST_BYTES, "a request over 64 KiB");
	cr_assert_eq(feed(buf.data, POLICY_REQUEST_BYTES - 1).feed, POLICY_MORE);
	buf_release(&buf);
}

Test(policy_proto, the_most_attributes)
{
	for (unsigned count = 250; count < 260; count++) {
		struct buf buf;

		buf_init(&buf, 100000);
		for (unsigned i = 1; i < count; i++)
			buf_add(&buf, i % 2 ? SLICE("sender=x\n") : SLICE("unknown=x\n"));
		buf_add(&buf, SLICE(REQUEST "\n"));
		if (count <= POLICY_MAX_ATTRIBUTES)
			cr_assert_eq(feed(buf.data, buf.len).feed, POLICY_READY);
		else
			is_bad(buf.data, buf.len, "more than 256 attributes");
		each_way(buf.data, buf.len);
		buf_release(&buf);
	}
}

/* Many lines of Postfix's own, so that the limit is met on the fast way too. */
Test(policy_proto, the_most_attributes_in_order)
{
	struct buf buf;

	buf_init(&buf, 100000);
	for (unsigned i = 0; i < 230; i++)
		buf_add(&buf, SLICE("x=\n"));
	buf_add(&buf, slice_make(rcpt, sizeof(rcpt) - 1));
	is_bad(buf.data, buf.len, "more than 256 attributes");
	buf_release(&buf);
}

static void random_request(struct buf *buf)
{
	static const char *const odd[] = {
		"\n", "=", "=x\n", "x=\n", "sender", "request=smtpd_access_policy\n"};

	buf_reset(buf);
	if (rand() % 8)
		buf_add(buf, SLICE(REQUEST));
	for (int lines = rand() % 40; lines > 0; lines--) {
		if (rand() % 24 == 0) {
			buf_add(buf, slice_of(odd[rand() % 6]));
			continue;
		}
		buf_add(buf,
			slice_of(policy_attr_name((enum policy_attr)(rand() % POLICY_ATTR_COUNT))));
		buf_add(buf, rand() % 2 ? SLICE("=\n") : SLICE("=some value\n"));
	}
	buf_add(buf, SLICE("\n"));
}

Test(policy_proto, random_requests)
{
	struct buf buf;

	srand(3);
	buf_init(&buf, 100000);
	for (int i = 0; i < 150; i++) {
		random_request(&buf);
		each_way(buf.data, buf.len);
	}
	buf_release(&buf);
}

Test(policy_proto, names)
{
	for (unsigned i = 0; i < POLICY_ATTR_COUNT; i++) {
		const char *name = policy_attr_name((enum policy_attr)i);

		cr_assert_not_null(name);
		cr_assert(strlen(name) >= 4 && strlen(name) <= 24,
			"begins_with() needs 4 to 24 bytes");
		cr_assert_eq(policy_attr_of(slice_of(name)), i);
	}
	cr_assert_null(policy_attr_name(POLICY_ATTR_COUNT));
	cr_assert_eq(policy_attr_of(SLICE("nothing")), POLICY_ATTR_COUNT);
	cr_assert_eq(policy_attr_of(SLICE_EMPTY), POLICY_ATTR_COUNT);
}

Test(policy_proto, states)
{
	for (unsigned i = POLICY_STATE_CONNECT; i <= POLICY_STATE_ETRN; i++)
		cr_assert_eq(policy_state_of(slice_of(policy_state_name((enum policy_state)i))), i);
	cr_assert_eq(policy_state_of(SLICE("XCLIENT")), POLICY_STATE_CONNECT);
	cr_assert_eq(policy_state_of(SLICE("HELO")), POLICY_STATE_EHLO);
	cr_assert_eq(policy_state_of(SLICE("rcpt")), POLICY_STATE_UNKNOWN);
	cr_assert_eq(policy_state_of(SLICE("BDAT")), POLICY_STATE_UNKNOWN);
	cr_assert_eq(policy_state_of(SLICE("CONNEXT")), POLICY_STATE_UNKNOWN);
	cr_assert_eq(policy_state_of(SLICE("")), POLICY_STATE_UNKNOWN);
	cr_assert_str_eq(policy_state_name(POLICY_STATE_UNKNOWN), "unknown");
}
