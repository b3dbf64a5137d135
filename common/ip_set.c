/* SPDX-License-Identifier: ISC */
/*
 * Sets of networks: one sorted array, first by prefix length, then by
 * address. A question masks the address once for each length in use and
 * looks it up in that length's part. Members are distinct once sealed. A set of a few networks is
 * compared one by one instead, as words.
 */
#include <assert.h>
#include <string.h>

#include "common/alloc.h"
#include "common/ip.h"

#define MAPPED_BITS 96

struct part {
	size_t start, end; /* in networks */
	uint8_t bits;
};

#define FEW 16

struct words { /* one network as its bytes in two words of memory order */
	uint64_t mask[2], net[2];
	bool only_v6;
};

struct cidr_set {
	struct words few[FEW]; /* the same networks, if there are no more */
	uint64_t first4[4];    /* bit for each first byte that an IPv4 address in the set can have */
	struct cidr *networks;
	size_t count, cap;
	struct part parts[129]; /* shortest prefix first */
	size_t part_count;
	bool sealed;
};

struct cidr_set *cidr_set_new(void)
{
	return mem_zalloc(sizeof(struct cidr_set));
}

void cidr_set_free(struct cidr_set **set)
{
	if (!*set)
		return;
	free((*set)->networks);
	mem_free(set);
}

void cidr_set_add(struct cidr_set *set, const struct cidr *cidr)
{
	assert(!set->sealed);
	if (set->count == set->cap) {
		set->cap = set->cap ? set->cap * 2 : 8;
		set->networks = mem_grow(set->networks, set->cap * sizeof(*set->networks));
	}
	set->networks[set->count++] = *cidr;
}

void cidr_set_add_set(struct cidr_set *set, const struct cidr_set *members)
{
	for (size_t i = 0; i < cidr_set_count(members); i++)
		cidr_set_add(set, &members->networks[i]);
}

static int compare(const void *left, const void *right)
{
	const struct cidr *a = left, *b = right;

	if (a->bits != b->bits)
		return a->bits < b->bits ? -1 : 1;
	return memcmp(a->ip.bytes, b->ip.bytes, sizeof(a->ip.bytes));
}

/* ::/0 and its like hold no IPv4, though it is kept below them; an inner network may, so the scan goes on. */
static void fill_few(struct cidr_set *set)
{
	struct ip ones;

	memset(ones.bytes, 0xff, sizeof(ones.bytes));
	for (size_t i = 0; i < set->count && set->count <= FEW; i++) {
		const struct cidr *network = &set->networks[i];
		struct cidr mask = ip_network(&ones, 0, network->bits);
		struct words *words = &set->few[i];

		memcpy(words->mask, mask.ip.bytes, sizeof(words->mask));
		memcpy(words->net, network->ip.bytes, sizeof(words->net));
		words->only_v6 = network->bits < MAPPED_BITS;
	}
}

/* Most IPv4 addresses that are asked for are out of the question by their first byte. */
static void fill_first4(struct cidr_set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		const struct cidr *network = &set->networks[i];
		unsigned first = network->ip.bytes[12], more = 0;

		if (network->bits < MAPPED_BITS || !ip_is_v4(&network->ip))
			continue;
		if (network->bits < MAPPED_BITS + 8)
			more = 0xff >> (network->bits - MAPPED_BITS);
		for (unsigned byte = first; byte <= first + more; byte++)
			set->first4[byte / 64] |= UINT64_C(1) << byte % 64;
	}
}

void cidr_set_seal(struct cidr_set *set)
{
	size_t kept = 0;

	assert(!set->sealed);
	set->sealed = true;
	if (set->count == 0)
		return;
	qsort(set->networks, set->count, sizeof(*set->networks), compare);
	for (size_t i = 0; i < set->count; i++) {
		const struct cidr *network = &set->networks[i];

		if (kept && compare(&set->networks[kept - 1], network) == 0)
			continue;
		if (!kept || set->networks[kept - 1].bits != network->bits)
			set->parts[set->part_count++] = (struct part){kept, kept, network->bits};
		set->networks[kept++] = *network;
		set->parts[set->part_count - 1].end = kept;
	}
	set->count = kept;
	fill_few(set);
	fill_first4(set);
}

/* The first network of the part that is not below `ip`. */
static size_t lower_bound(const struct cidr_set *set, const struct part *part, const struct ip *ip)
{
	size_t low = part->start, high = part->end;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (memcmp(set->networks[middle].ip.bytes, ip->bytes, sizeof(ip->bytes)) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Where the part's member is that has `ip` in it, if there is one. */
static size_t find(const struct cidr_set *set, const struct part *part, const struct ip *ip)
{
	unsigned bits4 = part->bits >= MAPPED_BITS ? part->bits - MAPPED_BITS : 0;
	struct cidr network = ip_network(ip, bits4, part->bits);

	return lower_bound(set, part, &network.ip);
}

/* Most sets hold a handful of networks: then comparing words beats searching bytes. */
static bool few_contain(const struct cidr_set *set, const struct ip *ip)
{
	uint64_t word[2];

	memcpy(word, ip->bytes, sizeof(word));
	for (size_t i = 0; i < set->count; i++) {
		const struct words *words = &set->few[i];

		if ((word[0] & words->mask[0]) == words->net[0] &&
		    (word[1] & words->mask[1]) == words->net[1] &&
		    !(words->only_v6 && ip_is_v4(ip)))
			return true;
	}
	return false;
}

bool cidr_set_contains(const struct cidr_set *set, const struct ip *ip)
{
	if (!set)
		return false;
	assert(set->sealed);
	if (ip_is_v4(ip) && !(set->first4[ip->bytes[12] / 64] >> ip->bytes[12] % 64 & 1))
		return false;
	if (set->count <= FEW)
		return few_contain(set, ip);
	for (size_t i = 0; i < set->part_count; i++) {
		const struct part *part = &set->parts[i];
		size_t at = find(set, part, ip);

		if (at < part->end && cidr_contains(&set->networks[at], ip))
			return true;
	}
	return false;
}

/*
 * The only narrower member of the part that needs looking at: if one lies in `cidr`, the first behind
 * its first address does. Only ::/0 and its like must pass over the IPv4 networks in between.
 */
static size_t first_inside(
	const struct cidr_set *set, const struct part *part, const struct cidr *cidr)
{
	static const struct ip behind_v4 = {{[9] = 1}};
	size_t at = lower_bound(set, part, &cidr->ip);

	if (cidr->bits < MAPPED_BITS && at < part->end && ip_is_v4(&set->networks[at].ip))
		at = lower_bound(set, part, &behind_v4);
	return at;
}

bool cidr_set_overlaps(const struct cidr_set *set, const struct cidr *cidr)
{
	if (!set)
		return false;
	assert(set->sealed);
	for (size_t i = 0; i < set->part_count; i++) {
		const struct part *part = &set->parts[i];
		size_t at = part->bits <= cidr->bits ? find(set, part, &cidr->ip)
						     : first_inside(set, part, cidr);

		if (at < part->end && cidr_overlaps(&set->networks[at], cidr))
			return true;
	}
	return false;
}

size_t cidr_set_count(const struct cidr_set *set)
{
	return set ? set->count : 0;
}

struct cidr cidr_set_at(const struct cidr_set *set, size_t index)
{
	assert(set->sealed && index < set->count);
	return set->networks[index];
}
