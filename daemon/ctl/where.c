/* SPDX-License-Identifier: ISC */
/*
 * The text is looked through only where it is no YAML: what has a wrong rule still says where the socket is.
 */
#include "daemon/ctl/where.h"

#include <unistd.h>

#include "config/config.h"
#include "daemon/ctl/postfix/keep.h"
#include "daemon/engine/ruleset.h"

/* The value of `key: value  # comment`, without quotes. */
static struct slice bare(struct slice value)
{
	struct slice head, tail;

	value = slice_trim(value);
	if (value.len && (value.data[0] == '"' || value.data[0] == '\'')) {
		if (slice_split(slice_from(value, 1), value.data[0], &head, &tail))
			return head;
		return SLICE_EMPTY;
	}
	for (size_t i = 1; i < value.len; i++)
		if (value.data[i] == '#' && (value.data[i - 1] == ' ' || value.data[i - 1] == '\t'))
			value.len = i;
	return slice_trim(value);
}

bool where_in_text(struct slice text, struct slice *ret_path)
{
	struct slice key = SLICE("control:"), scheme = SLICE("unix:"), line, value;

	while (text.len) {
		if (!slice_split(text, '\n', &line, &text)) {
			line = text;
			text = SLICE_EMPTY;
		}
		if (!slice_starts_with(line, key))
			continue;
		value = bare(slice_from(line, key.len));
		if (!slice_starts_with(value, SLICE("unix:/")) ||
			memchr(value.data, '\0', value.len))
			return false;
		*ret_path = slice_from(value, scheme.len);
		return true;
	}
	return false;
}

static const char *copy_path(struct ctl *ctl, struct slice path)
{
	char *copy = arena_alloc(&ctl->arena, path.len + 1);

	memcpy(copy, path.data, path.len);
	copy[path.len] = '\0';
	return copy;
}

static void look_in_text(struct ctl *ctl, struct where *where)
{
	struct slice text, path;
	const char *why;

	where->guessed =
		!keep_read(&ctl->arena, ctl->file, &text, &why) || !where_in_text(text, &path);
	if (!where->guessed)
		where->path = copy_path(ctl, path);
}

void where_find(struct ctl *ctl, struct where *ret)
{
	const struct config_check *const *checks;
	size_t count = ruleset_checks(&checks);
	struct config *config;

	*ret = (struct where){.path = ctl->socket ? ctl->socket : CTL_DEFAULT_SOCKET};
	if (ctl->socket || (!ctl->file_given && access(ctl->file, F_OK) != 0))
		return;
	ret->errors = config_errors_new();
	config = config_load_any(ctl->file, checks, count, ret->errors);
	if (config && config->control.is_unix)
		ret->path = copy_path(ctl, config->control.path);
	else
		look_in_text(ctl, ret);
	config_unref(&config);
	if (config_errors_count(ret->errors) == 0)
		config_errors_free(&ret->errors);
}

void where_release(struct where *where)
{
	config_errors_free(&where->errors);
}
