/* SPDX-License-Identifier: ISC */
/*
 * As much of HTTP as a scraper needs: GET and HEAD of one path, one request a connection, no
 * body, no keep-alive. Pure.
 */
#ifndef REEVE_DAEMON_OPERATE_HTTP_H
#define REEVE_DAEMON_OPERATE_HTTP_H

#include "common/buf.h"

#define HTTP_REQUEST_BYTES 8192

enum http_request {
	HTTP_MORE,
	HTTP_GET_METRICS,
	HTTP_HEAD_METRICS,
	HTTP_NOT_FOUND,
	HTTP_BAD_METHOD,
	HTTP_BAD
};

/* `bytes` is all that has come. */
enum http_request http_read(struct slice bytes);
/* The whole answer; `body` is left out of one to HEAD, and replaced where the answer is no. */
void http_write(struct buf *out, enum http_request request, struct slice body);

#endif
