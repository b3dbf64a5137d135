/* SPDX-License-Identifier: ISC */
/*
 * Which restriction list asks Reeve. main.cf's lists hold for every service that does not override them with `-o`;
 * the others need a line of their own. What a content filter hands back has been asked about on its way in.
 */
#include "daemon/ctl/postfix/plan.h"

#define CATCHALLS "$reeve_find_catchalls"

struct list_name {
	const char *name;
	const char *id; /* of a list that does not ask */
	bool is_recipient;
};

static const struct list_name lists[] = {
	{"smtpd_recipient_restrictions", "not-asked", true},
	{"smtpd_data_restrictions", "data-unwired", false},
	{"smtpd_end_of_data_restrictions", "end-unwired", false},
};

#define LIST_COUNT (sizeof(lists) / sizeof(lists[0]))

/* What one list, as one service sees it, has to do with Reeve. */
struct finding {
	enum restrict_reach reach;
	const struct restriction *before;
	const char *fault; /* of a call written out in the list itself */
	const char *fault_id;
	bool no_catchalls; /* the class for catchalls is missing */
};

static bool wants_catchalls(const struct plan *plan)
{
	return plan->want->has_catchall && plan->want->catchall_context.len &&
	       (model_value(plan->model, NULL, "virtual_alias_maps").len ||
		       model_value(plan->model, NULL, "virtual_mailbox_maps").len);
}

/* Is the call the one that `$reeve` stands for? Then its faults are $reeve's, see plan_calls.c. */
static bool is_dollar_reeve(const struct plan *plan, const struct model_service *service,
	const struct restrict_call *call)
{
	struct restrict_list list = {0};
	const struct restrict_call *ours;

	restrict_read(plan->model, service, "reeve", &plan->reeve, &list);
	if (list.count != 1 || list.items[0].kind != RESTRICT_REEVE)
		return false;
	ours = &list.items[0].call;
	return slice_equal(ours->server, call->server) &&
	       slice_equal(ours->timeout, call->timeout) &&
	       slice_equal(ours->try_limit, call->try_limit) &&
	       slice_equal(ours->default_action, call->default_action);
}

/* Lists of relay control come before the recipients', so a call there is as good. */
static bool asked_at_relay(const struct plan *plan, const struct model_service *service)
{
	const struct restriction *before;
	struct restrict_list list = {0};

	restrict_read(plan->model, service, "smtpd_relay_restrictions", &plan->reeve, &list);
	return restrict_reach(&list, &before) == RESTRICT_ASKED;
}

static struct finding look(const struct plan *plan, const struct model_service *service,
	enum service_kind kind, const struct list_name *list)
{
	struct finding found = {.reach = RESTRICT_NOT_ASKED};
	const struct restriction *call;
	struct restrict_list items = {0};

	restrict_read(plan->model, service, list->name, &plan->reeve, &items);
	found.reach = restrict_reach(&items, &found.before);
	call = restrict_call_of(&items);
	if (call && !is_dollar_reeve(plan, service, &call->call))
		found.fault = plan_call_fault(plan, service, kind, &call->call, &found.fault_id);
	if (list->is_recipient && found.reach != RESTRICT_ASKED && asked_at_relay(plan, service))
		found.reach = RESTRICT_ASKED;
	if (list->is_recipient && wants_catchalls(plan)) {
		struct slice text = model_raw(plan->model, service, list->name);

		found.no_catchalls = !memmem(text.data, text.len, CATCHALLS, strlen(CATCHALLS));
	}
	return found;
}

static bool is_good(const struct finding *found)
{
	return found->reach == RESTRICT_ASKED && !found->fault && !found->no_catchalls;
}

/* The list with Reeve in front. */
static struct slice mended(
	const struct plan *plan, const struct model_service *service, const struct list_name *list)
{
	struct text_list front = {0};

	text_add(plan->arena, &front, SLICE("$reeve"));
	if (list->is_recipient && wants_catchalls(plan))
		text_add(plan->arena, &front, SLICE(CATCHALLS));
	return restrict_with_reeve(plan->model, service, list->name, &plan->reeve, &front);
}

static const char *id_of(const struct plan *plan, const struct finding *found,
	const struct list_name *list, const struct service *service)
{
	if (found->fault && found->reach == RESTRICT_ASKED)
		return found->fault_id;
	switch (found->reach) {
	case RESTRICT_NEVER:
		return "never-runs";
	case RESTRICT_BEHIND:
		return "behind-permit";
	case RESTRICT_NOT_ASKED:
		if (!list->is_recipient || !service)
			return list->id;
		if (service->kind == SERVICE_SUBMISSION && plan->want->has_limits)
			return "limits-unasked";
		return "overridden";
	case RESTRICT_ASKED:
		break;
	}
	return "catchalls-unwired";
}

/* "smtp/inet", "smtp/inet and submission/inet", or "main.cf" where no service has the list from there. */
static struct slice whom(
	const struct plan *plan, const struct list_name *list, const struct service *service)
{
	struct text_list names = {0};

	if (service)
		return service->at->id;
	for (size_t i = 0; i < plan->services.count; i++) {
		const struct service *one = &plan->services.items[i];

		if (one->kind != SERVICE_REINJECTION &&
			model_origin(plan->model, one->at, list->name) != MODEL_SERVICE)
			text_add(plan->arena, &names, one->at->id);
	}
	if (names.count == 0)
		return SLICE("main.cf");
	return text_join(plan->arena, &names, ", ");
}

static struct slice message_of(const struct plan *plan, const struct finding *found,
	const struct list_name *list, const struct service *service)
{
	struct slice who = whom(plan, list, service);
	struct slice before = found->before ? found->before->word : SLICE_EMPTY;

	if (found->fault && found->reach == RESTRICT_ASKED)
		return plan_text(plan, "%.*s: %s: %s", SLICE_ARG(who), list->name, found->fault);
	switch (found->reach) {
	case RESTRICT_NEVER:
		return plan_text(plan, "%.*s: Reeve stands behind '%.*s' in %s and is never asked",
			SLICE_ARG(who), SLICE_ARG(before), list->name);
	case RESTRICT_BEHIND:
		return plan_text(plan,
			"%.*s: Reeve stands behind '%.*s' in %s and is not asked about what that lets through",
			SLICE_ARG(who), SLICE_ARG(before), list->name);
	case RESTRICT_NOT_ASKED:
		if (!list->is_recipient)
			return plan_text(plan,
				"%.*s: %s does not ask Reeve, so what Postfix refuses later stays counted",
				SLICE_ARG(who), list->name);
		if (service && service->kind == SERVICE_SUBMISSION && plan->want->has_limits)
			return plan_text(plan,
				"%.*s: its own %s hides main.cf's and does not ask Reeve: no login is ever counted",
				SLICE_ARG(who), list->name);
		if (service)
			return plan_text(plan,
				"%.*s: its own %s hides main.cf's and does not ask Reeve",
				SLICE_ARG(who), list->name);
		return plan_text(plan, "%.*s: %s does not ask Reeve", SLICE_ARG(who), list->name);
	case RESTRICT_ASKED:
		break;
	}
	return plan_text(
		plan, "%.*s: %s does not tell Reeve of catchalls", SLICE_ARG(who), list->name);
}

static enum plan_level level_of(
	const struct plan *plan, const struct finding *found, const struct list_name *list)
{
	if (!list->is_recipient && !plan->want->has_limits)
		return PLAN_WARNING;
	if (found->reach == RESTRICT_BEHIND && found->before->kind == RESTRICT_MAY_PERMIT)
		return PLAN_WARNING;
	return PLAN_MISTAKE;
}

static bool is_inherited(const struct plan *plan, const struct list_name *list)
{
	bool any = false;

	for (size_t i = 0; i < plan->services.count; i++) {
		const struct service *service = &plan->services.items[i];

		if (service->kind == SERVICE_REINJECTION)
			continue;
		any = true;
		if (model_origin(plan->model, service->at, list->name) != MODEL_SERVICE)
			return true;
	}
	return !any;
}

static void wish_main_list(struct plan *plan, const struct list_name *list)
{
	struct finding found = look(plan, NULL, SERVICE_MX, list);
	struct wish *wish;

	if (!is_inherited(plan, list))
		return;
	if (is_good(&found)) {
		wish = plan_main(
			plan, list->id, list->name, model_raw(plan->model, NULL, list->name), NULL);
		return;
	}
	wish = plan_main(
		plan, id_of(plan, &found, list, NULL), list->name, mended(plan, NULL, list), NULL);
	wish->level = level_of(plan, &found, list);
	wish->message = message_of(plan, &found, list, NULL);
}

static void wish_service_list(
	struct plan *plan, const struct service *service, const struct list_name *list)
{
	struct finding found = look(plan, service->at, service->kind, list);
	struct wish *wish;

	if (model_origin(plan->model, service->at, list->name) != MODEL_SERVICE)
		return;
	if (is_good(&found)) {
		plan_add(plan, &(struct wish){.id = list->id,
				       .kind = PLAN_SERVICE,
				       .service = service->at->id,
				       .name = slice_of(list->name),
				       .value = model_raw(plan->model, service->at, list->name),
				       .met = true});
		return;
	}
	wish = plan_service(plan, id_of(plan, &found, list, service), service->at, service->at->id,
		list->name, mended(plan, service->at, list), NULL);
	wish->level = level_of(plan, &found, list);
	wish->message = message_of(plan, &found, list, service);
}

/* Empty of Reeve, and said so on the service itself, as main.cf's lists ask. */
static void wish_reinjection(
	struct plan *plan, const struct service *service, const struct list_name *list)
{
	static const struct text_list nothing = {0};
	struct slice value =
		restrict_with_reeve(plan->model, service->at, list->name, &plan->reeve, &nothing);
	bool own = model_origin(plan->model, service->at, list->name) == MODEL_SERVICE;
	const struct restriction *before;
	struct restrict_list items = {0}, relay = {0};
	struct wish *wish;
	bool asks;

	restrict_read(plan->model, service->at, list->name, &plan->reeve, &items);
	asks = restrict_call_of(&items) != NULL;
	if (own && !asks)
		value = model_raw(plan->model, service->at, list->name);
	restrict_read(plan->model, service->at, "smtpd_relay_restrictions", &plan->reeve, &relay);
	if (list->is_recipient && value.len == 0 &&
		restrict_guard(&relay, &before) == RESTRICT_OPEN)
		value = SLICE("permit_mynetworks,reject"); /* smtpd(8) starts with no less */
	wish = plan_service(plan, "asked-twice", service->at, service->at->id, list->name, value,
		"has been asked about on its way in");
	if (!wish->met)
		wish->message = plan_text(plan,
			"%.*s takes mail back from a filter and %s Reeve again in %s",
			SLICE_ARG(service->at->id), asks ? "asks" : "would ask", list->name);
}

/* Rules with `early: yes` are asked at once, where no login can come later. */
static void wish_early(struct plan *plan, const struct service *service)
{
	static const char *const early[] = {"smtpd_client_restrictions", "smtpd_helo_restrictions"};
	struct wish *wish;

	for (size_t i = 0; i < sizeof(early) / sizeof(early[0]); i++) {
		const struct list_name list = {early[i], "early", false};
		struct finding found = look(plan, service->at, service->kind, &list);

		wish = plan_service(plan, "early", service->at, service->at->id, early[i],
			is_good(&found) ? model_raw(plan->model, service->at, early[i])
					: mended(plan, service->at, &list),
			"for rules with early: yes");
		if (is_good(&found) && !wish->met)
			wish->met = true; /* main.cf's own list asks */
		if (!wish->met)
			wish->message = plan_text(plan,
				"%.*s: %s does not ask Reeve, so `early: yes` is in vain",
				SLICE_ARG(service->at->id), early[i]);
	}
	wish = plan_service(plan, "early", service->at, service->at->id, "smtpd_delay_reject",
		SLICE("no"), NULL);
	if (slice_is(model_value(plan->model, service->at, "smtpd_delay_reject"), "no"))
		wish->met = true;
	if (!wish->met)
		wish->message =
			plan_text(plan, "%.*s asks nobody before RCPT, so `early: yes` is in vain",
				SLICE_ARG(service->at->id));
}

/* Who logs in later would be refused before that. */
static void wish_delay(struct plan *plan, const struct service *service)
{
	static const char *const early[] = {"smtpd_client_restrictions", "smtpd_helo_restrictions"};
	bool asks = false, own;
	struct wish *wish;

	if (!slice_is(model_value(plan->model, service->at, "smtpd_delay_reject"), "no"))
		return;
	for (size_t i = 0; i < sizeof(early) / sizeof(early[0]); i++) {
		struct restrict_list items = {0};

		restrict_read(plan->model, service->at, early[i], &plan->reeve, &items);
		asks |= restrict_call_of(&items) != NULL;
	}
	if (!asks)
		return;
	own = model_origin(plan->model, service->at, "smtpd_delay_reject") == MODEL_SERVICE;
	wish = own ? plan_service(plan, "asked-before-login", service->at, service->at->id,
			     "smtpd_delay_reject", SLICE("yes"), NULL)
		   : plan_main(
			     plan, "asked-before-login", "smtpd_delay_reject", SLICE("yes"), NULL);
	wish->message = plan_text(plan,
		"%.*s offers AUTH, yet Reeve is asked before anybody can have logged in",
		SLICE_ARG(service->at->id));
}

void plan_lists(struct plan *plan)
{
	bool settles = plan->want->settles;

	for (size_t n = 0; n < LIST_COUNT; n++)
		if (settles || lists[n].is_recipient)
			wish_main_list(plan, &lists[n]);
	for (size_t i = 0; i < plan->services.count; i++) {
		const struct service *service = &plan->services.items[i];

		for (size_t n = 0; n < LIST_COUNT; n++) {
			if (service->kind == SERVICE_REINJECTION)
				wish_reinjection(plan, service, &lists[n]);
			else if (settles || lists[n].is_recipient)
				wish_service_list(plan, service, &lists[n]);
		}
		if (service->has_auth)
			wish_delay(plan, service);
		else if (service->kind == SERVICE_MX && plan->want->has_early)
			wish_early(plan, service);
	}
}
