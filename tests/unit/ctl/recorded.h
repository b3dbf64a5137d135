/* SPDX-License-Identifier: ISC */
/*
 * Recorded output of postconf, and a plan made of it with everything that has to be tried faked.
 */
#ifndef REEVE_TESTS_UNIT_CTL_RECORDED_H
#define REEVE_TESTS_UNIT_CTL_RECORDED_H

#include "daemon/ctl/postfix/plan.h"
#include "daemon/engine/ruleset.h"

extern const struct model_texts recorded_37, recorded_310;

/* One Postfix, one configuration, and what lookups say. */
struct bench {
	struct arena arena;
	struct model_texts texts;
	struct model *model;
	struct config *config;
	struct want want;
	struct probe probe;
	struct plan plan;
	/* Answers of every lookup: found with this value; empty: nothing is ever found. */
	struct slice answer;
	enum probe_access access;
	struct slice where;
};

/* `texts` may be changed in bench->texts before bench_plan(). */
void bench_open(struct bench *bench, const struct model_texts *texts, const char *reeve);
/* More lines for main.cf, and -o of services ("submission/inet/name = value"); earlier lines stay, later ones count. */
void bench_main(struct bench *bench, const char *lines);
void bench_service(struct bench *bench, const char *lines);
void bench_plan(struct bench *bench);
void bench_close(struct bench *bench);

/* NULL: no such wish. `service` NULL: main.cf. */
const struct wish *bench_wish(const struct bench *bench, const char *service, const char *name);
/* The first unmet wish with this id; NULL: none. */
const struct wish *bench_finding(const struct bench *bench, const char *id);
/* Puts all that the plan wants into the texts, as apply would, and makes the plan again. */
void bench_apply(struct bench *bench);

#endif
