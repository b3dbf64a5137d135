/* SPDX-License-Identifier: ISC */
/*
 * A user of Redis may be allowed nothing but scripts and our keys. So what only serves to be sure
 * (ROLE, INFO) may be forbidden, or renamed; that is told, and the connection is used all the same.
 * A replica then shows at the first write.
 *
 * What is answered to AUTH is never repeated: where that command was renamed, Redis tells the
 * arguments it was given.
 */
#include "daemon/store/redis/greeting.h"

#include <stdio.h>

#include "daemon/store/redis/resp.h"

enum step { STEP_AUTH, STEP_SELECT, STEP_ROLE, STEP_INFO, STEP_SUBSCRIBE };

static void add_step(struct greeting *greeting, enum step step)
{
	greeting->steps[greeting->count++] = step;
}

static void put(struct buf *out, const char *first, const char *second)
{
	const char *const texts[] = {first, second, NULL};

	resp_texts(out, texts);
}

static void begin_auth(const struct greeting_options *options, struct buf *out)
{
	resp_command(out, options->user.len ? 3 : 2);
	resp_slice(out, SLICE("AUTH"));
	if (options->user.len)
		resp_slice(out, options->user);
	resp_slice(out, options->password);
}

void greeting_begin(
	struct greeting *greeting, const struct greeting_options *options, struct buf *out)
{
	*greeting = (struct greeting){.trouble = REDIS_TROUBLE_NONE};
	if (options->password.len) {
		add_step(greeting, STEP_AUTH);
		begin_auth(options, out);
	}
	if (options->db) {
		add_step(greeting, STEP_SELECT);
		resp_command(out, 2);
		resp_slice(out, SLICE("SELECT"));
		resp_u64(out, options->db);
	}
	add_step(greeting, STEP_ROLE);
	put(out, "ROLE", NULL);
	if (options->channel.len) {
		add_step(greeting, STEP_SUBSCRIBE);
		resp_command(out, 2);
		resp_slice(out, SLICE("SUBSCRIBE"));
		resp_slice(out, options->channel);
	} else {
		add_step(greeting, STEP_INFO);
		put(out, "INFO", "memory");
	}
}

enum redis_trouble greeting_trouble_of(enum redis_error error)
{
	switch (error) {
	case REDIS_ERROR_READONLY:
		return REDIS_TROUBLE_NO_MASTER;
	case REDIS_ERROR_NOAUTH:
	case REDIS_ERROR_WRONGPASS:
		return REDIS_TROUBLE_PASSWORD;
	case REDIS_ERROR_LOADING:
	case REDIS_ERROR_MASTERDOWN:
		return REDIS_TROUBLE_LOADING;
	case REDIS_ERROR_CLUSTER:
		return REDIS_TROUBLE_CLUSTER;
	case REDIS_NO_ERROR:
	case REDIS_ERROR_OTHER:
	case REDIS_ERROR_NOSCRIPT:
	case REDIS_ERROR_OOM:
	case REDIS_ERROR_NOPERM:
	case REDIS_ERROR_BUSY:
	case REDIS_ERROR_NOREPLICAS:
	case REDIS_ERROR_MISCONF:
	case REDIS_ERROR_WRONGTYPE:
	case REDIS_ERROR_UNBLOCKED:
	case REDIS_ERROR_KINDS:
		break;
	}
	return REDIS_TROUBLE_NONE;
}

static enum greeting_result fail(
	struct greeting *greeting, enum redis_trouble trouble, struct slice detail)
{
	greeting->trouble = trouble;
	snprintf(greeting->detail, sizeof(greeting->detail), "%.*s",
		SLICE_ARG(slice_first(detail, sizeof(greeting->detail) - 1)));
	return GREETING_FAILED;
}

static void notice(struct greeting *greeting, enum redis_notice what, struct slice detail)
{
	greeting->has_notice = true;
	greeting->notice = what;
	snprintf(greeting->detail, sizeof(greeting->detail), "%.*s",
		SLICE_ARG(slice_first(detail, sizeof(greeting->detail) - 1)));
}

static enum greeting_result fail_by(struct greeting *greeting, const struct redis_reply *reply)
{
	enum redis_error error = redis_reply_error(reply);
	enum redis_trouble trouble = greeting_trouble_of(error);

	if (trouble == REDIS_TROUBLE_NONE && error == REDIS_ERROR_NOPERM)
		trouble = REDIS_TROUBLE_FORBIDDEN;
	if (trouble == REDIS_TROUBLE_NONE && error == REDIS_ERROR_BUSY)
		trouble = REDIS_TROUBLE_LOADING;
	if (trouble == REDIS_TROUBLE_NONE)
		trouble = REDIS_TROUBLE_PROTOCOL;
	return fail(greeting, trouble, redis_reply_text(reply));
}

/* Said before anything was read, in place of the first answer. */
static bool is_turned_away(struct greeting *greeting, const struct redis_reply *reply)
{
	struct slice text = redis_reply_text(reply);

	if (redis_reply_error(reply) != REDIS_ERROR_OTHER)
		return false;
	if (slice_starts_with(text, SLICE("ERR max number of clients")))
		(void)fail(greeting, REDIS_TROUBLE_CONNECT, SLICE("max number of clients reached"));
	else if (slice_starts_with(text, SLICE("DENIED ")))
		(void)fail(greeting, REDIS_TROUBLE_FORBIDDEN,
			SLICE("DENIED: protected mode; no password is set there"));
	else
		return false;
	return true;
}

/* An old Redis without users answers "ERR" to both forms of AUTH. */
static enum greeting_result read_auth(struct greeting *greeting, const struct redis_reply *reply)
{
	enum redis_error error = redis_reply_error(reply);
	enum redis_trouble trouble = greeting_trouble_of(error);
	char text[96];

	if (redis_reply_type(reply) == REDIS_TYPE_STATUS)
		return GREETING_MORE;
	if (error == REDIS_NO_ERROR)
		return fail(greeting, REDIS_TROUBLE_PROTOCOL, SLICE("no answer to AUTH"));
	if (error == REDIS_ERROR_OTHER)
		snprintf(text, sizeof(text),
			"AUTH is refused: no password is set there, or no users");
	else if (error == REDIS_ERROR_WRONGPASS)
		snprintf(text, sizeof(text), "WRONGPASS: user or password is wrong");
	else
		snprintf(text, sizeof(text), "%s is answered to AUTH", redis_error_name(error));
	if (trouble == REDIS_TROUBLE_NONE)
		trouble =
			error == REDIS_ERROR_BUSY ? REDIS_TROUBLE_LOADING : REDIS_TROUBLE_PASSWORD;
	return fail(greeting, trouble, slice_of(text));
}

static enum greeting_result read_select(struct greeting *greeting, const struct redis_reply *reply)
{
	if (redis_reply_type(reply) == REDIS_TYPE_STATUS)
		return GREETING_MORE;
	if (redis_reply_error(reply) == REDIS_ERROR_OTHER)
		return fail(greeting, REDIS_TROUBLE_FORBIDDEN, redis_reply_text(reply));
	return fail_by(greeting, reply);
}

/* By its rights, or because it was renamed. */
static bool is_forbidden(const struct redis_reply *reply)
{
	return redis_reply_error(reply) == REDIS_ERROR_NOPERM ||
	       (redis_reply_error(reply) == REDIS_ERROR_OTHER &&
		       slice_starts_with(redis_reply_text(reply), SLICE("ERR unknown command")));
}

static enum greeting_result read_role(struct greeting *greeting, const struct redis_reply *reply)
{
	struct slice role = redis_reply_text(redis_reply_item(reply, 0));
	char text[64];

	if (is_forbidden(reply)) {
		notice(greeting, REDIS_NOTICE_UNCHECKED, SLICE("ROLE"));
		return GREETING_MORE;
	}
	if (redis_reply_type(reply) != REDIS_TYPE_ARRAY)
		return fail_by(greeting, reply);
	if (slice_is(role, "master"))
		return GREETING_MORE;
	snprintf(text, sizeof(text), "the role there is %.*s", SLICE_ARG(slice_first(role, 32)));
	return fail(greeting, REDIS_TROUBLE_NO_MASTER, slice_of(text));
}

/* The value behind "\r\nmaxmemory_policy:". */
static struct slice policy_in(struct slice info)
{
	struct slice line, name, value;

	while (slice_split(info, '\n', &line, &info))
		if (slice_split(slice_trim(line), ':', &name, &value) &&
			slice_is(name, "maxmemory_policy"))
			return value;
	return SLICE_EMPTY;
}

static enum greeting_result read_info(struct greeting *greeting, const struct redis_reply *reply)
{
	struct slice policy = policy_in(redis_reply_text(reply));

	if (is_forbidden(reply))
		notice(greeting, REDIS_NOTICE_UNCHECKED, SLICE("INFO"));
	else if (redis_reply_type(reply) == REDIS_TYPE_ERROR)
		return fail_by(greeting, reply);
	else if (policy.len && !slice_is(policy, "noeviction"))
		notice(greeting, REDIS_NOTICE_EVICTION, policy);
	return GREETING_MORE;
}

static enum greeting_result read_subscribed(
	struct greeting *greeting, const struct redis_reply *reply)
{
	if (slice_is(redis_reply_text(redis_reply_item(reply, 0)), "subscribe"))
		return GREETING_MORE;
	return fail_by(greeting, reply);
}

static enum greeting_result read_step(
	struct greeting *greeting, enum step step, const struct redis_reply *reply)
{
	switch (step) {
	case STEP_AUTH:
		return read_auth(greeting, reply);
	case STEP_SELECT:
		return read_select(greeting, reply);
	case STEP_ROLE:
		return read_role(greeting, reply);
	case STEP_INFO:
		return read_info(greeting, reply);
	case STEP_SUBSCRIBE:
		return read_subscribed(greeting, reply);
	}
	return GREETING_FAILED;
}

enum greeting_result greeting_answer(struct greeting *greeting, const struct redis_reply *reply)
{
	enum step step = (enum step)greeting->steps[greeting->at++];
	enum greeting_result result;

	greeting->has_notice = false;
	if (is_turned_away(greeting, reply))
		return GREETING_FAILED;
	result = read_step(greeting, step, reply);
	if (result == GREETING_MORE && greeting->at == greeting->count)
		return GREETING_DONE;
	return result;
}
