/* SPDX-License-Identifier: ISC */
/*
 * The password for Redis, out of its file. It is read at each connection, so that a changed one
 * counts without a restart, and wiped after use.
 */
#ifndef REEVE_DAEMON_STORE_REDIS_SECRET_H
#define REEVE_DAEMON_STORE_REDIS_SECRET_H

#include "common/slice.h"

#define SECRET_BYTES 512
#define SECRET_WHY_BYTES 160

/* The first line of the file, without its end. false: `ret_why` says what is wrong, and never
 * what is in it. */
bool secret_read(struct slice file, char ret_secret[static SECRET_BYTES], size_t *ret_len,
	char ret_why[static SECRET_WHY_BYTES]) __attribute__((warn_unused_result));
void secret_wipe(char secret[static SECRET_BYTES]);

#endif
