/* SPDX-License-Identifier: ISC */
/*
 * check: ban. Is the client on the deny list? The list is bans/'s; here it is only asked. A ban by
 * itself says 421, so that a client that was hit by mistake keeps its mail and tries again;
 * one made by hand says 521.
 *
 * Being refused for a ban is no strike: else a ban that lasts an hour would never end.
 */
#include "daemon/bans/bans.h"
#include "daemon/rules/table.h"

static const struct config_check check = { .name = "ban" };

#define TEXT "{client} is blocked until {until} ({reason})"

enum { AUTOMATIC, BY_HAND };

static const struct rule_reply replies[] = {
	[AUTOMATIC] = { REPLY_DISCONNECT_TEMPORARY, 421, "4.7.1", TEXT, false },
	[BY_HAND] = { REPLY_DISCONNECT, 521, "5.7.1", TEXT, false },
};

#define UNTIL_BYTES 32

static struct slice until_text(const struct request *request, const struct ban *ban)
{
	struct buf buf;

	if (ban->until_wall_ms == UINT64_MAX)
		return SLICE("further notice");
	buf_init_fixed(&buf, arena_alloc(request->arena, UNTIL_BYTES), UNTIL_BYTES);
	units_format_time(&buf, ban->until_wall_ms);
	return buf_slice(&buf);
}

/*
 * Networks that are never banned stay free where a wider ban by hand has them in it. One whose own
 * address is in such a network was forced, and holds.
 */
static bool is_spared(const struct rule *rule, const struct rule_ask *ask, const struct ban *ban)
{
	if (!rule->config->default_exemptions ||
	    !bans_is_protected(ask->bans, &ask->request->client))
		return false;
	return !ban->manual || !bans_is_protected(ask->bans, &ban->network.ip);
}

static enum rule_result step(const struct rule *rule, const struct rule_ask *ask)
{
	const struct request *request = ask->request;
	const struct ban *ban = bans_find(ask->bans, &request->client, request->now);
	struct slice *vars = ask->finding->vars.value;

	rule_note(ask, "client", request->in->attr[POLICY_CLIENT_ADDRESS],
		  ban ? "on the list" : "not on the list");
	if (!ban || is_spared(rule, ask, ban))
		return RULE_NEXT;
	/* The list may change before the reply is written. */
	vars[REPLY_VAR_REASON] = arena_dup(request->arena, slice_of(ban->reason));
	vars[REPLY_VAR_UNTIL] = until_text(request, ban);
	return rule_bad(ask, ban->manual ? BY_HAND : AUTOMATIC, "listed");
}

const struct rule_ops rule_ban = {
	.check = &check,
	.needs = FACT_CLIENT,
	.exempt = EXEMPT_AUTHENTICATED,
	.flags = RULE_NEVER_STRIKES,
	.replies = replies,
	.reply_count = sizeof(replies) / sizeof(replies[0]),
	.step = step,
};
