/* SPDX-License-Identifier: ISC */
/*
 * Sets one key of one section in the text of a YAML file and leaves every other byte as it is, comments included.
 * Knows block and flow style. What comes out is parsed again and compared: where anything but that key would differ
 * the text is refused, and the change is left to a human.
 */
#ifndef REEVE_DAEMON_CTL_POSTFIX_YAML_EDIT_H
#define REEVE_DAEMON_CTL_POSTFIX_YAML_EDIT_H

#include "daemon/ctl/postfix/text.h"

/* `value` is YAML in flow style (`example.com`, `[a, b]`, `"+"`). `ret_text` lives in the arena. */
bool yaml_edit(struct arena *arena, struct slice text, const char *section, const char *key, struct slice value,
	       struct slice *ret_text) __attribute__((warn_unused_result));

/* A scalar as YAML: quoted where it needs to be. */
struct slice yaml_scalar(struct arena *arena, struct slice text);

#endif
