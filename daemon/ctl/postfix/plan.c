/* SPDX-License-Identifier: ISC */
/*
 * The list of wishes, and the two usual kinds of them.
 */
#include "daemon/ctl/postfix/plan.h"

#include <stdarg.h>
#include <stdio.h>

#define FIRST_ROOM 64

struct slice plan_text(const struct plan *plan, const char *format, ...)
{
	char memory[4096];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(memory, sizeof(memory), format, args);
	va_end(args);
	if (len < 0)
		return SLICE_EMPTY;
	return arena_dup(plan->arena,
		slice_make(
			memory, (size_t)len < sizeof(memory) ? (size_t)len : sizeof(memory) - 1));
}

struct wish *plan_add(struct plan *plan, const struct wish *wish)
{
	if (plan->count == plan->room) {
		size_t room = plan->room ? plan->room * 2 : FIRST_ROOM;
		struct wish *wishes = arena_alloc(plan->arena, room * sizeof(*wishes));

		if (plan->count)
			memcpy(wishes, plan->wishes, plan->count * sizeof(*wishes));
		plan->wishes = wishes;
		plan->room = room;
	}
	plan->wishes[plan->count] = *wish;
	return &plan->wishes[plan->count++];
}

void plan_judge(struct wish *wish, bool met, struct slice message)
{
	wish->met = met;
	wish->message = met ? SLICE_EMPTY : message;
}

struct wish *plan_main(
	struct plan *plan, const char *id, const char *name, struct slice value, const char *why)
{
	struct slice now = slice_trim(model_raw(plan->model, NULL, name));
	struct wish *wish = plan_add(plan, &(struct wish){.id = id,
						   .kind = PLAN_MAIN,
						   .name = slice_of(name),
						   .value = value,
						   .why = why});

	plan_judge(wish, slice_equal(now, value),
		now.len ? plan_text(plan, "%s is '%.*s'", name, SLICE_ARG(slice_first(now, 200)))
			: plan_text(plan, "%s is not set", name));
	return wish;
}

/* "reeve_submission_inet_smtpd_recipient_restrictions" */
static struct slice name_in_main(const struct plan *plan, struct slice service, const char *name)
{
	const char *prefix = slice_starts_with(service, SLICE("reeve")) ? "" : "reeve_";
	struct slice text = plan_text(plan, "%s%.*s_%s", prefix, SLICE_ARG(service), name);
	char *memory = arena_alloc(plan->arena, text.len);

	for (size_t i = 0; i < text.len; i++) {
		char byte = text.data[i];
		bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
			     (byte >= '0' && byte <= '9');

		memory[i] = plain ? byte : '_';
	}
	return slice_make(memory, text.len);
}

struct wish *plan_service(struct plan *plan, const char *id, const struct model_service *service,
	struct slice id_of_service, const char *name, struct slice value, const char *why)
{
	bool is_there = service && model_origin(plan->model, service, name) == MODEL_SERVICE;
	struct slice now = is_there ? model_raw(plan->model, service, name) : SLICE_EMPTY;
	struct slice wanted = text_squeeze(plan->arena, value), support = SLICE_EMPTY;
	size_t at = plan->count;
	struct wish *wish;

	if (text_has_blank(wanted)) {
		support = name_in_main(plan, id_of_service, name);
		wanted = plan_text(plan, "$%.*s", SLICE_ARG(support));
	}
	wish = plan_add(plan, &(struct wish){.id = id,
				      .kind = PLAN_SERVICE,
				      .service = id_of_service,
				      .name = slice_of(name),
				      .value = wanted,
				      .why = why});
	plan_judge(wish, is_there && slice_equal(text_squeeze(plan->arena, now), wanted),
		is_there ? plan_text(plan, "%.*s: %s is '%.*s'", SLICE_ARG(id_of_service), name,
				   SLICE_ARG(slice_first(now, 200)))
			 : plan_text(plan, "%.*s: %s is not set", SLICE_ARG(id_of_service), name));
	if (support.len) {
		wish = plan_main(plan, id, text_terminated(plan->arena, support), value,
			"postconf -P takes no value with blanks");
		wish->follows = true;
	}
	return &plan->wishes[at];
}

void plan_by_hand(struct plan *plan, struct wish *wish)
{
	size_t at = (size_t)(wish - plan->wishes);

	wish->by_hand = true;
	while (++at < plan->count && plan->wishes[at].follows)
		plan->wishes[at].by_hand = true;
}

void plan_note(struct plan *plan, const char *id, enum plan_level level, struct slice about,
	struct slice message, struct slice todo)
{
	plan_add(plan, &(struct wish){.id = id,
			       .level = level,
			       .kind = PLAN_NOTE,
			       .service = about,
			       .value = todo,
			       .by_hand = true,
			       .message = message});
}

void plan_make(struct arena *arena, const struct model *model, const struct want *want,
	const struct probe *probe, const struct text_list *domains, struct plan *ret_plan)
{
	struct plan *plan = ret_plan;
	struct slice now = model_value(model, NULL, "reeve_socket");

	*plan = (struct plan){.model = model, .want = want, .probe = probe, .arena = arena};
	for (size_t i = 0; i < want->sockets.count; i++)
		text_add_new(arena, &plan->sockets, want->sockets.items[i]);
	/* What is called $reeve is meant for Reeve, even where the address is wrong. */
	if (now.len)
		text_add_new(arena, &plan->sockets, now);
	plan->domains = *domains;
	plan->reeve.sockets = &plan->sockets;
	services_read(model, &plan->reeve, &plan->services);
	plan_calls(plan);
	plan_lists(plan);
	plan_relay(plan);
	plan_hiding(plan);
	plan_extras(plan);
	plan_log(plan);
	plan_recipients(plan);
}
