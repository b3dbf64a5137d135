/* SPDX-License-Identifier: ISC */
/*
 * How Reeve is asked: at which socket, for how long, and what a mail gets while it does not answer.
 */
#include "common/units.h"
#include "daemon/ctl/postfix/plan.h"

#define MAX_TIMEOUT_S \
	30 /* Postfix tries twice: more than a minute for each recipient of a dead Reeve */
#define SUBMISSION_ACTION "451 4.3.0 Service is temporarily unavailable, try again later"

bool plan_seconds(struct slice text, uint64_t *ret_seconds)
{
	static const char units[] = "smhdw";
	static const uint64_t factors[] = {1, 60, 3600, 86400, 604800};
	uint64_t number, factor = 1;
	const char *unit;

	text = slice_trim(text);
	unit = text.len ? strchr(units, text.data[text.len - 1]) : NULL;
	if (unit && *unit) {
		factor = factors[unit - units];
		text.len--;
	}
	if (units_parse_u64(text, &number) || number > UINT64_MAX / factor)
		return false;
	*ret_seconds = number * factor;
	return true;
}

static struct slice attribute(const struct plan *plan, const struct model_service *service,
	struct slice given, const char *name)
{
	return given.len ? given : model_value(plan->model, service, name);
}

static bool is_temporary(struct slice action)
{
	if (action.len >= 3 && action.data[0] == '4' && action.data[1] >= '0' &&
		action.data[1] <= '9' && action.data[2] >= '0' && action.data[2] <= '9')
		return action.len > 3 && action.data[3] == ' ';
	return slice_equal_fold(slice_first(action, 5), SLICE("defer"));
}

/* NULL: good. */
static const char *action_fault(
	const struct plan *plan, enum service_kind kind, struct slice action)
{
	bool dunno = slice_equal_fold(slice_first(action, 5), SLICE("dunno"));
	bool temporary = is_temporary(action);

	if (!dunno && !temporary)
		return "while Reeve does not answer, mail is refused for good or let through unchecked";
	if (kind == SERVICE_SUBMISSION && dunno && plan->want->enforce && plan->want->has_limits)
		return "while Reeve does not answer, every login may send without being counted";
	if (kind == SERVICE_MX && temporary)
		return "while Reeve does not answer, all mail from outside is turned away";
	return NULL;
}

static const char *socket_fault(const struct model_service *service, struct slice server)
{
	if (service && service->chroot && slice_starts_with(server, SLICE("unix:/")))
		return "the service is chrooted: an absolute path leads nowhere there";
	return NULL;
}

const char *plan_call_fault(const struct plan *plan, const struct model_service *service,
	enum service_kind kind, const struct restrict_call *call, const char **ret_id)
{
	struct slice timeout =
		attribute(plan, service, call->timeout, "smtpd_policy_service_timeout");
	struct slice tries =
		attribute(plan, service, call->try_limit, "smtpd_policy_service_try_limit");
	struct slice action = attribute(
		plan, service, call->default_action, "smtpd_policy_service_default_action");
	uint64_t seconds = 0, number = 0;
	const char *why;

	*ret_id = "socket-chroot";
	why = socket_fault(service, call->server);
	if (why)
		return why;
	*ret_id = "socket";
	if (!text_holds(&plan->want->sockets, call->server))
		return "Reeve does not listen there";
	*ret_id = "timeout";
	if (!plan_seconds(timeout, &seconds) || seconds > MAX_TIMEOUT_S)
		return "the time-out is so long that a dead Reeve holds up each recipient for minutes";
	if (seconds * 1000 <= plan->want->config->deadline_ms)
		return "the time-out is shorter than Reeve's deadline: Postfix leaves before the answer comes";
	*ret_id = "try-limit";
	if (!units_parse_u64(tries, &number) && number < 2)
		return "try_limit=1: after one failure Postfix keeps the dead connection for the rest of the session";
	*ret_id = "default-action";
	return action_fault(plan, kind, action);
}

/* What `$reeve` is now, as a call; false: it is no call to Reeve. */
static bool present_call(const struct plan *plan, const struct model_service *service,
	struct restrict_list *ret_list)
{
	restrict_read(plan->model, service, "reeve", &plan->reeve, ret_list);
	return ret_list->count == 1 && ret_list->items[0].kind == RESTRICT_REEVE;
}

static void wish_socket(struct plan *plan)
{
	struct slice now = model_value(plan->model, NULL, "reeve_socket");
	const char *fault = NULL, *id = "socket";
	struct wish *wish;

	for (size_t i = 0; i < plan->services.count && !fault; i++)
		fault = socket_fault(plan->services.items[i].at, now);
	if (fault)
		id = "socket-chroot";
	else if (now.len && !text_holds(&plan->want->sockets, now))
		fault = "Reeve does not listen there";
	wish = plan_main(plan, id, "reeve_socket", plan->want->socket, "where Reeve listens");
	if (now.len == 0 && !wish->met)
		wish->message = SLICE("main.cf does not say where Reeve is");
	if (now.len && !fault)
		wish->met = true;
	else if (now.len)
		wish->message = plan_text(plan, "reeve_socket is %.*s: %s", SLICE_ARG(now), fault);
	if (wish->met)
		wish->value = now.len ? model_raw(plan->model, NULL, "reeve_socket") : wish->value;
	if (slice_starts_with(plan->want->socket, SLICE("unix:/")))
		for (size_t i = 0; i < plan->services.count; i++)
			if (plan->services.items[i].at->chroot) {
				plan_note(plan, "socket-chroot", PLAN_MISTAKE,
					plan->services.items[i].at->id,
					plan_text(plan,
						"%.*s is chrooted and cannot reach any socket on which Reeve listens",
						SLICE_ARG(plan->services.items[i].at->id)),
					plan_text(plan,
						"listen: [{ address: \"unix:%.*s/reeve/policy.sock\", "
						"mode: \"0660\", owner: reeve, group: postfix }]",
						SLICE_ARG(model_value(
							plan->model, NULL, "queue_directory"))));
				break;
			}
}

/* What is wrong with `$reeve` itself, as the first service that takes mail sees it. */
static const char *fault_of_reeve(const struct plan *plan, const char **ret_id)
{
	struct restrict_list list = {0};
	const char *fault;

	*ret_id = "not-asked";
	if (!present_call(plan, NULL, &list))
		return "is no call to Reeve";
	fault = plan_call_fault(plan, NULL, SERVICE_MX, &list.items[0].call, ret_id);
	/* The address and what to do meanwhile are names of their own. */
	if (fault && (strcmp(*ret_id, "socket") == 0 || strcmp(*ret_id, "socket-chroot") == 0 ||
			     strcmp(*ret_id, "default-action") == 0))
		fault = NULL;
	return fault;
}

static void wish_call(struct plan *plan)
{
	struct slice value = plan_text(plan,
		"check_policy_service { $reeve_socket, timeout=%us, { default_action = $reeve_default_action } }",
		plan->want->timeout_s);
	struct slice now = model_raw(plan->model, NULL, "reeve");
	const char *id, *fault = fault_of_reeve(plan, &id);
	bool tries_in_main = fault && strcmp(id, "try-limit") == 0;
	struct wish *wish = plan_main(plan, fault ? id : "not-asked", "reeve", value,
		"the same text everywhere gives one connection for each smtpd process");

	wish->follows = now.len == 0;
	if (now.len && (!fault || tries_in_main) &&
		memmem(now.data, now.len, "try_limit", 9) == NULL) {
		wish->met = true;
		wish->value = now;
	} else if (now.len) {
		plan_judge(wish, !fault, plan_text(plan, "$reeve: %s", fault ? fault : ""));
		if (wish->met)
			wish->value = now;
	}
	if (tries_in_main && wish->met) {
		wish = plan_main(
			plan, "try-limit", "smtpd_policy_service_try_limit", SLICE("2"), NULL);
		wish->message = plan_text(plan, "$reeve: %s", fault);
	}
}

static void wish_default_action(struct plan *plan)
{
	struct slice now = model_value(plan->model, NULL, "reeve_default_action");
	struct wish *wish = plan_main(plan, "default-action", "reeve_default_action",
		SLICE("DUNNO"), "mail from outside passes while Reeve does not answer");

	wish->follows = now.len == 0;
	if (now.len && !wish->met) {
		const char *fault = action_fault(plan, SERVICE_MX, now);

		plan_judge(wish, !fault,
			plan_text(plan, "reeve_default_action is '%.*s': %s", SLICE_ARG(now),
				fault ? fault : ""));
		if (wish->met)
			wish->value = now;
	}
}

static void wish_action_for_submission(struct plan *plan)
{
	struct wish *wish = plan_main(plan, "default-action", "reeve_submission_default_action",
		SLICE(SUBMISSION_ACTION), "a login that cannot be counted comes back later");

	wish->follows = true;
}

/* Submission is told to come back: no login shall send without being counted. */
static void wish_submission_action(struct plan *plan, const struct service *service, bool *told)
{
	static const char name[] = "reeve_default_action";
	struct slice now = model_value(plan->model, service->at, name);
	bool own = model_origin(plan->model, service->at, name) == MODEL_SERVICE;
	struct slice raw = own ? model_raw(plan->model, service->at, name) : SLICE_EMPTY;
	const char *fault = action_fault(plan, SERVICE_SUBMISSION, now.len ? now : SLICE("DUNNO"));
	struct slice value = SLICE("$reeve_submission_default_action");
	struct wish *wish;

	if (!own && !fault)
		return; /* nothing to count, or monitored only */
	if (own && !fault)
		value = raw;
	wish = plan_service(
		plan, "default-action", service->at, service->at->id, name, value, NULL);
	if (own && !fault)
		wish->met = true;
	else
		wish->message = plan_text(plan, "%.*s: %s", SLICE_ARG(service->at->id), fault);
	if (slice_is(value, "$reeve_submission_default_action") && !*told) {
		wish_action_for_submission(plan);
		*told = true;
	}
}

static struct slice folder_of(struct slice path)
{
	struct slice folder, name;

	return slice_split_last(path, '/', &folder, &name) ? folder : path;
}

/* Can smtpd, which runs as `mail_owner` with its group only, reach the socket? */
static void wish_access(struct plan *plan)
{
	struct slice path = plan->want->socket_path, where = SLICE_EMPTY;
	struct slice owner = model_value(plan->model, NULL, "mail_owner");
	struct wish wish = {
		.id = "socket-access", .kind = PLAN_COMMAND, .by_hand = true, .service = path};
	enum probe_access access;

	if (path.len == 0)
		return;
	access = plan->probe->reach(plan->probe->context, plan->arena, path, owner, &where);
	if (access == PROBE_NO_FOLDER) {
		wish.value = plan_text(plan, "install -d -o reeve -g %.*s -m 0750 %.*s",
			SLICE_ARG(owner), SLICE_ARG(text_quote(plan->arena, folder_of(path))));
		wish.message = plan_text(plan, "%.*s: the folder is missing", SLICE_ARG(path));
	} else if (access == PROBE_MISSING) {
		wish.value = SLICE("systemctl start reeved");
		wish.message =
			plan_text(plan, "%.*s: no socket there; does Reeve run?", SLICE_ARG(path));
	} else if (access == PROBE_CLOSED && slice_equal(where, path)) {
		wish.value = plan_text(plan, "chgrp %.*s %.*s && chmod g+rw %.*s", SLICE_ARG(owner),
			SLICE_ARG(text_quote(plan->arena, where)),
			SLICE_ARG(text_quote(plan->arena, where)));
		wish.message = plan_text(plan,
			"user %.*s may not write to %.*s; in reeve.yaml `listen` takes mode and group",
			SLICE_ARG(owner), SLICE_ARG(where));
	} else if (access == PROBE_CLOSED) {
		wish.value = plan_text(plan, "chgrp %.*s %.*s && chmod g+x %.*s", SLICE_ARG(owner),
			SLICE_ARG(text_quote(plan->arena, where)),
			SLICE_ARG(text_quote(plan->arena, where)));
		wish.message = plan_text(plan, "user %.*s may not enter %.*s, so nobody asks Reeve",
			SLICE_ARG(owner), SLICE_ARG(where));
	} else {
		return;
	}
	plan_add(plan, &wish);
}

void plan_calls(struct plan *plan)
{
	bool told = false;

	if (plan->model->version && plan->model->version < MODEL_VERSION(3, 7))
		plan_note(plan, "version", PLAN_MISTAKE, SLICE_EMPTY,
			plan_text(plan,
				"Postfix %.*s is older than 3.7: some of these lines need a newer one",
				SLICE_ARG(plan->model->version_text)),
			SLICE("upgrade Postfix"));
	wish_socket(plan);
	wish_access(plan);
	wish_default_action(plan);
	wish_call(plan);
	for (size_t i = 0; i < plan->services.count; i++)
		if (plan->services.items[i].kind == SERVICE_SUBMISSION)
			wish_submission_action(plan, &plan->services.items[i], &told);
}
