/* SPDX-License-Identifier: ISC */
/*
 * check: recipients. How many recipients a message may have. At RCPT the distinct ones of the
 * transaction, as this node saw them; at DATA and END-OF-MESSAGE what Postfix accepted. At RCPT the
 * answer is "not in this message": the client sends the rest in another one (RFC 5321 4.5.3.1.10);
 * at DATA it is too late for that. Large messages are no crime: never a strike.
 *
 * Lines of files are for logins, and for senders of privileged clients; a stranger's sender
 * is no more than a claim.
 */
#include "daemon/rules/limits.h"
#include "daemon/rules/table.h"

struct options {
	struct config_limits limits;
};

static const struct config_key keys[] = {
	{ .name = "limits", .type = CONFIG_TYPE_LIMITS, .offset = offsetof(struct options, limits),
	  .flags = CONFIG_REQUIRED | CONFIG_PLAIN_LIMITS },
	{ .name = "limit", .type = CONFIG_TYPE_LIMITS, .offset = offsetof(struct options, limits),
	  .flags = CONFIG_ONE_LIMIT | CONFIG_PLAIN_LIMITS },
};

static const struct config_check check = {
	.name = "recipients",
	.keys = keys,
	.key_count = sizeof(keys) / sizeof(keys[0]),
	.options_bytes = sizeof(struct options),
};

enum { AT_RCPT, AT_DATA };

static const struct rule_reply replies[] = {
	[AT_RCPT] = { REPLY_DEFER, 452, "4.5.3", "too many recipients in one message", false },
	[AT_DATA] = { REPLY_REJECT, 550, "5.5.3", "too many recipients in one message", false },
};

static void configure(struct rule *rule, const struct site *site, struct config_errors *errors)
{
	const struct options *options = rule->config->options;

	rule->data = limits_new(&options->limits, LIMITS_LOGIN, site, errors);
}

static void release(void *data)
{
	struct limits *limits = data;

	limits_free(&limits);
}

static struct limits_subject subject_of(const struct request *request)
{
	const struct mail_address *who = NULL;

	if (request->authenticated)
		who = &request->login;
	else if (request->client_privileged && request->sender.kind == MAIL_ADDRESS_DOMAIN)
		who = &request->sender;
	if (!who)
		return (struct limits_subject){ SLICE_EMPTY, SLICE_EMPTY, NULL };
	return (struct limits_subject){ who->subject, who->domain, NULL };
}

static struct slice number_text(const struct request *request, uint64_t number)
{
	char *memory = arena_alloc(request->arena, BUF_U64_DIGITS);

	return slice_make(memory, (size_t)(buf_put_u64(memory, number) - memory));
}

static enum rule_result step(const struct rule *rule, const struct rule_ask *ask)
{
	const struct request *request = ask->request;
	bool at_rcpt = request->state == POLICY_STATE_RCPT;
	uint64_t count = at_rcpt ? request->recipients_with : request->recipient_count;
	struct limits_subject subject = subject_of(request);
	struct slice *vars = ask->finding->vars.value;
	const struct config_limit *limit;

	if (!at_rcpt && request->state != POLICY_STATE_DATA &&
	    request->state != POLICY_STATE_END_OF_MESSAGE)
		return RULE_NEXT;
	limit = limits_find(rule->data, request, &subject);
	if (ask->notes)
		rule_note(ask, "recipients of this message:", number_text(request, count), NULL);
	if (!limit || limit->unlimited || limit->rate_count == 0)
		return RULE_NEXT;
	if (ask->notes)
		rule_note(ask, "limit:", number_text(request, limit->rates[0].limit), NULL);
	if (count <= limit->rates[0].limit)
		return RULE_NEXT;
	vars[REPLY_VAR_LIMIT] = number_text(request, limit->rates[0].limit);
	vars[REPLY_VAR_USED] = number_text(request, count);
	vars[REPLY_VAR_COUNT] = SLICE("recipients");
	return rule_bad(ask, at_rcpt ? AT_RCPT : AT_DATA, "too_many");
}

const struct rule_ops rule_recipients = {
	.check = &check,
	.flags = RULE_NEVER_STRIKES,
	.replies = replies,
	.reply_count = sizeof(replies) / sizeof(replies[0]),
	.configure = configure,
	.release = release,
	.step = step,
};
