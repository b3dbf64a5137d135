/* SPDX-License-Identifier: ISC */
/*
 * What reevectl's commands share. A command reads its own arguments, prints to ctl->out (or JSON,
 * if ctl->json), and returns an exit code of sysexits.h; what went wrong goes to standard error as
 * `reevectl: what: what to do`.
 *
 * To add a command: a file that defines `const struct ctl_command ctl_NAME`, one line in table.c
 * and table.h, its section in packaging/man/reevectl.1, and its words in packaging/completion.
 */
#ifndef REEVE_DAEMON_CTL_CTL_H
#define REEVE_DAEMON_CTL_CTL_H

#include <stdbool.h>
#include <stdio.h>

#include "common/arena.h"
#include "common/json_read.h"

#define CTL_DEFAULT_FILE "/etc/reeve/reeve.yaml"
#define CTL_DEFAULT_SOCKET "/run/reeve/control.sock"

struct ctl {
	const char *file; /* -c; else CTL_DEFAULT_FILE */
	bool file_given;
	const char *socket; /* --socket; NULL: as the configuration says */
	bool json;
	bool colours; /* standard output is a terminal, and NO_COLOR is not set */
	FILE *out;
	struct arena arena; /* for everything until the program ends */
};

struct ctl_command {
	const char *name;  /* "ban add": words with single blanks */
	const char *usage; /* arguments only: "NETWORK [--for TIME]" */
	const char *brief; /* one line for the list */
	const char *help;  /* some lines for --help, without the usage line */
	/* argv[0] is the last word of the name; options --json, --help, -c and --socket are gone. */
	int (*run)(struct ctl *ctl, int argc, char **argv);
};

/* Prints `reevectl: ...` and returns `exit_code`. */
int ctl_fail(int exit_code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same with the command's usage line, for EX_USAGE. */
int ctl_misuse(const struct ctl_command *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Looks for `--NAME` (a flag) among the arguments and takes it out. */
bool ctl_take_flag(int *argc, char **argv, const char *name);
/* `--NAME VALUE` or `--NAME=VALUE`. NULL: not given. A name without a value: `*ret_missing`. */
const char *ctl_take_option(int *argc, char **argv, const char *name, bool *ret_missing);

#endif
