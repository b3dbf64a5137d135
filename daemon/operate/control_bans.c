/* SPDX-License-Identifier: ISC */
/*
 * `ban.list`, `ban.show`, `ban.add`, `ban.remove`. Long lists are answered in pages: the caller
 * asks again from `next` on until that is 0. A ban that would hit protected networks, Postfix's
 * own hosts (those that are connected, or may be) is only made with `force`; whom else it hits of
 * those that sent good mail lately stands in the answer.
 */
#include <stdio.h>
#include <sysexits.h>

#include "daemon/operate/control_call.h"

#define PAGE 1000
#define MAX_HITS 100

static void add_ban(struct json *json, const struct ban *ban)
{
	char text[CIDR_TEXT_BYTES];

	json_object(json, NULL);
	json_slice(json, "network", cidr_format(&ban->network, text));
	json_text(json, "reason", ban->reason);
	json_text(json, "by", ban->by);
	json_bool(json, "manual", ban->manual);
	json_u64(json, "times", ban->times);
	json_time(json, "since", ban->since_wall_ms);
	if (ban->until_wall_ms != UINT64_MAX)
		json_time(json, "until", ban->until_wall_ms);
	json_text(json, "node", ban->node);
	json_end_object(json);
}

struct listing {
	struct json *json;
	const struct cidr *within; /* NULL: all */
	uint64_t from, at, added;
	bool is_new; /* a ban that was just made */
	uint64_t hits;
};

static void list_one(void *arg, const struct ban *ban)
{
	struct listing *listing = arg;

	if (listing->within && !cidr_overlaps(listing->within, &ban->network))
		return;
	if (listing->at++ < listing->from || listing->added == PAGE)
		return;
	listing->added++;
	add_ban(listing->json, ban);
}

/* false: it was refused. */
static bool read_network(
	struct control_call *call, const struct ctl_request *request, struct cidr *ret_network)
{
	struct slice text = ctl_request_get(request, "network");
	const char *why = NULL;

	if (cidr_parse(text, ret_network, &why))
		return true;
	control_refuse(call, EX_DATAERR, "an address or a network, like 192.0.2.7 or 2001:db8::/64",
		"'%s': %s", config_quote(text).text, why);
	return false;
}

static void add_hit(void *arg, const struct bans_hit *hit)
{
	struct listing *listing = arg;
	char text[CIDR_TEXT_BYTES];

	if (listing->hits++ >= MAX_HITS)
		return;
	json_object(listing->json, NULL);
	json_slice(listing->json, "network", cidr_format(&hit->network, text));
	json_u64(listing->json, "connections", hit->connections);
	json_u64(listing->json, "passed_ms", hit->passed_ms);
	json_end_object(listing->json);
}

static void add_hits(struct control_call *call, struct listing *listing)
{
	json_array(listing->json, "hits");
	bans_each_hit(call->operate->bans, listing->within, loop_now(call->operate->loop), add_hit,
		listing);
	json_end_array(listing->json);
	json_u64(listing->json, "hits_total", listing->hits);
}

static void list_page(struct control_call *call, struct listing *listing)
{
	struct json *json = control_answer(call);

	listing->json = json;
	json_array(json, "bans");
	bans_each(call->operate->bans, list_one, listing);
	json_end_array(json);
	json_u64(json, "total", listing->at);
	json_u64(json, "next",
		listing->from + listing->added < listing->at ? listing->from + listing->added : 0);
	if (!listing->is_new) {
		control_send(call);
		return;
	}
	add_hits(call, listing);
	control_send_kept(call);
}

static void list(struct control_call *call, const struct ctl_request *request)
{
	struct listing listing = {0};
	struct slice from;

	if (ctl_request_find(request, "from", &from) && units_parse_u64(from, &listing.from)) {
		control_refuse(call, EX_DATAERR, "", "'from' is a number");
		return;
	}
	list_page(call, &listing);
}

static void show(struct control_call *call, const struct ctl_request *request)
{
	struct listing listing = {0};
	struct cidr network;

	if (!read_network(call, request, &network))
		return;
	listing.within = &network;
	list_page(call, &listing);
}

/* Who asks us, or may: banning a host of Postfix would stop the mail it relays to others here. */
static bool hits_a_peer(const struct operate *operate, const struct cidr *network)
{
	const struct config *config = pipeline_ruleset(operate->pipeline)->config;

	for (size_t i = 0; i < config->listen_count; i++) {
		if (cidr_set_overlaps(config->listen[i].allow, network))
			return true;
	}
	return server_has_peer(operate->server, network);
}

/* false: it was refused. */
static bool read_reason(
	struct control_call *call, const struct ctl_request *request, struct slice *ret)
{
	struct slice reason = ctl_request_get(request, "reason");
	bool plain = reason.len < sizeof(((struct ban *)NULL)->reason);

	for (size_t i = 0; i < reason.len && plain; i++)
		plain = reason.data[i] >= 0x20 && reason.data[i] <= 0x7e;
	*ret = reason.len ? reason : SLICE("by hand");
	if (!plain)
		control_refuse(call, EX_DATAERR, "",
			"the reason is printable ASCII, at most %zu bytes, for clients may be told it",
			sizeof(((struct ban *)NULL)->reason) - 1);
	return plain;
}

static void refuse_ban(struct control_call *call, enum bans_add why, const struct cidr *network)
{
	char text[CIDR_TEXT_BYTES];

	cidr_format(network, text);
	if (why == BANS_ADD_PROTECTED)
		control_refuse(call, EX_DATAERR, "--force bans it all the same",
			"%s overlaps a network that is never banned (local, privileged, own "
			"addresses, bans.never)",
			text);
	else if (why == BANS_ADD_TOO_WIDE)
		control_refuse(call, EX_DATAERR, "",
			"%s is too wide: at most a /16 of IPv4 or a /32 of IPv6", text);
	else
		control_refuse(call, EX_UNAVAILABLE, "raise bans.max_entries",
			"the list is full of bans made by hand");
}

static void add(struct control_call *call, const struct ctl_request *request)
{
	const struct operate *operate = call->operate;
	bool force = slice_is(ctl_request_get(request, "force"), "yes");
	struct clock_now now = loop_now(operate->loop);
	char by[32], text[CIDR_TEXT_BYTES];
	struct slice reason;
	struct cidr network;
	uint64_t until_ms;
	enum bans_add added;

	if (!read_network(call, request, &network) || !read_reason(call, request, &reason) ||
		!control_read_end(call, request, now.wall_ms, &until_ms))
		return;
	if (!force && hits_a_peer(operate, &network)) {
		control_refuse(call, EX_DATAERR, "--force bans it all the same",
			"%s hits a host that asks Reeve (a Postfix of yours)",
			cidr_format(&network, text).data);
		return;
	}
	snprintf(by, sizeof(by), "uid %lu", (unsigned long)call->who.uid);
	added = bans_add(operate->bans, &network, until_ms, slice_of(by), reason, force, now);
	if (added != BANS_ADDED) {
		refuse_ban(call, added, &network);
		return;
	}
	list_page(call, &(struct listing){.within = &network, .is_new = true});
}

static void remove_ban(struct control_call *call, const struct ctl_request *request)
{
	char text[CIDR_TEXT_BYTES];
	struct cidr network;

	if (!read_network(call, request, &network))
		return;
	if (!bans_remove(call->operate->bans, &network, loop_now(call->operate->loop))) {
		control_refuse(call, EX_DATAERR,
			"`reevectl ban show` lists the networks that cover an address",
			"%s is not on the list", cidr_format(&network, text).data);
		return;
	}
	(void)control_answer(call);
	control_send_kept(call);
}

const struct control_command control_ban_commands[] = {
	{"ban.list", false, list},
	{"ban.show", false, show},
	{"ban.add", true, add},
	{"ban.remove", true, remove_ban},
	{0},
};
