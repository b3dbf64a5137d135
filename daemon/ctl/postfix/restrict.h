/* SPDX-License-Identifier: ISC */
/*
 * Postfix's restriction lists: what stands in one, in order, restriction classes opened, and what that means
 * for Reeve: is it asked, can something before it end the list, may a stranger relay.
 */
#ifndef REEVE_DAEMON_CTL_POSTFIX_RESTRICT_H
#define REEVE_DAEMON_CTL_POSTFIX_RESTRICT_H

#include "daemon/ctl/postfix/model.h"

enum restrict_kind {
	RESTRICT_OTHER,         /* rejects, warns, waits: never permits */
	RESTRICT_REEVE,         /* a policy call to Reeve */
	RESTRICT_PERMIT_ALL,    /* permit */
	RESTRICT_PERMIT_SOME,   /* permit_mynetworks, permit_sasl_authenticated, ...: clients that are known */
	RESTRICT_PERMIT_OWN,    /* permit_auth_destination, permit_mx_backup: only mail that is ours */
	RESTRICT_MAY_PERMIT,    /* an access map may say OK */
	RESTRICT_FORGEABLE,     /* ... by what a stranger may claim (sender, HELO name), or another policy service */
	RESTRICT_REJECT_RELAY,  /* reject_unauth_destination, defer_unauth_destination */
	RESTRICT_REJECT_ALL     /* reject, defer */
};

/* A check_policy_service and what it is told. Empty: not given, Postfix's own default holds. */
struct restrict_call {
	struct slice server;    /* inet:host:port, unix:path */
	struct slice timeout, try_limit, default_action, context;
	bool is_reeve;
};

struct restriction {
	enum restrict_kind kind;
	struct slice word;      /* permit_mynetworks; for a call its server */
	struct restrict_call call; /* of a policy call */
	bool only_warns;        /* warn_if_reject stands before it */
};

struct restrict_list {
	struct restriction *items;
	size_t count;
	/* private */
	size_t room;
};

/* Where Reeve listens, as Postfix would write it: what makes a policy call Reeve's. */
struct restrict_reeve {
	const struct text_list *sockets;
};

/* The list that a service has under that name (smtpd_recipient_restrictions), all expanded. */
void restrict_read(const struct model *model, const struct model_service *service, const char *name,
		   const struct restrict_reeve *reeve, struct restrict_list *ret_list);

enum restrict_reach {
	RESTRICT_NOT_ASKED,     /* Reeve does not stand in the list */
	RESTRICT_NEVER,         /* behind something that ends the list for everybody */
	RESTRICT_BEHIND,        /* behind something that ends it for some; `*ret_before` says what */
	RESTRICT_ASKED
};

enum restrict_reach restrict_reach(const struct restrict_list *list, const struct restriction **ret_before);
/* The first call to Reeve; NULL: none. */
const struct restriction *restrict_call_of(const struct restrict_list *list);

/* May a stranger pass this list with mail that is not for us? */
enum restrict_guard {
	RESTRICT_GUARDED,
	RESTRICT_MAYBE_OPEN,    /* only if a map or policy service of others says OK; `*ret_before` says which */
	RESTRICT_OPEN
};

enum restrict_guard restrict_guard(const struct restrict_list *list, const struct restriction **ret_before);
/* Does the list end with a refusal of everybody who was not permitted before? */
bool restrict_is_closed(const struct restrict_list *list);
/* Is anybody permitted because of this word? */
bool restrict_has(const struct restrict_list *list, const char *word);

/* The same list as text, not expanded: without the words that are calls to Reeve and nothing else (those in it, names
 * and classes that stand for one), and with the words of `front` before all others. */
struct slice restrict_with_reeve(const struct model *model, const struct model_service *service, const char *name,
				 const struct restrict_reeve *reeve, const struct text_list *front);

#endif
