/* SPDX-License-Identifier: ISC */
/*
 * A Postfix configuration as its own postconf(1) tells it: the settings of main.cf (`postconf -n`), the defaults of
 * all others (`postconf`), the services (`postconf -M`) and their `-o` (`postconf -P`). main.cf and master.cf are
 * never parsed here. Made once from texts, then only read; all lives in the arena that was handed in.
 */
#ifndef REEVE_DAEMON_CTL_POSTFIX_MODEL_H
#define REEVE_DAEMON_CTL_POSTFIX_MODEL_H

#include <stdint.h>

#include "common/strmap.h"
#include "daemon/ctl/postfix/text.h"

#define MODEL_VERSION(major, minor) ((major) * 1000 + (minor))

/* What postconf printed. */
struct model_texts {
	struct slice version;   /* postconf -d mail_version */
	struct slice settings;  /* postconf -n */
	struct slice defaults;  /* postconf: every parameter; where -n has it too, that counts */
	struct slice services;  /* postconf -M */
	struct slice overrides; /* postconf -P */
	struct slice map_types; /* postconf -m */
};

struct model_setting {
	struct slice name, value;
};

struct model_service {
	struct slice id;      /* "submission/inet", as postconf -P has it */
	struct slice name;    /* "submission", "127.0.0.1:10025" */
	struct slice type;    /* inet, unix, pass, fifo, unix-dgram */
	struct slice columns; /* private to maxproc: "n - y - -" */
	bool chroot;
	struct slice program; /* smtpd */
	struct model_setting *settings;
	size_t setting_count;
	/* private */
	size_t setting_room;
};

struct model {
	struct arena *arena;
	unsigned version; /* MODEL_VERSION; 0: not to be read */
	struct slice version_text;
	struct model_service *services;
	size_t service_count;
	struct text_list map_types;
	/* private */
	struct strmap *settings, *defaults;
};

/* Where a value comes from. */
enum model_origin { MODEL_ABSENT, MODEL_DEFAULT, MODEL_MAIN, MODEL_SERVICE };

/* Free with model_free(): the maps are on the heap. */
struct model *model_new(struct arena *arena, const struct model_texts *texts)
	__attribute__((returns_nonnull, warn_unused_result));
void model_free(struct model **model);

/* As it is written, without expansion; `service` NULL: main.cf's. Empty if there is none. */
struct slice model_raw(const struct model *model, const struct model_service *service, const char *name);
struct slice model_raw_slice(const struct model *model, const struct model_service *service, struct slice name);
enum model_origin model_origin(const struct model *model, const struct model_service *service, const char *name);
/* With `$name` and its like expanded, as a process of that service sees it. */
struct slice model_value(const struct model *model, const struct model_service *service, const char *name);
struct slice model_expand(const struct model *model, const struct model_service *service, struct slice text);
/* yes and no; anything else: `fallback`. */
bool model_is_yes(const struct model *model, const struct model_service *service, const char *name);
/* A plain number; false: it is none. */
bool model_number(const struct model *model, const struct model_service *service, const char *name,
		  uint64_t *ret_number) __attribute__((warn_unused_result));

/* NULL: no such service. `id` as in "smtp/inet". */
const struct model_service *model_find(const struct model *model, struct slice id);
bool model_has_map_type(const struct model *model, const char *type);

#endif
