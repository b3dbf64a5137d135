/* SPDX-License-Identifier: ISC */
/*
 * What is said first on a connection: AUTH, SELECT, ROLE (it must be a master), and then either a
 * look at the eviction policy or SUBSCRIBE. All of it goes out at once, and the answers are read
 * in order. `detail` never holds what was answered to AUTH. Pure.
 */
#ifndef REEVE_DAEMON_STORE_REDIS_GREETING_H
#define REEVE_DAEMON_STORE_REDIS_GREETING_H

#include "common/buf.h"
#include "daemon/store/redis/link.h"

#define GREETING_DETAIL_BYTES 128
#define GREETING_MAX_STEPS 5

enum greeting_result { GREETING_MORE, GREETING_DONE, GREETING_FAILED };

struct greeting_options {
	struct slice user, password; /* no password: no AUTH */
	unsigned db;
	struct slice channel; /* not empty: a subscriber */
};

struct greeting {
	/* readable after each answer */
	enum redis_trouble trouble; /* GREETING_FAILED */
	char detail[GREETING_DETAIL_BYTES];
	bool has_notice; /* `detail` goes with it */
	enum redis_notice notice;
	/* private */
	unsigned count, at;
	int steps[GREETING_MAX_STEPS];
};

void greeting_begin(
	struct greeting *greeting, const struct greeting_options *options, struct buf *out);
enum greeting_result greeting_answer(struct greeting *greeting, const struct redis_reply *reply);

/* What an error means for the whole connection; NONE: only the command failed. */
enum redis_trouble greeting_trouble_of(enum redis_error error);

#endif
