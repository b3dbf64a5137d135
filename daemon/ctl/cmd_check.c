/* SPDX-License-Identifier: ISC */
/*
 * `check`: what `reeved -t` says, without a daemon.
 */
#include <string.h>
#include <sysexits.h>

#include "common/json.h"
#include "daemon/ctl/table.h"
#include "daemon/engine/load.h"

static void print_json(struct ctl *ctl, const char *file, const struct ruleset *ruleset,
	const struct config_errors *errors)
{
	struct json json;
	struct buf out;
	const char *line;
	bool is_warning;

	buf_init(&out, (size_t)1 << 20);
	json_init(&json, &out);
	json_object(&json, NULL);
	json_bool(&json, "ok", ruleset != NULL);
	json_text(&json, "file", file);
	if (ruleset)
		json_u64(&json, "rules", ruleset->count);
	for (int warnings = 0; warnings < 2; warnings++) {
		json_array(&json, warnings ? "warnings" : "errors");
		for (size_t i = 0; (line = config_errors_line(errors, i, &is_warning)) != NULL;
			i++) {
			if (is_warning == warnings)
				json_text(&json, NULL, line);
		}
		json_end_array(&json);
	}
	json_end_object(&json);
	fprintf(ctl->out, "%.*s\n", SLICE_ARG(buf_slice(&out)));
	buf_release(&out);
}

static void print_lines(const struct config_errors *errors)
{
	const char *line;
	bool is_warning;

	for (size_t i = 0; (line = config_errors_line(errors, i, &is_warning)) != NULL; i++)
		fprintf(stderr, "%s\n", line);
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	const char *file = argc > 1 ? argv[1] : ctl->file;
	struct config_errors *errors;
	struct ruleset *ruleset;
	int code = EX_OK;

	if (argc > 2 || (argc == 2 && argv[1][0] == '-'))
		return ctl_misuse(&ctl_check, "one file at most");
	errors = config_errors_new();
	ruleset = ruleset_load(file, errors);
	if (ctl->json) {
		print_json(ctl, file, ruleset, errors);
	} else {
		print_lines(errors);
		if (ruleset)
			fprintf(ctl->out, "%s: good, %u rule%s\n", file, ruleset->count,
				ruleset->count == 1 ? "" : "s");
	}
	if (!ruleset)
		code = ctl_fail(EX_CONFIG, "%s: %zu error%s", file, config_errors_count(errors),
			config_errors_count(errors) == 1 ? "" : "s");
	ruleset_unref(&ruleset);
	config_errors_free(&errors);
	return code;
}

const struct ctl_command ctl_check = {
	.name = "check",
	.usage = "[FILE]",
	.brief = "check a configuration, without a daemon",
	.help = "Reads FILE (default: that of -c) and every file it names, and prints all errors and\n"
		"warnings as file:line:column: message, as `reeved -t` does. Nothing is opened or\n"
		"changed. Exits 0 if a reload would take it over, else 78.\n",
	.run = run,
};
