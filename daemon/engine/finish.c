/* SPDX-License-Identifier: ISC */
/*
 * What follows from a verdict: the strikes it makes, what the transaction and
 * the connection remember of it, refunds, and the reply. A refusal is a strike only if a
 * rule saw good data and said 5xx or disconnect; never by a counting rule, never in monitor mode,
 * never after an error (design.md section 7).
 */
#include "daemon/engine/ticket.h"

bool verdict_refuses(enum verdict_kind kind)
{
	return kind == VERDICT_REJECT || kind == VERDICT_DEFER || kind == VERDICT_DISCONNECT;
}

const char *verdict_name(enum verdict_kind kind)
{
	static const char *const names[] = {
		[VERDICT_DUNNO] = "dunno",     [VERDICT_REJECT] = "reject",
		[VERDICT_DEFER] = "defer",     [VERDICT_DISCONNECT] = "disconnect",
		[VERDICT_HOLD] = "hold",       [VERDICT_DISCARD] = "discard",
		[VERDICT_MARK] = "mark",
	};

	return names[kind];
}

void finish_fill_vars(const struct request *request, const struct rule *rule,
		      struct reply_vars *vars)
{
	const struct slice known[REPLY_VARS] = {
		[REPLY_VAR_CLIENT] = request->in->attr[POLICY_CLIENT_ADDRESS],
		[REPLY_VAR_SENDER] = request->in->attr[POLICY_SENDER],
		[REPLY_VAR_RECIPIENT] = request->in->attr[POLICY_RECIPIENT],
		[REPLY_VAR_DOMAIN] = request->sender.domain,
		[REPLY_VAR_LOGIN] = request->in->attr[POLICY_SASL_USERNAME],
		[REPLY_VAR_HELO] = request->helo,
		[REPLY_VAR_RULE] = rule ? rule->name : SLICE_EMPTY,
	};

	for (unsigned i = 0; i < REPLY_VARS; i++) {
		if (vars->value[i].len == 0)
			vars->value[i] = known[i];
	}
}

static bool is_strike(const struct verdict *verdict)
{
	const struct rule *rule = verdict->rule;

	if (!rule || !verdict->from_data || !rule->config->strike)
		return false;
	if (rule->ops->flags & (RULE_NEVER_STRIKES | RULE_COUNTS))
		return false;
	return verdict->kind == VERDICT_REJECT || verdict->kind == VERDICT_DISCONNECT;
}

/* Client, helo and sender rules strike once per transaction, recipient rules once per recipient. */
static uint32_t strike_word(const struct ticket *ticket)
{
	const struct rule *rule = ticket->verdict.rule;
	uint64_t what = hash64_mix(0x737472696b65, rule->name_hash);

	if (rule->ops->flags & RULE_PER_RECIPIENT)
		what = hash64_mix(what, ticket->request.recipient_hash);
	return (uint32_t)what | 1;
}

static bool is_first_strike(struct ticket *ticket)
{
	const struct request *request = &ticket->request;
	struct transaction *transaction =
		transactions_get(ticket->pipeline->services.transactions, request->ids.transaction,
				 request->now.mono_ms);

	return !transaction || transaction_first(transaction, strike_word(ticket));
}

static bool would_be_first_strike(const struct ticket *ticket)
{
	const struct request *request = &ticket->request;
	const struct transaction *transaction =
		transactions_peek(ticket->pipeline->services.transactions, request->ids.transaction,
				  request->now.mono_ms);

	return !transaction || transaction_is_first(transaction, strike_word(ticket));
}

static struct smtp_connection *connection_of(struct ticket *ticket, struct clock_now now)
{
	const struct request *request = &ticket->request;
	struct pipeline_services *services = &ticket->pipeline->services;
	struct smtp_connection *connection =
		connections_find(services->connections, request->ids.connection, now.mono_ms);

	if (connection)
		return connection;
	if (request->facts & FACT_CLIENT)
		bans_note_connection(services->bans, &request->client, now);
	return connections_get(services->connections, request->ids.connection, now.mono_ms);
}

/* The strike that fills the measure answers 421 in place of its own refusal. */
static void disconnect_now(struct ticket *ticket)
{
	const struct config *config = ticket->ruleset->config;

	if (config->bans.mode != CONFIG_ENFORCE || config->mode != CONFIG_ENFORCE)
		return;
	ticket->verdict.kind = VERDICT_DISCONNECT;
	ticket->verdict.reply = ticket->ruleset->disconnect;
}

static void strike(struct ticket *ticket, struct smtp_connection *connection,
		   struct clock_now now)
{
	const struct request *request = &ticket->request;
	const struct config_bans *config = &ticket->ruleset->config->bans;
	struct bans *bans = ticket->pipeline->services.bans;
	struct slice rule_name = ticket->verdict.rule->name;
	bool has_client = request->facts & FACT_CLIENT;

	if (request->authenticated)
		bans_strike_login(bans, request->login.subject, now);
	else if (has_client)
		bans_strike(bans, &request->client, rule_name, now);
	/* Our own hosts are never cut off for what they pass on. */
	if (has_client && bans_is_protected(bans, &request->client))
		return;
	connection->strikes++;
	if (config->disconnect_at == 0 || connection->strikes < config->disconnect_at)
		return;
	if (has_client && !request->authenticated && connection->strikes == config->disconnect_at)
		bans_disconnected(bans, &request->client, rule_name, now);
	disconnect_now(ticket);
}

/* Each recipient once, however many restriction lists ask about it, and one whose refusal struck before not at all: it
 * would pass for a good one. */
static bool is_new_recipient(const struct ticket *ticket, bool struck)
{
	const struct request *request = &ticket->request;

	return request->state == POLICY_STATE_RCPT &&
	       request->recipients_with > request->recipients_before &&
	       (struck || !is_strike(&ticket->verdict));
}

static void note_client(struct ticket *ticket, struct smtp_connection *connection,
			bool struck, struct clock_now now)
{
	const struct request *request = &ticket->request;
	struct bans *bans = ticket->pipeline->services.bans;

	if (!(request->facts & FACT_CLIENT))
		return;
	if (request->authenticated && !connection->authenticated) {
		connection->authenticated = true;
		bans_auth_success(bans, &request->client, now);
	}
	if (request->state == POLICY_STATE_RCPT && !verdict_refuses(ticket->verdict.kind) &&
	    ticket->verdict.kind != VERDICT_DISCARD)
		bans_note_passed(bans, &request->client, now);
	if (!request->authenticated && is_new_recipient(ticket, struck))
		bans_note_recipient(bans, &request->client, struck, now);
}

/* true: the refusal was a strike. */
static bool follow_connection(struct ticket *ticket, struct clock_now now)
{
	const struct verdict *verdict = &ticket->verdict;
	struct smtp_connection *connection;
	bool struck;

	if (ticket->ruleset->config->bans.mode == CONFIG_OFF && !verdict->rule)
		return false;
	struck = is_strike(verdict) && is_first_strike(ticket);
	connection = connection_of(ticket, now);
	if (verdict_refuses(verdict->kind) && verdict->rule &&
	    (verdict->rule->ops->flags & RULE_STICKS))
		connection->helo_rule = verdict->rule->name_hash;
	if (ticket->ruleset->config->bans.mode == CONFIG_OFF)
		return false;
	note_client(ticket, connection, struck, now);
	if (struck)
		strike(ticket, connection, now);
	else if (ticket->request.state == POLICY_STATE_END_OF_MESSAGE &&
		 !verdict_refuses(verdict->kind))
		connection->strikes = 0; /* a message that passes forgives, as in Postfix */
	return struck;
}

/* A refusal of DATA is none of the log's failed commands: there is one a message, whoever gave it. */
static enum bans_answer_kind answer_kind(const struct ticket *ticket)
{
	const struct request *request = &ticket->request;
	bool refused = verdict_refuses(ticket->verdict.kind);

	switch (request->state) {
	case POLICY_STATE_CONNECT:
		return refused ? BANS_REFUSED_CONNECTION : BANS_ASKED;
	case POLICY_STATE_RCPT:
		if (refused)
			return BANS_REFUSED_RECIPIENT;
		return request->recipients_with > request->recipients_before ? BANS_PASSED_RECIPIENT
									     : BANS_ASKED;
	case POLICY_STATE_DATA:
	case POLICY_STATE_END_OF_MESSAGE:
		return BANS_ASKED;
	case POLICY_STATE_EHLO:
	case POLICY_STATE_MAIL:
	case POLICY_STATE_VRFY:
	case POLICY_STATE_ETRN:
	case POLICY_STATE_UNKNOWN:
		break;
	}
	return refused ? BANS_REFUSED_COMMAND : BANS_ASKED;
}

/* The log of Postfix will tell of the same refusal. */
static void note_answer(struct ticket *ticket, bool struck, struct clock_now now)
{
	const struct request *request = &ticket->request;
	struct bans_answer answer = {
		.kind = answer_kind(ticket),
		.process = answers_process(request->in->attr[POLICY_INSTANCE]),
		.client = request->client,
		.temporary = slice_starts_with(buf_slice(&ticket->reply), SLICE("action=4")),
		.struck = struck,
	};

	if (request->facts & FACT_CLIENT)
		bans_note_answer(ticket->pipeline->services.bans, &answer, now);
}

static void follow_recipient(struct ticket *ticket, bool refused)
{
	const struct request *request = &ticket->request;
	struct transactions *transactions = ticket->pipeline->services.transactions;
	struct transaction *transaction;

	if (!request->recipient_hash || (refused && !request->transaction_known))
		return;
	transaction = transactions_get(transactions, request->ids.transaction,
				       request->now.mono_ms);
	if (!transaction)
		return;
	if (refused)
		transaction_remove_recipient(transaction, request->recipient_hash);
	else
		transaction_add_recipient(transaction, request->recipient_hash);
}

static void follow_mark(struct ticket *ticket)
{
	struct transaction *transaction;

	if (ticket->verdict.kind != VERDICT_MARK)
		return;
	transaction = transactions_get(ticket->pipeline->services.transactions,
				       ticket->request.ids.transaction,
				       ticket->request.now.mono_ms);
	if (transaction)
		(void)transaction_first(transaction, ticket->verdict.rule->name_hash);
}

static void follow_transaction(struct ticket *ticket, struct clock_now now)
{
	const struct request *request = &ticket->request;
	struct pipeline_services *services = &ticket->pipeline->services;
	bool refused = verdict_refuses(ticket->verdict.kind);
	struct transaction *transaction;

	if (hash128_is_zero(request->ids.transaction))
		return;
	follow_mark(ticket);
	if (request->state == POLICY_STATE_RCPT) {
		follow_recipient(ticket, refused);
		return;
	}
	if (refused) {
		services->store->ops->refund(services->store, request->ids.transaction, now);
		return;
	}
	transaction = transactions_find(services->transactions, request->ids.transaction,
					now.mono_ms);
	if (transaction && request->state == POLICY_STATE_END_OF_MESSAGE)
		transaction_end(transaction);
}

/* What follow_connection() would have made of the answer. */
static void foresee_strike(struct ticket *ticket)
{
	const struct request *request = &ticket->request;
	const struct config_bans *config = &ticket->ruleset->config->bans;

	if (config->mode == CONFIG_OFF || !is_strike(&ticket->verdict) ||
	    !would_be_first_strike(ticket))
		return;
	explain_strikes(ticket);
	if ((request->facts & FACT_CLIENT) &&
	    bans_is_protected(ticket->pipeline->services.bans, &request->client))
		return;
	if (config->disconnect_at && request->connection_strikes + 1 >= config->disconnect_at)
		disconnect_now(ticket);
}

void finish_run(struct ticket *ticket, struct clock_now now)
{
	bool struck = false;

	if (ticket->explain) {
		foresee_strike(ticket);
	} else {
		struck = follow_connection(ticket, now);
		follow_transaction(ticket, now);
		ticket->pipeline->counts.verdicts[ticket->verdict.kind]++;
	}
	reply_write(&ticket->reply, ticket->verdict.reply, &ticket->verdict.vars);
	if (!ticket->explain && !slice_is(ticket->ruleset->config->bans.maillog, "off"))
		note_answer(ticket, struck, now);
}
