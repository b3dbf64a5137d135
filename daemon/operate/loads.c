/* SPDX-License-Identifier: ISC */
/*
 * A good load replaces both memories, a failed one only the second.
 */
#include "daemon/operate/loads.h"

static void forget(struct load *load)
{
	config_errors_free(&load->errors);
	*load = (struct load){0};
}

void loads_note(struct loads *loads, const struct load *load)
{
	forget(&loads->last);
	if (!load->good) {
		loads->last = *load;
		loads->reloads_failed++;
		return;
	}
	forget(&loads->in_force);
	loads->in_force = *load;
	if (loads->generation++)
		loads->reloads_good++;
}

const struct load *loads_last(const struct loads *loads)
{
	return loads->last.wall_ms ? &loads->last : &loads->in_force;
}

void loads_release(struct loads *loads)
{
	forget(&loads->last);
	forget(&loads->in_force);
}
