/* SPDX-License-Identifier: ISC */
/*
 * Check tables for tests of config/ alone, of the shapes that the default
 * rules need. The real ones stand with the rules.
 */
#ifndef REEVE_TESTS_UNIT_CONFIG_CHECKS_H
#define REEVE_TESTS_UNIT_CONFIG_CHECKS_H

#include "config/config.h"

struct helo_options {
	struct config_strings names;
};

struct local_sender_options {
	int allow;
	bool subdomains;
};

struct sender_login_options {
	int scope;
};

struct ptr_options {
	int on_missing;
	bool confirm;
};

struct literal_options {
	struct config_strings accept;
};

struct catchall_options {
	struct config_strings maps;
};

struct recipients_options {
	struct config_limits limits;
};

struct rate_options {
	int per, count;
	struct config_limits limits;
	unsigned warn_at;
	bool forgeable;
};

static const char *const allow_words[] = {"anyone", "authenticated", "privileged", NULL};
static const char *const scope_words[] = {"account", "domain", "address", NULL};
static const char *const missing_words[] = {"pass", "reject", "mark", NULL};
static const char *const per_words[] = {"login", "sender", "sender_domain", "account", "client",
	"recipient", "recipient_domain", "everyone", NULL};
static const char *const count_words[] = {"recipients", "messages", "bytes", NULL};

static const struct config_key helo_keys[] = {
	{.name = "names",
		.type = CONFIG_TYPE_STRINGS,
		.offset = offsetof(struct helo_options, names)},
};
static const struct config_key local_sender_keys[] = {
	{"allow", CONFIG_TYPE_WORD, offsetof(struct local_sender_options, allow), "authenticated",
		0, 0, allow_words, 0},
	{"subdomains", CONFIG_TYPE_BOOL, offsetof(struct local_sender_options, subdomains), "no", 0,
		0, NULL, 0},
};
static const struct config_key sender_login_keys[] = {
	{"scope", CONFIG_TYPE_WORD, offsetof(struct sender_login_options, scope), "account", 0, 0,
		scope_words, 0},
};
static const struct config_key ptr_keys[] = {
	{"on_missing", CONFIG_TYPE_WORD, offsetof(struct ptr_options, on_missing), "mark", 0, 0,
		missing_words, 0},
	{"confirm", CONFIG_TYPE_BOOL, offsetof(struct ptr_options, confirm), "no", 0, 0, NULL, 0},
};
static const struct config_key literal_keys[] = {
	{.name = "accept",
		.type = CONFIG_TYPE_STRINGS,
		.offset = offsetof(struct literal_options, accept)},
};
static const struct config_key catchall_keys[] = {
	{.name = "maps",
		.type = CONFIG_TYPE_LINES,
		.offset = offsetof(struct catchall_options, maps)},
};
static const struct config_key recipients_keys[] = {
	{.name = "limits",
		.type = CONFIG_TYPE_LIMITS,
		.offset = offsetof(struct recipients_options, limits),
		.flags = CONFIG_REQUIRED | CONFIG_PLAIN_LIMITS},
	{.name = "limit",
		.type = CONFIG_TYPE_LIMITS,
		.offset = offsetof(struct recipients_options, limits),
		.flags = CONFIG_ONE_LIMIT | CONFIG_PLAIN_LIMITS},
};
static const struct config_key rate_keys[] = {
	{"per", CONFIG_TYPE_WORD, offsetof(struct rate_options, per), NULL, 0, 0, per_words,
		CONFIG_REQUIRED},
	{"count", CONFIG_TYPE_WORD, offsetof(struct rate_options, count), "recipients", 0, 0,
		count_words, 0},
	{.name = "limits",
		.type = CONFIG_TYPE_LIMITS,
		.offset = offsetof(struct rate_options, limits),
		.flags = CONFIG_REQUIRED},
	{.name = "limit",
		.type = CONFIG_TYPE_LIMITS,
		.offset = offsetof(struct rate_options, limits),
		.flags = CONFIG_ONE_LIMIT},
	{"warn_at", CONFIG_TYPE_PERCENT, offsetof(struct rate_options, warn_at), NULL, 0, 0, NULL,
		CONFIG_OR_OFF},
	{"forgeable", CONFIG_TYPE_BOOL, offsetof(struct rate_options, forgeable), "no", 0, 0, NULL,
		0},
};

static inline void validate_rate(
	const void *options, struct config_pos pos, struct config_errors *errors)
{
	const struct rate_options *rate = options;

	for (size_t i = 0; i < rate->limits.count; i++)
		if (rate->limits.items[i].in_bytes && rate->count != 2)
			config_error(errors, pos, "a limit in bytes needs 'count: bytes'");
}

#define CHECK(check_name, keys, options)                                                         \
	{                                                                                        \
		check_name, keys, sizeof(keys) / sizeof((keys)[0]), sizeof(struct options), NULL \
	}

static const struct config_check check_list[] = {
	{"ban", NULL, 0, 0, NULL},
	CHECK("helo", helo_keys, helo_options),
	CHECK("local_sender", local_sender_keys, local_sender_options),
	CHECK("sender_login", sender_login_keys, sender_login_options),
	{"sender_domain", NULL, 0, 0, NULL},
	CHECK("ptr", ptr_keys, ptr_options),
	CHECK("address_literal", literal_keys, literal_options),
	CHECK("catchall", catchall_keys, catchall_options),
	CHECK("recipients", recipients_keys, recipients_options),
	{"rate", rate_keys, sizeof(rate_keys) / sizeof(rate_keys[0]), sizeof(struct rate_options),
		validate_rate},
};

static const struct config_check *const checks[] = {
	&check_list[0],
	&check_list[1],
	&check_list[2],
	&check_list[3],
	&check_list[4],
	&check_list[5],
	&check_list[6],
	&check_list[7],
	&check_list[8],
	&check_list[9],
};

#define CHECK_COUNT (sizeof(checks) / sizeof(checks[0]))

#endif
