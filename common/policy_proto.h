/* SPDX-License-Identifier: ISC */
/*
 * The policy delegation protocol as Postfix speaks it (SMTPD_POLICY_README):
 * `name=value` lines that end in LF, then an empty line. The parser works on
 * the reader's own buffer: it sees each byte once, copies nothing, and the
 * values it gives point into that buffer. It expects the names in the order in which
 * Postfix 3.7 to 3.11 sends them and falls back to a table.
 *
 * Bad requests (design.md section 8) have no answer: the caller closes.
 */
#ifndef REEVE_COMMON_POLICY_PROTO_H
#define REEVE_COMMON_POLICY_PROTO_H

#include <stdint.h>

#include "common/slice.h"

#define POLICY_LINE_BYTES 16384
#define POLICY_REQUEST_BYTES 65536
#define POLICY_MAX_ATTRIBUTES 256

/* The order is Postfix's. */
enum policy_attr {
	POLICY_REQUEST, POLICY_PROTOCOL_STATE, POLICY_PROTOCOL_NAME, POLICY_CLIENT_ADDRESS,
	POLICY_CLIENT_NAME, POLICY_CLIENT_PORT, POLICY_REVERSE_CLIENT_NAME, POLICY_SERVER_ADDRESS,
	POLICY_SERVER_PORT, POLICY_HELO_NAME, POLICY_SENDER, POLICY_RECIPIENT,
	POLICY_RECIPIENT_COUNT, POLICY_QUEUE_ID, POLICY_INSTANCE, POLICY_SIZE,
	POLICY_ETRN_DOMAIN, POLICY_STRESS, POLICY_SASL_METHOD, POLICY_SASL_USERNAME,
	POLICY_SASL_SENDER, POLICY_CCERT_SUBJECT, POLICY_CCERT_ISSUER, POLICY_CCERT_FINGERPRINT,
	POLICY_CCERT_PUBKEY_FINGERPRINT, POLICY_ENCRYPTION_PROTOCOL, POLICY_ENCRYPTION_CIPHER,
	POLICY_ENCRYPTION_KEYSIZE, POLICY_POLICY_CONTEXT, POLICY_COMPATIBILITY_LEVEL,
	POLICY_MAIL_VERSION, POLICY_TLS_SNI,
	POLICY_ATTR_COUNT
};

/* protocol_state; XCLIENT counts as CONNECT, HELO and EHLO are one. */
enum policy_state {
	POLICY_STATE_UNKNOWN, POLICY_STATE_CONNECT, POLICY_STATE_EHLO, POLICY_STATE_MAIL,
	POLICY_STATE_RCPT, POLICY_STATE_DATA, POLICY_STATE_END_OF_MESSAGE, POLICY_STATE_VRFY,
	POLICY_STATE_ETRN
};

struct policy_request {
	struct slice attr[POLICY_ATTR_COUNT];  /* SLICE_EMPTY where missing */
	uint64_t present;                      /* bit 1 << enum policy_attr */
	enum policy_state state;
	bool in_order;                         /* Postfix's, no name twice; false: perhaps not */
	/* Not 0: of the same policy connection, requests with the same number are the same bytes but for
	 * protocol_state and from recipient to size; their other values are the same memory (policy_repeat.h). */
	uint64_t repeat;
};

enum policy_feed { POLICY_MORE, POLICY_READY, POLICY_BAD };

struct policy_parser {
	/* private */
	uint32_t scanned;                      /* bytes of the current request seen so far */
	uint32_t line_start;
	uint16_t attributes;
	uint8_t expected;                      /* the attribute whose turn it is */
	uint64_t present;
	struct { uint32_t start, len; } at[POLICY_ATTR_COUNT];
};

void policy_parser_reset(struct policy_parser *parser);

/*
 * `data` is the current request from its first byte, `len` how much of it (and of what follows)
 * has arrived; the next call may bring the same bytes at another address. POLICY_READY: `*ret` points into `data`
 * and `*ret_used` says where the next request begins; call policy_parser_reset() before it. The
 * first of two equal names counts, unknown names are passed over. POLICY_BAD: `*ret_why` (static
 * text) says what broke which rule.
 */
enum policy_feed policy_parser_feed(struct policy_parser *parser, const char *data, size_t len,
				    struct policy_request *ret, size_t *ret_used,
				    const char **ret_why) __attribute__((warn_unused_result));

/* The attribute's name as Postfix writes it; NULL past the end. */
const char *policy_attr_name(enum policy_attr attr);
/* POLICY_ATTR_COUNT: no such attribute. */
enum policy_attr policy_attr_of(struct slice name);
/* "RCPT", "END-OF-MESSAGE", ... */
const char *policy_state_name(enum policy_state state);
enum policy_state policy_state_of(struct slice name);

#endif
