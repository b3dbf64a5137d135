/* SPDX-License-Identifier: ISC */
/*
 * The table of rules that the engine is tested with, in place of daemon/rules/table.c. What each
 * one says stands in its script (fixture.h).
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/engine/fixture.h"

struct state {
	struct script *script;
};

static struct script *script_of(const struct rule *rule)
{
	char name[33];

	snprintf(name, sizeof(name), "%.*s", SLICE_ARG(rule->name));
	return script(name, NULL);
}

static void remember(const struct rule *rule, const struct rule_ask *ask)
{
	struct script *said = script_of(rule);
	struct state *state = ask->state;

	if (state->script)
		return;
	state->script = said;
	said->states++;
}

static void ask_nobody(const struct rule *rule, const struct rule_ask *ask)
{
	remember(rule, ask);
	script_of(rule)->asked++;
}

/* Takes the next word off the script, or the last one again. */
static void next_word(struct script *said, char word[static 64])
{
	const char *end = strchr(said->says, ' ');

	snprintf(word, 64, "%.*s", end ? (int)(end - said->says) : 63, said->says);
	if (end)
		said->says = end + 1;
}

/* Static words for what stands behind the second colon. */
static const char *reason_of(const char *word)
{
	static const char *const known[] = { "nxdomain", "unmapped", "name", "odd" };
	const char *colon = strrchr(word, ':');

	for (size_t i = 0; colon && i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(colon + 1, known[i]) == 0)
			return known[i];
	}
	return NULL;
}

static enum rule_result say(struct script *said, const char *word, const struct rule_ask *ask)
{
	const char *colon = strchr(word, ':');

	if (colon && colon[1] >= '0' && colon[1] <= '9')
		ask->finding->reply = (unsigned)(colon[1] - '0');
	ask->finding->reason = reason_of(word);
	if (strncmp(word, "next", 4) == 0)
		return RULE_NEXT;
	if (strncmp(word, "bad", 3) == 0)
		return RULE_BAD;
	if (strncmp(word, "unknown", 7) == 0)
		return RULE_UNKNOWN;
	if (strcmp(word, "wait") == 0 && !said->expected && !ask->final) {
		waiter_expect(ask->waiter);
		said->expected = true;
	}
	if (strcmp(word, "spin") == 0)
		waiter_wake(ask->waiter);
	return RULE_WAIT;
}

static enum rule_result step(const struct rule *rule, const struct rule_ask *ask)
{
	struct script *said = script_of(rule);
	char word[64];

	remember(rule, ask);
	said->stepped++;
	said->finals += ask->final;
	said->waiter = ask->waiter;
	next_word(said, word);
	return say(said, word, ask);
}

static void cancel_state(void *memory)
{
	struct state *state = memory;

	cr_assert(state->script);
	if (state->script->expected)
		waiter_forget(state->script->waiter);
	state->script->expected = false;
	state->script->cancelled++;
}

static void charge(const struct rule *rule, const struct request *request,
		   struct rule_charges *charges)
{
	struct script *said = script_of(rule);

	(void)request;
	said->asked++;
	said->seen_recipients = charges->recipients;
	for (unsigned i = 0; i < said->charges; i++) {
		charges->items[charges->count++] = (struct store_charge){
			.key = { rule->name, SLICE("subject"), COUNT_RECIPIENTS,
				 i ? 86400000 : 3600000 },
			.limit = 10,
			.cost = charges->recipients,
		};
	}
}

static const struct config_check check_look = { .name = "look" };
static const struct config_check check_guard = { .name = "guard" };
static const struct config_check check_insider = { .name = "insider" };
static const struct config_check check_never = { .name = "never" };
static const struct config_check check_sticky = { .name = "sticky" };
static const struct config_check check_count = { .name = "count" };

static const struct rule_reply look_replies[] = {
	{ REPLY_REJECT, 550, "5.7.27", "{sender} refused", false },
	{ REPLY_DEFER, 451, "4.4.3", "cannot look", true },
	{ REPLY_DISCONNECT, 521, "5.7.1", "go away", false },
	{ REPLY_MARK, 0, NULL, "X-Fake: {rule}", false },
	{ REPLY_DISCONNECT_TEMPORARY, 421, "4.7.1", "not now", false },
	{ REPLY_DEFER, 452, "4.5.3", "later", false },
};

static const struct rule_reply count_replies[] = {
	{ REPLY_DEFER, 450, "4.7.1", "{used} of {limit} {count} in {window}; again in {retry}",
	  false },
};

static const struct rule_ops look = {
	.check = &check_look,
	.state_bytes = sizeof(struct state),
	.replies = look_replies,
	.reply_count = 6,
	.ask = ask_nobody,
	.step = step,
	.cancel = cancel_state,
};

static const struct rule_ops guard = {
	.check = &check_guard,
	.needs = FACT_SENDER,
	.exempt = EXEMPT_AUTHENTICATED | EXEMPT_LOCAL | EXEMPT_PRIVILEGED | EXEMPT_OWN |
		  EXEMPT_NULL_SENDER,
	.flags = RULE_PER_RECIPIENT,
	.state_bytes = sizeof(struct state),
	.replies = look_replies,
	.reply_count = 6,
	.step = step,
	.cancel = cancel_state,
};

static const struct rule_ops insider = {
	.check = &check_insider,
	.exempt = EXEMPT_UNAUTHENTICATED,
	.state_bytes = sizeof(struct state),
	.replies = look_replies,
	.reply_count = 6,
	.step = step,
	.cancel = cancel_state,
};

static const struct rule_ops never = {
	.check = &check_never,
	.flags = RULE_NEVER_STRIKES,
	.state_bytes = sizeof(struct state),
	.replies = look_replies,
	.reply_count = 6,
	.step = step,
	.cancel = cancel_state,
};

static const struct rule_ops sticky = {
	.check = &check_sticky,
	.flags = RULE_STICKS,
	.state_bytes = sizeof(struct state),
	.replies = look_replies,
	.reply_count = 6,
	.step = step,
	.cancel = cancel_state,
};

static const struct rule_ops count = {
	.check = &check_count,
	.flags = RULE_COUNTS | RULE_NEVER_STRIKES,
	.replies = count_replies,
	.reply_count = 1,
	.charge = charge,
};

const struct rule_ops *const rules_table[] = {
	&look, &guard, &insider, &never, &sticky, &count, NULL,
};
