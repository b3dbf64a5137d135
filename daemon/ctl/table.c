/* SPDX-License-Identifier: ISC */
/*
 * The table, and finding a command in it by its words.
 */
#include "daemon/ctl/table.h"

#include <string.h>

const struct ctl_command *const ctl_table[] = {
	&ctl_status,
	&ctl_check,
	&ctl_reload,
	&ctl_explain,
	&ctl_watch,
	&ctl_usage,
	&ctl_top,
	&ctl_reset,
	&ctl_limit_set,
	&ctl_limit_unset,
	&ctl_limit_list,
	&ctl_ban_list,
	&ctl_ban_show,
	&ctl_ban_add,
	&ctl_ban_remove,
	&ctl_metrics,
	&ctl_postfix_print,
	&ctl_postfix_check,
	&ctl_postfix_apply,
	NULL,
};

/* How many words of argv are those of `name`; 0: it is another. */
static int words_match(const char *name, int argc, char **argv)
{
	struct slice rest = slice_of(name), word;
	int count = 0;

	for (;;) {
		bool more = slice_split(rest, ' ', &word, &rest);

		if (!more)
			word = rest;
		if (count == argc || !slice_is(word, argv[count]))
			return 0;
		count++;
		if (!more)
			return count;
	}
}

const struct ctl_command *ctl_find(int argc, char **argv, int *ret_words)
{
	const struct ctl_command *found = NULL;
	int best = 0;

	for (size_t i = 0; ctl_table[i]; i++) {
		int words = words_match(ctl_table[i]->name, argc, argv);

		if (words > best) {
			best = words;
			found = ctl_table[i];
		}
	}
	if (found)
		*ret_words = best;
	return found;
}
