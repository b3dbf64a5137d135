/* SPDX-License-Identifier: ISC */
/*
 * reevectl's command line: options that every command has, then the command's words, then its
 * own. --help works before and behind the words.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "daemon/ctl/table.h"

#ifndef REEVE_VERSION
#define REEVE_VERSION "0.1.0"
#endif

static const char general[] =
	"usage: reevectl [-c FILE] [--socket PATH] [--json] COMMAND [ARGUMENT...]\n"
	"\n"
	"Asks and steers reeved, the policy daemon for Postfix.\n"
	"\n";

static const char options[] =
	"\n"
	"Options of every command:\n"
	"  -c, --config FILE  where the configuration is (default " CTL_DEFAULT_FILE "),\n"
	"                     to find the control socket\n"
	"      --socket PATH  the control socket itself\n"
	"      --json         print the answer as one line of JSON\n"
	"  -h, --help         of a command: how to use it\n"
	"  -V, --version      print the version and exit\n"
	"\n"
	"Exit codes are those of sysexits.h. Manual: reevectl(1).\n";

static void print_general(FILE *out)
{
	int width = 0;

	fputs(general, out);
	for (size_t i = 0; ctl_table[i]; i++) {
		int len = (int)strlen(ctl_table[i]->name);

		width = len > width ? len : width;
	}
	for (size_t i = 0; ctl_table[i]; i++)
		fprintf(out, "  %-*s  %s\n", width, ctl_table[i]->name, ctl_table[i]->brief);
	fputs(options, out);
}

static void print_help(const struct ctl_command *command)
{
	printf("usage: reevectl %s%s%s\n\n%s", command->name, *command->usage ? " " : "",
		command->usage, command->help);
}

/* -c and -h have short forms too. */
static void lengthen(int argc, char **argv)
{
	static char config[] = "--config", help[] = "--help", version[] = "--version";

	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "-c") == 0)
			argv[i] = config;
		else if (strcmp(argv[i], "-h") == 0)
			argv[i] = help;
		else if (strcmp(argv[i], "-V") == 0)
			argv[i] = version;
	}
}

static bool take_common(struct ctl *ctl, int *argc, char **argv)
{
	bool no_file, no_socket;
	const char *file;

	lengthen(*argc, argv);
	file = ctl_take_option(argc, argv, "config", &no_file);
	ctl->socket = ctl_take_option(argc, argv, "socket", &no_socket);
	ctl->json = ctl_take_flag(argc, argv, "json");
	if (file) {
		ctl->file = file;
		ctl->file_given = true;
	}
	return !no_file && !no_socket;
}

static bool is_in_group(const struct ctl_command *command, const char *group)
{
	size_t len = strlen(group);

	return strncmp(command->name, group, len) == 0 && command->name[len] == ' ';
}

/* Which commands begin with this word; returns whether there are any. */
static bool print_group(FILE *out, const char *group)
{
	bool found = false;

	for (size_t i = 0; ctl_table[i]; i++) {
		const struct ctl_command *command = ctl_table[i];

		if (!is_in_group(command, group))
			continue;
		if (!found)
			fprintf(out, "usage: one of\n\n");
		found = true;
		fprintf(out, "  reevectl %s%s%s\n        %s\n", command->name,
			*command->usage ? " " : "", command->usage, command->brief);
	}
	if (found)
		fprintf(out, "\n`reevectl %s WORD --help` says more of each.\n", group);
	return found;
}

/* "ban" alone, or a word that stands in no table. */
static int no_command(const char *word, const char *second, bool help)
{
	if (help && !second && print_group(stdout, word))
		return EX_OK;
	if (!print_group(stderr, word))
		return ctl_fail(EX_USAGE, "no command '%s'; `reevectl --help` lists them", word);
	if (second)
		return ctl_fail(EX_USAGE, "no command '%s %s'", word, second);
	return ctl_fail(EX_USAGE, "'%s' wants one more word", word);
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	bool help = ctl_take_flag(&argc, argv, "help");
	const struct ctl_command *command;
	int words = 0, code;

	if (ctl_take_flag(&argc, argv, "version")) {
		puts("reevectl " REEVE_VERSION);
		return EX_OK;
	}
	if (argc == 1) {
		print_general(help ? stdout : stderr);
		return help ? EX_OK : EX_USAGE;
	}
	command = ctl_find(argc - 1, argv + 1, &words);
	if (!command)
		return no_command(argv[1], argc > 2 ? argv[2] : NULL, help);
	if (help) {
		print_help(command);
		return EX_OK;
	}
	code = command->run(ctl, argc - words, argv + words);
	if (fflush(ctl->out) != 0 && code == EX_OK)
		code = ctl_fail(EX_IOERR, "cannot write to standard output");
	return code;
}

int main(int argc, char **argv)
{
	struct ctl ctl = {
		.file = CTL_DEFAULT_FILE,
		.colours = isatty(STDOUT_FILENO) && !getenv("NO_COLOR"),
		.out = stdout,
	};
	int code;

	signal(SIGPIPE, SIG_IGN);
	arena_init(&ctl.arena, 65536);
	if (take_common(&ctl, &argc, argv))
		code = run(&ctl, argc, argv);
	else
		code = ctl_fail(EX_USAGE, "-c and --socket want a value");
	arena_release(&ctl.arena);
	return code;
}
