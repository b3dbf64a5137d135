/* SPDX-License-Identifier: ISC */
/*
 * `reload`: answered when the reload that began after the question is over, with all that is wrong
 * with the file, and what a reload cannot change.
 */
#include <sysexits.h>

#include "daemon/operate/control_call.h"

/* Errors or warnings of a load, as an array of lines. */
static void add_lines(struct json *json, const char *key, const struct load *load, bool warnings)
{
	const char *line;
	bool is_warning;

	json_array(json, key);
	for (size_t i = 0; load->errors; i++) {
		line = config_errors_line(load->errors, i, &is_warning);
		if (!line)
			break;
		if (is_warning == warnings)
			json_text(json, NULL, line);
	}
	json_end_array(json);
}

void control_add_load(struct json *json, const struct load *load)
{
	json_bool(json, "good", load->good);
	json_time(json, "time", load->wall_ms);
	add_lines(json, "errors", load, false);
	add_lines(json, "warnings", load, true);
	json_array(json, "restart_needed");
	for (size_t i = 0; i < load->restart_count; i++)
		json_text(json, NULL, load->restart[i]);
	json_end_array(json);
}

static void reload(struct control_call *call, const struct ctl_request *request)
{
	(void)request;
	call->number = call->operate->reload(call->operate->host);
	if (call->number == 0)
		control_refuse(call, EX_TEMPFAIL, "", "the daemon is stopping");
	else
		list_append(control_waiting(call->control), &call->node);
}

static void answer(struct control_call *call)
{
	const struct loads *loads = call->operate->loads;
	struct json *json = control_answer(call);

	json_text(json, "file", call->operate->file);
	json_u64(json, "generation", loads->generation);
	control_add_load(json, loads_last(loads));
	control_send(call);
}

static bool is_done(const struct control_call *call, uint64_t number)
{
	return call->command->run == reload && call->number <= number;
}

void control_reloaded(struct control *control, uint64_t number)
{
	struct list *waiting = control_waiting(control), *node, *next;

	for (node = waiting->next; node != waiting; node = next) {
		struct control_call *call = LIST_ENTRY(node, struct control_call, node);

		next = node->next;
		if (is_done(call, number))
			answer(call);
	}
}

const struct control_command control_reload_commands[] = {
	{"reload", true, reload},
	{0},
};
