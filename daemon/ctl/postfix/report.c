/* SPDX-License-Identifier: ISC */
/*
 * `print` looks like main.cf and master.cf, so that it can be read beside them and pasted; `check` gives postconf
 * commands, which can be run.
 */
#include "daemon/ctl/postfix/report.h"

#include "common/json.h"

static struct slice postconf(struct arena *arena, const struct report_names *names,
	const char *option, struct slice what)
{
	struct slice dir = SLICE_EMPTY;

	if (names->config_dir)
		dir = text_format(arena, "-c %.*s ",
			SLICE_ARG(text_quote(arena, slice_of(names->config_dir))));
	return text_format(arena, "postconf %.*s%s %.*s", SLICE_ARG(dir), option,
		SLICE_ARG(text_quote(arena, what)));
}

/* "site.domains", "[a, b]" -> "site: { domains: [a, b] }" */
static struct slice yaml_line(struct arena *arena, const struct wish *wish)
{
	struct slice section = SLICE_EMPTY, key = wish->name;

	(void)slice_split(wish->name, '.', &section, &key);
	return text_format(arena, "%.*s: { %.*s: %.*s }", SLICE_ARG(section), SLICE_ARG(key),
		SLICE_ARG(wish->value));
}

struct slice report_line(
	struct arena *arena, const struct report_names *names, const struct wish *wish)
{
	switch (wish->kind) {
	case PLAN_MAIN:
		return postconf(arena, names, "-e",
			text_format(arena, "%.*s = %.*s", SLICE_ARG(wish->name),
				SLICE_ARG(wish->value)));
	case PLAN_SERVICE:
		return postconf(arena, names, "-P",
			text_format(arena, "%.*s/%.*s=%.*s", SLICE_ARG(wish->service),
				SLICE_ARG(wish->name), SLICE_ARG(wish->value)));
	case PLAN_MASTER:
		return postconf(arena, names, "-M",
			text_format(arena, "%.*s=%.*s", SLICE_ARG(wish->service),
				SLICE_ARG(wish->value)));
	case PLAN_REEVE:
		return text_format(
			arena, "%s: %.*s", names->file, SLICE_ARG(yaml_line(arena, wish)));
	case PLAN_COMMAND:
	case PLAN_NOTE:
		break;
	}
	return wish->value;
}

/* A finding: an unmet wish, and those that follow it. Gives the next one at or behind `*at`; false: none. */
static bool next_finding(const struct plan *plan, size_t *at, size_t *ret_first, size_t *ret_end)
{
	while (*at < plan->count && plan->wishes[*at].met)
		(*at)++;
	if (*at == plan->count)
		return false;
	*ret_first = (*at)++;
	while (*at < plan->count && plan->wishes[*at].follows)
		(*at)++;
	*ret_end = *at;
	return true;
}

static bool is_mendable(const struct plan *plan, size_t first, size_t end)
{
	for (size_t i = first; i < end; i++)
		if (!plan->wishes[i].met && plan->wishes[i].by_hand)
			return false;
	return true;
}

void report_count(const struct plan *plan, struct report_counts *ret_counts)
{
	size_t at = 0, first, end;

	*ret_counts = (struct report_counts){0};
	while (next_finding(plan, &at, &first, &end)) {
		if (plan->wishes[first].level == PLAN_MISTAKE)
			ret_counts->mistakes++;
		else
			ret_counts->warnings++;
		if (is_mendable(plan, first, end))
			ret_counts->mendable++;
	}
}

/* ---- check */

static void add_count(struct buf *out, size_t count, const char *what)
{
	buf_add_format(out, "%zu %s%s", count, what, count == 1 ? "" : "s");
}

static void add_summary(const struct plan *plan, struct buf *out)
{
	struct report_counts counts;

	report_count(plan, &counts);
	if (counts.mistakes + counts.warnings == 0) {
		buf_add(out, SLICE("Postfix and Reeve fit together.\n"));
		return;
	}
	add_count(out, counts.mistakes, "mistake");
	buf_add(out, SLICE(", "));
	add_count(out, counts.warnings, "warning");
	if (counts.mendable)
		buf_add_format(
			out, "; `reevectl postfix apply` mends %zu of them", counts.mendable);
	buf_add(out, SLICE("\n"));
}

void report_check(const struct plan *plan, const struct report_names *names, struct buf *out)
{
	size_t at = 0, first, end;

	while (next_finding(plan, &at, &first, &end)) {
		const struct wish *head = &plan->wishes[first];

		buf_add_format(out, "%s: %.*s [%s]\n",
			head->level == PLAN_MISTAKE ? "mistake" : "warning",
			SLICE_ARG(head->message), head->id);
		for (size_t i = first; i < end; i++)
			if (!plan->wishes[i].met)
				buf_add_format(out, "    %.*s\n",
					SLICE_ARG(
						report_line(plan->arena, names, &plan->wishes[i])));
	}
	add_summary(plan, out);
}

static const char *kind_text(enum plan_kind kind)
{
	switch (kind) {
	case PLAN_MAIN:
		return "main";
	case PLAN_SERVICE:
		return "service";
	case PLAN_MASTER:
		return "master";
	case PLAN_REEVE:
		return "reeve";
	case PLAN_COMMAND:
		return "command";
	case PLAN_NOTE:
		return "note";
	}
	return "";
}

static void add_finding_json(const struct plan *plan, const struct report_names *names,
	struct json *json, size_t first, size_t end)
{
	const struct wish *head = &plan->wishes[first];

	json_object(json, NULL);
	json_text(json, "id", head->id);
	json_text(json, "level", head->level == PLAN_MISTAKE ? "mistake" : "warning");
	json_slice(json, "message", head->message);
	json_slice(json, "about", head->service);
	json_bool(json, "by_hand", !is_mendable(plan, first, end));
	json_array(json, "mend");
	for (size_t i = first; i < end; i++) {
		if (plan->wishes[i].met)
			continue;
		json_object(json, NULL);
		json_text(json, "kind", kind_text(plan->wishes[i].kind));
		json_slice(json, "line", report_line(plan->arena, names, &plan->wishes[i]));
		json_end_object(json);
	}
	json_end_array(json);
	json_end_object(json);
}

void report_check_json(const struct plan *plan, const struct report_names *names, struct buf *out)
{
	struct report_counts counts;
	size_t at = 0, first, end;
	struct json json;

	report_count(plan, &counts);
	json_init(&json, out);
	json_object(&json, NULL);
	json_bool(&json, "ok", counts.mistakes == 0);
	json_slice(&json, "postfix", plan->model->version_text);
	json_u64(&json, "mistakes", counts.mistakes);
	json_u64(&json, "warnings", counts.warnings);
	json_array(&json, "findings");
	while (next_finding(plan, &at, &first, &end))
		add_finding_json(plan, names, &json, first, end);
	json_end_array(&json);
	json_end_object(&json);
	buf_add_char(out, '\n');
}

/* ---- print */

static void add_setting(struct buf *out, const struct wish *wish, const char *indent)
{
	if (wish->why)
		buf_add_format(out, "%s# %s\n", indent, wish->why);
	if (!wish->met)
		buf_add_format(out, "%s# differs: %.*s\n", indent, SLICE_ARG(wish->message));
	if (wish->kind == PLAN_MAIN)
		buf_add_format(out, "%.*s = %.*s\n", SLICE_ARG(wish->name), SLICE_ARG(wish->value));
	else if (text_has_blank(wish->value))
		buf_add_format(out, "  -o { %.*s = %.*s }\n", SLICE_ARG(wish->name),
			SLICE_ARG(wish->value));
	else
		buf_add_format(
			out, "  -o %.*s=%.*s\n", SLICE_ARG(wish->name), SLICE_ARG(wish->value));
}

static bool is_a_proposal(const struct wish *wish)
{
	return !wish->by_hand;
}

static void print_main(const struct plan *plan, struct buf *out)
{
	buf_add(out, SLICE("\n# main.cf\n\n"));
	for (size_t i = 0; i < plan->count; i++)
		if (plan->wishes[i].kind == PLAN_MAIN && is_a_proposal(&plan->wishes[i]))
			add_setting(out, &plan->wishes[i], "");
}

static size_t print_options(const struct plan *plan, struct slice service, struct buf *out)
{
	size_t count = 0;

	for (size_t i = 0; i < plan->count; i++) {
		const struct wish *wish = &plan->wishes[i];

		if (wish->kind != PLAN_SERVICE || !is_a_proposal(wish) ||
			!slice_equal(wish->service, service))
			continue;
		add_setting(out, wish, "  ");
		count++;
	}
	return count;
}

static void print_services(const struct plan *plan, struct buf *out)
{
	buf_add(out, SLICE("\n# master.cf\n"));
	for (size_t i = 0; i < plan->services.count; i++) {
		const struct service *service = &plan->services.items[i];

		buf_add_format(out, "\n# %.*s %s\n%.*s %.*s %.*s smtpd\n",
			SLICE_ARG(service->at->id), service_kind_text(service->kind),
			SLICE_ARG(service->at->name), SLICE_ARG(service->at->type),
			SLICE_ARG(service->at->columns));
		if (print_options(plan, service->at->id, out) == 0)
			buf_add(out, SLICE("  # main.cf holds\n"));
	}
	for (size_t i = 0; i < plan->count; i++) {
		const struct wish *wish = &plan->wishes[i];

		if (wish->kind != PLAN_MASTER)
			continue;
		buf_add_format(out, "\n%.*s\n", SLICE_ARG(wish->value));
		(void)print_options(plan, wish->service, out);
	}
}

static void print_reeve(const struct plan *plan, const struct report_names *names, struct buf *out)
{
	buf_add_format(out, "\n# %s: what must agree with Postfix\n", names->file);
	for (size_t i = 0; i < plan->count; i++) {
		const struct wish *wish = &plan->wishes[i];

		if (wish->kind == PLAN_REEVE)
			buf_add_format(out, "# %s%.*s: %.*s\n",
				wish->met ? "" : "differs: ", SLICE_ARG(wish->name),
				SLICE_ARG(wish->value));
	}
}

static void print_by_hand(
	const struct plan *plan, const struct report_names *names, struct buf *out)
{
	bool any = false;

	for (size_t i = 0; i < plan->count; i++) {
		const struct wish *wish = &plan->wishes[i];

		if (wish->met || !wish->by_hand)
			continue;
		if (!any)
			buf_add(out, SLICE("\n# By hand:\n"));
		any = true;
		buf_add_format(out, "# %.*s\n#   %.*s\n", SLICE_ARG(wish->message),
			SLICE_ARG(report_line(plan->arena, names, wish)));
	}
}

void report_print(const struct plan *plan, const struct report_names *names, struct buf *out)
{
	buf_add_format(
		out, "# Postfix %.*s, for %s\n", SLICE_ARG(plan->model->version_text), names->file);
	print_main(plan, out);
	print_services(plan, out);
	print_reeve(plan, names, out);
	print_by_hand(plan, names, out);
}

static void add_services_json(const struct plan *plan, struct json *json)
{
	json_array(json, "services");
	for (size_t i = 0; i < plan->services.count; i++) {
		static const char *const kinds[] = {"mx", "submission", "reinjection"};

		json_object(json, NULL);
		json_slice(json, "service", plan->services.items[i].at->id);
		json_text(json, "kind", kinds[plan->services.items[i].kind]);
		json_end_object(json);
	}
	json_end_array(json);
}

void report_print_json(const struct plan *plan, struct buf *out)
{
	struct json json;

	json_init(&json, out);
	json_object(&json, NULL);
	json_slice(&json, "postfix", plan->model->version_text);
	add_services_json(plan, &json);
	json_array(&json, "settings");
	for (size_t i = 0; i < plan->count; i++) {
		const struct wish *wish = &plan->wishes[i];

		if (wish->kind == PLAN_NOTE || wish->kind == PLAN_COMMAND || wish->by_hand)
			continue;
		json_object(&json, NULL);
		json_text(&json, "id", wish->id);
		json_text(&json, "kind", kind_text(wish->kind));
		json_slice(&json, "service", wish->service);
		json_slice(&json, "name", wish->name);
		json_slice(&json, "value", wish->value);
		json_bool(&json, "met", wish->met);
		json_end_object(&json);
	}
	json_end_array(&json);
	json_end_object(&json);
	buf_add_char(out, '\n');
}
