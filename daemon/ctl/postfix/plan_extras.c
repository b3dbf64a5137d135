/* SPDX-License-Identifier: ISC */
/*
 * What Postfix does by itself for Reeve's rules: the greeting, its own limits, EHLO names before AUTH, address
 * literals, names of clients.
 */
#include "daemon/ctl/postfix/plan.h"

#include "common/buf.h"

#define FILTER "smtpd_command_filter"
#define REFUSED \
	"Refused: EHLO" /* looks like a header: smtpd(8) says good-bye to who sends one as a command */
#define MAX_FILTER_BYTES 8000

/* ---- banner */

static void wish_banner(struct plan *plan)
{
	struct slice banner = plan->want->banner;
	struct slice first = model_expand(plan->model, NULL, banner);
	struct slice now = model_raw(plan->model, NULL, "smtpd_banner");
	struct wish *wish = plan_main(plan, "banner", "smtpd_banner", banner, NULL);

	if (!wish->met && now.len)
		wish->message = plan_text(plan, "smtpd_banner is '%.*s', and postfix.banner '%.*s'",
			SLICE_ARG(slice_first(now, 200)), SLICE_ARG(banner));
	if (plan->want->banner_has_time)
		plan_note(plan, "banner-time", PLAN_WARNING, SLICE_EMPTY,
			SLICE("postfix.banner: %TIME% is left out, as Postfix makes its greeting once for each process"),
			SLICE("take %TIME% out of postfix.banner"));
	if (!slice_starts_with(first, model_value(plan->model, NULL, "myhostname")))
		plan_note(plan, "banner-name", PLAN_WARNING, SLICE_EMPTY,
			SLICE("postfix.banner does not begin with $myhostname, as RFC 5321 wants it"),
			SLICE("postfix: banner: \"$myhostname ESMTP\""));
}

/* ---- limits of Postfix's own */

static void wish_recipient_limit(struct plan *plan)
{
	static const char name[] = "smtpd_recipient_limit";
	uint64_t wanted = plan->want->max_recipients, number;
	struct wish *wish;

	if (wanted == 0)
		return;
	wish = plan_main(plan, "recipient-limit", name,
		plan_text(plan, "%llu", (unsigned long long)wanted),
		"with the limit of the `recipients` rules: the surplus is then no error to Postfix");
	if (model_number(plan->model, NULL, name, &number) && number < wanted)
		wish->message = plan_text(plan,
			"%s=%llu: Postfix refuses recipients that Reeve would take (%llu)", name,
			(unsigned long long)number, (unsigned long long)wanted);
	else
		wish->message = plan_text(plan,
			"%s is above what Reeve takes for one message (%llu): its refusals count as errors of the client",
			name, (unsigned long long)wanted);
	for (size_t i = 0; i < plan->services.count; i++) {
		const struct model_service *at = plan->services.items[i].at;

		if (plan->services.items[i].kind == SERVICE_REINJECTION ||
			model_origin(plan->model, at, name) != MODEL_SERVICE ||
			!model_number(plan->model, at, name, &number) || number >= wanted)
			continue;
		wish = plan_service(plan, "recipient-limit", at, at->id, name,
			plan_text(plan, "%llu", (unsigned long long)wanted), NULL);
		wish->level = PLAN_WARNING;
		wish->by_hand = true;
		plan_judge(wish, false,
			plan_text(plan,
				"%.*s: %s=%llu is below what Reeve takes for one message (%llu)",
				SLICE_ARG(at->id), name, (unsigned long long)number,
				(unsigned long long)wanted));
	}
}

static void wish_error_limit(struct plan *plan)
{
	static const char name[] = "smtpd_hard_error_limit";
	uint64_t wanted = plan->want->hard_errors, number;
	struct wish *wish;

	if (wanted == 0)
		return;
	wish = plan_main(plan, "error-limit", name,
		plan_text(plan, "${stress?{1}:{%llu}}", (unsigned long long)wanted),
		"bans.disconnect_at");
	if (model_number(plan->model, NULL, name, &number) && number == wanted) {
		wish->met = true;
		wish->value = model_raw(plan->model, NULL, name);
	}
}

/* ---- EHLO names */

/* A glob as a regular expression. false: it has bytes that do not belong in one. */
static bool add_pattern(struct buf *out, struct slice name)
{
	if (name.len && name.data[0] == '.') {
		buf_add(out, SLICE(".+\\."));
		name = slice_from(name, 1);
	}
	if (name.len && name.data[name.len - 1] == '.')
		name.len--;
	for (size_t i = 0; i < name.len; i++) {
		char byte = name.data[i];

		if (byte == '*')
			buf_add(out, SLICE("[^ ]*"));
		else if (byte == '?')
			buf_add(out, SLICE("[^ ]"));
		else if (byte == '.' || byte == '[' || byte == ']')
			buf_add_format(out, "\\%c", byte);
		else if ((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
			 (byte >= '0' && byte <= '9') || byte == '-' || byte == '_' || byte == ':')
			buf_add_char(out, byte);
		else
			return false;
	}
	return name.len > 0;
}

/* Does the glob match? Case folded; for a handful of names of this host. */
static bool glob_matches(struct slice glob, struct slice text)
{
	size_t star = SIZE_MAX, mark = 0, g = 0, t = 0;

	while (t < text.len) {
		if (g < glob.len && glob.data[g] == '*') {
			star = g++;
			mark = t;
		} else if (g < glob.len &&
			   (glob.data[g] == '?' ||
				   slice_equal_fold(slice_first(slice_from(glob, g), 1),
					   slice_first(slice_from(text, t), 1)))) {
			g++;
			t++;
		} else if (star != SIZE_MAX) {
			g = star + 1;
			t = ++mark;
		} else {
			return false;
		}
	}
	while (g < glob.len && glob.data[g] == '*')
		g++;
	return g == glob.len;
}

/* The filter knows no networks: programs on this host greet with such names, and they are exempt from the rule. */
static bool is_own_name(const struct plan *plan, struct slice name)
{
	static const char *const usual[] = {
		"localhost", "localhost.localdomain", "[127.0.0.1]", "[IPv6:::1]"};
	struct slice host = model_value(plan->model, NULL, "myhostname");
	struct slice glob =
		name.len && name.data[0] == '.' ? plan_text(plan, "*%.*s", SLICE_ARG(name)) : name;

	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		if (glob_matches(glob, slice_of(usual[i])))
			return true;
	return glob_matches(glob, host);
}

/* All names of one sign as alternatives; false: none. */
static bool add_names(
	const struct plan *plan, struct buf *out, bool negated, struct text_list *skipped)
{
	size_t count = 0;

	for (size_t i = 0; i < plan->want->helo_names.count; i++) {
		struct slice name = plan->want->helo_names.items[i];
		bool is_negated = name.len && name.data[0] == '!';
		size_t before = out->len;

		if (is_negated != negated)
			continue;
		name = slice_trim(slice_from(name, is_negated));
		if (!negated && is_own_name(plan, name)) {
			text_add(plan->arena, skipped, name);
			continue;
		}
		if (count)
			buf_add_char(out, '|');
		if (add_pattern(out, name) && out->len < MAX_FILTER_BYTES) {
			count++;
			continue;
		}
		out->len = before;
		text_add(plan->arena, skipped, name);
	}
	return count > 0;
}

/* Empty: there is no name that Postfix can be told. */
static struct slice filter_value(const struct plan *plan, struct text_list *skipped)
{
	const char *type = model_has_map_type(plan->model, "pcre") ? "pcre" : "regexp";
	struct slice value = SLICE_EMPTY;
	struct buf names, spared;

	buf_init(&names, TEXT_MAX_BYTES);
	buf_init(&spared, TEXT_MAX_BYTES);
	if (add_names(plan, &names, false, skipped)) {
		if (add_names(plan, &spared, true, skipped))
			value = text_format(plan->arena,
				"%s:{ {/^((HELO|EHLO)[[:space:]]+(%.*s)\\.?[[:space:]]*)$$/ $$1} "
				"{/^(HELO|EHLO)[[:space:]]+(%.*s)\\.?[[:space:]]*$$/ " REFUSED
				" $$2} }",
				type, SLICE_ARG(buf_slice(&spared)), SLICE_ARG(buf_slice(&names)));
		else
			value = text_format(plan->arena,
				"%s:{ {/^(HELO|EHLO)[[:space:]]+(%.*s)\\.?[[:space:]]*$$/ " REFUSED
				" $$2} }",
				type, SLICE_ARG(buf_slice(&names)));
	}
	buf_release(&names);
	buf_release(&spared);
	return value;
}

static void warn_skipped(struct plan *plan, const struct text_list *skipped)
{
	if (skipped->count)
		plan_note(plan, "ehlo-names", PLAN_WARNING, SLICE_EMPTY,
			plan_text(plan,
				"EHLO names that only Reeve refuses, at RCPT, because local programs may use them or "
				"Postfix cannot be told: %.*s",
				SLICE_ARG(text_join(plan->arena, skipped, ", "))),
			SLICE("nothing, if RCPT is early enough"));
}

static void wish_filter(struct plan *plan)
{
	struct slice now = model_raw(plan->model, NULL, FILTER);
	struct text_list skipped = {0};
	struct slice value = filter_value(plan, &skipped);
	bool ours = now.len == 0 || memmem(now.data, now.len, REFUSED, strlen(REFUSED)) != NULL;
	struct wish *wish;

	for (size_t i = 0; i < plan->want->helo_skipped.count; i++)
		text_add(plan->arena, &skipped,
			plan_text(plan, "those of rule %.*s",
				SLICE_ARG(plan->want->helo_skipped.items[i])));
	warn_skipped(plan, &skipped);
	if (!ours && value.len) {
		plan_note(plan, "ehlo-filter", PLAN_WARNING, SLICE_EMPTY,
			plan_text(plan,
				FILTER
				" is in use already (%.*s): EHLO names are refused at RCPT only",
				SLICE_ARG(slice_first(now, 100))),
			plan_text(plan, "add to your map: %.*s", SLICE_ARG(value)));
		return;
	}
	if (!ours || (value.len == 0 && now.len == 0))
		return;
	wish = plan_main(plan, "ehlo-filter", FILTER, value,
		"drops clients with such EHLO names at once, before AUTH, on every port");
	if (!wish->met)
		wish->message =
			value.len == 0
				? SLICE(FILTER
					  " refuses EHLO names that reeve.yaml does not (or not any more)")
			: now.len
				? SLICE(FILTER " refuses other EHLO names than reeve.yaml")
				: SLICE("EHLO names are refused only at RCPT, not at once: " FILTER
					" is not set");
}

/* ---- address literals */

static bool is_in_list(const struct plan *plan, const char *name, const struct ip *ip)
{
	struct slice rest = model_value(plan->model, NULL, name), item;
	struct ip there;

	while (text_item(&rest, &item)) {
		if (item.len > 2 && item.data[0] == '[' && item.data[item.len - 1] == ']')
			item = slice_make(item.data + 1, item.len - 2);
		if (ip_parse(item, &there) && ip_equal(&there, ip))
			return true;
	}
	return false;
}

static bool is_on_interface(const struct plan *plan, const struct ip *ip)
{
	struct slice all = model_value(plan->model, NULL, "inet_interfaces");

	if (!slice_equal_fold(all, SLICE("all")))
		return false;
	for (size_t i = 0; i < plan->probe->own_count; i++)
		if (ip_equal(&plan->probe->own[i], ip))
			return true;
	return false;
}

static void wish_proxy(struct plan *plan)
{
	struct slice now = model_raw(plan->model, NULL, "proxy_interfaces");
	struct text_list items = {0}, missing = {0};
	struct wish *wish;

	if (now.len)
		text_add(plan->arena, &items, now);
	for (size_t i = 0; i < plan->want->literal_count; i++) {
		const struct ip *ip = &plan->want->literals[i];
		char memory[IP_TEXT_BYTES];
		struct slice text;

		if (is_in_list(plan, "inet_interfaces", ip) ||
			is_in_list(plan, "proxy_interfaces", ip) || is_on_interface(plan, ip))
			continue;
		text = plan_text(plan, "%.*s", SLICE_ARG(ip_format(ip, memory)));
		text_add(plan->arena, &items, text);
		text_add(plan->arena, &missing, text);
	}
	if (items.count == 0)
		return;
	wish = plan_main(plan, "literals", "proxy_interfaces", text_join(plan->arena, &items, ", "),
		"addresses whose literals are ours");
	if (!wish->met)
		wish->message =
			plan_text(plan, "Postfix refuses mail to literals of %.*s as a relay",
				SLICE_ARG(text_join(plan->arena, &missing, ", ")));
}

/* "192\.0\.2\.1|IPv6:2001:db8::1" */
static struct slice literal_names(const struct plan *plan)
{
	struct text_list names = {0};

	for (size_t i = 0; i < plan->want->literal_count; i++) {
		char memory[IP_TEXT_BYTES];
		struct slice text = ip_format(&plan->want->literals[i], memory);

		text_add(plan->arena, &names,
			ip_is_v4(&plan->want->literals[i])
				? text_regexp(plan->arena, text)
				: plan_text(plan, "IPv6:%.*s", SLICE_ARG(text)));
	}
	return text_join(plan->arena, &names, "|");
}

static struct slice maps_of_users(const struct plan *plan, struct slice alias)
{
	struct slice rest = model_raw(plan->model, NULL, "virtual_alias_maps"), item;
	struct text_list maps = {0};

	while (text_item(&rest, &item))
		if (!slice_equal(item, alias) && model_expand(plan->model, NULL, item).len)
			text_add(plan->arena, &maps, item);
	if (model_value(plan->model, NULL, "virtual_mailbox_maps").len)
		text_add(plan->arena, &maps, SLICE("$virtual_mailbox_maps"));
	return text_join(plan->arena, &maps, " ");
}

/* Users of local(8) have their bare name there already. Those of virtual domains get theirs at the origin: only where
 * that is a known address, so that nothing is taken that will bounce. */
static void wish_alias(struct plan *plan)
{
	static const char name[] = "reeve_literals";
	struct slice alias = SLICE("$reeve_literals");
	struct slice maps = maps_of_users(plan, alias),
		     now = model_raw(plan->model, NULL, "virtual_alias_maps");
	struct slice value;
	struct wish *wish;

	if (model_expand(plan->model, NULL, now).len == 0)
		now = SLICE_EMPTY;
	if (maps.len == 0)
		return;
	value = text_format(plan->arena,
		"pipemap:{regexp:{{/^(.+)@\\[(%.*s)\\]$$/ $$1@%.*s}},unionmap:{regexp:{{/^(.*)$$/ $$1}},%.*s},"
		"regexp:{{/^([^,]+),/ $$1}}}",
		SLICE_ARG(literal_names(plan)), SLICE_ARG(plan->want->config->site.origin),
		SLICE_ARG(text_squeeze(plan->arena, maps)));
	wish = plan_main(plan, "literals", name, value,
		"user@[literal] is the user at the origin, if there is one");
	if (!wish->met)
		wish->message =
			SLICE("Postfix does not know users of virtual domains at address literals");
	wish = plan_main(plan, "literals", "virtual_alias_maps",
		memmem(now.data, now.len, alias.data, alias.len) ? now
		: now.len ? plan_text(plan, "%.*s, $reeve_literals", SLICE_ARG(now))
			  : alias,
		NULL);
	if (!wish->met)
		wish->message = SLICE("virtual_alias_maps lacks $reeve_literals");
	wish->follows = true;
}

/* ---- names of clients */

static void wish_names(struct plan *plan)
{
	static const char name[] = "smtpd_peername_lookup";
	bool told = false;

	for (size_t i = 0; i < plan->services.count; i++) {
		const struct service *service = &plan->services.items[i];
		bool own = model_origin(plan->model, service->at, name) == MODEL_SERVICE;
		struct wish *wish;

		if (service->kind != SERVICE_MX ||
			!slice_is(model_value(plan->model, service->at, name), "no") ||
			(!own && told))
			continue;
		wish = own ? plan_service(plan, "peername", service->at, service->at->id, name,
				     SLICE("yes"), NULL)
			   : plan_main(plan, "peername", name, SLICE("yes"), NULL);
		wish->by_hand = true;
		wish->message = plan_text(plan,
			"%.*s tells no names of clients, so the ptr rule asks DNS about every one of them",
			SLICE_ARG(service->at->id));
		told |= !own;
	}
}

void plan_extras(struct plan *plan)
{
	wish_banner(plan);
	wish_recipient_limit(plan);
	wish_error_limit(plan);
	wish_filter(plan);
	if (plan->want->has_literals && plan->want->literal_count) {
		wish_proxy(plan);
		wish_alias(plan);
	}
	if (plan->want->has_ptr)
		wish_names(plan);
}
