/* SPDX-License-Identifier: ISC */
/*
 * What it costs to ask whether a client is banned: a list of so many bans, nine in ten of single
 * addresses and the others of IPv4 /24 and IPv6 /64, is asked for addresses that are on it and
 * for others in turn, in an order that no cache likes.
 *
 * usage: bans [BANS] [LOOKUPS]. Prints nanoseconds a look-up.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/alloc.h"
#include "daemon/bans/list.h"

#define ASKED 65536
#define NOW_MS UINT64_C(1700000000000)

static uint64_t random_state = UINT64_C(88172645463325252);

static uint64_t draw(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static struct ip draw_v4(void)
{
	char text[16];
	struct ip ip = {0};
	uint64_t r = draw() >> 8;
	int len = snprintf(text, sizeof(text), "%u.%u.%u.%u", 1 + (unsigned)(r % 200),
		(unsigned)(r >> 8) % 256, (unsigned)(r >> 16) % 256, (unsigned)(r >> 24) % 256);

	if (!ip_parse(slice_make(text, (size_t)len), &ip))
		abort();
	return ip;
}

static struct ip draw_v6(void)
{
	struct ip ip = {0};
	uint64_t r = draw();

	ip.bytes[0] = 0x20;
	memcpy(ip.bytes + 1, &r, 7);
	memcpy(ip.bytes + 8, &r, 8);
	return ip;
}

static struct cidr draw_network(unsigned number)
{
	struct cidr network = {.ip = draw_v4(), .bits = 128};

	if (number % 20 == 0) {
		network.ip.bytes[15] = 0;
		network.bits = 120;
	} else if (number % 20 == 1) {
		network.ip = draw_v6();
		memset(network.ip.bytes + 8, 0, 8);
		network.bits = 64;
	}
	return network;
}

/* Of the processor: what else the machine does is left out. */
static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* One address in two is of a ban; of the strangers one in ten is IPv6. */
static void fill(struct ban_list *list, unsigned count, struct ip *asked)
{
	struct ip *banned = mem_zalloc_array(count, sizeof(*banned));

	for (unsigned i = 0; i < count; i++) {
		struct ban ban = {
			.network = draw_network(i), .until_wall_ms = NOW_MS + 3600000, .times = 1};

		banned[i] = ban.network.ip;
		if (!ban_list_put(list, &ban))
			abort();
	}
	for (unsigned i = 0; i < ASKED; i++)
		if (i % 2)
			asked[i] = i % 20 == 1 ? draw_v6() : draw_v4();
		else
			asked[i] = banned[draw() % count];
	mem_free(&banned);
}

int main(int argc, char **argv)
{
	unsigned count = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 100000;
	unsigned lookups = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 5000000;
	struct ban_list *list = ban_list_new((struct hash_key){1, 2}, count);
	struct ip *asked = mem_zalloc_array(ASKED, sizeof(*asked));
	unsigned found = 0;
	double begin;

	fill(list, count, asked);
	begin = seconds();
	for (unsigned i = 0; i < lookups; i++)
		found += ban_list_find(list, &asked[i % ASKED], NOW_MS, true) != NULL;
	printf("%zu bans: %.0f ns a look-up, %.0f %% of them found\n", ban_list_count(list),
		(seconds() - begin) / lookups * 1e9, 100.0 * found / lookups);
	ban_list_free(&list);
	mem_free(&asked);
	return EXIT_SUCCESS;
}
