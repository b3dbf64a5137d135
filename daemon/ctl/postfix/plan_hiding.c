/* SPDX-License-Identifier: ISC */
/*
 * Client addresses in Received lines. From 3.10 on smtpd(8) leaves them out by itself (smtpd_hide_client_session);
 * before, the services that hide get a cleanup(8) of their own with a header check for the line that this host has just
 * written. Whether a check works, and whether one touches lines that others wrote, is tried on sample lines.
 */
#include "daemon/ctl/postfix/plan.h"

#define HIDE "reeve-hide"
#define CHECKS "reeve_hide_checks"
#define MAX_DEPTH 5 /* names in names */
#define SAMPLE_ADDRESS "198.51.100.77"
#define SAMPLE_HELO "laptop-of-nobody.invalid"

/* Options of a cleanup service that its copy does not take over as they are. */
static bool is_ours(struct slice name)
{
	return slice_is(name, "header_checks") || slice_is(name, "nested_header_checks");
}

static struct slice own_line(const struct plan *plan, const struct model_service *at)
{
	return plan_text(plan,
		"Received: from " SAMPLE_HELO " (unknown [" SAMPLE_ADDRESS "])\n"
		"\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)\n"
		"\t (No client certificate requested))\n"
		"\t(Authenticated sender: nobody)\n"
		"\tby %.*s (%.*s) with ESMTPSA id 4XyZ12bcD3z4Q\n"
		"\tfor <someone@example.net>; Tue, 24 Nov 2026 08:00:00 +0000 (UTC)",
		SLICE_ARG(model_value(plan->model, at, "myhostname")),
		SLICE_ARG(model_value(plan->model, at, "mail_name")));
}

/* What the maps make of a header: the first that says anything counts. */
static enum probe_answer ask_checks(const struct plan *plan, struct slice maps, struct slice header,
	struct slice *ret_map, struct slice *ret)
{
	struct slice map;

	while (text_item(&maps, &map)) {
		enum probe_answer answer =
			plan->probe->look_up(plan->probe->context, plan->arena, map, header, ret);

		if (answer != PROBE_NOT_FOUND) {
			*ret_map = map;
			return answer;
		}
	}
	return PROBE_NOT_FOUND;
}

static bool is_action(struct slice result, const char *action)
{
	size_t len = strlen(action);

	return slice_equal_fold(slice_first(result, len), slice_of(action)) &&
	       (result.len == len || result.data[len] == ' ' || result.data[len] == '\t');
}

static bool changes_line(struct slice result)
{
	return is_action(result, "IGNORE") || is_action(result, "REPLACE") ||
	       is_action(result, "STRIP");
}

static bool holds_text(struct slice text, const char *part)
{
	return memmem(text.data, text.len, part, strlen(part)) != NULL;
}

/* ---- foreign lines */

/* As other servers write them: plain, after a login, and not by Postfix. */
static const char *const foreign_lines[] = {
	("Received: from mail.example.net (mail.example.net [198.51.100.77])\n"
	"\tby mx.other.invalid (Postfix) with ESMTPS id 4Q1w2E3r4T5y6U\n"
	"\tfor <someone@example.org>; Tue, 24 Nov 2026 08:00:00 +0000 (UTC)"),
	("Received: from [192.168.0.7] (unknown [198.51.100.77])\n"
	"\t(Authenticated sender: somebody)\n"
	"\tby mail.other.invalid (Postfix) with ESMTPSA id 4Q1w2E3r4T5y6V\n"
	"\tfor <someone@example.org>; Tue, 24 Nov 2026 08:00:00 +0000 (UTC)"),
	("Received: from a.other.invalid ([198.51.100.77]) by b.other.invalid with esmtps (Exim 4.98)\n"
	"\tid 1tEabc-000000001aB-0abc; Tue, 24 Nov 2026 08:00:00 +0000"),
};

/* The list as it is written, without one map; a name that holds it is replaced by what it stands for. */
static void add_without(const struct plan *plan, const struct model_service *at, struct slice list,
	struct slice gone, unsigned depth, struct text_list *out)
{
	struct slice item;

	while (text_item(&list, &item)) {
		struct slice all = model_expand(plan->model, at, item);

		if (slice_equal(all, gone))
			continue;
		if (item.data[0] == '$' && memmem(all.data, all.len, gone.data, gone.len) &&
			depth < MAX_DEPTH)
			add_without(plan, at, model_raw_slice(plan->model, at, slice_from(item, 1)),
				gone, depth + 1, out);
		else
			text_add(plan->arena, out, item);
	}
}

static struct slice without(const struct plan *plan, const struct model_service *at,
	const char *name, struct slice gone)
{
	struct text_list out = {0};

	add_without(plan, at, model_raw(plan->model, at, name), gone, 0, &out);
	return text_join(plan->arena, &out, " ");
}

static void look_at_checks(struct plan *plan, const struct model_service *at, const char *name)
{
	struct slice maps = model_value(plan->model, at, name), map = SLICE_EMPTY,
		     result = SLICE_EMPTY;
	bool own = model_origin(plan->model, at, name) == MODEL_SERVICE;

	for (size_t i = 0; i < sizeof(foreign_lines) / sizeof(foreign_lines[0]); i++) {
		struct slice message, rest;
		struct wish *wish;

		if (ask_checks(plan, maps, slice_of(foreign_lines[i]), &map, &result) !=
				PROBE_FOUND ||
			!changes_line(result))
			continue;
		rest = without(plan, at, name, map);
		message = plan_text(plan,
			"%s has %.*s, which also changes Received lines that other servers wrote (%.*s); "
			"take it out, or anchor it on 'by %.*s'",
			name, SLICE_ARG(slice_first(map, 100)), SLICE_ARG(slice_first(result, 60)),
			SLICE_ARG(model_value(plan->model, at, "myhostname")));
		wish = own ? plan_service(plan, "foreign-received", at, at->id, name, rest, NULL)
			   : plan_main(plan, "foreign-received", name, rest, NULL);
		plan_by_hand(plan, wish);
		plan_judge(wish, false, message);
		return;
	}
}

static void look_at_foreign(struct plan *plan)
{
	look_at_checks(plan, NULL, "header_checks");
	for (size_t i = 0; i < plan->model->service_count; i++) {
		const struct model_service *at = &plan->model->services[i];

		/* What ours has besides is a copy of the first one's. */
		if (slice_is(at->program, "cleanup") && !slice_starts_with(at->name, SLICE(HIDE)) &&
			model_origin(plan->model, at, "header_checks") == MODEL_SERVICE)
			look_at_checks(plan, at, "header_checks");
	}
}

/* ---- hiding */

/* The regular expression is that of both regexp: and pcre:. The EHLO name cannot hold a parenthesis, and the greedy
 * `.*` takes the last "by": what stands in front of it goes, whatever it was. */
static struct slice hide_checks(const struct plan *plan, const struct text_list *hosts)
{
	struct text_list names = {0};
	struct slice mail_name = model_value(plan->model, NULL, "mail_name");

	for (size_t i = 0; i < hosts->count; i++)
		text_add(plan->arena, &names, text_regexp(plan->arena, hosts->items[i]));
	return plan_text(plan,
		"regexp:{ { /^Received: from .*[[:space:]]by (%.*s) \\(%.*s\\) with ([A-Z0-9]+) id "
		"([0-9A-Za-z]+)(.*)$$/ REPLACE Received: by $$1 (%.*s) with $$2 id $$3$$4 } }",
		SLICE_ARG(text_join(plan->arena, &names, "|")),
		SLICE_ARG(text_regexp(plan->arena, mail_name)), SLICE_ARG(mail_name));
}

/* The cleanup that the service has, or had before it got ours. */
static const struct model_service *base_cleanup(
	const struct plan *plan, const struct service *service)
{
	struct slice name = model_value(plan->model, service->at, "cleanup_service_name");

	if (slice_is(name, HIDE))
		name = SLICE("cleanup");
	else if (slice_starts_with(name, SLICE(HIDE "-")))
		name = slice_from(name, strlen(HIDE "-"));
	return model_find(plan->model, plan_text(plan, "%.*s/unix", SLICE_ARG(name)));
}

static struct slice hide_name(const struct plan *plan, const struct model_service *base)
{
	return slice_is(base->name, "cleanup")
		       ? SLICE(HIDE)
		       : plan_text(plan, HIDE "-%.*s", SLICE_ARG(base->name));
}

static bool is_wanted(const struct plan *plan, const struct service *service)
{
	const struct config_strings *names = &plan->want->config->postfix.hide_clients;

	for (size_t i = 0; i < names->count; i++)
		if (service->kind != SERVICE_REINJECTION &&
			service_is_named(service, names->items[i]))
			return true;
	return false;
}

static struct wish *wish_copied(struct plan *plan, const struct model_service *at, struct slice id,
	const char *name, struct slice value)
{
	struct wish *wish = plan_service(plan, "client-shown", at, id, name, value, NULL);

	wish->follows = true;
	return wish;
}

/* The second cleanup: as the first one, with the check in front of all others. Checks of attached messages are left
 * as they were: their Received lines are not this message's. */
static void wish_cleanup(struct plan *plan, const struct model_service *base)
{
	struct slice name = hide_name(plan, base);
	struct slice id = plan_text(plan, "%.*s/unix", SLICE_ARG(name));
	const struct model_service *at = model_find(plan->model, id);
	struct slice checks = model_raw(plan->model, base, "header_checks");
	struct slice nested = model_raw(plan->model, base, "nested_header_checks");
	struct wish *wish =
		plan_add(plan, &(struct wish){.id = "client-shown",
				       .kind = PLAN_MASTER,
				       .service = id,
				       .name = name,
				       .value = plan_text(plan, "%.*s unix %.*s cleanup",
					       SLICE_ARG(name), SLICE_ARG(base->columns))});

	plan_judge(wish,
		at && slice_is(at->program, "cleanup") && slice_equal(at->columns, base->columns),
		plan_text(plan, "%.*s is not there", SLICE_ARG(id)));
	wish->follows = true;
	wish_copied(plan, at, id, "header_checks",
		checks.len ? plan_text(plan, "$" CHECKS " %.*s", SLICE_ARG(checks))
			   : SLICE("$" CHECKS));
	wish_copied(plan, at, id, "nested_header_checks",
		slice_is(nested, "$header_checks") ? checks : nested);
	for (size_t i = 0; i < base->setting_count; i++)
		if (!is_ours(base->settings[i].name))
			wish_copied(plan, at, id,
				text_terminated(plan->arena, base->settings[i].name),
				base->settings[i].value);
}

/* Does a client still show, as far as lookups tell? */
static bool still_shows(const struct plan *plan, const struct service *service)
{
	struct slice name = model_value(plan->model, service->at, "cleanup_service_name");
	const struct model_service *cleanup =
		model_find(plan->model, plan_text(plan, "%.*s/unix", SLICE_ARG(name)));
	struct slice map, result = SLICE_EMPTY;
	enum probe_answer answer;

	if (!cleanup)
		return true;
	answer = ask_checks(plan, model_value(plan->model, cleanup, "header_checks"),
		own_line(plan, service->at), &map, &result);
	if (answer == PROBE_FAILED)
		return false; /* cannot be tried: the letters of the settings decide */
	return answer == PROBE_NOT_FOUND || !changes_line(result) ||
	       holds_text(result, SAMPLE_ADDRESS) || holds_text(result, SAMPLE_HELO);
}

static struct slice shown(const struct plan *plan, const struct service *service)
{
	return plan_text(plan,
		"%.*s still shows the client's address and EHLO name in the Received line",
		SLICE_ARG(service->at->id));
}

/* Header checks that are switched off hide nothing. */
static void wish_checks_on(struct plan *plan, const struct service *service)
{
	static const char name[] = "receive_override_options";
	struct slice now = model_value(plan->model, service->at, name),
		     off = SLICE("no_header_body_checks");
	struct slice rest = without(plan, service->at, name, off);
	bool own = model_origin(plan->model, service->at, name) == MODEL_SERVICE;
	struct wish *wish;

	if (!holds_text(now, "no_header_body_checks"))
		return;
	wish = own ? plan_service(
			     plan, "client-shown", service->at, service->at->id, name, rest, NULL)
		   : plan_main(plan, "client-shown", name, rest, NULL);
	plan_judge(wish, false,
		plan_text(plan,
			"%.*s: no_header_body_checks also switches off the check that hides clients",
			SLICE_ARG(service->at->id)));
}

static void hide_by_check(struct plan *plan, const struct service *service)
{
	const struct model_service *base = base_cleanup(plan, service);
	struct wish *wish;

	if (!base) {
		plan_note(plan, "client-shown", PLAN_MISTAKE, service->at->id,
			plan_text(plan, "%.*s: cleanup_service_name names no service of master.cf",
				SLICE_ARG(service->at->id)),
			SLICE("postconf -M shows what there is"));
		return;
	}
	wish_checks_on(plan, service);
	wish = plan_service(plan, "client-shown", service->at, service->at->id,
		"cleanup_service_name", hide_name(plan, base),
		"a cleanup with a check for the line of this host");
	if (!wish->met)
		wish->message = shown(plan, service);
}

/* A header check of the operator's own may hide clients as well. */
static bool hides_already(const struct plan *plan, const struct service *service)
{
	struct slice name = model_value(plan->model, service->at, "cleanup_service_name");

	return !slice_starts_with(name, SLICE(HIDE)) && !still_shows(plan, service) &&
	       model_find(plan->model, plan_text(plan, "%.*s/unix", SLICE_ARG(name))) &&
	       model_value(plan->model,
		       model_find(plan->model, plan_text(plan, "%.*s/unix", SLICE_ARG(name))),
		       "header_checks")
		       .len;
}

/* One cleanup for each that the hiding services use. */
static void wish_cleanups(struct plan *plan, const struct text_list *hosts)
{
	const struct service *shows = NULL;
	struct text_list bases = {0};

	for (size_t i = 0; i < plan->services.count; i++) {
		const struct model_service *base = base_cleanup(plan, &plan->services.items[i]);

		if (base && is_wanted(plan, &plan->services.items[i]) &&
			!hides_already(plan, &plan->services.items[i])) {
			text_add_new(plan->arena, &bases, base->id);
			if (!shows && still_shows(plan, &plan->services.items[i]))
				shows = &plan->services.items[i];
		}
	}
	if (bases.count) {
		struct wish *wish =
			plan_main(plan, "client-shown", CHECKS, hide_checks(plan, hosts),
				"anchored on this host's own line: foreign Received lines stay");

		wish->follows = true;
		if (!wish->met && shows)
			wish->message = shown(plan, shows);
	}
	for (size_t i = 0; i < bases.count; i++)
		wish_cleanup(plan, model_find(plan->model, bases.items[i]));
}

static void hide_by_option(struct plan *plan, const struct service *service)
{
	struct wish *wish = plan_service(plan, "client-shown", service->at, service->at->id,
		"smtpd_hide_client_session", SLICE("yes"), NULL);

	if (model_is_yes(plan->model, service->at, "smtpd_hide_client_session"))
		wish->met = true;
	if (!wish->met)
		wish->message = shown(plan, service);
}

/* Where some logins are hidden, others are easily forgotten. */
static void warn_forgotten(struct plan *plan, const struct service *service)
{
	if (plan->want->config->postfix.hide_clients.count == 0 ||
		service->kind != SERVICE_SUBMISSION || is_wanted(plan, service))
		return;
	plan_note(plan, "client-shown", PLAN_WARNING, service->at->id,
		plan_text(plan, "%.*s takes mail from logins too, and shows their addresses",
			SLICE_ARG(service->at->id)),
		plan_text(plan, "postfix: hide_clients: add %.*s", SLICE_ARG(service->at->name)));
}

static void warn_unknown(struct plan *plan, struct slice name)
{
	for (size_t i = 0; i < plan->services.count; i++)
		if (service_is_named(&plan->services.items[i], name))
			return;
	plan_note(plan, "hide-unknown", PLAN_WARNING, name,
		plan_text(plan,
			"postfix.hide_clients names '%.*s', which is no service of master.cf",
			SLICE_ARG(name)),
		SLICE("postconf -M shows what there is"));
}

void plan_hiding(struct plan *plan)
{
	const struct config_strings *names = &plan->want->config->postfix.hide_clients;
	bool by_option = plan->model->version >= MODEL_VERSION(3, 10);
	struct text_list hosts = {0};
	bool by_check = false;

	for (size_t i = 0; i < plan->services.count; i++) {
		const struct service *service = &plan->services.items[i];

		warn_forgotten(plan, service);
		if (!is_wanted(plan, service) || hides_already(plan, service))
			continue;
		if (by_option) {
			hide_by_option(plan, service);
			continue;
		}
		text_add_new(
			plan->arena, &hosts, model_value(plan->model, service->at, "myhostname"));
		hide_by_check(plan, service);
		by_check = true;
	}
	if (by_check)
		wish_cleanups(plan, &hosts);
	for (size_t i = 0; i < names->count; i++)
		warn_unknown(plan, names->items[i]);
	look_at_foreign(plan);
}
