/* SPDX-License-Identifier: ISC */
/*
 * An entry is what was said of one smtpd process since its last connect line. A 4xx is known by its
 * reject line only, so these are counted until the disconnect line gives the sums.
 *
 * What is no fault of the client's stays out of the failed commands: XCLIENT and XFORWARD (which
 * Postfix counts as failed when they succeed), STARTTLS (ciphers that do not match), and one DATA or
 * BDAT a message: it follows from refused recipients, or the content was refused by somebody whose 4xx
 * does not show in smtpd's lines.
 */
#include "daemon/feeds/witness.h"

#include "common/alloc.h"
#include "daemon/feeds/postfix_log.h"
#include "daemon/mail/recent.h"

struct session {
	struct ip connected; /* by the connect line; zeroed: not seen */
	uint32_t temporary_recipients, temporary_commands, temporary_logins, reported_logins;
	bool too_many_errors;
	uint8_t login_len;
	char login[WITNESS_LOGIN_BYTES];
};

struct witness {
	struct hash_key hash_key;
	struct witness_sink *sink;
	struct recent *recent;
	struct session *sessions; /* by recent's numbers */
	struct witness_counts counts;
};

struct witness *witness_new(struct hash_key key, struct witness_sink *sink)
{
	struct witness *witness = mem_zalloc(sizeof(*witness));

	witness->hash_key = key;
	witness->sink = sink;
	witness->recent = recent_new(WITNESS_MAX_SESSIONS);
	witness->sessions = mem_zalloc_array(WITNESS_MAX_SESSIONS, sizeof(struct session));
	return witness;
}

void witness_free(struct witness **witness)
{
	if (!*witness)
		return;
	recent_free(&(*witness)->recent);
	free((*witness)->sessions);
	mem_free(witness);
}

/* Several hosts may write one file. */
static struct hash128 key_of(const struct witness *witness, const struct postfix_log_event *event)
{
	struct hash128 key = hash128(&witness->hash_key, event->host);

	key.lo = hash64_mix(key.lo, event->process);
	return key;
}

static struct session *session_get(struct witness *witness, struct hash128 key, uint64_t mono_ms)
{
	uint32_t number = recent_find(witness->recent, key);

	if (number != RECENT_NONE) {
		recent_touch(witness->recent, number, mono_ms);
		return &witness->sessions[number];
	}
	if (recent_is_full(witness->recent))
		recent_remove(witness->recent, recent_oldest(witness->recent));
	number = recent_add(witness->recent, key, mono_ms);
	witness->sessions[number] = (struct session){.login_len = 0};
	return &witness->sessions[number];
}

static void forget(struct witness *witness, struct hash128 key)
{
	uint32_t number = recent_find(witness->recent, key);

	if (number != RECENT_NONE)
		recent_remove(witness->recent, number);
}

static uint32_t failed(struct postfix_log_count count)
{
	return count.all - count.good;
}

static uint32_t at_most(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t failed_commands(const struct postfix_log_count counts[static POSTFIX_LOG_COMMANDS])
{
	uint32_t sum = 0, ends;

	for (unsigned i = 0; i < POSTFIX_LOG_COMMANDS; i++)
		sum += failed(counts[i]);
	ends = failed(counts[POSTFIX_LOG_DATA]) + failed(counts[POSTFIX_LOG_BDAT]);
	return sum - failed(counts[POSTFIX_LOG_XCLIENT]) - failed(counts[POSTFIX_LOG_XFORWARD]) -
	       failed(counts[POSTFIX_LOG_STARTTLS]) - failed(counts[POSTFIX_LOG_RCPT]) -
	       failed(counts[POSTFIX_LOG_AUTH]) - at_most(ends, counts[POSTFIX_LOG_MAIL].good);
}

/* A proxy that speaks for one client after the other in a single connection: whose failures these are does not show. */
static bool is_of_several(const struct session *session, const struct postfix_log_event *event)
{
	static const struct ip nobody = {{0}};

	return event->counts[POSTFIX_LOG_XCLIENT].all > 1 &&
	       !ip_equal(&session->connected, &nobody) &&
	       !ip_equal(&session->connected, &event->client);
}

static void tell_session(struct witness *witness, const struct session *known,
	const struct postfix_log_event *event, struct clock_now now)
{
	const struct postfix_log_count *counts = event->counts;
	uint32_t failed_logins = failed(counts[POSTFIX_LOG_AUTH]);
	struct bans_session session = {
		.client = event->client,
		.process = event->process,
		.login = {known->login, known->login_len},
		.recipients = counts[POSTFIX_LOG_RCPT].all,
		.refused_recipients = failed(counts[POSTFIX_LOG_RCPT]),
		.temporary_recipients = known->temporary_recipients,
		.failed_commands = failed_commands(counts),
		.temporary_commands = known->temporary_commands,
		.failed_logins = failed_logins - at_most(failed_logins, known->temporary_logins),
		.reported_logins = known->reported_logins,
		.authenticated = counts[POSTFIX_LOG_AUTH].good > 0,
		.message_passed = counts[POSTFIX_LOG_DATA].good + counts[POSTFIX_LOG_BDAT].good > 0,
		.too_many_errors = known->too_many_errors,
	};

	witness->counts.sessions++;
	witness->sink->session(witness->sink, &session, now);
}

static void on_disconnect(struct witness *witness, struct hash128 key,
	const struct postfix_log_event *event, struct clock_now now)
{
	const struct session *session = session_get(witness, key, now.mono_ms);

	if (event->has_client && event->has_counts && !is_of_several(session, event))
		tell_session(witness, session, event, now);
	forget(witness, key);
}

static void on_login_failed(struct witness *witness, struct session *session,
	const struct postfix_log_event *event, struct clock_now now)
{
	struct witness_login login = {
		.client = event->client,
		.login = event->login,
		.temporary = event->temporary,
	};

	if (!event->has_client)
		return;
	if (event->temporary)
		session->temporary_logins++;
	else
		session->reported_logins++;
	witness->counts.logins++;
	witness->sink->login_failed(witness->sink, &login, now);
}

static void keep_login(struct session *session, struct slice login)
{
	if (login.len == 0)
		return;
	session->login_len = login.len < sizeof(session->login) ? (uint8_t)login.len : 0;
	memcpy(session->login, login.data, session->login_len);
}

static void note_temporary(struct session *session, const struct postfix_log_event *event)
{
	if (!event->temporary)
		return;
	if (event->command == POSTFIX_LOG_RCPT)
		session->temporary_recipients++;
	else if (event->command == POSTFIX_LOG_AUTH)
		session->temporary_logins++;
	else if (event->command != POSTFIX_LOG_DATA && event->command != POSTFIX_LOG_BDAT)
		session->temporary_commands++;
}

void witness_line(struct witness *witness, struct slice line, struct clock_now now)
{
	struct postfix_log_event event;
	struct session *session;
	struct hash128 key;

	witness->counts.lines++;
	if (postfix_log_parse(line, &event) == POSTFIX_LOG_NONE)
		return;
	key = key_of(witness, &event);
	if (event.kind == POSTFIX_LOG_DISCONNECT) {
		on_disconnect(witness, key, &event, now);
		return;
	}
	if (event.kind == POSTFIX_LOG_CONNECT)
		forget(witness, key);
	session = session_get(witness, key, now.mono_ms);
	switch (event.kind) {
	case POSTFIX_LOG_CONNECT:
		if (event.has_client)
			session->connected = event.client;
		break;
	case POSTFIX_LOG_TOO_MANY_ERRORS:
		session->too_many_errors = true;
		break;
	case POSTFIX_LOG_LOGIN_FAILED:
		on_login_failed(witness, session, &event, now);
		break;
	case POSTFIX_LOG_MESSAGE:
		keep_login(session, event.login);
		break;
	case POSTFIX_LOG_REFUSED:
	case POSTFIX_LOG_LIMITED:
		note_temporary(session, &event);
		break;
	case POSTFIX_LOG_DISCONNECT:
	case POSTFIX_LOG_NONE:
		break;
	}
}

void witness_counts(const struct witness *witness, struct witness_counts *ret)
{
	*ret = witness->counts;
}
