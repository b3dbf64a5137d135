/* SPDX-License-Identifier: ISC */
/*
 * One look at a Postfix and a reeve.yaml: everything read, and the plan made.
 */
#ifndef REEVE_DAEMON_CTL_POSTFIX_JOB_H
#define REEVE_DAEMON_CTL_POSTFIX_JOB_H

#include "daemon/ctl/ctl.h"
#include "daemon/ctl/postfix/learn.h"
#include "daemon/ctl/postfix/probe_real.h"
#include "daemon/engine/ruleset.h"

struct job {
	struct arena *arena;
	const char *config_dir; /* as given; NULL: Postfix's own */
	const char *file;       /* reeve.yaml */
	struct slice text;      /* what it says */
	struct slice new_text;  /* ... and what it should say */
	struct text_list failed; /* keys that could not be put into it */
	struct ruleset *ruleset, *new_ruleset; /* of these two */
	struct model *model;
	struct probe probe;
	struct learned learned;
	struct want want;
	struct plan plan;
	/* private */
	struct probe_real real;
};

/*
 * EX_OK, or an exit code after the reason was printed. `text`: instead of what the file says (NULL: read it). Close
 * it either way.
 */
int job_open(struct job *job, struct ctl *ctl, const char *config_dir, const struct slice *text)
	__attribute__((warn_unused_result));
void job_close(struct job *job);

/* Runs postconf with up to `count` words for this Postfix. false: `*ret_why` says why not, in the arena. */
bool job_postconf(struct arena *arena, const char *config_dir, const struct slice *words, size_t count,
		  struct slice *ret_out, struct slice *ret_why) __attribute__((warn_unused_result));
/* Where main.cf lies. */
struct slice job_folder(const struct job *job);

#endif
