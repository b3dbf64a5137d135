/* SPDX-License-Identifier: ISC */
/*
 * Restriction lists, as smtpd(8) reads them: words separated by commas and blanks, some of which
 * take the next word as their argument.
 */
#include "daemon/ctl/postfix/restrict.h"

#define MAX_RESTRICTIONS 2000
#define MAX_DEPTH 10 /* classes in classes */
#define FIRST_ROOM 16

struct word_kind {
	const char *word;
	enum restrict_kind kind;
	bool takes_argument;
};

static const struct word_kind words[] = {
	{"permit", RESTRICT_PERMIT_ALL, false},
	{"permit_mynetworks", RESTRICT_PERMIT_SOME, false},
	{"permit_sasl_authenticated", RESTRICT_PERMIT_SOME, false},
	{"permit_inet_interfaces", RESTRICT_PERMIT_SOME, false},
	{"permit_tls_clientcerts", RESTRICT_PERMIT_SOME, false},
	{"permit_tls_all_clientcerts", RESTRICT_PERMIT_SOME, false},
	{"permit_naked_ip_address", RESTRICT_FORGEABLE, false},
	{"permit_auth_destination", RESTRICT_PERMIT_OWN, false},
	{"permit_mx_backup", RESTRICT_PERMIT_OWN, false},
	{"permit_dnswl_client", RESTRICT_MAY_PERMIT, true},
	{"permit_rhswl_client", RESTRICT_MAY_PERMIT, true},
	{"check_client_access", RESTRICT_MAY_PERMIT, true},
	{"check_reverse_client_hostname_access", RESTRICT_FORGEABLE, true},
	{"check_client_a_access", RESTRICT_MAY_PERMIT, true},
	{"check_client_mx_access", RESTRICT_MAY_PERMIT, true},
	{"check_client_ns_access", RESTRICT_MAY_PERMIT, true},
	{"check_ccert_access", RESTRICT_MAY_PERMIT, true},
	{"check_sasl_access", RESTRICT_MAY_PERMIT, true},
	{"check_recipient_access", RESTRICT_MAY_PERMIT, true},
	{"check_recipient_a_access", RESTRICT_MAY_PERMIT, true},
	{"check_recipient_mx_access", RESTRICT_MAY_PERMIT, true},
	{"check_recipient_ns_access", RESTRICT_MAY_PERMIT, true},
	{"check_sender_access", RESTRICT_FORGEABLE, true},
	{"check_sender_a_access", RESTRICT_FORGEABLE, true},
	{"check_sender_mx_access", RESTRICT_FORGEABLE, true},
	{"check_sender_ns_access", RESTRICT_FORGEABLE, true},
	{"check_helo_access", RESTRICT_FORGEABLE, true},
	{"check_helo_a_access", RESTRICT_FORGEABLE, true},
	{"check_helo_mx_access", RESTRICT_FORGEABLE, true},
	{"check_helo_ns_access", RESTRICT_FORGEABLE, true},
	{"check_etrn_access", RESTRICT_MAY_PERMIT, true},
	{"reject_unauth_destination", RESTRICT_REJECT_RELAY, false},
	{"defer_unauth_destination", RESTRICT_REJECT_RELAY, false},
	{"check_relay_domains", RESTRICT_REJECT_RELAY, false},
	{"reject", RESTRICT_REJECT_ALL, false},
	{"defer", RESTRICT_REJECT_ALL, false},
	{"reject_rbl_client", RESTRICT_OTHER, true},
	{"reject_rhsbl_client", RESTRICT_OTHER, true},
	{"reject_rhsbl_reverse_client", RESTRICT_OTHER, true},
	{"reject_rhsbl_helo", RESTRICT_OTHER, true},
	{"reject_rhsbl_sender", RESTRICT_OTHER, true},
	{"reject_rhsbl_recipient", RESTRICT_OTHER, true},
	{"sleep", RESTRICT_OTHER, true},
};

struct reading {
	const struct model *model;
	const struct model_service *service;
	const struct restrict_reeve *reeve;
	struct restrict_list *list;
};

static void add(const struct reading *to, const struct restriction *item)
{
	struct restrict_list *list = to->list;

	if (list->count >= MAX_RESTRICTIONS)
		return;
	if (list->count == list->room) {
		size_t room = list->room ? list->room * 2 : FIRST_ROOM;
		struct restriction *items = arena_alloc(to->model->arena, room * sizeof(*items));

		if (list->count)
			memcpy(items, list->items, list->count * sizeof(*items));
		list->items = items;
		list->room = room;
	}
	list->items[list->count++] = *item;
}

static void read_attribute(struct slice item, struct restrict_call *call)
{
	static const char prefix[] = "smtpd_policy_service_";
	struct slice name, value;

	if (!text_setting(text_unbrace(item), &name, &value))
		return;
	if (slice_starts_with(name, slice_of(prefix)))
		name = slice_from(name, strlen(prefix));
	if (slice_is(name, "timeout"))
		call->timeout = value;
	else if (slice_is(name, "try_limit"))
		call->try_limit = value;
	else if (slice_is(name, "default_action"))
		call->default_action = value;
	else if (slice_is(name, "policy_context"))
		call->context = value;
}

static struct restrict_call read_call(const struct restrict_reeve *reeve, struct slice argument)
{
	struct restrict_call call = {0};
	struct slice rest = text_unbrace(argument), item;

	if (text_item(&rest, &item))
		call.server = item;
	while (text_item(&rest, &item))
		read_attribute(item, &call);
	call.is_reeve = text_holds(reeve->sockets, call.server);
	return call;
}

static const struct word_kind *find_word(struct slice word)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (slice_equal_fold(word, slice_of(words[i].word)))
			return &words[i];
	return NULL;
}

static bool is_class(const struct reading *from, struct slice word)
{
	struct slice rest = model_value(from->model, from->service, "smtpd_restriction_classes");
	struct slice item;

	while (text_item(&rest, &item))
		if (slice_equal(item, word))
			return true;
	return false;
}

static void read_text(const struct reading *from, struct slice text, unsigned depth);

static void read_word(const struct reading *from, struct slice word, struct slice *rest,
	bool only_warns, unsigned depth)
{
	struct restriction item = {.kind = RESTRICT_OTHER, .word = word, .only_warns = only_warns};
	const struct word_kind *known = find_word(word);
	struct slice argument = SLICE_EMPTY;

	if (known) {
		item.kind = known->kind;
		if (known->takes_argument)
			(void)text_item(rest, &argument);
	} else if (slice_equal_fold(word, SLICE("check_policy_service"))) {
		(void)text_item(rest, &argument);
		item.call = read_call(from->reeve, argument);
		item.kind = item.call.is_reeve ? RESTRICT_REEVE : RESTRICT_FORGEABLE;
		item.word = item.call.server;
	} else if (is_class(from, word)) {
		if (depth < MAX_DEPTH)
			read_text(from,
				model_expand(from->model, from->service,
					model_raw_slice(from->model, from->service, word)),
				depth + 1);
		return;
	} else if (memchr(word.data, ':', word.len)) {
		item.kind = RESTRICT_MAY_PERMIT; /* a map by itself */
	}
	add(from, &item);
}

static void read_text(const struct reading *from, struct slice text, unsigned depth)
{
	bool only_warns = false;
	struct slice word;

	while (text_item(&text, &word)) {
		if (slice_equal_fold(word, SLICE("warn_if_reject"))) {
			only_warns = true;
			continue;
		}
		read_word(from, word, &text, only_warns, depth);
		only_warns = false;
	}
}

void restrict_read(const struct model *model, const struct model_service *service, const char *name,
	const struct restrict_reeve *reeve, struct restrict_list *ret_list)
{
	struct reading from = {model, service, reeve, ret_list};

	*ret_list = (struct restrict_list){0};
	read_text(&from, model_value(model, service, name), 0);
}

static bool ends_for_all(const struct restriction *item)
{
	return item->kind == RESTRICT_PERMIT_ALL ||
	       (item->kind == RESTRICT_REJECT_ALL && !item->only_warns);
}

static bool ends_for_some(const struct restriction *item)
{
	return item->kind == RESTRICT_PERMIT_SOME || item->kind == RESTRICT_PERMIT_OWN ||
	       item->kind == RESTRICT_MAY_PERMIT || item->kind == RESTRICT_FORGEABLE;
}

enum restrict_reach restrict_reach(
	const struct restrict_list *list, const struct restriction **ret_before)
{
	const struct restriction *some = NULL, *all = NULL;

	for (size_t i = 0; i < list->count; i++) {
		const struct restriction *item = &list->items[i];

		if (item->kind == RESTRICT_REEVE) {
			*ret_before = all ? all : some;
			return all ? RESTRICT_NEVER : some ? RESTRICT_BEHIND : RESTRICT_ASKED;
		}
		if (!some && ends_for_some(item))
			some = item;
		if (!all && ends_for_all(item))
			all = item;
	}
	*ret_before = NULL;
	return RESTRICT_NOT_ASKED;
}

const struct restriction *restrict_call_of(const struct restrict_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].kind == RESTRICT_REEVE)
			return &list->items[i];
	return NULL;
}

enum restrict_guard restrict_guard(
	const struct restrict_list *list, const struct restriction **ret_before)
{
	const struct restriction *maybe = NULL;

	*ret_before = NULL;
	for (size_t i = 0; i < list->count; i++) {
		const struct restriction *item = &list->items[i];

		if ((item->kind == RESTRICT_REJECT_ALL || item->kind == RESTRICT_REJECT_RELAY) &&
			!item->only_warns) {
			*ret_before = maybe;
			return maybe ? RESTRICT_MAYBE_OPEN : RESTRICT_GUARDED;
		}
		if (item->kind == RESTRICT_PERMIT_ALL) {
			*ret_before = item;
			return RESTRICT_OPEN;
		}
		if (item->kind == RESTRICT_FORGEABLE && !maybe)
			maybe = item;
	}
	return RESTRICT_OPEN;
}

bool restrict_is_closed(const struct restrict_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->items[i].kind == RESTRICT_PERMIT_ALL)
			return false;
		if (list->items[i].kind == RESTRICT_REJECT_ALL && !list->items[i].only_warns)
			return true;
	}
	return false;
}

bool restrict_has(const struct restrict_list *list, const char *word)
{
	for (size_t i = 0; i < list->count; i++)
		if (slice_equal_fold(list->items[i].word, slice_of(word)))
			return true;
	return false;
}

/* Does this word of the raw text (with its argument, if it is a policy call) mean Reeve and nothing else? */
static bool is_only_reeve(const struct model *model, const struct model_service *service,
	const struct restrict_reeve *reeve, struct slice text)
{
	struct restrict_list list = {0};
	struct reading from = {model, service, reeve, &list};

	read_text(&from, model_expand(model, service, text), 0);
	for (size_t i = 0; i < list.count; i++)
		if (list.items[i].kind != RESTRICT_REEVE)
			return false;
	return list.count > 0;
}

struct slice restrict_with_reeve(const struct model *model, const struct model_service *service,
	const char *name, const struct restrict_reeve *reeve, const struct text_list *front)
{
	struct slice rest = model_raw(model, service, name), word;
	struct arena *arena = model->arena;
	struct text_list out = {0};

	for (size_t i = 0; i < front->count; i++)
		text_add(arena, &out, front->items[i]);
	while (text_item(&rest, &word)) {
		const struct word_kind *known = find_word(word);
		struct slice argument = SLICE_EMPTY;

		if ((known && known->takes_argument) ||
			slice_equal_fold(word, SLICE("check_policy_service")) ||
			slice_equal_fold(word, SLICE("warn_if_reject")))
			(void)text_item(&rest, &argument);
		if (argument.len)
			word = text_format(
				arena, "%.*s %.*s", SLICE_ARG(word), SLICE_ARG(argument));
		if (!text_holds(front, word) && !is_only_reeve(model, service, reeve, word))
			text_add(arena, &out, word);
	}
	return text_join(arena, &out, ", ");
}
