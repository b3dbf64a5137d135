/* SPDX-License-Identifier: ISC */
/*
 * Commands for Redis, encoded: an array of strings that say their length, so that any byte may be
 * in them and nothing is ever formatted into anything. Pure; over a struct buf, whose bound holds
 * and whose `overflow` says that a command is not whole and must not be sent. There must be room for
 * 25 bytes more than an argument has.
 */
#ifndef REEVE_DAEMON_STORE_REDIS_RESP_H
#define REEVE_DAEMON_STORE_REDIS_RESP_H

#include "common/buf.h"

/* Begins a command of `count` arguments, its name included; exactly so many follow. */
void resp_command(struct buf *out, size_t count);
void resp_slice(struct buf *out, struct slice argument);
/* The same in pieces: `len` bytes are to be written there, and then it ends behind them. NULL: no
 * room. */
char *resp_begin_slice(struct buf *out, size_t len) __attribute__((warn_unused_result));
void resp_end_slice(struct buf *out, char *end);
void resp_u64(struct buf *out, uint64_t argument);
void resp_i64(struct buf *out, int64_t argument);

/* A whole command out of texts that end in NUL, the last one followed by NULL. */
void resp_texts(struct buf *out, const char *const *texts);

#endif
