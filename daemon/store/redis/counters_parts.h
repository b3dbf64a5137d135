/* SPDX-License-Identifier: ISC */
/*
 * What the files of the counters share: counters.c what is asked, ask.c the way that a question
 * takes, command.c how it is put, answer.c what is made of the answers, alone.c decisions without
 * Redis, upkeep.c what goes on by itself, seek.c transactions whose node is gone, foreign.c giving
 * back what other nodes charged.
 */
#ifndef REEVE_DAEMON_STORE_REDIS_COUNTERS_PARTS_H
#define REEVE_DAEMON_STORE_REDIS_COUNTERS_PARTS_H

#include "common/buf.h"
#include "common/list.h"
#include "daemon/store/redis/counters.h"
#include "daemon/store/redis/keys.h"
#include "daemon/store/redis/own.h"
#include "daemon/store/redis/scripts.h"

#define MAX_BAD_KEYS 64
#define MAX_DROPS 100000 /* transactions that Redis is to forget */
#define DROPS_A_COMMAND 64
#define ASSERTED_A_COMMAND 16
#define ASSERTS_OUT 4
#define RESETS_A_COMMAND 16 /* each may answer with 61 buckets */
#define MAX_TRIES 4
#define KEY_HEADS 64
#ifdef __SANITIZE_ADDRESS__
#define SPARE_ASKS 0 /* so that what is used after its end is found */
#else
#define SPARE_ASKS 256
#endif
#define SPARE_BYTES 1024     /* of one of them: enough for some charges */
#define ASSERT_AGAIN_MS 1000 /* after Redis refused */
#define INCARNATION_BYTES 16
#define OWNER_BYTES 12                       /* the incarnation, and the birth of the counter */
#define MAX_NUMBER ((UINT64_C(1) << 53) - 1) /* what a script can count to */

enum ask_kind { ASK_RESERVE, ASK_SETTLE, ASK_REFUND, ASK_LOOK, ASK_RESET, ASK_ASSERT, ASK_DROP };
/* COUNTED_HERE: always, but for what this node decided alone. */
enum refund_kind { REFUND_ALWAYS, REFUND_ABANDONED, REFUND_IDLE, REFUND_COUNTED_HERE };

struct ask_counter {
	struct own_ref ref;
	bool asserted; /* by this command */
};

/* One command from the op to its answer. It outlives the op. */
struct ask {
	struct redis_call call;
	struct counters *counters;
	struct list node; /* in counters->waiting, or in none */
	enum ask_kind kind;
	struct store_op *op; /* NULL: nobody waits, or not any more */
	uint64_t deadline_mono_ms;
	bool sent;    /* at some time: Redis may have done it */
	bool as_text; /* Redis does not know the script */
	bool alone;   /* decided here: the answer counts for nothing */
	unsigned tries;
	/* what is asked */
	struct hash128 transaction; /* zero: none, or a local one */
	struct ledger_request request;
	uint64_t recipient_count, size_bytes;
	bool end_of_message;
	enum refund_kind refund;
	uint64_t give; /* its number, if others charged or may have settled it; else 0 */
	uint64_t since_mono_ms;
	bool repeats; /* Redis may have done it, and the answer was lost */
	bool settles; /* the node itself knows that the transaction's service settles */
	uint32_t version;
	/* the counters, each once; and the charges on them, with their place in the op */
	unsigned counter_count, charge_count;
	struct ask_counter *refs;
	struct store_charge *charges;
	uint16_t *counter_of, *place_of;
	struct hash128 *drops;
	unsigned drop_count;
	bool may_be_spare;
};

/* REFUSED: connected, but Redis does not let us begin; tried again, and nobody waits for it. */
enum counters_state { COUNTERS_AWAY, COUNTERS_REFUSED, COUNTERS_GREETING, COUNTERS_READY };

struct script_load {
	struct redis_call call;
	struct counters *counters;
	enum script script;
};

struct bad_key {
	struct own_ref ref;
	uint64_t until_mono_ms;
};

/* What the keys of a series begin with. */
struct key_head {
	uint64_t rule_id, window_ms;
	enum counter_what what;
	size_t len; /* 0: none */
	char text[KEYS_HEAD_BYTES];
};

struct counters {
	struct counters_options options;
	struct redis_port *port;
	struct own *own;
	struct keys keys;
	struct scripts *scripts;
	char sha[SCRIPTS][40];
	bool has_sha[SCRIPTS];
	char incarnation[INCARNATION_BYTES];
	uint64_t owner;                    /* the same as a number */
	uint64_t fence;                    /* number of greetings */
	struct buf fence_key, fence_value; /* encoded: command_encode_fence() */
	enum counters_state state;
	struct clock_now now;
	uint64_t began_mono_ms; /* when Redis was reached first; 0: not yet */
	bool has_offset;
	int64_t offset_ms; /* Redis' wall clock minus our monotonic one */
	uint64_t offset_at_mono_ms;
	uint64_t nodes;
	struct list waiting;
	struct list foreign; /* to be sent again, see foreign.c */
	unsigned foreign_count;
	uint64_t foreign_at_mono_ms;
	uint64_t gives;
	/* upkeep */
	struct script_load loads[SCRIPTS];
	struct redis_call greeting;
	bool greets, beats, greeting_as_text; /* what is out */
	uint64_t greet_at_mono_ms;            /* 0: not due */
	uint64_t beat_at_mono_ms;
	char holder[INCARNATION_BYTES];
	uint64_t held_until_mono_ms; /* 0: the name is ours */
	unsigned asserts_out;
	bool in_doubt;         /* some counter may be dirty */
	uint32_t assert_slot;  /* where to go on */
	unsigned assert_level; /* fullest first */
	uint64_t assert_at_mono_ms;
	struct hash128 *drops;
	unsigned drop_count, drop_room;
	bool drop_out;
	struct redis_call seek;
	char seek_cursor[32];
	size_t seek_cursor_len;   /* 0: from the beginning */
	uint64_t seek_at_mono_ms; /* UINT64_MAX: not begun */
	struct bad_key bad_keys[MAX_BAD_KEYS];
	unsigned bad_key_count;
	/* scratch */
	struct buf args, key, out;
	struct key_head key_heads[KEY_HEADS]; /* by number of the series */
	struct list spare;                    /* of asks */
	unsigned spare_count;
	struct window windows[STORE_MAX_CHARGES];
	struct counters_health health;
};

/* ---- ask.c ---- */
struct ask *ask_new(struct counters *counters, enum ask_kind kind, struct store_op *op,
	unsigned counter_room, unsigned charge_room);
void ask_free(struct ask **ask);
/* Puts a counter in; its place. */
unsigned ask_add(struct ask *ask, struct own_ref ref);
/* Sends it, or lets it wait, or decides it here. Frees it where it is done with. */
void ask_go(struct counters *counters, struct ask *ask);
/* The op is answered: wakes if it had to wait. */
void ask_done(struct ask *ask, bool failed);
void op_done(struct store_op *op, bool failed);
/* The op cannot have an answer from Redis. */
void ask_alone(struct counters *counters, struct ask *ask);
/* The same for what nobody waits for, too; and frees it. */
void ask_give_up(struct counters *counters, struct ask *ask);
/* Those that waited for something that has come. */
void counters_go_on(struct counters *counters);
struct clock_now store_clock(const struct counters *counters);

/* ---- counters.c ---- */
/* With the counters that this node knows the transaction to have charged. */
struct ask *ask_about(struct counters *counters, enum ask_kind kind, struct store_op *op,
	struct hash128 transaction);
/* Ask for the op, also once more: its transaction has become a local one, or a counter of it had
 * left the table. */
void ask_reserve(struct counters *counters, struct store_reserve *op, uint64_t deadline_mono_ms);
void ask_usage(struct counters *counters, struct store_usage *op, uint64_t deadline_mono_ms);

/* ---- command.c ---- */
/* false: it was refused, nothing is out. */
bool command_send(struct counters *counters, struct ask *ask, uint64_t timeout_ms);
bool command_load(struct counters *counters, enum script script);
/* After `fence` has changed. */
void command_encode_fence(struct counters *counters);
bool command_greet(struct counters *counters, bool beat, bool as_text);

bool command_seek(struct counters *counters, struct slice cursor);

/* ---- seek.c ---- */
void seek_init(struct counters *counters);
void seek_begin(struct counters *counters);
void seek_run(struct counters *counters);
uint64_t seek_next(const struct counters *counters);

/* ---- foreign.c ---- */
void foreign_init(struct counters *counters);
void foreign_free(struct counters *counters);
/* Does nothing of this transaction stand in our own table? */
bool foreign_is(const struct counters *counters, struct hash128 transaction);
/* Gives it back, unless Redis cannot be asked now: then `when_back`, or never. */
void foreign_refund(struct counters *counters, struct hash128 transaction, enum refund_kind kind,
	bool when_back);
/* A whole message was counted here while Redis was away: what others charged for it goes back. */
void foreign_counted_here(struct counters *counters, struct hash128 transaction);
/* What Redis granted this node is over: Redis is asked, as soon as it can be, whether it goes back, for
 * another node may have settled it. */
void foreign_end(struct counters *counters, struct hash128 transaction, enum refund_kind kind);
/* Such a question, of what this node charged itself? */
bool foreign_is_end(const struct ask *ask);
/* It has been answered, or never will be. */
void foreign_ended(struct counters *counters, const struct ask *ask);
/* It is used again, and decided here: what is asked later about its end is void. */
void foreign_forget(struct counters *counters, struct txn *txn);
/* Is it sent again later? Then it is no longer the caller's. */
bool foreign_keep(struct counters *counters, struct ask *ask);
/* Redis is there again. */
void foreign_ready(struct counters *counters);
void foreign_run(struct counters *counters);
uint64_t foreign_next(const struct counters *counters);

/* ---- answer.c ---- */
void answer_came(struct redis_call *call, const struct redis_reply *reply);
void answer_overdue(struct redis_call *call);
void note_time(struct counters *counters, uint64_t time_ms, bool surely);

/* ---- alone.c ---- */
void alone_reserve(struct counters *counters, struct store_reserve *op, bool was_sent);
void alone_settle(struct counters *counters, struct store_settle *op);
void alone_refund(struct counters *counters, struct hash128 transaction, enum refund_kind kind);
void alone_usage(struct counters *counters, struct store_usage *op);
/* From now on it is decided here. */
void txn_is_local(struct counters *counters, struct hash128 transaction);
/* Empties what this node holds; of others' Redis was to empty it. */
void alone_reset(struct counters *counters, const struct ask *ask);
void clear_refused(struct store_settle *op);
/* Its rule and subject; nothing if it left meanwhile. */
void name_refused(struct counters *counters, struct own_ref ref, struct store_settle *op);

/* ---- upkeep.c ---- */
void greet(struct counters *counters);
void upkeep_init(struct counters *counters);
void upkeep_run(struct counters *counters);
uint64_t upkeep_next(const struct counters *counters);
void upkeep_tick(struct counters *counters);
void drop_later(struct counters *counters, struct hash128 transaction);
void drop_answered(struct counters *counters, struct ask *ask, const struct redis_reply *reply);
bool is_bad_key(struct counters *counters, struct own_ref ref);
void note_bad_key(struct counters *counters, struct own_ref ref);

#endif
