/* SPDX-License-Identifier: ISC */
/*
 * As much of HTTP as a scraper needs, and nothing else.
 */
#include "daemon/operate/http.h"

#include <criterion/criterion.h>
#include <stdio.h>

static enum http_request read_text(const char *text)
{
	return http_read(slice_of(text));
}

Test(http, requests)
{
	cr_expect_eq(read_text(""), HTTP_MORE);
	cr_expect_eq(read_text("GET /metrics HTTP/1.1\r\nHost: x\r\n"), HTTP_MORE);
	cr_expect_eq(read_text("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), HTTP_GET_METRICS);
	cr_expect_eq(read_text("GET /metrics?a=b HTTP/1.0\n\n"), HTTP_GET_METRICS);
	cr_expect_eq(read_text("HEAD /metrics HTTP/1.0\r\n\r\n"), HTTP_HEAD_METRICS);
	cr_expect_eq(read_text("GET / HTTP/1.0\r\n\r\n"), HTTP_NOT_FOUND);
	cr_expect_eq(read_text("POST /metrics HTTP/1.0\r\n\r\n"), HTTP_BAD_METHOD);
	cr_expect_eq(read_text("GET /metrics\r\n\r\n"), HTTP_BAD);
	cr_expect_eq(read_text("GET /metrics HTTP/2.0\r\n\r\n"), HTTP_BAD);
	cr_expect_eq(read_text("\r\n\r\n"), HTTP_BAD);
}

Test(http, is_bounded)
{
	static char big[HTTP_REQUEST_BYTES + 1];

	memset(big, 'x', sizeof(big));
	cr_expect_eq(http_read(slice_make(big, HTTP_REQUEST_BYTES)), HTTP_MORE);
	cr_expect_eq(http_read(slice_make(big, sizeof(big))), HTTP_BAD);
}

Test(http, answers)
{
	char memory[1024];
	struct buf out;

	buf_init_fixed(&out, memory, sizeof(memory));
	http_write(&out, HTTP_GET_METRICS, SLICE("a 1\n"));
	cr_expect(slice_is(buf_slice(&out),
		"HTTP/1.0 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
		"Content-Length: 4\r\nConnection: close\r\n\r\na 1\n"));
	buf_reset(&out);
	http_write(&out, HTTP_HEAD_METRICS, SLICE("a 1\n"));
	cr_expect(slice_ends_with(buf_slice(&out), SLICE("Content-Length: 4\r\nConnection: close\r\n\r\n")));
	buf_reset(&out);
	http_write(&out, HTTP_BAD_METHOD, SLICE("a 1\n"));
	cr_expect(slice_starts_with(buf_slice(&out), SLICE("HTTP/1.0 405 Method Not Allowed\r\n")));
	cr_expect(slice_ends_with(buf_slice(&out), SLICE("\r\n\r\nthe metrics are at /metrics\n")));
}
