/* SPDX-License-Identifier: ISC */
/*
 * From the lines of Postfix's log to SMTP connections: what belongs to one smtpd process is gathered
 * until its disconnect line, and then told. Only connections that ended are told of, and failed
 * logins at once. Bounded: of more than WITNESS_MAX_SESSIONS at a time the longest silent is
 * forgotten, and what is known of it then is its disconnect line. Pure: time comes in.
 */
#ifndef REEVE_DAEMON_FEEDS_WITNESS_H
#define REEVE_DAEMON_FEEDS_WITNESS_H

#include "common/clock.h"
#include "daemon/bans/bans.h"

#define WITNESS_MAX_SESSIONS 8192
#define WITNESS_LOGIN_BYTES 128      /* of a longer one nothing is known */

/* A failed login. `login` may hold any byte. */
struct witness_login {
	struct ip client;
	struct slice login;          /* empty: not known */
	bool temporary;              /* the server behind SASL was in trouble */
};

/* Called from within witness_line(); may not call back. What is handed over lives until they return. */
struct witness_sink {
	void (*session)(struct witness_sink *sink, const struct bans_session *session,
			struct clock_now now);
	void (*login_failed)(struct witness_sink *sink, const struct witness_login *login,
			     struct clock_now now);
};

struct witness_counts {
	uint64_t lines, sessions, logins;
};

struct witness;

struct witness *witness_new(struct hash_key key, struct witness_sink *sink)
	__attribute__((returns_nonnull, warn_unused_result));
void witness_free(struct witness **witness);
/* A whole line, without its newline. */
void witness_line(struct witness *witness, struct slice line, struct clock_now now);
void witness_counts(const struct witness *witness, struct witness_counts *ret);

#endif
