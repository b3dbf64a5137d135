/* SPDX-License-Identifier: ISC */
/*
 * All that Postfix (and what must agree with it in reeve.yaml) should be, one wish for each setting, and for each
 * whether it is so. `print` shows the wishes, `check` those that are not met, `apply` fulfils them; one list, so that the
 * three never disagree. Pure: what has to be tried goes through a struct probe.
 */
#ifndef REEVE_DAEMON_CTL_POSTFIX_PLAN_H
#define REEVE_DAEMON_CTL_POSTFIX_PLAN_H

#include "daemon/ctl/postfix/probe.h"
#include "daemon/ctl/postfix/services.h"
#include "daemon/ctl/postfix/want.h"

enum plan_kind {
	PLAN_MAIN,      /* name = value in main.cf */
	PLAN_SERVICE,   /* -o name=value of a service */
	PLAN_MASTER,    /* a service of master.cf; value is its line */
	PLAN_REEVE,     /* a key of reeve.yaml: "site.domains"; value in YAML */
	PLAN_COMMAND,   /* value is a shell command */
	PLAN_NOTE       /* nothing to change by machine; value says what to do */
};

/* Mistakes break a promise; warnings are choices that one should know of. */
enum plan_level { PLAN_MISTAKE, PLAN_WARNING };

struct wish {
	const char *id;         /* stable, for scripts: "behind-permit" */
	enum plan_level level;
	enum plan_kind kind;
	struct slice service;   /* PLAN_SERVICE, PLAN_MASTER: "submission/inet"; else whom it is about, or empty */
	struct slice name, value;
	bool met;
	bool by_hand;           /* told, but `apply` leaves it alone */
	bool follows;           /* belongs to the wish before it: one finding, several lines */
	struct slice message;   /* what is wrong, if it is not met */
	const char *why;        /* one line for `print`; NULL: says itself */
};

struct plan {
	const struct model *model;
	const struct want *want;
	const struct probe *probe;
	struct arena *arena;
	struct restrict_reeve reeve;    /* want->sockets, and what $reeve_socket says now */
	struct text_list sockets;
	struct services services;
	struct text_list domains;       /* of Postfix and of Reeve, for probes */
	struct wish *wishes;
	size_t count;
	/* private */
	size_t room;
};

/* Wishes for `reeve.yaml` are not made here, see learn.h; they are added with plan_add(). */
void plan_make(struct arena *arena, const struct model *model, const struct want *want, const struct probe *probe,
	       const struct text_list *domains, struct plan *ret_plan);

/* Private to the files of the plan: */

/* Adds, and gives it back for what is left to fill in. Valid until the next one. */
struct wish *plan_add(struct plan *plan, const struct wish *wish);
/* Is the value so, letter by letter? */
struct wish *plan_main(struct plan *plan, const char *id, const char *name, struct slice value, const char *why);
/* The same for a service. A value with blanks goes to main.cf under a name of its own (postconf -P takes none). */
struct wish *plan_service(struct plan *plan, const char *id, const struct model_service *service,
			  struct slice id_of_service, const char *name, struct slice value, const char *why);
/* `apply` leaves this one alone, and what follows it. */
void plan_by_hand(struct plan *plan, struct wish *wish);
void plan_note(struct plan *plan, const char *id, enum plan_level level, struct slice about, struct slice message,
	       struct slice todo);
/* Sets `met` and the message (where it is not met). */
void plan_judge(struct wish *wish, bool met, struct slice message);
struct slice plan_text(const struct plan *plan, const char *format, ...) __attribute__((format(printf, 2, 3)));

void plan_calls(struct plan *plan);       /* plan_calls.c: the socket, time-outs, default actions */
void plan_lists(struct plan *plan);       /* plan_lists.c: which list asks Reeve */
void plan_relay(struct plan *plan);       /* plan_relay.c: order, open relays */
void plan_hiding(struct plan *plan);      /* plan_hiding.c: clients in headers, foreign Received lines */
void plan_extras(struct plan *plan);      /* plan_extras.c: banner, limits, EHLO names, literals */
void plan_log(struct plan *plan);         /* plan_log.c: where the log goes */
void plan_recipients(struct plan *plan);  /* plan_recipients.c: catchalls, maps that take everything */

/* Seconds, from "10s", "2m" or "10"; false: not to be read. */
bool plan_seconds(struct slice text, uint64_t *ret_seconds) __attribute__((warn_unused_result));
/* Why the call is not as it should be in a service of this kind; NULL: it is. `*ret_id` names the problem. */
const char *plan_call_fault(const struct plan *plan, const struct model_service *service, enum service_kind kind,
			    const struct restrict_call *call, const char **ret_id);

#endif
