/* SPDX-License-Identifier: ISC */
/*
 * check: rate. So much in so much time, per login, sender, client and so on. Here it is only
 * worked out what is to be charged: the counter's subject, the limit that applies to it, and the
 * cost; the checking and charging is one step of the store, for all rules of a request together.
 *
 * What a stranger can choose must not spend another's limit: `sender`, `sender_domain` and
 * `account` are subjects of authenticated and privileged clients only, unless `forgeable: yes`. A
 * request to which the subject does not apply passes the rule.
 */
#include "common/alloc.h"
#include "daemon/rules/limits.h"
#include "daemon/rules/table.h"

enum {
	PER_LOGIN, PER_SENDER, PER_SENDER_DOMAIN, PER_ACCOUNT, PER_CLIENT, PER_RECIPIENT,
	PER_RECIPIENT_DOMAIN, PER_EVERYONE
};

static const char *const per_words[] = { "login", "sender", "sender_domain", "account", "client",
					 "recipient", "recipient_domain", "everyone", NULL };

/* As enum counter_what. */
static const char *const count_words[] = { "recipients", "messages", "bytes", NULL };

struct options {
	int per, count;
	struct config_limits limits;
	unsigned warn_at;               /* percent; 0: off */
	bool forgeable;
};

static const struct config_key keys[] = {
	{ .name = "per", .type = CONFIG_TYPE_WORD, .offset = offsetof(struct options, per),
	  .fallback = "login", .words = per_words },
	{ .name = "count", .type = CONFIG_TYPE_WORD, .offset = offsetof(struct options, count),
	  .fallback = "recipients", .words = count_words },
	{ .name = "limits", .type = CONFIG_TYPE_LIMITS, .offset = offsetof(struct options, limits),
	  .flags = CONFIG_REQUIRED },
	{ .name = "limit", .type = CONFIG_TYPE_LIMITS, .offset = offsetof(struct options, limits),
	  .flags = CONFIG_ONE_LIMIT },
	{ .name = "warn_at", .type = CONFIG_TYPE_PERCENT,
	  .offset = offsetof(struct options, warn_at), .fallback = "80%", .flags = CONFIG_OR_OFF },
	{ .name = "forgeable", .type = CONFIG_TYPE_BOOL,
	  .offset = offsetof(struct options, forgeable), .fallback = "no" },
};

static void validate(const void *data, struct config_pos pos, struct config_errors *errors)
{
	const struct options *options = data;

	(void)pos;
	for (size_t i = 0; i < options->limits.count; i++) {
		const struct config_limit *limit = &options->limits.items[i];

		if (limit->in_bytes && options->count != COUNT_BYTES)
			config_error(errors, limit->pos,
				     "a limit in bytes needs 'count: bytes'; this rule counts %s",
				     count_words[options->count]);
	}
}

static const struct config_check check = {
	.name = "rate",
	.keys = keys,
	.key_count = sizeof(keys) / sizeof(keys[0]),
	.options_bytes = sizeof(struct options),
	.validate = validate,
};

static const struct rule_reply replies[] = {
	{ REPLY_DEFER, 450, "4.7.1",
	  "{used} of {limit} {count} used in {window}; try again in {retry}", false },
	{ REPLY_DEFER, 450, "4.7.1", "{limit} {count} allowed in {window}", false },
};

static const struct {
	unsigned facts;
	enum limits_kind kind;
} pers[] = {
	[PER_LOGIN] = { FACT_LOGIN, LIMITS_LOGIN },
	[PER_SENDER] = { FACT_SENDER, LIMITS_ADDRESS },
	[PER_SENDER_DOMAIN] = { FACT_SENDER, LIMITS_DOMAIN },
	[PER_ACCOUNT] = { FACT_SENDER | FACT_LOGIN, LIMITS_NAME },
	[PER_CLIENT] = { FACT_CLIENT, LIMITS_CLIENT },
	[PER_RECIPIENT] = { FACT_RECIPIENT, LIMITS_ADDRESS },
	[PER_RECIPIENT_DOMAIN] = { FACT_RECIPIENT, LIMITS_DOMAIN },
	[PER_EVERYONE] = { 0, LIMITS_EVERYONE },
};

static void configure(struct rule *rule, const struct site *site, struct config_errors *errors)
{
	const struct options *options = rule->config->options;

	rule->needs |= pers[options->per].facts;
	rule->max_charges = limits_max_windows(&options->limits);
	rule->data = limits_new(&options->limits, pers[options->per].kind, site, errors);
}

static void release(void *data)
{
	struct limits *limits = data;

	limits_free(&limits);
}

/* May the sender's address stand for the client? */
static bool is_credible(const struct options *options, const struct request *request)
{
	return options->forgeable || request->authenticated || request->client_privileged;
}

static struct slice account_of(const struct request *request, bool credible)
{
	struct slice account = SLICE_EMPTY;

	if (request->authenticated)
		account = site_login_account(request->site, &request->login);
	if (account.len == 0 && credible && request->sender.domain.len)
		account = site_domain_account(request->site, request->sender.domain);
	return account;
}

static struct limits_subject address_subject(const struct mail_address *address)
{
	return (struct limits_subject){ address->subject, address->domain, NULL };
}

static struct limits_subject domain_subject(const struct mail_address *address)
{
	return (struct limits_subject){ address->domain, address->domain, NULL };
}

static struct limits_subject client_subject(const struct request *request)
{
	char *memory = arena_alloc(request->arena, CIDR_TEXT_BYTES);

	return (struct limits_subject){
		limits_client_text(&request->client, memory), SLICE_EMPTY, &request->client,
	};
}

/* Empty where the subject does not apply. */
static struct limits_subject subject_of(const struct options *options,
					const struct request *request)
{
	struct limits_subject none = { SLICE_EMPTY, SLICE_EMPTY, NULL };
	bool credible = is_credible(options, request);

	if (pers[options->per].facts & ~request->facts)
		return none;
	switch (options->per) {
	case PER_LOGIN:
		return request->authenticated ? address_subject(&request->login) : none;
	case PER_SENDER:
		return credible ? address_subject(&request->sender) : none;
	case PER_SENDER_DOMAIN:
		return credible ? domain_subject(&request->sender) : none;
	case PER_ACCOUNT:
		none.text = account_of(request, credible);
		return none;
	case PER_CLIENT:
		return client_subject(request);
	case PER_RECIPIENT:
		return address_subject(&request->recipient);
	case PER_RECIPIENT_DOMAIN:
		return domain_subject(&request->recipient);
	default:
		none.text = SLICE("*");
		return none;
	}
}

/* What is too long for a counter's key; the same in every process and node, so the hash has no
 * secret. */
static struct slice fit(struct arena *arena, struct slice subject)
{
	static const struct hash_key fixed = { 0, 0 };
	struct hash128 hash;
	struct buf buf;

	if (subject.len <= COUNTER_SUBJECT_BYTES)
		return subject;
	hash = hash128(&fixed, subject);
	buf_init_fixed(&buf, arena_alloc(arena, 40), 40);
	buf_add_format(&buf, "#%016llx%016llx", (unsigned long long)hash.hi,
		       (unsigned long long)hash.lo);
	return buf_slice(&buf);
}

static uint64_t cost_of(int count, const struct request *request, uint64_t recipients)
{
	switch (count) {
	case COUNT_MESSAGES:
		return 1;
	case COUNT_BYTES:
		return request->size_bytes;
	default:
		return recipients;
	}
}

/* The first amount that is `percent` of the limit, at most RATE_MAX_LIMIT. */
static uint64_t warn_at(uint64_t limit, unsigned percent)
{
	return (limit * percent + 99) / 100;
}

/* Limits that hold for the request; count 0: none. */
struct applied {
	const struct rate *rates;
	size_t count;
};

/* A live limit stands in place of the configuration's, whatever that says. */
static const struct override *live_limit(const struct rule *rule, const struct request *request,
					 const struct rule_charges *charges,
					 const struct limits_subject *subject, struct slice key)
{
	const struct overrides *overrides = charges->overrides;
	const struct override *found;
	struct buf domain;

	if (!overrides || overrides_count(overrides) == 0)
		return NULL;
	found = overrides_find(overrides, rule->name, key, request->now.wall_ms);
	if (found || subject->domain.len == 0)
		return found;
	buf_init_fixed(&domain, arena_alloc(request->arena, subject->domain.len + 1),
		       subject->domain.len + 1);
	buf_add_char(&domain, '@');
	buf_add(&domain, subject->domain);
	return overrides_find(overrides, rule->name, buf_slice(&domain), request->now.wall_ms);
}

static struct applied find_limits(const struct rule *rule, const struct request *request,
				  const struct rule_charges *charges,
				  const struct limits_subject *subject, struct slice key)
{
	const struct override *live = live_limit(rule, request, charges, subject, key);
	const struct config_limit *limit;

	if (live)
		return (struct applied){ live->rates, live->rate_count };
	limit = limits_find(rule->data, request, subject);
	if (!limit || limit->unlimited)
		return (struct applied){ NULL, 0 };
	return (struct applied){ limit->rates, limit->rate_count };
}

static void charge(const struct rule *rule, const struct request *request,
		   struct rule_charges *charges)
{
	const struct options *options = rule->config->options;
	struct limits_subject subject = subject_of(options, request);
	unsigned room = STORE_MAX_CHARGES - rule->charges_after;
	struct applied applied;
	struct slice key;

	if (subject.text.len == 0)
		return;
	key = fit(request->arena, subject.text);
	/* The configuration's limits have room (see `max_charges`). Live ones may have more windows:
	 * they take none of the room of rules below. */
	applied = find_limits(rule, request, charges, &subject, key);
	for (size_t i = 0; i < applied.count; i++) {
		const struct rate *rate = &applied.rates[i];

		if (charges->count >= room) {
			charges->left_out++;
			continue;
		}
		charges->items[charges->count++] = (struct store_charge){
			.key = { rule->name, key, (enum counter_what)options->count,
				 rate->window_ms },
			.limit = rate->limit,
			.cost = cost_of(options->count, request, charges->recipients),
			.warn_at = warn_at(rate->limit, options->warn_at),
			.one_subject = options->per == PER_RECIPIENT ||
				       options->per == PER_RECIPIENT_DOMAIN,
		};
	}
}

/* As subject_of() would have it, from what a person writes. */
static struct slice subject_text(const struct rule *rule, struct slice text,
				 const struct site *site, struct arena *arena)
{
	const struct options *options = rule->config->options;
	enum limits_kind kind = pers[options->per].kind;

	return fit(arena, limits_subject_text(kind, text, site, arena));
}

static void add_window(struct rule_counting *counting, uint64_t window_ms)
{
	for (unsigned i = 0; i < counting->window_count; i++)
		if (counting->windows_ms[i] == window_ms)
			return;
	if (counting->window_count < RULE_COUNTING_WINDOWS)
		counting->windows_ms[counting->window_count++] = window_ms;
}

static struct rule_counting counting(const struct rule *rule)
{
	const struct options *options = rule->config->options;
	const struct config_limits *limits = &options->limits;
	struct rule_counting counting = {
		.per = per_words[options->per],
		.what = (enum counter_what)options->count,
	};

	for (size_t i = 0; i < limits->count; i++)
		for (size_t k = 0; k < limits->items[i].rate_count; k++)
			add_window(&counting, limits->items[i].rates[k].window_ms);
	return counting;
}

const struct rule_ops rule_rate = {
	.check = &check,
	.flags = RULE_COUNTS | RULE_NEVER_STRIKES,
	.replies = replies,
	.reply_count = sizeof(replies) / sizeof(replies[0]),
	.configure = configure,
	.release = release,
	.charge = charge,
	.subject = subject_text,
	.counting = counting,
};
