/* SPDX-License-Identifier: ISC */
/*
 * reeved's command line. Everything that can be wrong before the daemon runs is said here, on
 * standard error, with an exit code of sysexits.h.
 */
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <sysexits.h>

#include "common/slice.h"
#include "daemon/daemon.h"
#include "daemon/engine/load.h"

#ifndef REEVE_VERSION
#define REEVE_VERSION "0.1.0"
#endif
#define DEFAULT_FILE "/etc/reeve/reeve.yaml"

struct options {
	const char *file;
	bool test;
};

static const char usage[] =
	"usage: reeved [-c FILE] [-t] [-V] [-h]\n"
	"\n"
	"Reeve, a policy daemon for Postfix. Stays in the foreground.\n"
	"\n"
	"  -c, --config FILE  read this configuration (default " DEFAULT_FILE ")\n"
	"  -t, --test         check the configuration and exit: 0 good, 78 not\n"
	"  -V, --version      print the version and exit\n"
	"  -h, --help         print this and exit\n"
	"\n"
	"Signals: HUP reads the configuration again, TERM and INT answer what is\n"
	"running and stop. Manuals: reeved(8), reeve.yaml(5).\n";

/* Returns -1 to go on, else the exit code. */
static int read_options(int argc, char **argv, struct options *ret)
{
	static const struct option known[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "test", no_argument, NULL, 't' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "c:tVh", known, NULL)) != -1) {
		switch (option) {
		case 'c':
			ret->file = optarg;
			break;
		case 't':
			ret->test = true;
			break;
		case 'V':
			puts("reeved " REEVE_VERSION);
			return EX_OK;
		case 'h':
			fputs(usage, stdout);
			return EX_OK;
		default:
			fputs(usage, stderr);
			return EX_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "reeved: no arguments expected, but got '%s'\n", argv[optind]);
		return EX_USAGE;
	}
	return -1;
}

static void print_errors(const struct config_errors *errors)
{
	const char *line;
	bool is_warning;

	for (size_t i = 0; (line = config_errors_line(errors, i, &is_warning)) != NULL; i++)
		fprintf(stderr, "%s\n", line);
}

/* A write to the disk takes megabytes for a moment, each time on whichever worker is free. glibc would
 * keep as much for every thread, and the more, the larger a block was that came back. */
static void keep_memory_small(void)
{
	mallopt(M_ARENA_MAX, 2);
	mallopt(M_MMAP_THRESHOLD, 256 * 1024);
	mallopt(M_TRIM_THRESHOLD, 1024 * 1024);
}

int main(int argc, char **argv)
{
	struct options options = { .file = DEFAULT_FILE };
	struct config_errors *errors;
	struct ruleset *ruleset;
	int code = read_options(argc, argv, &options);

	if (code >= 0)
		return code;
	keep_memory_small();
	errors = config_errors_new();
	ruleset = ruleset_load(options.file, errors);
	print_errors(errors);
	if (!ruleset) {
		fprintf(stderr, "reeved: %s: %zu error%s\n", options.file,
			config_errors_count(errors), config_errors_count(errors) == 1 ? "" : "s");
		config_errors_free(&errors);
		return EX_CONFIG;
	}
	if (options.test) {
		printf("%s: good, %u rule%s\n", options.file, ruleset->count,
			ruleset->count == 1 ? "" : "s");
		config_errors_free(&errors);
		ruleset_unref(&ruleset);
		return EX_OK;
	}
	return daemon_run(options.file, ruleset, errors);
}
