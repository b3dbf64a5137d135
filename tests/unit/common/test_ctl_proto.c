/* SPDX-License-Identifier: ISC */
/*
 * Requests and answers on the control socket: whole, partial, bad, too long.
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/ctl_proto.h"
#include "common/json_read.h"

static struct ctl_request request;

static enum ctl_feed parse(struct slice data)
{
	const char *why = "untouched";
	enum ctl_feed feed = ctl_request_parse(data, &request, &why);

	cr_assert_eq(feed == CTL_BAD, why != NULL);
	return feed;
}

Test(ctl_proto, a_request_comes_back)
{
	char memory[512];
	struct buf buf;

	buf_init_fixed(&buf, memory, sizeof(memory));
	ctl_request_begin(&buf, "ban.add");
	cr_assert(ctl_request_add(&buf, "network", SLICE("192.0.2.0/24")));
	cr_assert(ctl_request_add(&buf, "reason", SLICE("a=b \xff\x1b")));
	cr_assert(ctl_request_add(&buf, "empty", SLICE_EMPTY));
	ctl_request_end(&buf);
	cr_assert_eq(parse(buf_slice(&buf)), CTL_READY);
	cr_assert(slice_is(request.command, "ban.add"));
	cr_assert_eq(request.count, 3);
	cr_assert(slice_is(ctl_request_get(&request, "network"), "192.0.2.0/24"));
	cr_assert(slice_equal(ctl_request_get(&request, "reason"), SLICE("a=b \xff\x1b")));
	cr_assert_eq(ctl_request_get(&request, "empty").len, 0);
	cr_assert_eq(ctl_request_get(&request, "missing").len, 0);
}

Test(ctl_proto, every_beginning_of_a_request_is_a_beginning)
{
	struct slice whole = SLICE("reeve=1\ncommand=status\na=b\n\n");

	for (size_t len = 0; len < whole.len; len++)
		cr_assert_eq(parse(slice_first(whole, len)), CTL_MORE, "%zu", len);
	cr_assert_eq(parse(whole), CTL_READY);
}

Test(ctl_proto, what_is_no_request)
{
	const struct slice bad[] = {SLICE("\n\n"), SLICE("GET / HTTP/1.0\n\n"),
		SLICE("reeve=2\ncommand=status\n\n"), SLICE("reeve=1\n\n"),
		SLICE("reeve=1\nstatus=command\n\n"), SLICE("reeve=1\ncommand=\n\n"),
		SLICE("reeve=1\ncommand=a b\n\n"), SLICE("reeve=1\ncommand=status\nnothing\n\n"),
		SLICE("reeve=1\ncommand=status\n=x\n\n"), SLICE("reeve=1\ncommand=status\nA=x\n\n"),
		SLICE("reeve=1\ncommand=status\na=\0\n\n"),
		SLICE("reeve=1\ncommand=status\n\nreeve=1\ncommand=status\n\n")};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(parse(bad[i]), CTL_BAD, "%zu", i);
}

Test(ctl_proto, bounds)
{
	struct buf buf;
	char *big = mem_zalloc(CTL_LINE_BYTES + 1);

	memset(big, 'x', CTL_LINE_BYTES + 1);
	buf_init(&buf, (size_t)1 << 20);
	ctl_request_begin(&buf, "a");
	cr_assert(ctl_request_add(&buf, "n", slice_make(big, CTL_LINE_BYTES - 2)));
	cr_assert_not(ctl_request_add(&buf, "n", slice_make(big, CTL_LINE_BYTES - 1)));
	cr_assert_not(ctl_request_add(&buf, "n", SLICE("a\nb")));
	cr_assert_not(ctl_request_add(&buf, "n", SLICE("a\0b")));
	ctl_request_end(&buf);
	cr_assert_eq(parse(buf_slice(&buf)), CTL_READY);
	buf_reset(&buf);
	ctl_request_begin(&buf, "a");
	buf_add_format(&buf, "n=");
	buf_add(&buf, slice_make(big, CTL_LINE_BYTES));
	buf_add_format(&buf, "\n\n");
	cr_assert_eq(parse(buf_slice(&buf)), CTL_BAD);
	buf_reset(&buf);
	ctl_request_begin(&buf, "a");
	for (unsigned i = 0; i <= CTL_MAX_FIELDS; i++)
		cr_assert(ctl_request_add(&buf, "n", SLICE("v")));
	ctl_request_end(&buf);
	cr_assert_eq(parse(buf_slice(&buf)), CTL_BAD);
	buf_reset(&buf);
	while (buf.len <= CTL_REQUEST_BYTES)
		buf_add(&buf, SLICE("no end of it"));
	cr_assert_eq(parse(buf_slice(&buf)), CTL_BAD);
	buf_release(&buf);
	free(big);
}

Test(ctl_proto, answers)
{
	char memory[512];
	struct json json;
	struct buf buf;

	buf_init_fixed(&buf, memory, sizeof(memory));
	ctl_answer_begin(&json, &buf);
	json_u64(&json, "n", 1);
	ctl_answer_end(&json);
	cr_assert(slice_is(buf_slice(&buf), "{\"ok\":true,\"n\":1}\n"));
	buf_reset(&buf);
	ctl_answer_error(&buf, 77, SLICE("no\n"), SLICE(""));
	cr_assert(slice_is(buf_slice(&buf),
		"{\"ok\":false,\"exit\":77,\"error\":\"no\\u000a\",\"advice\":\"\"}\n"));
}
