/* SPDX-License-Identifier: ISC */
/*
 * What the load asks: the requests of one smtpd process after the other, as texts. Pure but for its
 * dice. MIX_MAIL goes through SMTP sessions as they are when Postfix asks at RCPT, DATA and
 * END-OF-MESSAGE; MIX_RCPT makes each request the first of a new SMTP session.
 */
#ifndef REEVE_TESTS_BENCH_LOAD_MIX_H
#define REEVE_TESTS_BENCH_LOAD_MIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MIX_REQUEST_BYTES 1024

enum mix_kind { MIX_MAIL, MIX_RCPT };

/* Where the changing parts of a text of MIX_RCPT lie. */
struct mix_places {
	size_t client, port, sender, recipient, instance, login;
};

struct mix {
	enum mix_kind kind;
	unsigned logins; /* 0: nobody has logged in */
	unsigned domains;
	unsigned recipients;     /* MIX_RCPT: requests of one SMTP session */
	bool in_turn;            /* MIX_RCPT: each login in its turn; else at random */
	uint64_t random;         /* not 0 */
	uint64_t first_instance; /* drawn, so that a run repeats no instance of the run before */
	/* private */
	uint64_t requests, sessions;
	struct mix_places at;
};

/* One policy connection: an smtpd, which serves one client at a time. Zeroed at first. */
struct mix_smtpd {
	char request[MIX_REQUEST_BYTES];
	size_t len; /* 0: none yet */
	/* private: the session, and the message */
	char head[384], sender[64], tail[384], recipient[48];
	size_t head_len, sender_len, tail_len, recipient_len;
	uint64_t session;
	unsigned login, domain, messages_left, sequence, size;
	unsigned recipients, asked, accepted;
	bool data_asked, ended;
};

/* Writes its next request into `smtpd->request`. */
void mix_next(struct mix *mix, struct mix_smtpd *smtpd);
/* What became of the last: a message goes on to DATA only with a recipient that was not refused. */
void mix_answered(struct mix_smtpd *smtpd, bool refused);

#endif
