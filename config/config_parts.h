/* SPDX-License-Identifier: ISC */
/*
 * Private to config/: the pieces that config.c puts together, one for each
 * group of sections. Each reads its section (NULL: absent) into its
 * struct, with all defaults, and reports what is wrong to reader->errors.
 */
#ifndef REEVE_CONFIG_CONFIG_PARTS_H
#define REEVE_CONFIG_CONFIG_PARTS_H

#include "config/config.h"

#define CONFIG_KEYS(table) (table), sizeof(table) / sizeof((table)[0])

/* config_address.c. false: an error was reported. `name` is the key. */
bool config_read_address(struct config_reader *reader, const struct config_node *node, const char *name,
			 struct config_address *ret) __attribute__((warn_unused_result));
/* "port", 1 to 65535. */
bool config_parse_port(struct slice text, uint16_t *ret_port) __attribute__((warn_unused_result));
void config_read_listen(struct config_reader *reader, const struct config_node *node, struct config *config);
void config_read_endpoints(struct config_reader *reader, const struct config_node *control,
			   const struct config_node *metrics, struct config *config);

/* config_store.c */
void config_read_store(struct config_reader *reader, const struct config_node *node,
		       struct config_store *store);
void config_read_dns(struct config_reader *reader, const struct config_node *node, struct config_dns *dns);
/* The name of this host, or "localhost" (always, if files are closed). */
struct slice config_host_name(struct config_reader *reader);

/* config_site.c */
void config_read_site(struct config_reader *reader, const struct config_node *node, struct config_site *site);
/* Letters, digits, '-', '_' and '.', or bytes above 127 (U-labels are converted later), at most 255. */
bool config_is_domain(struct slice text) __attribute__((warn_unused_result));

/* config_bans.c: bans, postfix, notify, log */
void config_read_bans(struct config_reader *reader, const struct config_node *node, struct config_bans *bans);
void config_read_postfix(struct config_reader *reader, const struct config_node *node,
			 struct config_postfix *postfix);
void config_read_notify(struct config_reader *reader, const struct config_node *node,
			struct config_notify *notify);
void config_read_log(struct config_reader *reader, const struct config_node *node, struct config_log *log);

/* config_rules.c: `rules` absent gives the default list. */
void config_read_rules(struct config_reader *reader, const struct config_node *node,
		       const struct config_check *const *checks, size_t check_count, struct config *config);
/* Warnings about rules that can never apply. */
void config_warn_idle_rules(struct config_errors *errors, const struct config *config);

/* config_default_rules.c */
extern const char config_default_rules[];

#endif
