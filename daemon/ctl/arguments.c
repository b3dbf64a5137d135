/* SPDX-License-Identifier: ISC */
/*
 * Options of commands, and how they fail. Options may stand anywhere; what is left are the
 * arguments.
 */
#include <stdarg.h>
#include <string.h>
#include <sysexits.h>

#include "daemon/ctl/ctl.h"

int ctl_fail(int exit_code, const char *format, ...)
{
	va_list args;

	fputs("reevectl: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return exit_code;
}

int ctl_misuse(const struct ctl_command *command, const char *format, ...)
{
	va_list args;

	fputs("reevectl: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\nusage: reevectl %s%s%s\n", command->name, *command->usage ? " " : "",
		command->usage);
	return EX_USAGE;
}

static void take_out(int *argc, char **argv, int at, int count)
{
	memmove(argv + at, argv + at + count, (size_t)(*argc - at - count + 1) * sizeof(*argv));
	*argc -= count;
}

bool ctl_take_flag(int *argc, char **argv, const char *name)
{
	bool found = false;

	for (int i = 1; i < *argc && strcmp(argv[i], "--") != 0;) {
		if (strncmp(argv[i], "--", 2) == 0 && strcmp(argv[i] + 2, name) == 0) {
			take_out(argc, argv, i, 1);
			found = true;
		} else {
			i++;
		}
	}
	return found;
}

const char *ctl_take_option(int *argc, char **argv, const char *name, bool *ret_missing)
{
	size_t len = strlen(name);
	const char *value = NULL;

	*ret_missing = false;
	for (int i = 1; i < *argc && strcmp(argv[i], "--") != 0;) {
		if (strncmp(argv[i], "--", 2) != 0 || strncmp(argv[i] + 2, name, len) != 0 ||
			(argv[i][2 + len] != '\0' && argv[i][2 + len] != '=')) {
			i++;
			continue;
		}
		if (argv[i][2 + len] == '=') {
			value = argv[i] + 3 + len;
			take_out(argc, argv, i, 1);
		} else if (i + 1 < *argc) {
			value = argv[i + 1];
			take_out(argc, argv, i, 2);
		} else {
			*ret_missing = true;
			return NULL;
		}
	}
	return value;
}
