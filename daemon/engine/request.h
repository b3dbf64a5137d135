/* SPDX-License-Identifier: ISC */
/*
 * One policy request with all facts that rules may look at, each worked out
 * once when it is submitted. Rules see it const. Everything hangs on the
 * connection's arena and ends with the request; the ruleset is pinned by a reference.
 */
#ifndef REEVE_DAEMON_ENGINE_REQUEST_H
#define REEVE_DAEMON_ENGINE_REQUEST_H

#include "common/arena.h"
#include "common/clock.h"
#include "common/hash.h"
#include "common/policy_proto.h"
#include "daemon/mail/address.h"
#include "daemon/mail/connections.h"
#include "daemon/mail/site.h"
#include "daemon/mail/smtp_ids.h"
#include "daemon/mail/transactions.h"

/* A fact that is not yet known makes a rule wait for a later state (design.md section 4). */
enum request_fact {
	FACT_CLIENT = 1 << 0,      /* client_address is an address */
	FACT_HELO = 1 << 1,
	FACT_LOGIN = 1 << 2,       /* from MAIL on it is known who, or that nobody, has logged in */
	FACT_SENDER = 1 << 3,      /* from MAIL on; the null sender is known too */
	FACT_RECIPIENT = 1 << 4    /* RCPT, VRFY; DATA and END-OF-MESSAGE with a single one */
};

/* Where they stand in request.situation. */
#define SITUATION_FACTS(facts) ((uint32_t)(facts))
#define SITUATION_EXEMPT(exempt) ((uint32_t)(exempt) << 8)
#define SITUATION_STATES(states) ((uint32_t)(states) << 16)

struct ruleset;

struct request {
	const struct policy_request *in;       /* what Postfix sent */
	struct arena *arena;
	struct request_memo *memo;             /* where what lasts was found or put; NULL: nowhere */
	const struct ruleset *ruleset;
	const struct site *site;               /* the ruleset's */
	struct clock_now now;                  /* when it was submitted */
	uint64_t policy_connection;            /* number of the connection it came by; never reused */

	enum policy_state state;
	unsigned facts;                        /* enum request_fact */
	struct ip client;
	bool client_local, client_privileged, client_own; /* own: loopback or site.addresses */
	bool authenticated;
	bool tls;
	uint16_t server_port;                  /* 0: not known */
	uint64_t size_bytes;
	uint64_t recipient_count;              /* DATA, END-OF-MESSAGE; else 0 */
	struct slice helo;                     /* as sent */
	struct slice client_name;              /* forward-confirmed; empty: none */
	struct mail_address login, sender, recipient;

	struct smtp_ids ids;
	uint64_t recipient_hash;               /* of the address as Postfix treats it (folded); 0: none */
	unsigned exempt;                       /* enum rule_exempt (rule.h): what this request is */
	uint32_t situation;                    /* facts, exempt and state in one word: SITUATION_... */
	/* Snapshots, taken at submit. */
	uint32_t connection_strikes;
	uint32_t connection_helo_rule;         /* 0: none */
	unsigned recipients_before;            /* distinct ones asked before, without this one */
	unsigned recipients_with;              /* ... with this one */
	bool transaction_known;                /* this node has seen an earlier request of it */
};

/* What request_read() looks things up in. */
struct request_tables {
	struct connections *connections;
	struct transactions *transactions;
	struct hash_key key;                   /* survives restarts: hashes of it are kept in the store */
	bool only_look;                        /* what is found there does not live longer for it */
	struct request_memo *memo;             /* the policy connection's; NULL: none is kept */
	uint64_t ruleset_number;               /* another one for each ruleset; the memo ends with it */
};

#define REQUEST_INSTANCE_BYTES 64

/*
 * The facts that stay while policy_request.repeat does: of the client, the login and the sender. One for each
 * policy connection, zeroed at first; a request that was read with it points into it until the next is read.
 */
struct request_memo {
	/* private */
	uint64_t repeat, ruleset_number;       /* what `known` belongs to; 0: to nothing */
	struct request known;
	struct sip message;                    /* ids.transaction up to the instance */
	char instance[REQUEST_INSTANCE_BYTES]; /* the last one, */
	size_t instance_len;
	struct hash128 transaction;            /* and its id */
	struct slice log_text;
	struct arena arena;                    /* the texts of `known`, and log_text */
};

void request_memo_release(struct request_memo *memo);
/* What log lines say of the client and the sender, as it was kept; empty: nothing was. */
static inline struct slice request_memo_log_text(const struct request_memo *memo)
{
	return memo->log_text;
}
/* Keeps a copy, until other facts are learned. */
void request_memo_keep_log_text(struct request_memo *memo, struct slice text);

/* Works out all facts of `in`; `ret` needs nothing set. Adds nothing to the tables. */
void request_read(struct request *ret, const struct policy_request *in,
		  const struct ruleset *ruleset, const struct site *site, struct arena *arena,
		  const struct request_tables *tables, uint64_t policy_connection,
		  struct clock_now now);

#endif
