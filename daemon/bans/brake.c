/* SPDX-License-Identifier: ISC */
/*
 * A ring of the networks banned in the last minute. Asking for one that is in it is free; one too
 * many begins the storm. While it lasts all that is asked is still noted, up to the bound, so
 * that the end is found by the same measure as the beginning.
 */
#include "daemon/bans/brake.h"

#include "common/alloc.h"

#define BITS4 32
#define BITS6 48

struct brake_mark {
	struct ip network;
	uint64_t mono_ms;
};

void brake_init(struct brake *brake)
{
	*brake = (struct brake){ 0 };
}

void brake_release(struct brake *brake)
{
	mem_free(&brake->marks);
}

static struct brake_mark *mark_at(const struct brake *brake, size_t index)
{
	return &brake->marks[(brake->start + index) % brake->room];
}

static void drop_old(struct brake *brake, uint64_t mono_ms)
{
	while (brake->count && mono_ms - mark_at(brake, 0)->mono_ms >= BRAKE_MINUTE_MS) {
		brake->start = (brake->start + 1) % brake->room;
		brake->count--;
	}
}

static bool is_marked(const struct brake *brake, const struct ip *network)
{
	size_t oldest = brake->count > BRAKE_LOOK_BACK ? brake->count - BRAKE_LOOK_BACK : 0;

	for (size_t i = oldest; i < brake->count; i++)
		if (ip_equal(&mark_at(brake, i)->network, network))
			return true;
	return false;
}

static void add_mark(struct brake *brake, const struct ip *network, uint64_t mono_ms)
{
	if (brake->count == brake->room) {
		size_t room = brake->room ? 2 * brake->room : 128;
		struct brake_mark *marks = mem_zalloc_array(room, sizeof(marks[0]));

		for (size_t i = 0; i < brake->count; i++)
			marks[i] = *mark_at(brake, i);
		free(brake->marks);
		brake->marks = marks;
		brake->start = 0;
		brake->room = room;
	}
	*mark_at(brake, brake->count++) = (struct brake_mark){ *network, mono_ms };
}

static enum brake_answer refuse(struct brake *brake)
{
	brake->refused++;
	return BRAKE_STORM;
}

enum brake_answer brake_ask(struct brake *brake, const struct ip *ip, uint64_t max_per_minute,
			    uint64_t mono_ms)
{
	struct cidr network = ip_network(ip, BITS4, BITS6);

	drop_old(brake, mono_ms);
	if (!is_marked(brake, &network.ip)) {
		if (brake->count >= max_per_minute) {
			bool begins = !brake->in_storm;

			brake->in_storm = true;
			brake->over_mono_ms = mono_ms;
			refuse(brake);
			return begins ? BRAKE_STORM_BEGINS : BRAKE_STORM;
		}
		add_mark(brake, &network.ip, mono_ms);
	}
	return brake->in_storm ? refuse(brake) : BRAKE_GO;
}

void brake_note(struct brake *brake, const struct ip *ip, uint64_t mono_ms)
{
	struct cidr network = ip_network(ip, BITS4, BITS6);

	drop_old(brake, mono_ms);
	if (!is_marked(brake, &network.ip))
		add_mark(brake, &network.ip, mono_ms);
}

bool brake_tick(struct brake *brake, uint64_t mono_ms, uint64_t *ret_refused)
{
	drop_old(brake, mono_ms);
	if (!brake->in_storm || mono_ms - brake->over_mono_ms < BRAKE_MINUTE_MS)
		return false;
	brake->in_storm = false;
	*ret_refused = brake->refused;
	brake->refused = 0;
	return true;
}
