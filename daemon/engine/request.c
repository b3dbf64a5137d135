/* SPDX-License-Identifier: ISC */
/*
 * The facts of a request. Each value is normalised and hashed once, here;
 * what a value means in which state is postfix.md a) and b): an empty sender is the null
 * sender from MAIL on and nothing before, sasl_username says something only once
 * AUTH can have happened, `instance` is kept only where it names a message.
 */
#include "daemon/engine/request.h"

#include "common/units.h"
#include "daemon/engine/rule.h"
#include "daemon/engine/ruleset.h"

#define MEMO_ARENA_BYTES 512

static struct slice value(const struct request *request, enum policy_attr attr)
{
	return request->in->attr[attr];
}

static bool present(const struct request *request, enum policy_attr attr)
{
	return (request->in->present >> attr) & 1;
}

/* 0: not there, or no number. What cannot overflow is read here. */
static uint64_t number(const struct request *request, enum policy_attr attr)
{
	struct slice text = value(request, attr);
	uint64_t result = 0;

	if (text.len > 18)
		return units_parse_u64(text, &result) ? 0 : result;
	for (size_t i = 0; i < text.len; i++) {
		unsigned digit = (unsigned)text.data[i] - '0';

		if (digit > 9)
			return 0;
		result = result * 10 + digit;
	}
	return result;
}

static bool state_is_message(enum policy_state state)
{
	return state == POLICY_STATE_RCPT || state == POLICY_STATE_DATA ||
	       state == POLICY_STATE_END_OF_MESSAGE;
}

static void read_client(struct request *request)
{
	struct slice name = value(request, POLICY_CLIENT_NAME);

	if (ip_parse(value(request, POLICY_CLIENT_ADDRESS), &request->client)) {
		request->facts |= FACT_CLIENT;
		request->client_local = site_ip_is_local(request->site, &request->client);
		request->client_privileged = site_ip_is_privileged(request->site, &request->client);
		request->client_own = site_ip_is_own(request->site, &request->client);
	}
	request->client_name = slice_is(name, "unknown") ? SLICE_EMPTY : name;
	request->helo = value(request, POLICY_HELO_NAME);
	if (request->helo.len)
		request->facts |= FACT_HELO;
	request->server_port = (uint16_t)number(request, POLICY_SERVER_PORT);
	request->tls = value(request, POLICY_ENCRYPTION_PROTOCOL).len > 0;
}

/* MAIL and later, and VRFY and ETRN, which come after AUTH as well. */
static void read_login(struct request *request)
{
	struct slice login = value(request, POLICY_SASL_USERNAME);

	if (request->state < POLICY_STATE_MAIL)
		return;
	request->facts |= FACT_LOGIN;
	request->authenticated = login.len > 0;
	if (login.len)
		mail_login_read(&request->login, login, request->site, request->arena);
}

static void read_sender(struct request *request)
{
	if (present(request, POLICY_SENDER) &&
		(state_is_message(request->state) || request->state == POLICY_STATE_MAIL)) {
		mail_address_read(&request->sender, value(request, POLICY_SENDER), request->site,
			request->arena);
		request->facts |= FACT_SENDER;
	}
}

static void read_recipient(struct request *request, const struct request_tables *tables)
{
	struct slice recipient = value(request, POLICY_RECIPIENT);

	if (recipient.len &&
		(state_is_message(request->state) || request->state == POLICY_STATE_VRFY)) {
		mail_address_read(&request->recipient, recipient, request->site, request->arena);
		request->facts |= FACT_RECIPIENT;
		if (request->state != POLICY_STATE_VRFY)
			request->recipient_hash =
				hash64(&tables->key, request->recipient.folded) | 1;
	}
	request->recipients_with = request->recipient_hash ? 1 : 0;
}

static void read_exemptions(struct request *request)
{
	unsigned exempt = request->authenticated ? EXEMPT_AUTHENTICATED : EXEMPT_UNAUTHENTICATED;

	if (request->client_local)
		exempt |= EXEMPT_LOCAL;
	if (request->client_privileged)
		exempt |= EXEMPT_PRIVILEGED;
	if (request->client_own)
		exempt |= EXEMPT_OWN;
	if ((request->facts & FACT_SENDER) && request->sender.kind == MAIL_ADDRESS_NULL)
		exempt |= EXEMPT_NULL_SENDER;
	request->exempt = exempt;
}

static void begin_ids(
	struct request *request, const struct request_tables *tables, struct sip *ret_message)
{
	const struct smtp_names names = {
		.server_address = value(request, POLICY_SERVER_ADDRESS),
		.server_port = value(request, POLICY_SERVER_PORT),
		.client_address = value(request, POLICY_CLIENT_ADDRESS),
		.client_port = value(request, POLICY_CLIENT_PORT),
	};

	smtp_ids_begin(
		&request->ids, ret_message, &tables->key, &names, request->policy_connection);
}

static bool has_transaction(const struct request *request)
{
	return state_is_message(request->state) && value(request, POLICY_INSTANCE).len &&
	       value(request, POLICY_CLIENT_ADDRESS).len;
}

/* All requests of a message come with the same instance. */
static struct hash128 known_transaction(struct request_memo *memo, struct slice instance)
{
	if (slice_equal(instance, slice_make(memo->instance, memo->instance_len)))
		return memo->transaction;
	memo->instance_len = 0;
	memo->transaction = smtp_ids_transaction(memo->message, instance);
	if (instance.len <= sizeof(memo->instance)) {
		memcpy(memo->instance, instance.data, instance.len);
		memo->instance_len = instance.len;
	}
	return memo->transaction;
}

static void find_connection(struct request *request, const struct request_tables *tables)
{
	uint64_t mono_ms = request->now.mono_ms;
	const struct smtp_connection *connection =
		tables->only_look
			? connections_peek(tables->connections, request->ids.connection, mono_ms)
			: connections_find(tables->connections, request->ids.connection, mono_ms);

	if (!connection)
		return;
	request->connection_strikes = connection->strikes;
	request->connection_helo_rule = connection->helo_rule;
}

static void find_transaction(struct request *request, const struct request_tables *tables)
{
	uint64_t mono_ms = request->now.mono_ms;
	const struct transaction *transaction =
		tables->only_look
			? transactions_peek(tables->transactions, request->ids.transaction, mono_ms)
			: transactions_find(
				  tables->transactions, request->ids.transaction, mono_ms);

	if (!transaction)
		return;
	request->transaction_known = true;
	request->recipients_before = transaction_recipients(transaction);
	request->recipients_with =
		request->recipient_hash
			? transaction_recipients_with(transaction, request->recipient_hash)
			: request->recipients_before;
}

/* What stays while policy_request.repeat does, if the state is that of a message. */
static void read_lasting(
	struct request *ret, const struct request_tables *tables, struct sip *ret_message)
{
	read_client(ret);
	read_login(ret);
	read_sender(ret);
	read_exemptions(ret);
	begin_ids(ret, tables, ret_message);
}

/* `ret` is what a request begins with; it gets all that lasts, and `memo` keeps a copy. */
static void learn(
	struct request *ret, struct request_memo *memo, const struct request_tables *tables)
{
	if (memo->arena.first)
		arena_reset(&memo->arena);
	else
		arena_init(&memo->arena, MEMO_ARENA_BYTES);
	ret->arena = &memo->arena;
	read_lasting(ret, tables, &memo->message);
	memo->known = *ret;
	memo->repeat = ret->in->repeat;
	memo->ruleset_number = tables->ruleset_number;
	memo->instance_len = 0;
	memo->log_text = SLICE_EMPTY;
}

static void begin(struct request *ret, const struct policy_request *in,
	const struct ruleset *ruleset, const struct site *site, struct arena *arena,
	uint64_t policy_connection)
{
	memset(ret, 0, sizeof(*ret));
	ret->in = in;
	ret->arena = arena;
	ret->ruleset = ruleset;
	ret->site = site;
	ret->policy_connection = policy_connection;
	ret->state = in->state;
}

static void read_changing(struct request *request, const struct request_tables *tables)
{
	enum policy_state state = request->state;

	request->size_bytes = number(request, POLICY_SIZE);
	if (state == POLICY_STATE_DATA || state == POLICY_STATE_END_OF_MESSAGE)
		request->recipient_count = number(request, POLICY_RECIPIENT_COUNT);
	read_recipient(request, tables);
	request->situation = SITUATION_FACTS(request->facts) | SITUATION_EXEMPT(request->exempt) |
			     SITUATION_STATES(1U << state);
}

static bool is_known(const struct request_memo *memo, const struct policy_request *in,
	const struct request_tables *tables)
{
	return memo->repeat == in->repeat && memo->ruleset_number == tables->ruleset_number;
}

void request_memo_release(struct request_memo *memo)
{
	arena_release(&memo->arena);
	memo->repeat = 0;
}

void request_memo_keep_log_text(struct request_memo *memo, struct slice text)
{
	memo->log_text = arena_dup(&memo->arena, text);
}

void request_read(struct request *ret, const struct policy_request *in,
	const struct ruleset *ruleset, const struct site *site, struct arena *arena,
	const struct request_tables *tables, uint64_t policy_connection, struct clock_now now)
{
	struct request_memo *memo = in->repeat && state_is_message(in->state) ? tables->memo : NULL;
	struct sip message;

	if (memo && is_known(memo, in, tables)) {
		*ret = memo->known;
		ret->in = in;
		ret->state = in->state;
	} else {
		begin(ret, in, ruleset, site, arena, policy_connection);
		if (memo)
			learn(ret, memo, tables);
		else
			read_lasting(ret, tables, &message);
	}
	ret->arena = arena;
	ret->memo = memo;
	ret->now = now;
	read_changing(ret, tables);
	if (has_transaction(ret))
		ret->ids.transaction =
			memo ? known_transaction(memo, value(ret, POLICY_INSTANCE))
			     : smtp_ids_transaction(message, value(ret, POLICY_INSTANCE));
	find_connection(ret, tables);
	find_transaction(ret, tables);
}
