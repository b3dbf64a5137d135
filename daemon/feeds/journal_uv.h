/* SPDX-License-Identifier: ISC */
/*
 * Postfix's lines out of systemd's journal, by a child that runs `journalctl --follow`: no library. It is
 * looked up on the daemon's PATH and started without a shell, sees nothing of the daemon's environment
 * but that PATH, and when it ends it is started again, with pauses from a second up to a minute. Only
 * lines written from its start on are read, of facility mail, from the system's journal.
 */
#ifndef REEVE_DAEMON_FEEDS_JOURNAL_UV_H
#define REEVE_DAEMON_FEEDS_JOURNAL_UV_H

#include <stdbool.h>

#include "daemon/feeds/lines.h"
#include "daemon/loop/loop.h"

#define JOURNAL_PROGRAM "journalctl"
#define JOURNAL_TURN_BYTES (128 * 1024) /* about so much is read in a turn of the loop at most */
#define JOURNAL_SETTLED_MS 1000         /* a child that has run for so long is taken to work */
#define JOURNAL_PAUSE_MAX_MS 60000

/* Called from the loop's I/O and timers, never from inside a call to the journal; they may not call it. */
struct journal_events {
	lines_fn line;
	/* It works: a line came, or the child has run for a while. Once a child. */
	void (*settled)(void *arg);
	/* It ended, or could not be started; another is started later. `said`: the beginning of what it said
	 * on standard error, may be empty. */
	void (*ended)(void *arg, const char *why, struct slice said);
};

struct journal;

struct journal *journal_new(struct loop *loop, const struct journal_events *events, void *arg)
	__attribute__((returns_nonnull, warn_unused_result));
/* From the next turn of the loop on. Started already: nothing. */
void journal_start(struct journal *journal);
/* The child is killed, and nothing more is told of it. */
void journal_stop(struct journal *journal);
/* Process number of the child; 0: none runs. */
int journal_pid(const struct journal *journal);
/* Stops, and lets go of the loop. Before loop_free(). */
void journal_close(struct journal *journal);
/* After loop_free(). NULL is accepted. */
void journal_free(struct journal **journal);

#endif
