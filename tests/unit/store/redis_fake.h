/* SPDX-License-Identifier: ISC */
/*
 * A link that a test plays by hand, and a clock of its own: what is sent is kept in order, and is
 * answered when the test says so, with what it likes. No socket, and nothing waits. Answers are
 * written as words between blanks: an array of strings, but 17 and -17 are numbers, '17 is a string
 * (in which ^ stands for a blank), #1,2 packed numbers, @17 a packed name, T the time now, _ an empty
 * string, and ~ nil. What begins with OK, where a script answers with packed numbers, becomes those.
 */
#ifndef REEVE_TESTS_UNIT_STORE_REDIS_FAKE_H
#define REEVE_TESTS_UNIT_STORE_REDIS_FAKE_H

#include <criterion/criterion.h>

#include "daemon/store/redis/counters.h"
#include "daemon/store/redis/scripts.h"

#define FAKE_ROOM 8192
#define FAKE_WORDS 4096
#define FAKE_BEGINS_WALL_MS UINT64_C(1700000000000)

struct fake_command {
	char name[16]; /* "reserve", "load", "unlink", ... */
	bool as_text;  /* a script, sent whole */
	unsigned count, keys;
	struct slice *words; /* of a script without its name: keys, and then arguments */
	char *memory;
};

struct fake {
	struct redis_port port;
	struct counters_options options;
	struct counters *counters;
	struct scripts *scripts;
	struct clock_now now;
	bool refuses; /* nothing is taken */
	bool is_up;
	/* told */
	unsigned bad_keys, taken_names;
	char bad_key[512];
};

extern struct fake fake;

/* For TestSuite: a node of three, whose limits are shared out in thirds without Redis. */
void fake_setup(void);
void fake_teardown(void);
/* Without counters: a test has something else behind fake.port. The end: fake_link_down(), its own
 * things, and fake.scripts. */
void fake_link_setup(void);
void fake_link_down(void);

/* ---- the other side ---- */

/* The connection comes up, and the scripts are loaded: what greets is next. */
void fake_up(void);
/* The loading of scripts is answered. */
void fake_loads(void);
/* Up, and greeted. */
void fake_ready(void);
/* The connection ends. */
void fake_down(void);
/* How many commands have no answer. */
unsigned fake_out(void);
/* The oldest of them, or the one behind so many others; NULL: none. */
const struct fake_command *fake_command(unsigned behind);
/* Is the oldest one called so? Its arguments from 1 on, as a script sees them. */
bool fake_is(const char *name);
struct slice fake_arg(unsigned number);
struct slice fake_key(unsigned number);
/* Of its packed argument: a number, from 0 on; and what is asserted of a counter, from 1 on, as in
 * "28333333=2 28333334=3"; "-": nothing is. */
int64_t fake_number(unsigned at);
const char *fake_asserts(unsigned counter);
/* Answers the oldest. */
void fake_say(const char *words);
void fake_say_error(const char *text);
void fake_say_text(const char *text);

/* Time passes: deadlines, and a turn of the loop. */
void fake_pass(uint64_t ms);
/* A turn in which nothing passes. */
void fake_turn(void);

/* ---- this side ---- */

struct fake_op {
	struct waiter waiter;
	unsigned woken;
	struct store_charge charges[STORE_MAX_CHARGES];
	struct store_reserve reserve;
	struct store_settle settle;
	struct store_usage usage;
};

struct hash128 fake_id(uint64_t number);
/* A gate of one hour that counts recipients. */
struct store_charge fake_gate(const char *rule, const char *subject, uint64_t limit);
/* Asks for one recipient of one gate. */
void fake_reserve(
	struct fake_op *op, uint64_t transaction, uint64_t recipient, struct store_charge charge);
void fake_settle(struct fake_op *op, uint64_t transaction, uint64_t recipients);
void fake_usage(struct fake_op *op, struct store_charge charge);
/* "OK T version 1 0 1 used 0 0 bucket": granted. */
void fake_grant(unsigned version, unsigned used);
/* So many recipients of one transaction, all granted. */
void fake_granted(struct store_charge charge, uint64_t transaction, unsigned used);
/* Until it is the oldest: everything else is answered with what will do. */
void fake_until(const char *name);
/* It has an answer, and that was not refused by `fail`. */
bool fake_is_local(const struct fake_op *op);
/* What this node holds of the counter. */
uint64_t fake_holds(struct store_charge charge);
struct counters_health fake_health(void);

#endif
