/* SPDX-License-Identifier: ISC */
/*
 * `reload`: waits for what comes of it.
 */
#include <sysexits.h>

#include "daemon/ctl/client.h"
#include "daemon/ctl/show.h"
#include "daemon/ctl/table.h"

static void print_lines(struct ctl *ctl, const struct json_value *line)
{
	for (; line; line = line->next)
		fprintf(stderr, "%s\n", show_text(ctl, line->text));
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	const struct json_value *answer, *setting;
	struct slice file;
	int code = EX_OK;

	(void)argv;
	if (argc > 1)
		return ctl_misuse(&ctl_reload, "no arguments expected");
	answer = client_ask_plain(ctl, "reload", &code);
	if (!answer)
		return code;
	file = json_get_text(answer, "file");
	print_lines(ctl, json_get_array(answer, "errors"));
	print_lines(ctl, json_get_array(answer, "warnings"));
	if (!json_get_bool(answer, "good"))
		return ctl_fail(EX_CONFIG,
			"%s is not taken over; the old configuration stays in force",
			show_text(ctl, file));
	for (setting = json_get_array(answer, "restart_needed"); setting; setting = setting->next)
		fprintf(stderr, "reevectl: '%s' has changed and needs a restart of reeved\n",
			show_text(ctl, setting->text));
	if (!ctl->json)
		fprintf(ctl->out, "%s is in force (generation %llu)\n", show_text(ctl, file),
			(unsigned long long)json_get_u64(answer, "generation"));
	return EX_OK;
}

const struct ctl_command ctl_reload = {
	.name = "reload",
	.usage = "",
	.brief = "read the configuration again, and say what came of it",
	.help = "Tells reeved to read its configuration, and the files it names, again, and waits until\n"
		"it has. A broken file is not taken over: its errors are printed, the exit code is 78, and\n"
		"the old configuration stays whole. Counters, bans and running requests are not touched.\n",
	.run = run,
};
