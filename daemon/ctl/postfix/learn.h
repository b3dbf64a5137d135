/* SPDX-License-Identifier: ISC */
/*
 * What must agree between Postfix and the `site` section: origin, delimiter, domains, networks that may relay, own
 * addresses. Postfix is asked, the configuration compared, and what it lacks becomes values for reeve.yaml. What it has
 * besides is left alone.
 */
#ifndef REEVE_DAEMON_CTL_POSTFIX_LEARN_H
#define REEVE_DAEMON_CTL_POSTFIX_LEARN_H

#include "config/config.h"
#include "daemon/ctl/postfix/plan.h"

#define LEARN_KEYS 5

struct learn_key {
	const char *key;        /* of `site`: "domains" */
	const char *id;         /* of the wish: "site-domains" */
	bool met;
	struct slice value;     /* YAML; what the key should say */
	struct slice message;
};

struct learned {
	struct learn_key keys[LEARN_KEYS];
	struct text_list domains;  /* of Postfix and of the configuration, as far as they can be listed */
	struct text_list unlisted; /* maps of domains that cannot be listed */
	struct text_list left_out; /* networks out of which Postfix takes others with '!' */
};

/* `text` is the configuration file as it is: entries of lists (file:, list:) are kept as written. */
void learn_read(struct arena *arena, const struct model *model, const struct probe *probe,
		const struct config *config, struct slice text, struct learned *ret_learned);
/* The file with all that is missing; keys that could not be put in are named in `ret_failed`. */
struct slice learn_edit(struct arena *arena, const struct learned *learned, struct slice text,
			struct text_list *ret_failed);
/* One wish for each key. `failed`: what learn_edit() could not do is left to a human. */
void learn_wishes(const struct learned *learned, const struct text_list *failed, struct plan *plan);

#endif
