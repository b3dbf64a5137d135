/* SPDX-License-Identifier: ISC */
/*
 * A list short enough to be walked. When it is full, the one that settled longest ago makes room.
 */
#include "daemon/counting/services.h"

#include <string.h>

#define NOTE_AGAIN_MS (UINT64_C(3600) * 1000) /* how old the time on disk may get */

void services_init(struct services *services, enum ledger_settle mode)
{
	memset(services, 0, sizeof(*services));
	services->mode = mode;
}

static struct service *find(struct services *services, uint64_t name)
{
	for (uint32_t i = 0; i < services->count; i++)
		if (services->items[i].name == name)
			return &services->items[i];
	return NULL;
}

static struct service *room(struct services *services)
{
	struct service *oldest = &services->items[0];

	if (services->count < SERVICES_MAX)
		return &services->items[services->count++];
	for (uint32_t i = 1; i < SERVICES_MAX; i++)
		if (services->items[i].settled_wall_ms < oldest->settled_wall_ms)
			oldest = &services->items[i];
	return oldest;
}

void services_settled(struct services *services, uint64_t name, uint64_t wall_ms)
{
	struct service *service;

	if (services->mode != LEDGER_SETTLE_AUTO)
		return;
	service = find(services, name);
	if (!service) {
		service = room(services);
		*service = (struct service){.name = name};
	}
	service->unsettled = 0;
	if (wall_ms < service->settled_wall_ms ||
		wall_ms - service->settled_wall_ms >= NOTE_AGAIN_MS) {
		service->settled_wall_ms = wall_ms;
		services->changed = true;
	}
}

void services_unsettled(struct services *services, uint64_t name)
{
	struct service *service = find(services, name);

	if (service && service->unsettled < SERVICES_DOUBT)
		service->unsettled++;
}

bool services_settles(const struct services *services, uint64_t name, uint64_t wall_ms)
{
	if (services->mode != LEDGER_SETTLE_AUTO)
		return services->mode == LEDGER_SETTLE_DATA;
	for (uint32_t i = 0; i < services->count; i++) {
		const struct service *service = &services->items[i];

		if (service->name == name)
			return service->unsettled < SERVICES_DOUBT &&
			       (wall_ms < service->settled_wall_ms ||
				       wall_ms - service->settled_wall_ms < SERVICES_FORGET_MS);
	}
	return false;
}
