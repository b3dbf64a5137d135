/* SPDX-License-Identifier: ISC */
/*
 * Files as they were before a change, and back again. Each change gets a numbered folder below `reeve-undo` beside
 * main.cf, with every file before and after; taking it back puts the bytes of before in place, if those of after are
 * still there. Files are replaced in one step, with their owner and mode.
 */
#ifndef REEVE_DAEMON_CTL_POSTFIX_KEEP_H
#define REEVE_DAEMON_CTL_POSTFIX_KEEP_H

#include "daemon/ctl/postfix/text.h"

#define KEEP_FOLDER "reeve-undo"
#define KEEP_MAX_FILE_BYTES ((size_t)4 * 1024 * 1024)

struct keep_file {
	const char *name;       /* in the folder: "main.cf" */
	struct slice path;      /* where it lies */
	struct slice before, after;
};

/* false: `*ret_why` says why, a text of strerror() or of ours. */
bool keep_read(struct arena *arena, const char *path, struct slice *ret_bytes, const char **ret_why)
	__attribute__((warn_unused_result));
/* A new file, 0600; for copies. */
bool keep_write(struct arena *arena, struct slice path, struct slice bytes, const char **ret_why)
	__attribute__((warn_unused_result));
/* In place of one that is there (followed where it is a link). */
bool keep_replace(struct arena *arena, struct slice path, struct slice bytes, const char **ret_why)
	__attribute__((warn_unused_result));

/* Makes the next numbered folder; `*ret_folder` is its path. */
bool keep_save(struct arena *arena, struct slice beside, const struct keep_file *files, size_t count,
	       struct slice *ret_folder, const char **ret_why) __attribute__((warn_unused_result));

enum keep_result { KEEP_DONE, KEEP_NOTHING, KEEP_CHANGED, KEEP_FAILED };

/* Takes the last change back and forgets it. KEEP_CHANGED: `*ret_path` was changed since; `force` does it all the same. */
enum keep_result keep_undo(struct arena *arena, struct slice beside, bool force, struct text_list *ret_restored,
			   struct slice *ret_path, const char **ret_why) __attribute__((warn_unused_result));

#endif
