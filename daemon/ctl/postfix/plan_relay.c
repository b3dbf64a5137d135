/* SPDX-License-Identifier: ISC */
/*
 * Relay control is Postfix's own: it has to stand in smtpd_relay_restrictions, be asked first, and hold.
 */
#include "daemon/ctl/postfix/plan.h"

#define SAFE "permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination"
#define RELAY "smtpd_relay_restrictions"
#define ORDER "smtpd_relay_before_recipient_restrictions"

/* A service without relay list of its own has everything in the recipient list: there is no order then. */
static bool order_matters(const struct plan *plan, const struct service *service)
{
	return model_value(plan->model, service->at, RELAY).len > 0;
}

static void wish_order(struct plan *plan, const struct service *service, bool *told)
{
	bool own = model_origin(plan->model, service->at, ORDER) == MODEL_SERVICE;
	struct wish *wish;

	if (!slice_is(model_value(plan->model, service->at, ORDER), "no") ||
		!order_matters(plan, service) || (!own && *told))
		return;
	if (own)
		wish = plan_service(plan, "relay-order", service->at, service->at->id, ORDER,
			SLICE("yes"), NULL);
	else
		wish = plan_main(plan, "relay-order", ORDER, SLICE("yes"), NULL);
	wish->message = plan_text(plan,
		"%.*s asks Reeve about recipients before relay control has refused what is not ours",
		SLICE_ARG(service->at->id));
	*told |= !own;
}

static enum restrict_guard guard_of(const struct plan *plan, const struct model_service *at,
	const char *name, const struct restriction **ret_before)
{
	struct restrict_list list = {0};

	restrict_read(plan->model, at, name, &plan->reeve, &list);
	return restrict_guard(&list, ret_before);
}

static void wish_closed(struct plan *plan, const struct service *service)
{
	const struct restriction *at_relay, *at_recipient, *before;
	enum restrict_guard relay = guard_of(plan, service->at, RELAY, &at_relay);
	enum restrict_guard recipient =
		guard_of(plan, service->at, "smtpd_recipient_restrictions", &at_recipient);
	enum restrict_guard best = relay < recipient ? relay : recipient;
	bool own = model_origin(plan->model, service->at, RELAY) == MODEL_SERVICE;
	struct slice message;
	struct wish *wish;

	if (best == RESTRICT_GUARDED || service->kind == SERVICE_REINJECTION)
		return;
	before = relay == best && at_relay ? at_relay : at_recipient ? at_recipient : at_relay;
	if (best == RESTRICT_OPEN && !before)
		message = plan_text(plan, "%.*s is an open relay: nothing refuses mail for others",
			SLICE_ARG(service->at->id));
	else
		message = plan_text(plan,
			"%.*s %s: '%.*s' stands before what refuses mail for others",
			SLICE_ARG(service->at->id),
			best == RESTRICT_OPEN ? "is an open relay" : "may be an open relay",
			SLICE_ARG(before->word));
	if (own)
		wish = plan_service(
			plan, "open-relay", service->at, service->at->id, RELAY, SLICE(SAFE), NULL);
	else
		wish = plan_main(plan, "open-relay", RELAY, SLICE(SAFE), NULL);
	wish->level = best == RESTRICT_OPEN ? PLAN_MISTAKE : PLAN_WARNING;
	wish->by_hand = true;
	wish->message = message;
	wish->met = false;
}

/* permit_mynetworks lets through whom mynetworks names. */
static void look_at_networks(struct plan *plan)
{
	struct slice rest = model_value(plan->model, NULL, "mynetworks"), item;

	while (text_item(&rest, &item)) {
		if (!slice_is(item, "0.0.0.0/0") && !slice_is(item, "[::]/0") &&
			!slice_is(item, "::/0"))
			continue;
		plan_add(plan, &(struct wish){.id = "open-relay",
				       .kind = PLAN_MAIN,
				       .name = SLICE("mynetworks"),
				       .value = SLICE("127.0.0.0/8 [::1]/128"),
				       .by_hand = true,
				       .message = plan_text(plan,
					       "mynetworks holds %.*s: everybody may relay",
					       SLICE_ARG(item))});
		return;
	}
}

void plan_relay(struct plan *plan)
{
	bool told = false;

	for (size_t i = 0; i < plan->services.count; i++) {
		wish_order(plan, &plan->services.items[i], &told);
		wish_closed(plan, &plan->services.items[i]);
	}
	look_at_networks(plan);
}
