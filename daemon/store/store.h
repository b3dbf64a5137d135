/* SPDX-License-Identifier: ISC */
/*
 * Counters, the charges of transactions, and bans, in terms of what they mean; how
 * and where they are kept is the backend's matter (embedded/ for one machine,
 * redis/ for a cluster). Both pass tests/contract/.
 *
 * A call takes an op that lives in the caller's memory. If the answer is there at once
 * the op is DONE on return; else it is PENDING and `waiter` is woken once, from the loop, never
 * from inside the call. store_forget() ends interest: no wake after it, the backend finishes
 * its work for its own tables. Every op ends by itself within the store's time-out.
 *
 * Failures are answers: `failed` is set when the store could not say (design.md section 8);
 * the embedded store never fails.
 */
#ifndef REEVE_DAEMON_STORE_STORE_H
#define REEVE_DAEMON_STORE_STORE_H

#include "common/clock.h"
#include "common/hash.h"
#include "common/ip.h"
#include "common/list.h"
#include "common/waiter.h"
#include "daemon/counting/charge.h"
#include "daemon/counting/overrides.h"

enum store_op_state { STORE_OP_IDLE, STORE_OP_PENDING, STORE_OP_DONE };

struct store_op {
	enum store_op_state state;
	bool failed;
	struct waiter *waiter; /* set by the caller */
	void *ticket;          /* the backend's */
};

/* Check and charge, one atomic step. */
struct store_reserve {
	struct store_op op;
	/* Zero: none; then nothing is remembered and repeats count again. Two nodes of a cluster,
	 * and two runs, must come to the same: see store_embedded_hash_key(). */
	struct hash128 transaction;
	uint64_t service; /* hash of (server_address, server_port) */
	/* Hash of the recipient; 0: the charge is for the whole message (DATA, END-OF-MESSAGE
	 * without an earlier RCPT). */
	uint64_t recipient;
	/* Distinct recipients of the transaction so far, this one included, free ones too. */
	unsigned asked;
	/* Results as they would be, and free_ms of the charges; nothing is charged, remembered or
	 * warned of, and no transaction lives longer for it. */
	bool dry;
	struct store_charge *charges;
	unsigned count;
	/* results */
	int refused; /* index of the first refusing gate; -1: none */
};

/* DATA and END-OF-MESSAGE: from what was reserved to what was accepted, without matching again. */
struct store_settle {
	struct store_op op;
	struct hash128 transaction;
	uint64_t service; /* known from now on to ask at these states */
	uint64_t recipient_count;
	unsigned asked; /* 0: not known */
	/* Where recipient_count is 1 and Postfix says which: its hash, as in store_reserve;
	 * else 0. */
	uint64_t recipient;
	uint64_t size_bytes; /* END-OF-MESSAGE: the real size */
	bool end_of_message;
	bool dry; /* results as they would be, `refunded` but; nothing is changed or learned */
	/* results */
	bool unknown; /* no such transaction, or it charged nothing: reserve with the whole count */
	bool refused; /* a raise did not fit: the whole transaction was refunded */
	char refused_rule[65]; /* its name, NUL-terminated */
	/* Rule and subject point to refused_rule, refused_subject. */
	struct counter_key refused_key;
	char refused_subject[COUNTER_SUBJECT_BYTES + 1];
	uint64_t used, limit, retry_ms;
	/* How many recipients were given back (the most in any one counter), for the log. */
	uint64_t refunded;
};

/* A look at one counter, without charging. */
struct store_usage {
	struct store_op op;
	struct counter_key key;
	uint64_t limit; /* for free_ms */
	/* results */
	uint64_t used;
	uint64_t free_ms; /* until the next part is free again; 0: nothing is used */
	uint64_t free_amount;
};

/* Have the bans and live limits that were put and removed before this outlived the process? Done when
 * they have; `failed`: not yet, and not soon. The backend goes on trying by itself. */
struct store_sync {
	struct store_op op;
	/* the backend's */
	struct list node;
	uint64_t number, until_mono_ms;
};

/* One counter in a listing. The texts are valid until the function it was handed to returns. */
struct store_counter {
	struct counter_key key;
	/* limit: the last it was checked against; UINT64_MAX: by other nodes only. */
	uint64_t used, limit;
};

/* A ban as it is kept. Texts are NUL-terminated, printable ASCII. */
struct ban {
	struct cidr network; /* IPv4 /32; IPv6 /64 or /48 by itself, anything by hand */
	uint64_t since_wall_ms, until_wall_ms; /* until UINT64_MAX: for ever (by hand only) */
	uint32_t times;                        /* how many bans in a row; doubles the duration */
	bool manual;
	char by[32]; /* "auto" or who */
	char node[64];
	char reason[96];
};

#define STORE_STRIKE_KINDS 5
#define STORE_REASON_BYTES 96

/* What was seen of an address or a login, for counts over all nodes. Counts, windows and what is
 * forgotten after a ban are by kind; what the kinds mean is daemon/bans' matter. */
struct store_strikes {
	char of;       /* 'a', 'l': of addresses, of logins */
	struct ip key; /* the network's first address; or any 16 bytes */
	uint32_t more[STORE_STRIKE_KINDS];
	uint64_t window_ms[STORE_STRIKE_KINDS];
	bool forget;           /* first: kinds 0, 1 and 4 begin anew */
	bool good_login;       /* there was one */
	uint64_t good_login_ms; /* so long it counts */
	/* Come back as they are. */
	int event; /* 0: no answer is wanted */
	uint32_t generation;
	struct ip ip;
	char reason[STORE_REASON_BYTES];
};

struct store_totals {
	uint64_t count[STORE_STRIKE_KINDS]; /* of the window, `more` included */
	bool good_login;
};

struct store_ops;

/* What other nodes changed. Called from the loop's I/O or store_run(), never from inside another
 * call of the store. */
struct store_watcher {
	/* A ban that another node made, or changed. false: it is absurd here. */
	bool (*ban_put)(struct store_watcher *, const struct ban *);
	/* One that another node took off; it may not be known here. */
	void (*ban_gone)(struct store_watcher *, const struct cidr *);
	/* What strike() asked for an event. NULL: it could not be found out. */
	void (*struck)(struct store_watcher *, const struct store_strikes *asked,
		const struct store_totals *totals);
};

struct store {
	const struct store_ops *ops;
	/* Other nodes use it, too: what ends on this node only (for want of room, or because its
	 * time is over) is not to be taken out of it. */
	bool is_shared;
	struct store_watcher *watcher; /* the owner's; NULL: nobody wants to know */
	/* The live limits that hold now, those that other nodes set included. The backend's; NULL:
	 * none. */
	const struct overrides *overrides;
};

struct store_ops {
	const char *name; /* "embedded", "redis" */
	void (*reserve)(struct store *, struct store_reserve *, struct clock_now);
	void (*settle)(struct store *, struct store_settle *, struct clock_now);
	/* All that this transaction charged goes back (Reeve refused at DATA or END-OF-MESSAGE). */
	void (*refund)(struct store *, struct hash128 transaction, struct clock_now);
	/* The policy connection went on to another transaction: if this one was never settled and
	 * its service settles, it is over and refunded. */
	void (*abandon)(struct store *, struct hash128 transaction, struct clock_now);
	void (*usage)(struct store *, struct store_usage *, struct clock_now);
	/* Empties the counters of a subject (all rules, all windows). Returns how many held
	 * something. */
	unsigned (*reset)(struct store *, struct slice subject, struct clock_now);
	void (*forget)(struct store *, struct store_op *);

	void (*ban_put)(struct store *, const struct ban *, struct clock_now);
	void (*ban_remove)(struct store *, const struct cidr *, struct clock_now);
	/* All bans that are kept, once at start; expired ones included (their `times` counts). */
	void (*bans_each)(struct store *, void (*each)(void *arg, const struct ban *), void *arg);

	/* Adds to the counts of all nodes; nobody waits for it. The watcher hears the totals once, if
	 * there is an event. false: they cannot be asked for now. NULL: one node alone. */
	bool (*strike)(struct store *, const struct store_strikes *, struct clock_now);

	/* A live limit holds on this node when the call returns; it is kept, and brought to other
	 * nodes, as soon as the backend can. false: there are too many. */
	bool (*override_put)(struct store *, const struct override *, struct clock_now);
	/* false: there was none. */
	bool (*override_remove)(
		struct store *, struct slice rule, struct slice subject, struct clock_now);

	/* NULL: the backend cannot say. */
	void (*sync)(struct store *, struct store_sync *, struct clock_now);

	/* For stores behind a connection; NULL: not needed. `run` is the first thing of a turn of
	 * the loop and ends what is overdue, `flush` the last and sends; the loop sleeps until
	 * `next` (mono_ms; 0: any time) at most. */
	void (*run)(struct store *, struct clock_now);
	void (*flush)(struct store *);
	uint64_t (*next)(const struct store *);

	/* About once a second: ages transactions and hands what changed to the worker. */
	void (*tick)(struct store *, struct clock_now);
	/* Writes out all that is left, waits for it, frees. */
	void (*close)(struct store *);

	/* Some of this node's counters that hold something, in no order: a bounded piece of work
	 * from `cursor` on (0: the first). Returns where to go on, 0: that was all. What is added or
	 * leaves in between may be seen or not. */
	uint64_t (*scan)(struct store *, uint64_t cursor,
		void (*each)(void *arg, const struct store_counter *), void *arg, struct clock_now now);
	/* The counters of a subject (those that only other nodes may have used are among them, with
	 * 0; `usage` tells), or with an empty one all of this node's that hold something, in no
	 * order. */
	void (*list)(struct store *, struct slice subject,
		void (*each)(void *arg, const struct store_counter *), void *arg, struct clock_now);
};

static inline void store_run(struct store *store, struct clock_now now)
{
	if (store->ops->run)
		store->ops->run(store, now);
}

static inline void store_flush(struct store *store)
{
	if (store->ops->flush)
		store->ops->flush(store);
}

static inline uint64_t store_next(const struct store *store)
{
	return store->ops->next ? store->ops->next(store) : 0;
}

static inline void store_reserve(
	struct store *store, struct store_reserve *op, struct clock_now now)
{
	store->ops->reserve(store, op, now);
}

static inline void store_settle(struct store *store, struct store_settle *op, struct clock_now now)
{
	store->ops->settle(store, op, now);
}

static inline void store_usage(struct store *store, struct store_usage *op, struct clock_now now)
{
	store->ops->usage(store, op, now);
}

static inline void store_sync(struct store *store, struct store_sync *op, struct clock_now now)
{
	if (store->ops->sync)
		store->ops->sync(store, op, now);
	else
		op->op.state = STORE_OP_DONE;
}

/* Those that are over may still be among them. */
static inline void store_overrides_each(const struct store *store,
	void (*each)(void *arg, const struct override *override), void *arg)
{
	if (store->overrides)
		overrides_each(store->overrides, each, arg);
}

static inline void store_forget(struct store *store, struct store_op *op)
{
	if (op->state == STORE_OP_PENDING)
		store->ops->forget(store, op);
}

#endif
