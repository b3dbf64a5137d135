/* SPDX-License-Identifier: ISC */
/*
 * Entries, and questions that are out, in two lists. Everything asked for stays in the first list
 * as an entry, so that questions can be counted by name.
 */
#include "tests/fake/fake_dns.h"

#include <strings.h>

#include "common/alloc.h"
#include "common/list.h"
#include "common/units.h"

#define NOT_SET_TTL_MS 60000

struct entry {
	struct list node;
	enum dns_type type;
	struct slice name;
	bool set, silent;
	struct dns_answer *answer;
	uint64_t ttl_ms, delay_ms, asked;
};

struct pending {
	struct list node;
	struct dns_flight *flight;
	struct entry *entry;           /* that answers: its own, or that of "*" */
	uint64_t due_mono_ms;
	bool silent;
};

struct fake_dns {
	struct dns_backend backend;
	struct list entries, pending;  /* the soonest due first */
	uint64_t now_mono_ms, asked;
	bool silent;
};

/* ---- records as text ---- */

static bool read_name(struct slice text, struct slice *ret)
{
	if (text.len == 0 || text.len >= DNS_NAME_BYTES)
		return false;
	if (text.data[text.len - 1] == '.')
		text.len--;
	*ret = slice_make(mem_dup(text), text.len);
	return true;
}

static bool read_record(enum dns_type type, struct slice text, struct dns_record *ret)
{
	struct slice preference, name;
	uint64_t number;

	text = slice_trim(text);
	if (type == DNS_A || type == DNS_AAAA)
		return ip_parse(text, &ret->ip) && ip_is_v4(&ret->ip) == (type == DNS_A);
	if (type == DNS_PTR)
		return read_name(text, &ret->name);
	if (!slice_split(text, ' ', &preference, &name) || units_parse_u64(preference, &number) ||
	    number > UINT16_MAX)
		return false;
	ret->preference = (uint16_t)number;
	return read_name(slice_trim(name), &ret->name);
}

static void answer_free(struct dns_answer *answer)
{
	if (!answer)
		return;
	for (unsigned i = 0; i < answer->count; i++)
		free((void *)(uintptr_t)answer->records[i].name.data);
	free(answer);
}

/* NULL: does not parse. */
static struct dns_answer *answer_new(
	enum dns_type type, enum dns_status status, struct slice records)
{
	struct dns_answer *answer = mem_zalloc(sizeof(*answer) +
					       DNS_MAX_ANSWERS * sizeof(answer->records[0]));
	bool good = true, more = status == DNS_FOUND;

	answer->status = status;
	while (more && good) {
		struct slice record = records;

		more = slice_split(records, ',', &record, &records);
		good = answer->count < DNS_MAX_ANSWERS &&
		       read_record(type, record, &answer->records[answer->count]);
		answer->count += good;
	}
	if (!good) {
		answer_free(answer);
		return NULL;
	}
	return answer;
}

/* ---- the table ---- */

static struct entry *find(const struct fake_dns *fake, enum dns_type type, struct slice name)
{
	for (struct list *node = fake->entries.next; node != &fake->entries; node = node->next) {
		struct entry *entry = LIST_ENTRY(node, struct entry, node);

		if (entry->type == type && slice_equal_fold(entry->name, name))
			return entry;
	}
	return NULL;
}

static struct entry *find_or_add(struct fake_dns *fake, enum dns_type type, struct slice name)
{
	struct entry *entry;

	if (name.len && name.data[name.len - 1] == '.')
		name.len--;
	entry = find(fake, type, name);
	if (entry)
		return entry;
	entry = mem_zalloc(sizeof(*entry));
	entry->type = type;
	entry->name = slice_make(mem_dup(name), name.len);
	entry->answer = answer_new(type, DNS_NXDOMAIN, SLICE_EMPTY);
	entry->ttl_ms = NOT_SET_TTL_MS;
	list_append(&fake->entries, &entry->node);
	return entry;
}

bool fake_dns_set(struct fake_dns *fake, enum dns_type type, struct slice name,
	enum dns_status status, struct slice records, uint64_t ttl_ms, uint64_t delay_ms,
	bool silent)
{
	struct dns_answer *answer = answer_new(type, status, records);
	struct entry *entry;

	if (!answer)
		return false;
	entry = find_or_add(fake, type, name);
	answer_free(entry->answer);
	entry->answer = answer;
	entry->set = true;
	entry->silent = silent;
	entry->ttl_ms = ttl_ms;
	entry->delay_ms = delay_ms;
	return true;
}

void fake_dns_set_silent(struct fake_dns *fake, bool silent)
{
	fake->silent = silent;
}

bool fake_dns_type_of(struct slice text, enum dns_type *ret_type)
{
	static const struct {
		const char *name;
		enum dns_type type;
	} types[] = { { "A", DNS_A }, { "AAAA", DNS_AAAA }, { "MX", DNS_MX }, { "PTR", DNS_PTR } };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (slice_equal_fold(text, slice_of(types[i].name))) {
			*ret_type = types[i].type;
			return true;
		}
	}
	return false;
}

/* ---- asking and answering ---- */

static void ask(struct dns_backend *backend, struct dns_flight *flight, enum dns_type type,
		struct slice name)
{
	struct fake_dns *fake = LIST_ENTRY(backend, struct fake_dns, backend);
	struct entry *entry = find_or_add(fake, type, name);
	struct pending *pending = mem_zalloc(sizeof(*pending));
	struct list *after = fake->pending.prev;

	fake->asked++;
	entry->asked++;
	if (!entry->set) {
		struct entry *any = find(fake, type, SLICE("*"));

		entry = any ? any : entry;
	}
	pending->flight = flight;
	pending->entry = entry;
	pending->silent = entry->silent || fake->silent;
	pending->due_mono_ms = fake->now_mono_ms +
			       (pending->silent ? FAKE_DNS_GIVE_UP_MS : entry->delay_ms);
	while (after != &fake->pending &&
	       LIST_ENTRY(after, struct pending, node)->due_mono_ms > pending->due_mono_ms)
		after = after->prev;
	list_append(after->next, &pending->node);
}

static void finish(struct pending *pending, bool silent)
{
	list_remove(&pending->node);
	if (silent || pending->entry->answer->status == DNS_UNKNOWN)
		dns_flight_done(pending->flight, DNS_UNKNOWN, NULL, 0);
	else
		dns_flight_answer(pending->flight, pending->entry->answer, pending->entry->ttl_ms);
	free(pending);
}

void fake_dns_advance(struct fake_dns *fake, uint64_t mono_ms)
{
	fake->now_mono_ms = mono_ms;
	while (!list_is_empty(&fake->pending)) {
		struct pending *pending = LIST_ENTRY(fake->pending.next, struct pending, node);

		if (pending->due_mono_ms > mono_ms)
			return;
		finish(pending, pending->silent);
	}
}

uint64_t fake_dns_next(const struct fake_dns *fake)
{
	if (list_is_empty(&fake->pending))
		return 0;
	return LIST_ENTRY(fake->pending.next, struct pending, node)->due_mono_ms;
}

uint64_t fake_dns_asked(const struct fake_dns *fake)
{
	return fake->asked;
}

uint64_t fake_dns_asked_for(const struct fake_dns *fake, enum dns_type type, struct slice name)
{
	const struct entry *entry = find(fake, type, name);

	return entry ? entry->asked : 0;
}

struct fake_dns *fake_dns_new(void)
{
	struct fake_dns *fake = mem_zalloc(sizeof(*fake));

	fake->backend.ask = ask;
	list_init(&fake->entries);
	list_init(&fake->pending);
	return fake;
}

struct dns_backend *fake_dns_backend(struct fake_dns *fake)
{
	return &fake->backend;
}

void fake_dns_free(struct fake_dns **fake)
{
	struct fake_dns *old = *fake;
	struct list *node;

	*fake = NULL;
	if (!old)
		return;
	while (!list_is_empty(&old->pending))
		finish(LIST_ENTRY(old->pending.next, struct pending, node), true);
	while ((node = list_pop(&old->entries)) != NULL) {
		struct entry *entry = LIST_ENTRY(node, struct entry, node);

		answer_free(entry->answer);
		free((void *)(uintptr_t)entry->name.data);
		free(entry);
	}
	free(old);
}
