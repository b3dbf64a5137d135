/* SPDX-License-Identifier: ISC */
/*
 * The service: questions become flights, flights become entries of the cache, and entries are what
 * queries hold. The cache and the breaker are files of their own; what the network says is read by
 * wire.c.
 *
 * A flight belongs to this file from the backend's ask() to its dns_flight_done(), however long
 * that takes: it is never freed before, so a backend may keep its address. When its time is over
 * its waiters get UNKNOWN and it stays in the table, overdue and without waiters. The late answer
 * then fills the cache; the same question, asked again meanwhile, joins it and gives it a new
 * deadline. So there are never more than max_in_flight questions at the backend. When the service
 * goes first the flight forgets it (`dns` is NULL).
 *
 * Invariants: a query with `flight` is in that flight's list of waiters; one with `entry` has a
 * reference to it; none has both. A flight in `active` has a deadline not before that of the one
 * in front of it.
 */
#include "daemon/dns/dns.h"

#include <assert.h>

#include "common/alloc.h"
#include "daemon/dns/breaker.h"
#include "daemon/dns/cache.h"
#include "daemon/dns/wire.h"

#define NAME_MAX_BYTES 253
#define FLIGHT_BUCKETS 1024
#define ARENA_BYTES 4096

#define POSITIVE_MAX_MS 3600000u
#define NEGATIVE_MAX_MS 900000u
#define MIN_TTL_MS 1000u
#define UNKNOWN_TTL_MS 5000u

struct dns_flight {
	struct dns *dns;
	struct dns_flight *next;           /* in the bucket */
	struct list active;                /* alone when overdue */
	struct list waiters;
	uint64_t hash, deadline_mono_ms;
	enum dns_type type;
	uint16_t name_len;
	char name[];
};

struct dns {
	struct dns_options options;
	struct dns_backend *backend;
	struct clock_now now;
	struct dns_cache cache;
	struct dns_breaker breaker;
	struct arena arena;                /* while a message is read */
	struct dns_flight *flights[FLIGHT_BUCKETS];
	struct list active;                /* the next to be overdue first */
	unsigned in_flight;
	uint64_t asked, cache_hits, started, unknown;
	enum dns_type probe_type;          /* the question that failed or was left unasked last */
	uint16_t probe_len;
	char probe_name[NAME_MAX_BYTES];
};

/* A question as it is looked up. `name` points into the caller's memory. */
struct question {
	enum dns_type type;
	struct slice name;
	uint64_t hash;
};

static const struct dns_answer answer_unknown = { .status = DNS_UNKNOWN };
static const struct dns_answer answer_dead = { .status = DNS_DEAD };

/* ---- questions ---- */

static uint64_t question_hash(const struct dns *dns, enum dns_type type, struct slice name)
{
	/* Moves the types of one name to different buckets; the key is in the name's hash. */
	return hash64(&dns->options.hash_key, name) + type * UINT64_C(0x9e3779b97f4a7c15);
}

/* Lower case, labels of 1 to 63 letters, digits, `-` and `_`. Nothing else may go to c-ares,
 * which reads escapes. */
static bool normalise(
	const struct dns *dns, struct question *question, char lower[static NAME_MAX_BYTES])
{
	size_t label = 0;

	for (size_t i = 0; i < question->name.len; i++) {
		char c = question->name.data[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c + ('a' - 'A'));
		if (c == '.' ? label == 0
			     : label == 63 || !((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
						c == '-' || c == '_'))
			return false;
		label = c == '.' ? 0 : label + 1;
		lower[i] = c;
	}
	if (label == 0)
		return false;
	question->name = slice_make(lower, question->name.len);
	question->hash = question_hash(dns, question->type, question->name);
	return true;
}

/* ---- flights ---- */

static struct dns_flight *find_flight(struct dns *dns, const struct question *question)
{
	struct dns_flight *flight = dns->flights[question->hash % FLIGHT_BUCKETS];

	while (flight && !(flight->hash == question->hash && flight->type == question->type &&
			   slice_equal(slice_make(flight->name, flight->name_len), question->name)))
		flight = flight->next;
	return flight;
}

static void give_deadline(struct dns *dns, struct dns_flight *flight)
{
	flight->deadline_mono_ms = dns->now.mono_ms + dns->options.total_ms;
	list_append(&dns->active, &flight->active);
}

static bool is_overdue(struct dns_flight *flight)
{
	return list_is_empty(&flight->active);
}

static struct dns_flight *new_flight(struct dns *dns, const struct question *question)
{
	struct dns_flight **bucket = &dns->flights[question->hash % FLIGHT_BUCKETS];
	struct dns_flight *flight = mem_alloc(sizeof(*flight) + question->name.len);

	*flight = (struct dns_flight){
		.dns = dns,
		.next = *bucket,
		.hash = question->hash,
		.type = question->type,
		.name_len = (uint16_t)question->name.len,
	};
	memcpy(flight->name, question->name.data, question->name.len);
	list_init(&flight->active);
	list_init(&flight->waiters);
	give_deadline(dns, flight);
	*bucket = flight;
	dns->in_flight++;
	dns->started++;
	return flight;
}

static void unlink_flight(struct dns *dns, struct dns_flight *flight)
{
	struct dns_flight **at = &dns->flights[flight->hash % FLIGHT_BUCKETS];

	while (*at != flight)
		at = &(*at)->next;
	*at = flight->next;
	list_remove(&flight->active);
	dns->in_flight--;
}

static void send_flight(struct dns *dns, struct dns_flight *flight)
{
	dns->backend->ask(dns->backend, flight, flight->type,
			  slice_make(flight->name, flight->name_len));
}

/* ---- answers ---- */

static uint64_t cached_for_ms(enum dns_status status, uint64_t ttl_ms)
{
	uint64_t max_ms = status == DNS_FOUND ? POSITIVE_MAX_MS : NEGATIVE_MAX_MS;

	if (status == DNS_UNKNOWN || status == DNS_DEAD)
		return UNKNOWN_TTL_MS;
	if (ttl_ms < MIN_TTL_MS)
		return MIN_TTL_MS;
	return ttl_ms < max_ms ? ttl_ms : max_ms;
}

static void give_answer(struct dns_query *query, struct dns_entry *entry,
			const struct dns_answer *answer)
{
	query->flight = NULL;
	query->entry = entry;
	query->answer = answer;
	if (entry)
		entry->refs++;
}

/* To the cache and to all who wait. They are taken out one by one: a wake may cancel others. */
static void give_to_waiters(struct dns *dns, struct dns_flight *flight,
			    const struct dns_answer *answer, uint64_t ttl_ms)
{
	struct slice name = slice_make(flight->name, flight->name_len);
	uint64_t expires = dns->now.mono_ms + cached_for_ms(answer->status, ttl_ms);
	struct dns_entry *entry = dns_entry_new(flight->type, name, flight->hash, answer, expires);
	bool dead = answer->status == DNS_UNKNOWN && dns->breaker.open;
	struct list *node;

	dns_cache_put(&dns->cache, entry);
	while ((node = list_pop(&flight->waiters)) != NULL) {
		struct dns_query *query = LIST_ENTRY(node, struct dns_query, node);

		if (dead)
			give_answer(query, NULL, &answer_dead);
		else
			give_answer(query, entry, entry->answer);
		waiter_forget(query->waiter);
		waiter_wake(query->waiter);
	}
	dns_entry_unref(&entry);
}

/* What a dead resolver is tried with when nobody asks for anything else. */
static void remember_for_probe(struct dns *dns, enum dns_type type, struct slice name)
{
	dns->probe_type = type;
	dns->probe_len = (uint16_t)name.len;
	memcpy(dns->probe_name, name.data, name.len);
}

static void note_failure(struct dns *dns, struct dns_flight *flight)
{
	struct slice name = slice_make(flight->name, flight->name_len);
	struct slice place = dns_breaker_place(name);

	dns->unknown++;
	if (!dns->breaker.open)
		remember_for_probe(dns, flight->type, name);
	dns_breaker_failure(&dns->breaker, hash64(&dns->options.hash_key, place), dns->now.mono_ms);
}

/* `silent`: no message came. A message that says nothing of use still came from a living
 * resolver. */
static void finish_flight(struct dns *dns, struct dns_flight *flight,
	const struct dns_answer *answer, uint64_t ttl_ms, bool silent)
{
	bool overdue = is_overdue(flight);

	unlink_flight(dns, flight);
	if (answer->status != DNS_UNKNOWN)
		dns_breaker_success(&dns->breaker);
	else if (silent && !overdue)
		note_failure(dns, flight);
	else if (!overdue)
		dns->unknown++;
	/* That an overdue question stays unknown was said and cached when its time was over. */
	if (!overdue || answer->status != DNS_UNKNOWN)
		give_to_waiters(dns, flight, answer, ttl_ms);
	assert(list_is_empty(&flight->waiters));
	free(flight);
}

void dns_flight_done(struct dns_flight *flight, enum dns_status status, const uint8_t *message,
		     size_t len)
{
	struct dns *dns = flight->dns;
	const struct dns_answer *answer = &answer_unknown;
	uint64_t ttl_ms = 0;

	(void)status;
	if (!dns) {
		free(flight);
		return;
	}
	if (message)
		answer = wire_read(slice_make(flight->name, flight->name_len), flight->type,
			message, len, &dns->arena, &ttl_ms);
	finish_flight(dns, flight, answer, ttl_ms, !message);
	arena_reset(&dns->arena);
}

void dns_flight_answer(struct dns_flight *flight, const struct dns_answer *answer, uint64_t ttl_ms)
{
	struct dns *dns = flight->dns;

	if (!dns) {
		free(flight);
		return;
	}
	if (answer->status == DNS_DEAD)
		answer = &answer_unknown;
	finish_flight(dns, flight, answer, ttl_ms, true);
}

/* ---- asking ---- */

static const struct dns_answer *refuse(struct dns *dns, struct dns_query *query)
{
	dns->unknown++;
	return query->answer = &answer_unknown;
}

/* Sends one question for nobody, to see whether the resolver lives again. */
static void probe(struct dns *dns, const struct question *question)
{
	if (find_flight(dns, question) || dns->in_flight >= dns->options.max_in_flight)
		return;
	send_flight(dns, new_flight(dns, question));
}

static const struct dns_answer *ask_dead(struct dns *dns, struct dns_query *query,
					 const struct question *question)
{
	remember_for_probe(dns, question->type, question->name);
	if (dns_breaker_probe(&dns->breaker, dns->now.mono_ms))
		probe(dns, question);
	return query->answer = &answer_dead;
}

/* Who is woken, and expects to be as long as the answer is out. */
static void set_waiter(struct dns_query *query, struct waiter *waiter)
{
	if (query->flight) {
		waiter_forget(query->waiter);
		waiter_expect(waiter);
	}
	query->waiter = waiter;
}

static const struct dns_answer *ask_flight(struct dns *dns, struct dns_query *query,
					   const struct question *question, struct waiter *waiter)
{
	struct dns_flight *flight = find_flight(dns, question);
	bool new = !flight;

	if (dns->breaker.open)
		return ask_dead(dns, query, question);
	if (new && dns->in_flight >= dns->options.max_in_flight)
		return refuse(dns, query);
	if (new)
		flight = new_flight(dns, question);
	else if (is_overdue(flight))
		give_deadline(dns, flight);
	query->flight = flight;
	list_append(&flight->waiters, &query->node);
	if (!new) {
		set_waiter(query, waiter);
		return NULL;
	}
	/* Without waiter as yet: a backend that answers at once must not wake from inside this
	 * call. */
	query->waiter = NULL;
	send_flight(dns, flight);
	set_waiter(query, waiter);
	return query->answer;
}

/* An UNKNOWN of a moment ago says less than an open breaker. */
static struct dns_entry *if_of_use(const struct dns *dns, struct dns_entry *entry)
{
	return entry && dns->breaker.open && entry->answer->status == DNS_UNKNOWN ? NULL : entry;
}

static struct dns_entry *look_up(struct dns *dns, const struct question *question)
{
	return if_of_use(dns, dns_cache_get(&dns->cache, question->type, question->name,
				      question->hash, dns->now.mono_ms));
}

/* By a name as it was given. Those in the cache are normal ones, so what is found was normal. */
static struct dns_entry *look_up_given(struct dns *dns, struct question *question)
{
	struct dns_entry *entry = if_of_use(dns, dns_cache_recall(&dns->cache, question->type,
							 question->name, dns->now.mono_ms));

	if (entry)
		return entry;
	question->hash = question_hash(dns, question->type, question->name);
	return look_up(dns, question);
}

static const struct dns_answer *hit(
	struct dns *dns, struct dns_query *query, struct dns_entry *entry)
{
	dns->cache_hits++;
	give_answer(query, entry, entry->answer);
	return entry->answer;
}

/* Apart, so that what is cached pays neither for the memory nor for the care. */
static __attribute__((noinline)) const struct dns_answer *ask_with_care(struct dns *dns,
									struct dns_query *query,
									struct question question,
									struct waiter *waiter)
{
	char lower[NAME_MAX_BYTES];
	struct dns_entry *entry;

	if (!normalise(dns, &question, lower))
		return refuse(dns, query);
	entry = look_up(dns, &question);
	if (entry)
		return hit(dns, query, entry);
	return ask_flight(dns, query, &question, waiter);
}

const struct dns_answer *dns_ask(struct dns *dns, struct dns_query *query, enum dns_type type,
				 struct slice name, struct waiter *waiter)
{
	struct question question = { type, name, 0 };
	struct dns_entry *entry;

	if (query->started) {
		set_waiter(query, waiter);
		return query->answer;
	}
	query->started = true;
	list_init(&query->node);
	dns->asked++;
	if (name.len && name.data[name.len - 1] == '.')
		question.name.len--;
	if (question.name.len == 0 || question.name.len > NAME_MAX_BYTES)
		return refuse(dns, query);
	entry = look_up_given(dns, &question);
	if (entry)
		return hit(dns, query, entry);
	return ask_with_care(dns, query, question, waiter);
}

static char *put_decimal(char *end, uint8_t byte)
{
	if (byte >= 100)
		*end++ = (char)('0' + byte / 100);
	if (byte >= 10)
		*end++ = (char)('0' + byte / 10 % 10);
	*end++ = (char)('0' + byte % 10);
	return end;
}

static char *put_literal(char *end, struct slice text)
{
	memcpy(end, text.data, text.len);
	return end + text.len;
}

const struct dns_answer *dns_ask_ptr(struct dns *dns, struct dns_query *query, const struct ip *ip,
				     struct waiter *waiter)
{
	static const char hex[] = "0123456789abcdef";
	char name[16 * 4 + sizeof("ip6.arpa")];
	char *end = name;

	if (query->started) {
		set_waiter(query, waiter);
		return query->answer;
	}
	if (ip_is_v4(ip)) {
		for (size_t i = 16; i-- > 12; *end++ = '.')
			end = put_decimal(end, ip->bytes[i]);
		end = put_literal(end, SLICE("in-addr.arpa"));
	} else {
		for (size_t i = 16; i-- > 0;) {
			*end++ = hex[ip->bytes[i] & 15];
			*end++ = '.';
			*end++ = hex[ip->bytes[i] >> 4];
			*end++ = '.';
		}
		end = put_literal(end, SLICE("ip6.arpa"));
	}
	return dns_ask(dns, query, DNS_PTR, slice_make(name, (size_t)(end - name)), waiter);
}

const char *dns_word(const struct dns_answer *answer)
{
	static const char *const words[] = {
		[DNS_FOUND] = "found",     [DNS_NXDOMAIN] = "no such name",
		[DNS_NODATA] = "no records", [DNS_UNKNOWN] = "could not be looked up",
		[DNS_DEAD] = "no resolver answers",
	};

	return answer ? words[answer->status] : "no answer yet";
}

void dns_cancel(struct dns_query *query)
{
	if (!query->started)
		return;
	if (query->flight)
		waiter_forget(query->waiter);
	list_remove(&query->node);
	dns_entry_unref(&query->entry);
	*query = (struct dns_query){ .started = false };
}

/* ---- the owner's side ---- */

struct dns *dns_new(const struct dns_options *options, struct dns_backend *backend)
{
	struct dns *dns = mem_zalloc(sizeof(*dns));

	dns->options = *options;
	dns->backend = backend;
	dns_cache_init(&dns->cache, options->cache_entries);
	arena_init(&dns->arena, ARENA_BYTES);
	list_init(&dns->active);
	return dns;
}

static void orphan(struct dns_flight *flight)
{
	assert(list_is_empty(&flight->waiters));
	list_remove(&flight->active);
	flight->next = NULL;
	flight->dns = NULL;
}

void dns_free(struct dns **dns)
{
	struct dns *old = *dns;

	*dns = NULL;
	if (!old)
		return;
	for (size_t i = 0; i < FLIGHT_BUCKETS; i++) {
		while (old->flights[i]) {
			struct dns_flight *flight = old->flights[i];

			old->flights[i] = flight->next;
			orphan(flight);
		}
	}
	dns_cache_release(&old->cache);
	arena_release(&old->arena);
	free(old);
}

void dns_set_now(struct dns *dns, struct clock_now now)
{
	dns->now = now;
}

static void probe_again(struct dns *dns)
{
	struct question question = { .type = dns->probe_type };

	if (!dns->probe_len || !dns_breaker_probe(&dns->breaker, dns->now.mono_ms))
		return;
	question.name = slice_make(dns->probe_name, dns->probe_len);
	question.hash = question_hash(dns, question.type, question.name);
	probe(dns, &question);
}

uint64_t dns_expire(struct dns *dns)
{
	uint64_t next_ms = 0;

	while (!list_is_empty(&dns->active)) {
		struct dns_flight *flight = LIST_ENTRY(dns->active.next, struct dns_flight, active);

		next_ms = flight->deadline_mono_ms;
		if (next_ms > dns->now.mono_ms)
			break;
		next_ms = 0;
		list_remove(&flight->active);
		note_failure(dns, flight);
		give_to_waiters(dns, flight, &answer_unknown, 0);
	}
	probe_again(dns);
	if (dns->breaker.open && (!next_ms || dns->breaker.probe_mono_ms < next_ms))
		next_ms = dns->breaker.probe_mono_ms;
	dns_cache_sweep(&dns->cache, dns->now.mono_ms);
	return next_ms;
}

void dns_health(const struct dns *dns, struct dns_health *ret)
{
	*ret = (struct dns_health){
		.asked = dns->asked,
		.cache_hits = dns->cache_hits,
		.flights = dns->started,
		.unknown = dns->unknown,
		.breaker_opened = dns->breaker.opened_count,
		.in_flight = dns->in_flight,
		.cached = dns->cache.count,
		.dead = dns->breaker.open,
		.dead_since_mono_ms = dns->breaker.open ? dns->breaker.opened_mono_ms : 0,
	};
}
