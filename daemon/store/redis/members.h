/* SPDX-License-Identifier: ISC */
/*
 * What a node knows of a shared list: members by name, each with its facts, and whether Redis has
 * to be told of it. Only shared.c uses this.
 */
#ifndef REEVE_DAEMON_STORE_REDIS_MEMBERS_H
#define REEVE_DAEMON_STORE_REDIS_MEMBERS_H

#include "common/hash.h"
#include "common/list.h"

enum member_state {
	MEMBER_SYNCED, /* as in Redis */
	MEMBER_PUT,    /* Redis is to be told */
	MEMBER_REMOVED /* Redis is to be told, then it goes */
};

struct member {
	struct member *next; /* in its chain */
	struct list unsent;  /* PUT or REMOVED and not out; else alone */
	uint64_t hash, version;
	uint64_t made_ms, until_ms; /* Redis' clock; until UINT64_MAX: for ever */
	uint32_t pass;
	enum member_state state;
	bool sticky;
	bool out;     /* a command about it is under way */
	bool changed; /* since that was sent */
	bool guessed; /* times by our clock: Redis' was not known */
	char *facts;
	size_t facts_len, name_len;
	char name[];
};

struct members {
	struct hash_key key;
	struct member **chains;
	size_t mask, count;
};

void members_init(struct members *members, struct hash_key key);
void members_release(struct members *members);
struct member *members_find(const struct members *members, struct slice name);
/* Finds or adds; a new one is SYNCED and has no facts. */
struct member *members_get(struct members *members, struct slice name)
	__attribute__((returns_nonnull));
void members_drop(struct members *members, struct member *member);
void member_set_facts(struct member *member, struct slice facts);
/* `each` may drop the member it is given, and no other. */
void members_each(
	struct members *members, void (*each)(void *arg, struct member *member), void *arg);

static inline struct slice member_name(const struct member *member)
{
	return slice_make(member->name, member->name_len);
}

static inline struct slice member_facts(const struct member *member)
{
	return slice_make(member->facts, member->facts_len);
}

#endif
