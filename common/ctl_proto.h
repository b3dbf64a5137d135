/* SPDX-License-Identifier: ISC */
/*
 * What reevectl and reeved say to each other on the control socket.
 *
 * A request has the form of a policy request: `name=value` lines that end in LF, then an empty
 * line. The first is `reeve=1`, the second `command=NAME`; the others are the command's. Values
 * hold any byte but NUL and LF, so that what Postfix sent can be asked about as it came.
 *
 * The answer is one line of JSON, an object: {"ok":true,...} or {"ok":false,"exit":N,
 * "error":"what is wrong","advice":"what to do"}, N of sysexits.h; then the daemon closes. A stream
 * (`watch`) is one object a line until either side closes.
 */
#ifndef REEVE_COMMON_CTL_PROTO_H
#define REEVE_COMMON_CTL_PROTO_H

#include "common/buf.h"
#include "common/json.h"

#define CTL_VERSION "1"
#define CTL_LINE_BYTES 20480     /* a policy attribute of 16 KiB with a name in front */
#define CTL_REQUEST_BYTES 131072 /* a policy request of 64 KiB and room for names */
#define CTL_MAX_FIELDS 300
#define CTL_ANSWER_BYTES ((size_t)16 << 20)

struct ctl_field {
	struct slice name, value;
};

struct ctl_request {
	struct slice command;
	struct ctl_field fields[CTL_MAX_FIELDS]; /* without `reeve` and `command` */
	unsigned count;
};

enum ctl_feed { CTL_MORE, CTL_READY, CTL_BAD };

/* `data` is all that has come. CTL_READY: `ret` points into it. CTL_BAD: `ret_why` (static text)
 * says why. A request is only looked at when its empty line is there. */
enum ctl_feed ctl_request_parse(struct slice data, struct ctl_request *ret, const char **ret_why)
	__attribute__((warn_unused_result));

/* The first field of that name; false: none. */
bool ctl_request_find(const struct ctl_request *request, const char *name, struct slice *ret);
/* The same; empty where there is none. */
struct slice ctl_request_get(const struct ctl_request *request, const char *name);

/* Building a request. ctl_request_add() is false where the value cannot be sent (NUL or LF in it,
 * or too long) and then adds nothing. */
void ctl_request_begin(struct buf *out, const char *command);
bool ctl_request_add(struct buf *out, const char *name, struct slice value)
	__attribute__((warn_unused_result));
void ctl_request_end(struct buf *out);

/* Building an answer: begin, the command's own members, end. */
void ctl_answer_begin(struct json *json, struct buf *out);
void ctl_answer_end(struct json *json);
/* The whole of one that says no. `advice` may be empty. */
void ctl_answer_error(struct buf *out, int exit_code, struct slice error, struct slice advice);

#endif
