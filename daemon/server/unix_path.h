/* SPDX-License-Identifier: ISC */
/*
 * Binding a unix socket where one of an earlier run may be left. A stale socket is removed; a live
 * one, and anything that is no socket, is not.
 */
#ifndef REEVE_DAEMON_SERVER_UNIX_PATH_H
#define REEVE_DAEMON_SERVER_UNIX_PATH_H

#include <stdbool.h>
#include <uv.h>

/* Binds with mode 0600: the caller then widens it. false: `ret_why` (512 bytes) names the path and
 * says why not. */
bool unix_path_bind(uv_pipe_t *pipe, const char *path, char ret_why[static 512])
	__attribute__((warn_unused_result));

#endif
