/* SPDX-License-Identifier: ISC */
/*
 * check: catchall. Is a recipient in a local domain taken only because a map has `@domain`? The
 * maps are Postfix's own sources (virtual(5), aliases(5)), read with the configuration. As there,
 * the full address comes first, then the one without +extension, then `@domain`. A recipient that
 * stands nowhere is Postfix's business.
 *
 * An entry "context:NAME" stands for what Postfix finds out by itself, with maps of any kind: it
 * asks once more, with that policy_context, about a recipient that only a catchall takes
 * (`reevectl postfix` writes the lines for it).
 *
 * `@old @new` is no catchall but one domain under two names: the same local part is looked up
 * there. postmaster and abuse must be reachable (RFC 2142) and are never refused.
 *
 * A map that could not be read may hold any address: then only one that stands in another is known.
 */
#include "common/alloc.h"
#include "common/strmap.h"
#include "daemon/mail/idn.h"
#include "daemon/rules/table.h"

#define MAX_ALIASES 8           /* from domain to domain */
#define ARENA_BYTES 4096
#define CONTEXT "context:"

struct options {
	struct config_strings maps;
};

static const struct config_key keys[] = {
	{ .name = "maps", .type = CONFIG_TYPE_LINES, .offset = offsetof(struct options, maps),
	  .flags = CONFIG_MAY_LACK_FILES },
};

static const struct config_check check = {
	.name = "catchall",
	.keys = keys,
	.key_count = sizeof(keys) / sizeof(keys[0]),
	.options_bytes = sizeof(struct options),
};

static const struct rule_reply replies[] = {
	{ REPLY_REJECT, 550, "5.1.1", "{recipient}: no such user", false },
};

/* What stands behind `@domain`: another domain, or (empty) anything else. */
struct target {
	struct slice domain;
};

struct data {
	struct strmap *addresses;       /* folded local@domain; the value says only: it is there */
	struct strmap *domains;         /* domain -> struct target */
	bool incomplete;                /* a map could not be read */
	struct slice context;           /* empty: Postfix does not tell; points into the configuration */
	struct arena arena;
};

static void split_line(struct slice line, struct slice *ret_key, struct slice *ret_value)
{
	size_t len = 0;

	while (len < line.len && line.data[len] != ' ' && line.data[len] != '\t')
		len++;
	*ret_value = slice_trim(slice_from(line, len));
	line.len = len;
	/* aliases(5) */
	if (line.len && line.data[line.len - 1] == ':')
		line.len--;
	*ret_key = line;
}

/* `@new` and nothing else. */
static struct slice target_domain(struct data *data, struct slice value)
{
	struct slice domain = slice_from(value, 1);

	if (value.len < 2 || value.data[0] != '@')
		return SLICE_EMPTY;
	for (size_t i = 0; i < domain.len; i++)
		if (strchr("@, \t", domain.data[i]))
			return SLICE_EMPTY;
	if (!idn_domain(domain, &data->arena, &domain))
		return SLICE_EMPTY;
	return domain;
}

static void add_domain(struct data *data, struct slice domain, struct slice value)
{
	struct target *target;

	if (!idn_domain(domain, &data->arena, &domain) || strmap_get(data->domains, domain))
		return; /* no domain of ours; or the first of two lines, as in Postfix */
	target = arena_zalloc(&data->arena, sizeof(*target));
	target->domain = target_domain(data, value);
	strmap_set(data->domains, domain, target);
}

static bool is_word_byte(char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
	       (byte >= '0' && byte <= '9') || byte == '-' || byte == '_';
}

static void set_context(struct data *data, struct slice entry, struct config_pos pos,
			struct config_errors *errors)
{
	struct slice name = slice_from(entry, strlen(CONTEXT));

	for (size_t i = 0; i < name.len; i++)
		if (!is_word_byte(name.data[i]))
			name.len = 0;
	if (name.len == 0)
		config_error(errors, pos, "'maps' needs a word behind 'context:', like context:catchall");
	else if (data->context.len && !slice_equal(data->context, name))
		config_error(errors, pos, "'maps' has two contexts; one is enough");
	else
		data->context = name;
}

static void configure(struct rule *rule, const struct site *site, struct config_errors *errors)
{
	const struct options *options = rule->config->options;
	struct data *data = mem_zalloc(sizeof(*data));

	data->addresses = strmap_new();
	data->domains = strmap_new();
	arena_init(&data->arena, ARENA_BYTES);
	data->incomplete = options->maps.incomplete;
	rule->data = data;
	for (size_t i = 0; i < options->maps.count; i++) {
		struct slice key, value;
		struct mail_address address;

		if (slice_starts_with(options->maps.items[i], SLICE(CONTEXT))) {
			set_context(data, options->maps.items[i], options->maps.pos[i], errors);
			continue;
		}
		split_line(options->maps.items[i], &key, &value);
		if (key.len && key.data[0] == '@') {
			add_domain(data, slice_from(key, 1), value);
			continue;
		}
		if (key.len == 0)
			continue;
		mail_address_read(&address, key, site, &data->arena);
		if (address.folded.len)
			strmap_set(data->addresses, address.folded, data);
	}
}

static void release(void *pointer)
{
	struct data *data = pointer;

	strmap_free(&data->addresses);
	strmap_free(&data->domains);
	arena_release(&data->arena);
	free(data);
}

/* The local part of `address`, whose domain is known, at another domain. */
static struct slice at_domain(struct arena *arena, struct slice address, struct slice domain)
{
	struct slice local = address, old = SLICE_EMPTY;
	char *text;

	(void)slice_split_last(address, '@', &local, &old);
	text = arena_alloc(arena, local.len + 1 + domain.len);
	memcpy(text, local.data, local.len);
	text[local.len] = '@';
	memcpy(text + local.len + 1, domain.data, domain.len);
	return slice_make(text, local.len + 1 + domain.len);
}

enum found { FOUND, CAUGHT, NOWHERE };

static enum found look_up(const struct data *data, const struct request *request)
{
	struct slice full = request->recipient.folded, plain = request->recipient.subject;
	struct slice domain = request->recipient.domain;

	for (unsigned i = 0; i <= MAX_ALIASES; i++) {
		const struct target *target;

		if (strmap_get(data->addresses, full) || strmap_get(data->addresses, plain))
			return FOUND;
		target = strmap_get(data->domains, domain);
		if (!target)
			return NOWHERE;
		if (target->domain.len == 0)
			return CAUGHT;
		domain = target->domain;
		full = at_domain(request->arena, full, domain);
		plain = at_domain(request->arena, plain, domain);
	}
	return NOWHERE; /* the domains go round in circles */
}

static bool is_role(const struct mail_address *recipient)
{
	struct slice local = recipient->subject;

	local.len -= recipient->domain.len + 1;
	return slice_equal_fold(local, SLICE("postmaster")) ||
	       slice_equal_fold(local, SLICE("abuse"));
}

static enum rule_result step(const struct rule *rule, const struct rule_ask *ask)
{
	const struct mail_address *recipient = &ask->request->recipient;
	const struct data *data = rule->data;
	enum found found;

	if (recipient->kind != MAIL_ADDRESS_DOMAIN || !recipient->domain_is_local ||
	    is_role(recipient)) {
		rule_note(ask, "recipient", recipient->raw, "not of a local domain, or a role");
		return RULE_NEXT;
	}
	if (data->context.len &&
	    slice_equal(ask->request->in->attr[POLICY_POLICY_CONTEXT], data->context))
		return rule_bad(ask, 0, "catchall_context");
	found = look_up(data, ask->request);
	if (found != FOUND && data->incomplete)
		return rule_unknown(ask, 0, "map_unreadable");
	return found == CAUGHT ? rule_bad(ask, 0, "catchall") : RULE_NEXT;
}

const struct rule_ops rule_catchall = {
	.check = &check,
	.needs = FACT_RECIPIENT,
	.flags = RULE_PER_RECIPIENT,
	.replies = replies,
	.reply_count = sizeof(replies) / sizeof(replies[0]),
	.configure = configure,
	.release = release,
	.step = step,
};
