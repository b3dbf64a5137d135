/* SPDX-License-Identifier: ISC */
/*
 * Values of a log line are escaped already (no newline, no quote, nothing but printable ASCII), so
 * they can go into a mail as they are.
 */
#include "daemon/operate/notify.h"

#include "common/json.h"
#include "common/units.h"

#define HOUR_MS UINT64_C(3600000)
#define SUBJECT_BYTES 160

static const char *const events[] = {
	"limit_warning",
	"login_alarm",
	"ban_storm_begin",
	"ban_storm_end",
	"dns_dead",
	"dns_alive",
	"store_write_failed",
	"store_write_works",
	"store_away",
	"store_back",
	"store_evicts",
	"store_bad_key",
	"node_name_taken",
	"reload_failed",
	"maillog_missing",
	"connections_full",
	"max_connections_lowered",
	"step_overrun",
	"wait_for_nothing",
};

/* The next "key=value" of a line; a value in quotes comes without them. */
static bool take_pair(struct slice *line, struct slice *ret_key, struct slice *ret_value)
{
	struct slice rest = *line, value, tail;

	while (rest.len && rest.data[0] == ' ')
		rest = slice_from(rest, 1);
	if (!slice_split(rest, '=', ret_key, &rest))
		return false;
	if (rest.len && rest.data[0] == '"' &&
		slice_split(slice_from(rest, 1), '"', &value, &tail)) {
		*line = tail;
	} else if (slice_split(rest, ' ', &value, &tail)) {
		*line = tail;
	} else {
		value = rest;
		*line = SLICE_EMPTY;
	}
	*ret_value = value;
	return true;
}

static struct slice event_of(struct slice line)
{
	struct slice key, value;

	return take_pair(&line, &key, &value) && slice_is(key, "event") ? value : SLICE_EMPTY;
}

bool notify_wants(struct slice line)
{
	struct slice event = event_of(line);

	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (slice_is(event, events[i]))
			return true;
	return false;
}

/* "{"event":"x","level":"warning","node":"mx1","time":"...","fields":{"rule":"hourly"}}" */
void notify_json(struct buf *out, const struct notification *notification)
{
	struct slice rest = notification->line, key, value;
	char memory[64];
	struct json json;

	json_init(&json, out);
	json_object(&json, NULL);
	json_slice(&json, "event", event_of(rest));
	json_text(&json, "level", log_level_name(notification->level));
	json_slice(&json, "node", notification->node);
	json_time(&json, "time", notification->now.wall_ms);
	json_u64(&json, "left_out", notification->left_out);
	json_object(&json, "fields");
	while (take_pair(&rest, &key, &value)) {
		if (slice_is(key, "event") || key.len >= sizeof(memory))
			continue;
		memcpy(memory, key.data, key.len);
		memory[key.len] = '\0';
		json_slice(&json, memory, value);
	}
	json_end_object(&json);
	json_end_object(&json);
	buf_add_char(out, '\n');
}

static void add_to(struct buf *out, const struct config_strings *to)
{
	buf_add(out, SLICE("To: "));
	for (size_t i = 0; i < to->count; i++) {
		if (i)
			buf_add(out, SLICE(",\n\t"));
		buf_add(out, to->items[i]);
	}
	buf_add_char(out, '\n');
}

void notify_mail(
	struct buf *out, const struct notification *notification, const struct config_strings *to)
{
	struct slice rest = notification->line, key, value;

	add_to(out, to);
	buf_add(out, SLICE("Subject: Reeve on "));
	buf_add(out, notification->node);
	buf_add(out, SLICE(": "));
	if (slice_starts_with(rest, SLICE("event=")))
		rest = slice_from(rest, strlen("event="));
	buf_add(out, slice_first(rest, SUBJECT_BYTES));
	buf_add(out, SLICE("\nAuto-Submitted: auto-generated\n\n"));
	rest = notification->line;
	while (take_pair(&rest, &key, &value)) {
		buf_add(out, key);
		buf_add(out, SLICE(": "));
		buf_add(out, value);
		buf_add_char(out, '\n');
	}
	buf_add(out, SLICE("time: "));
	units_format_time(out, notification->now.wall_ms);
	buf_add_char(out, '\n');
	if (notification->left_out) {
		buf_add(out, SLICE("left_out: "));
		buf_add_u64(out, notification->left_out);
		buf_add_char(out, '\n');
	}
	buf_add(out, SLICE("\nWhat this means stands in reeved(8), under LOG.\n"));
}

bool notify_brake_ask(struct notify_brake *brake, uint64_t mono_ms, uint64_t *ret_left_out)
{
	if (brake->hour_mono_ms == 0 || mono_ms - brake->hour_mono_ms >= HOUR_MS) {
		brake->hour_mono_ms = mono_ms ? mono_ms : 1;
		brake->sent = 0;
	}
	if (brake->sent == NOTIFY_PER_HOUR) {
		brake->left_out++;
		return false;
	}
	brake->sent++;
	*ret_left_out = brake->left_out;
	brake->left_out = 0;
	return true;
}
