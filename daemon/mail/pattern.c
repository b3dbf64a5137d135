/* SPDX-License-Identifier: ISC */
/*
 * All that is not a glob goes into one map, under keys that cannot be mistaken
 * for each other: `user@example.com` (or a plain name), `@example.com`, and `.example.com` for all
 * below it. What an address or a name may be listed under is then the tail of
 * its own folded text from some `@` or dot on, and is looked up without a copy.
 *
 * The value of a key points into `marks`: which of "listed" and "listed with `!`" hold.
 */
#include "daemon/mail/pattern.h"

#include "common/alloc.h"
#include "common/strmap.h"
#include "daemon/mail/idn.h"
#include "daemon/mail/site.h"
#include "daemon/mail/written.h"

#define ARENA_BLOCK_BYTES 256
#define NAME_MEMORY_BYTES 256
/* No domain is longer, so none is below a listed one at a dot further in front. */
#define TAIL_BYTES 254

enum mark { LISTED = 1, NEGATED = 2 };

struct glob {
	struct slice text;
	enum mark mark;
};

struct pattern_set {
	struct strmap *keys;
	struct glob *globs;
	size_t glob_count;
	bool has_exact, has_domains, has_below;
	bool has_listed;               /* else all are negated */
	unsigned char null_marks;      /* of the pattern `<>` */
	unsigned char marks[LISTED + NEGATED + 1];
	struct arena arena;
};

/* What reading one pattern needs. */
struct reader {
	struct pattern_set *set;
	enum pattern_kind kind;
	const struct site *site;
};

static bool is_glob(struct slice text)
{
	return text.len && (memchr(text.data, '*', text.len) || memchr(text.data, '?', text.len));
}

static struct slice prefixed(struct arena *arena, struct slice prefix, struct slice text)
{
	char *copy = arena_alloc(arena, prefix.len + text.len);

	memcpy(copy, prefix.data, prefix.len);
	memcpy(copy + prefix.len, text.data, text.len);
	return slice_make(copy, prefix.len + text.len);
}

static void add_key(struct pattern_set *set, struct slice key, enum mark mark)
{
	const unsigned char *old = strmap_get(set->keys, key);

	strmap_set(set->keys, key, &set->marks[mark | (old ? *old : 0)]);
}

/* A name as it is compared: what is no domain (a HELO name may be anything) is only folded. */
static struct slice fold_name(struct slice name, struct arena *arena)
{
	struct slice domain;

	if (idn_domain(name, arena, &domain))
		return domain;
	if (name.len && name.data[name.len - 1] == '.')
		name.len--;
	return idn_fold(name, arena);
}

/* Labels without `*` and `?` become A-labels one by one; the others have to be ASCII. */
static bool fold_glob_label(struct slice label, struct arena *arena, struct slice *ret_label)
{
	char *copy = arena_alloc(arena, label.len);

	if (!is_glob(label) && idn_domain(label, arena, ret_label))
		return true;
	*ret_label = slice_make(copy, label.len);
	return idn_lower(label, copy);
}

static bool fold_glob_domain(struct slice domain, struct arena *arena, struct slice *ret_domain)
{
	struct slice folded = SLICE_EMPTY, label;
	bool more = domain.len > 0;

	if (more && domain.data[0] == '.')
		folded = SLICE("*");
	while (more) {
		struct slice rest = SLICE_EMPTY;

		more = slice_split(domain, '.', &label, &rest);
		if (!more)
			label = domain;
		if (!fold_glob_label(label, arena, &label))
			return false;
		folded = prefixed(arena, folded, label);
		if (more)
			folded = prefixed(arena, folded, SLICE("."));
		domain = rest;
	}
	*ret_domain = folded;
	return true;
}

static bool fold_glob(const struct reader *reader, struct slice text, struct slice *ret_glob)
{
	struct arena *arena = &reader->set->arena;
	struct slice local, domain;

	if (reader->kind == PATTERN_NAME)
		return fold_glob_domain(text, arena, ret_glob);
	if (!slice_split_last(text, '@', &local, &domain)) {
		*ret_glob = idn_fold(text, arena);
		return true;
	}
	if (!fold_glob_domain(domain, arena, &domain))
		return false;
	*ret_glob = prefixed(arena, prefixed(arena, idn_fold(local, arena), SLICE("@")), domain);
	return true;
}

static bool add_glob(const struct reader *reader, struct slice text, enum mark mark)
{
	struct pattern_set *set = reader->set;
	struct slice folded;

	if (!fold_glob(reader, text, &folded))
		return false;
	set->globs[set->glob_count++] = (struct glob){ folded, mark };
	return true;
}

/* `domain`: "example.com", ".example.com" or a literal. */
static bool add_domain(struct pattern_set *set, struct slice domain, enum mark mark)
{
	bool below = domain.len && domain.data[0] == '.';

	if (!idn_domain(slice_from(domain, below), &set->arena, &domain))
		return false;
	add_key(set, prefixed(&set->arena, below ? SLICE(".") : SLICE("@"), domain), mark);
	set->has_below |= below;
	set->has_domains |= !below;
	return true;
}

static bool add_name(struct pattern_set *set, struct slice name, enum mark mark)
{
	if (name.len > 1 && name.data[0] == '.')
		return add_domain(set, name, mark);
	add_key(set, fold_name(name, &set->arena), mark);
	set->has_exact = true;
	return true;
}

static bool add_address(const struct reader *reader, struct slice text, enum mark mark)
{
	struct pattern_set *set = reader->set;
	struct mail_address address;

	if (text.data[0] == '@' && (text.len < 2 || text.data[1] != '['))
		return add_domain(set, slice_from(text, 1), mark);
	if (reader->kind == PATTERN_LOGIN)
		mail_login_read(&address, text, reader->site, &set->arena);
	else
		mail_address_read(&address, text, reader->site, &set->arena);
	if (address.kind != MAIL_ADDRESS_DOMAIN && address.kind != MAIL_ADDRESS_LITERAL)
		return false;
	if (text.data[0] == '@') {
		add_key(set, prefixed(&set->arena, SLICE("@"), address.domain), mark);
		set->has_domains = true;
		return true;
	}
	add_key(set, address.folded, mark);
	set->has_exact = true;
	return true;
}

static const char *flaw_of(enum pattern_kind kind, struct slice text)
{
	bool glob = is_glob(text);

	if (kind == PATTERN_NAME)
		return written_name_flaw(text, glob);
	return kind == PATTERN_LOGIN ? written_login_flaw(text, glob)
				     : written_address_flaw(text, glob);
}

static bool add_text(const struct reader *reader, struct slice text, enum mark mark)
{
	if (is_glob(text))
		return add_glob(reader, text, mark);
	return reader->kind == PATTERN_NAME ? add_name(reader->set, text, mark)
					    : add_address(reader, text, mark);
}

/* NULL, or what is wrong with it. */
static const char *add_pattern(const struct reader *reader, struct slice text)
{
	enum mark mark = text.len && text.data[0] == '!' ? NEGATED : LISTED;
	const char *flaw;

	if (mark == NEGATED)
		text = slice_trim(slice_from(text, 1));
	if (mark == NEGATED && text.len && text.data[0] == '!')
		return "one '!' in front is enough";
	reader->set->has_listed |= mark == LISTED;
	if (reader->kind != PATTERN_NAME && slice_equal(text, SLICE("<>"))) {
		reader->set->null_marks |= mark;
		return NULL;
	}
	flaw = flaw_of(reader->kind, text);
	if (flaw)
		return flaw;
	if (add_text(reader, text, mark))
		return NULL;
	return is_glob(text) ? "a label with '*' or '?' has to be ASCII"
			     : "it names no domain or address that can be";
}

struct pattern_set *pattern_set_new(const struct config_strings *patterns, enum pattern_kind kind,
				    const struct site *site, struct config_errors *errors)
{
	struct pattern_set *set = mem_zalloc(sizeof(*set));
	struct reader reader = { set, kind, site };

	arena_init(&set->arena, ARENA_BLOCK_BYTES);
	set->keys = strmap_new();
	for (size_t i = 0; i < sizeof(set->marks); i++)
		set->marks[i] = (unsigned char)i;
	for (size_t i = 0; i < patterns->count; i++)
		set->glob_count += is_glob(patterns->items[i]);
	set->globs = mem_zalloc_array(set->glob_count, sizeof(*set->globs));
	set->glob_count = 0;               /* add_glob() counts again */
	for (size_t i = 0; i < patterns->count; i++) {
		const char *flaw = add_pattern(&reader, patterns->items[i]);

		if (flaw)
			config_error(errors, patterns->pos[i], "'%s' is no pattern: %s",
				     config_quote(patterns->items[i]).text, flaw);
	}
	return set;
}

void pattern_set_free(struct pattern_set **set)
{
	if (!*set)
		return;
	strmap_free(&(*set)->keys);
	free((*set)->globs);
	arena_release(&(*set)->arena);
	mem_free(set);
}

/* The end of the character that begins at `at`, so that `?` stands for one of UTF-8 too. */
static size_t next_character(struct slice text, size_t at)
{
	for (at++; at < text.len && ((unsigned char)text.data[at] & 0xc0) == 0x80;)
		at++;
	return at;
}

/* Only the last `*` is ever tried again: what an earlier one might have taken makes no difference. */
static bool glob_match(struct slice glob, struct slice text)
{
	size_t g = 0, t = 0, star = SIZE_MAX, star_text = 0;

	while (t < text.len) {
		if (g < glob.len && glob.data[g] == '*') {
			star = g++;
			star_text = t;
		} else if (g < glob.len && glob.data[g] == '?') {
			g++;
			t = next_character(text, t);
		} else if (g < glob.len && glob.data[g] == text.data[t]) {
			g++;
			t++;
		} else if (star != SIZE_MAX) {
			g = star + 1;
			t = ++star_text;
		} else {
			return false;
		}
	}
	while (g < glob.len && glob.data[g] == '*')
		g++;
	return g == glob.len;
}

static unsigned key_marks(const struct pattern_set *set, struct slice key)
{
	const unsigned char *marks = strmap_get(set->keys, key);

	return marks ? *marks : 0;
}

/* `.example.com` for each domain that `domain` is below. */
static unsigned below_marks(const struct pattern_set *set, struct slice domain)
{
	unsigned marks = 0;

	if (domain.len > TAIL_BYTES)
		domain = slice_from(domain, domain.len - TAIL_BYTES);
	for (size_t i = 1; i < domain.len; i++) {
		if (domain.data[i] == '.')
			marks |= key_marks(set, slice_from(domain, i));
	}
	return marks;
}

static unsigned glob_marks(const struct pattern_set *set, struct slice text)
{
	unsigned marks = 0;

	for (size_t i = 0; i < set->glob_count; i++) {
		if (!(marks & set->globs[i].mark) && glob_match(set->globs[i].text, text))
			marks |= set->globs[i].mark;
	}
	return marks;
}

static bool holds(const struct pattern_set *set, unsigned marks)
{
	if (marks & NEGATED)
		return false;
	return set->has_listed ? (marks & LISTED) != 0
			       : set->glob_count || strmap_count(set->keys) || set->null_marks;
}

bool pattern_set_match_address(const struct pattern_set *set, const struct mail_address *address)
{
	struct slice folded = address->folded;
	unsigned marks;

	if (address->kind == MAIL_ADDRESS_NONE)
		return false;
	marks = glob_marks(set, folded);
	if (address->kind == MAIL_ADDRESS_NULL)
		return holds(set, marks | set->null_marks);
	if (set->has_exact)
		marks |= key_marks(set, folded);
	if (set->has_domains && address->domain.len)
		marks |= key_marks(set, slice_from(folded, folded.len - address->domain.len - 1));
	if (set->has_below)
		marks |= below_marks(set, address->domain);
	return holds(set, marks);
}

static bool match_folded(const struct pattern_set *set, struct slice name)
{
	unsigned marks = glob_marks(set, name);

	if (set->has_exact)
		marks |= key_marks(set, name);
	if (set->has_below)
		marks |= below_marks(set, name);
	return holds(set, marks);
}

bool pattern_set_match_name(const struct pattern_set *set, struct slice name)
{
	char memory[NAME_MEMORY_BYTES];
	struct arena arena;
	bool match;

	if (name.len <= sizeof(memory) && idn_lower(name, memory)) {
		name.data = memory;
		if (name.len && name.data[name.len - 1] == '.')
			name.len--;
		return match_folded(set, name);
	}
	arena_init(&arena, NAME_MEMORY_BYTES);
	match = match_folded(set, fold_name(name, &arena));
	arena_release(&arena);
	return match;
}
