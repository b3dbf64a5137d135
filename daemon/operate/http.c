/* SPDX-License-Identifier: ISC */
/*
 * Only the request line is looked at; the header fields are waited for and passed over.
 */
#include "daemon/operate/http.h"

static bool is_whole(struct slice bytes)
{
	return bytes.len && (memmem(bytes.data, bytes.len, "\r\n\r\n", 4) ||
				    memmem(bytes.data, bytes.len, "\n\n", 2));
}

static bool is_path(struct slice target)
{
	struct slice path, query;

	if (!slice_split(target, '?', &path, &query))
		path = target;
	return slice_is(path, "/metrics");
}

enum http_request http_read(struct slice bytes)
{
	struct slice line, method, target, version;

	if (bytes.len > HTTP_REQUEST_BYTES)
		return HTTP_BAD;
	if (!is_whole(bytes))
		return HTTP_MORE;
	if (!slice_split(bytes, '\n', &line, &target))
		return HTTP_BAD;
	line = slice_trim(line);
	if (!slice_split(line, ' ', &method, &target) ||
		!slice_split(target, ' ', &target, &version) ||
		!slice_starts_with(version, SLICE("HTTP/1.")))
		return HTTP_BAD;
	if (!slice_is(method, "GET") && !slice_is(method, "HEAD"))
		return HTTP_BAD_METHOD;
	if (!is_path(target))
		return HTTP_NOT_FOUND;
	return slice_is(method, "GET") ? HTTP_GET_METRICS : HTTP_HEAD_METRICS;
}

void http_write(struct buf *out, enum http_request request, struct slice body)
{
	static const char *const status[] = {
		[HTTP_MORE] = "400 Bad Request",
		[HTTP_GET_METRICS] = "200 OK",
		[HTTP_HEAD_METRICS] = "200 OK",
		[HTTP_NOT_FOUND] = "404 Not Found",
		[HTTP_BAD_METHOD] = "405 Method Not Allowed",
		[HTTP_BAD] = "400 Bad Request",
	};
	bool good = request == HTTP_GET_METRICS || request == HTTP_HEAD_METRICS;

	if (!good)
		body = SLICE("the metrics are at /metrics\n");
	buf_add_format(out,
		"HTTP/1.0 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s"
		"Connection: close\r\n\r\n",
		status[request], good ? "text/plain; version=0.0.4; charset=utf-8" : "text/plain",
		body.len, request == HTTP_BAD_METHOD ? "Allow: GET, HEAD\r\n" : "");
	if (request != HTTP_HEAD_METRICS)
		buf_add(out, body);
}
