/* SPDX-License-Identifier: ISC */
/*
 * See support.h.
 */
#include "tests/unit/bans/support.h"

#include <criterion/criterion.h>
#include <stdio.h>

struct fixture f;

static void on_event(struct bans_sink *sink, const struct bans_event *from, struct clock_now now)
{
	struct event *event = &f.events[f.count++ % MAX_EVENTS];

	cr_assert_eq(sink, &f.sink);
	cr_assert_eq(now.wall_ms, f.now.wall_ms);
	*event = (struct event){ .kind = from->kind, .count = from->count };
	if (from->ban)
		event->ban = *from->ban;
	snprintf(event->login, sizeof(event->login), "%.*s", SLICE_ARG(from->login));
	snprintf(event->why, sizeof(event->why), "%s", from->why);
}

void configure(const char *text)
{
	struct config_errors *errors = config_errors_new();
	struct config *config = config_parse("f", slice_of(text), NULL, 0, errors);

	cr_assert(config, "%s", config_errors_line(errors, 0, &(bool){ 0 }));
	bans_configure(f.bans, config, f.now);
	config_unref(&config);
	config_errors_free(&errors);
}

void start(const char *text)
{
	f = (struct fixture){ .sink = { on_event }, .now = { 7 * DAY_MS, WALL_MS } };
	f.bans = bans_new((struct hash_key){ 5, 6 }, &f.sink);
	if (text)
		configure(text);
}

void stop(void)
{
	bans_free(&f.bans);
	cr_expect_null(f.bans);
}

void wait_ms(uint64_t ms)
{
	f.now.mono_ms += ms;
	f.now.wall_ms += ms;
	bans_tick(f.bans, f.now);
}

struct ip address(const char *text)
{
	struct ip ip = { 0 };

	cr_assert(ip_parse(slice_of(text), &ip), "%s", text);
	return ip;
}

struct cidr network(const char *text)
{
	struct cidr cidr = { 0 };
	const char *why = NULL;

	cr_assert(cidr_parse(slice_of(text), &cidr, &why), "%s: %s", text, why);
	return cidr;
}

void strike(const char *text, unsigned times)
{
	struct ip ip = address(text);

	for (unsigned i = 0; i < times; i++)
		bans_strike(f.bans, &ip, SLICE("ehlo-names"), f.now);
}

const struct ban *find(const char *text)
{
	struct ip ip = address(text);

	return bans_find(f.bans, &ip, f.now);
}

bool is_banned(const char *text)
{
	return find(text) != NULL;
}

const struct event *last(enum bans_event_kind kind)
{
	const struct event *event = f.count ? &f.events[(f.count - 1) % MAX_EVENTS] : NULL;

	cr_assert(event, "no event");
	cr_assert_eq(event->kind, kind, "kind %d, why %s", (int)event->kind, event->why);
	return event;
}

unsigned how_many(enum bans_event_kind kind)
{
	unsigned count = 0;

	cr_assert(f.count <= MAX_EVENTS);
	for (size_t i = 0; i < f.count; i++)
		count += f.events[i].kind == kind;
	return count;
}

enum bans_add by_hand(const char *text, uint64_t until_wall_ms)
{
	struct cidr cidr = network(text);

	return bans_add(f.bans, &cidr, until_wall_ms, SLICE("me"), SLICE("x"), false, f.now);
}
