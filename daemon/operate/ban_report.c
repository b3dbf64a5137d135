/* SPDX-License-Identifier: ISC */
/*
 * on_ban is for whoever keeps a list of his own (a firewall, a map of Postfix): it gets what puts a
 * network on the list, keeps it there for longer, and takes it off.
 */
#include "daemon/operate/ban_report.h"

#include "common/json.h"
#include "common/units.h"

static const struct {
	const char *name;
	const char *hook; /* NULL: not for on_ban */
	enum log_level level;
} ban_events[] = {
	[BANS_BANNED] = {"ban", "ban", LOG_LEVEL_WARNING},
	[BANS_WOULD_BAN] = {"would_ban", NULL, LOG_LEVEL_WARNING},
	[BANS_EXTENDED] = {"ban_extended", "ban", LOG_LEVEL_WARNING},
	[BANS_REMOVED] = {"unban", "unban", LOG_LEVEL_WARNING},
	[BANS_STORM_BEGIN] = {"ban_storm_begin", NULL, LOG_LEVEL_WARNING},
	[BANS_STORM_END] = {"ban_storm_end", NULL, LOG_LEVEL_WARNING},
	[BANS_SPARED] = {"ban_spared", NULL, LOG_LEVEL_WARNING},
	[BANS_LOGIN_ALARM] = {"login_alarm", NULL, LOG_LEVEL_WARNING},
	[BANS_ENDED] = {"ban_ended", "unban", LOG_LEVEL_NOTICE},
};

/* It ended before, and was told of then. */
static bool is_past(const struct bans_event *event)
{
	return event->kind == BANS_REMOVED && strcmp(event->why, "forgotten") == 0;
}

static void add_until(struct buf *line, const struct ban *ban)
{
	char memory[32];
	struct buf until;

	if (ban->until_wall_ms == UINT64_MAX)
		return;
	buf_init_fixed(&until, memory, sizeof(memory));
	units_format_time(&until, ban->until_wall_ms);
	logline_slice(line, "until", buf_slice(&until));
}

void ban_report_log(struct log_sink *log, const struct bans_event *event)
{
	char memory[1024], text[CIDR_TEXT_BYTES];
	enum log_level level = ban_events[event->kind].level;
	struct buf line;

	if (!log_wants(log, level) || is_past(event))
		return;
	buf_init_fixed(&line, memory, sizeof(memory));
	logline_text(&line, "event", ban_events[event->kind].name);
	if (event->ban) {
		logline_slice(&line, "client", cidr_format(&event->ban->network, text));
		logline_text(&line, "reason", event->ban->reason);
		logline_text(&line, "by", event->ban->by);
		add_until(&line, event->ban);
	}
	if (event->login.len)
		logline_slice(&line, "login", event->login);
	if (event->why)
		logline_text(&line, "why", event->why);
	if (event->count)
		logline_u64(&line, "count", event->count);
	log->write(log, level, buf_slice(&line));
}

bool ban_report_json(struct buf *out, const struct bans_event *event, struct clock_now now)
{
	const struct ban *ban = event->ban;
	char text[CIDR_TEXT_BYTES];
	struct json json;

	if (!ban_events[event->kind].hook || !ban || is_past(event))
		return false;
	json_init(&json, out);
	json_object(&json, NULL);
	json_text(&json, "event", ban_events[event->kind].hook);
	json_slice(&json, "network", cidr_format(&ban->network, text));
	json_u64(&json, "family", ip_is_v4(&ban->network.ip) ? 4 : 6);
	json_bool(&json, "manual", ban->manual);
	json_time(&json, "since", ban->since_wall_ms);
	if (ban->until_wall_ms == UINT64_MAX) {
		json_null(&json, "until");
		json_null(&json, "seconds");
	} else {
		json_time(&json, "until", ban->until_wall_ms);
		json_u64(&json, "seconds",
			ban->until_wall_ms > now.wall_ms
				? (ban->until_wall_ms - now.wall_ms + 999) / 1000
				: 0);
	}
	json_u64(&json, "times", ban->times);
	json_text(&json, "reason", ban->reason);
	json_text(&json, "by", ban->by);
	json_text(&json, "node", ban->node);
	json_text(&json, "why", event->why);
	json_time(&json, "time", now.wall_ms);
	json_end_object(&json);
	buf_add_char(out, '\n');
	return true;
}
