/* SPDX-License-Identifier: ISC */
/*
 * The log shows each refusal once, whoever gave it. Reeve's 4xx are among the log's 4xx; where the
 * log shows fewer of them (a line was lost, a limit was not logged) Reeve's own count holds. What is
 * subtracted is rather too much than too little.
 */
#include "daemon/bans/evidence.h"

static uint32_t minus(uint32_t from, uint32_t what)
{
	return from > what ? from - what : 0;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static uint32_t left_over(uint32_t failed, uint32_t temporary, const uint32_t own[static 2])
{
	return minus(minus(failed, own[0]), larger(temporary, own[1]));
}

static uint32_t use_up(uint32_t *pool, uint32_t of)
{
	uint32_t used = *pool < of ? *pool : of;

	*pool -= used;
	return of - used;
}

void evidence_weigh(const struct bans_session *session, const struct answers_entry *own,
	struct answers_entry *pool, struct evidence *ret)
{
	static const struct answers_entry none = {.recipients = 0};
	bool refused_at_once =
		(own && own->refused_connection) || (pool && pool->refused_connection);

	if (!own)
		own = &none;
	*ret = (struct evidence){
		.recipients = left_over(session->refused_recipients, session->temporary_recipients,
			own->refused_recipients),
		.commands = left_over(session->failed_commands, session->temporary_commands,
			own->refused_commands),
		.logins = minus(session->failed_logins, session->reported_logins),
		.unasked_recipients = minus(session->recipients, own->recipients),
	};
	if (pool) {
		ret->commands = use_up(&pool->refused_commands[0], ret->commands);
		ret->commands = use_up(&pool->refused_commands[1], ret->commands);
		pool->refused_connection = false;
	}
	if (refused_at_once)
		ret->recipients = ret->commands = 0;
	ret->in_connection =
		own->strikes + ret->recipients + ret->commands + session->failed_logins;
}
