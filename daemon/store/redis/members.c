/* SPDX-License-Identifier: ISC */
/*
 * Chains in a table that doubles with its content. Members do not move.
 */
#include "daemon/store/redis/members.h"

#include "common/alloc.h"

#define FIRST_CHAINS 256

void members_init(struct members *members, struct hash_key key)
{
	*members = (struct members){.key = key, .mask = FIRST_CHAINS - 1};
	members->chains = mem_zalloc_array(FIRST_CHAINS, sizeof(members->chains[0]));
}

static void free_member(struct member *member)
{
	list_remove(&member->unsent);
	free(member->facts);
	free(member);
}

void members_release(struct members *members)
{
	for (size_t i = 0; i <= members->mask; i++) {
		while (members->chains[i]) {
			struct member *member = members->chains[i];

			members->chains[i] = member->next;
			free_member(member);
		}
	}
	mem_free(&members->chains);
	members->count = 0;
}

static struct member *find(const struct members *members, struct slice name, uint64_t hash)
{
	struct member *member = members->chains[hash & members->mask];

	while (member && !(member->hash == hash && slice_equal(member_name(member), name)))
		member = member->next;
	return member;
}

struct member *members_find(const struct members *members, struct slice name)
{
	return find(members, name, hash64(&members->key, name));
}

static void double_chains(struct members *members)
{
	size_t count = 2 * (members->mask + 1);
	struct member **chains = mem_zalloc_array(count, sizeof(chains[0]));

	for (size_t i = 0; i <= members->mask; i++) {
		while (members->chains[i]) {
			struct member *member = members->chains[i];

			members->chains[i] = member->next;
			member->next = chains[member->hash & (count - 1)];
			chains[member->hash & (count - 1)] = member;
		}
	}
	free(members->chains);
	members->chains = chains;
	members->mask = count - 1;
}

struct member *members_get(struct members *members, struct slice name)
{
	uint64_t hash = hash64(&members->key, name);
	struct member *member = find(members, name, hash);

	if (member)
		return member;
	if (members->count > members->mask)
		double_chains(members);
	member = mem_zalloc(sizeof(*member) + name.len);
	list_init(&member->unsent);
	member->hash = hash;
	member->name_len = name.len;
	memcpy(member->name, name.data, name.len);
	member->next = members->chains[hash & members->mask];
	members->chains[hash & members->mask] = member;
	members->count++;
	return member;
}

void members_drop(struct members *members, struct member *member)
{
	struct member **link = &members->chains[member->hash & members->mask];

	while (*link != member)
		link = &(*link)->next;
	*link = member->next;
	members->count--;
	free_member(member);
}

void member_set_facts(struct member *member, struct slice facts)
{
	free(member->facts);
	member->facts = mem_dup(facts);
	member->facts_len = facts.len;
}

void members_each(
	struct members *members, void (*each)(void *arg, struct member *member), void *arg)
{
	for (size_t i = 0; i <= members->mask; i++) {
		struct member *member = members->chains[i], *next;

		for (; member; member = next) {
			next = member->next;
			each(arg, member);
		}
	}
}
