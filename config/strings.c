/* SPDX-License-Identifier: ISC */
/*
 * Lists of texts: in place, from files (`file:/path`), from the section
 * `lists` (`list:NAME`). Every entry keeps the place it came from, so an error in line 300 of a
 * domain file says so. Texts from files live in the arena of the configuration.
 *
 * Files have Postfix's map syntax: `#` comments, and a line that begins with a
 * blank continues the one before.
 */
#include "config/schema.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/list.h"
#include "common/suggest.h"

#define MAX_ENTRIES 1000000 /* of one list */
#define MAX_LIST_FILE_BYTES (64 * 1024 * 1024)
#define MAX_LISTS 256
#define MAX_LIST_NAME_BYTES 64

struct entry {
	struct slice word, line; /* the same where it does not come from a file */
	struct config_pos pos;
};

/* A file of `lists` that could not be read: an error or a warning by who uses the list. */
struct lack {
	struct lack *next;
	struct config_pos pos;
	const char *path;
	struct slice why;
	bool error_told, warning_told;
};

struct entries {
	struct entry *items;
	size_t count, room;
	bool full;
	bool may_lack_files, incomplete;
	bool of_lists;
	struct lack *lacks; /* of_lists */
};

/* One of `lists`, in the order of its map. */
struct config_list {
	struct entry *items;
	size_t count;
	struct lack *lacks;
};

struct owned_set {
	struct list node;
	struct cidr_set *set;
};

static bool push(struct config_reader *reader, struct entries *entries, struct entry entry)
{
	if (entries->count == MAX_ENTRIES) {
		if (!entries->full)
			config_error(reader->errors, entry.pos, "a list holds at most %d entries",
				MAX_ENTRIES);
		entries->full = true;
		return false;
	}
	if (entries->count == entries->room) {
		entries->room = entries->room ? 2 * entries->room : 16;
		entries->items =
			mem_grow(entries->items, entries->room * sizeof(entries->items[0]));
	}
	entries->items[entries->count++] = entry;
	return true;
}

/* ---- files */

/* Reads a regular file whole, into the arena. NULL, or why it cannot be. */
static const char *read_file(
	struct config_reader *reader, const char *path, char **ret_text, size_t *ret_len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	const char *why = NULL;
	size_t used = 0;

	if (fd < 0 || fstat(fd, &st) != 0)
		why = strerror(errno);
	else if (!S_ISREG(st.st_mode))
		why = "is no regular file";
	else if (st.st_size > MAX_LIST_FILE_BYTES)
		why = "is larger than 64 MiB";
	if (!why) {
		*ret_text = arena_alloc(reader->arena, (size_t)st.st_size + 1);
		while (used < (size_t)st.st_size) {
			ssize_t got = read(fd, *ret_text + used, (size_t)st.st_size - used);

			if (got < 0 && errno == EINTR)
				continue;
			if (got < 0)
				why = strerror(errno);
			if (got <= 0)
				break;
			used += (size_t)got;
		}
	}
	if (fd >= 0)
		close(fd);
	*ret_len = used;
	return why;
}

static unsigned column_of(const char *line, const char *at)
{
	unsigned column = 1;

	for (; line < at; line++)
		if (((unsigned char)*line & 0xc0) != 0x80)
			column++;
	return column;
}

static struct slice first_word(struct slice line)
{
	size_t len = 0;

	while (len < line.len && line.data[len] != ' ' && line.data[len] != '\t')
		len++;
	return slice_first(line, len);
}

/* Where a logical line ends: at a newline that no continuation follows. Inner newlines become blanks. */
static size_t logical_end(char *text, size_t start, size_t len, unsigned *line)
{
	for (size_t at = start; at < len; at++) {
		if (text[at] != '\n')
			continue;
		++*line;
		if (at + 1 == len || (text[at + 1] != ' ' && text[at + 1] != '\t'))
			return at;
		text[at] = ' ';
	}
	return len;
}

static void add_lines(struct config_reader *reader, struct entries *entries, const char *file,
	char *text, size_t len)
{
	unsigned line = 1;
	size_t at = len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;

	while (at < len) {
		unsigned first_line = line;
		const char *newline = memchr(text + at, '\n', len - at);
		size_t end = newline ? (size_t)(newline - text) : len;
		struct slice whole = slice_trim(slice_make(text + at, end - at));
		struct config_pos pos;

		if (whole.len == 0 || whole.data[0] == '#') {
			line++;
			at = end + 1;
			continue;
		}
		end = logical_end(text, at, len, &line);
		whole = slice_trim(slice_make(text + at, end - at));
		pos = (struct config_pos){file, first_line, column_of(text + at, whole.data)};
		if (memchr(whole.data, '\0', whole.len))
			config_error(reader->errors, pos, "a line cannot hold a NUL");
		else if (!push(reader, entries, (struct entry){first_word(whole), whole, pos}))
			return;
		at = end + 1;
	}
}

static void tell_lack(struct config_reader *reader, struct entries *entries, struct lack *lack)
{
	struct config_quoted name = config_quote(slice_of(lack->path));

	entries->incomplete = true;
	if (!entries->may_lack_files && !lack->error_told)
		config_error(reader->errors, lack->pos, "'%s' cannot be read: %.*s", name.text,
			SLICE_ARG(lack->why));
	else if (entries->may_lack_files && !lack->warning_told)
		config_warning(reader->errors, lack->pos,
			"'%s' cannot be read: %.*s; what it may hold is unknown until a reload reads it",
			name.text, SLICE_ARG(lack->why));
	if (entries->may_lack_files)
		lack->warning_told = true;
	else
		lack->error_told = true;
}

static void lacks_file(struct config_reader *reader, struct entries *entries, const char *path,
	struct config_pos pos, const char *why)
{
	struct lack *lack = arena_zalloc(reader->arena, sizeof(*lack));

	lack->pos = pos;
	lack->path = path;
	lack->why = arena_dup(reader->arena, slice_of(why));
	if (!entries->of_lists) {
		tell_lack(reader, entries, lack);
		return;
	}
	lack->next = entries->lacks;
	entries->lacks = lack;
}

static void add_file(
	struct config_reader *reader, struct entries *entries, const struct config_node *node)
{
	const char *path = node->text.data + strlen("file:"), *why;
	char *file, *text;
	size_t len;

	if (reader->no_files) {
		config_error(reader->errors, node->pos, "'file:' is not allowed here");
		return;
	}
	if (path[0] != '/') {
		config_error(reader->errors, node->pos, "'file:' needs an absolute path, not '%s'",
			config_quote(slice_of(path)).text);
		return;
	}
	why = read_file(reader, path, &text, &len);
	if (why) {
		lacks_file(reader, entries, path, node->pos, why);
		return;
	}
	file = arena_alloc(reader->arena, strlen(path) + 1);
	memcpy(file, path, strlen(path) + 1);
	add_lines(reader, entries, file, text, len);
}

/* ---- lists */

static void report_no_list(
	struct config_reader *reader, const struct config_node *node, struct slice name)
{
	const char *names[MAX_LISTS];
	const char *near;
	size_t count = reader->lists && reader->list_items ? reader->lists->count : 0;

	for (size_t i = 0; i < count; i++)
		names[i] = reader->lists->keys[i]->text.data;
	near = suggest_word(name, names, count);
	if (near)
		config_error(reader->errors, node->pos,
			"there is no list '%s' in 'lists' (did you mean '%s'?)",
			config_quote(name).text, near);
	else
		config_error(reader->errors, node->pos, "there is no list '%s' in 'lists'",
			config_quote(name).text);
}

static void add_list(
	struct config_reader *reader, struct entries *entries, const struct config_node *node)
{
	struct slice name = slice_from(node->text, strlen("list:"));

	for (size_t i = 0; reader->lists && reader->list_items && i < reader->lists->count; i++) {
		const struct config_list *list = &reader->list_items[i];

		if (!slice_equal(reader->lists->keys[i]->text, name))
			continue;
		for (struct lack *lack = list->lacks; lack; lack = lack->next)
			tell_lack(reader, entries, lack);
		for (size_t j = 0; j < list->count; j++)
			if (!push(reader, entries, list->items[j]))
				return;
		return;
	}
	report_no_list(reader, node, name);
}

/* Postfix's tables, as main.cf names them. Those whose source is text with a key first on each line can be read. */
static const char *const text_tables[] = {
	"hash", "btree", "lmdb", "cdb", "dbm", "texthash", "cidr", NULL};
static const char *const other_tables[] = {"regexp", "pcre", "mysql", "pgsql", "sqlite", "ldap",
	"memcache", "proxy", "socketmap", NULL};

/* The rest behind "word:" of one of these words; NULL: it is none. */
static const char *behind_word(struct slice text, const char *const words[])
{
	struct slice word, rest;

	if (!slice_split(text, ':', &word, &rest))
		return NULL;
	for (size_t i = 0; words[i]; i++)
		if (slice_is(word, words[i]))
			return rest.data;
	return NULL;
}

/* What stands in main.cf, copied as it is: it would be taken for an odd address, and nobody would notice. */
static bool is_table(struct config_reader *reader, const struct config_node *node, const char *name)
{
	const char *path = behind_word(node->text, text_tables);
	const char *other = path ? NULL : behind_word(node->text, other_tables);

	if (path && path[0] == '/')
		config_error(reader->errors, node->pos,
			"'%s' needs file:%s, the text that Postfix's table is made of, not '%s'",
			name, config_quote(slice_of(path)).text, config_quote(node->text).text);
	else if (other && (other[0] == '/' || strchr(other, ':')))
		config_error(reader->errors, node->pos,
			"'%s' cannot read '%s'; it reads text, one item a line: file:/path", name,
			config_quote(node->text).text);
	else
		return false;
	return true;
}

static void add_entry(struct config_reader *reader, struct entries *entries,
	const struct config_node *node, const char *name)
{
	if (node->kind != CONFIG_SCALAR)
		config_need(reader, node, name, "a text for each entry");
	else if (node->text.len == 0)
		config_error(reader->errors, node->pos, "'%s' has an empty entry", name);
	else if (slice_starts_with(node->text, SLICE("file:")))
		add_file(reader, entries, node);
	else if (slice_starts_with(node->text, SLICE("list:")))
		add_list(reader, entries, node);
	else if (!is_table(reader, node, name))
		push(reader, entries, (struct entry){node->text, node->text, node->pos});
}

static void expand(struct config_reader *reader, struct entries *entries,
	const struct config_node *node, const char *name)
{
	if (node->kind == CONFIG_MAP)
		config_need(reader, node, name, "a list");
	else if (node->kind == CONFIG_SCALAR && !config_node_is_empty(node))
		add_entry(reader, entries, node, name);
	for (size_t i = 0; node->kind == CONFIG_LIST && i < node->count; i++)
		add_entry(reader, entries, node->items[i], name);
}

static void keep(struct config_reader *reader, struct entries *entries, bool lines,
	struct config_strings *ret)
{
	struct config_strings strings = {NULL, NULL, entries->count, entries->incomplete};

	if (strings.count) {
		strings.items =
			arena_alloc(reader->arena, strings.count * sizeof(strings.items[0]));
		strings.pos = arena_alloc(reader->arena, strings.count * sizeof(strings.pos[0]));
	}
	for (size_t i = 0; i < strings.count; i++) {
		strings.items[i] = lines ? entries->items[i].line : entries->items[i].word;
		strings.pos[i] = entries->items[i].pos;
	}
	mem_free(&entries->items);
	*ret = strings;
}

void config_read_strings(struct config_reader *reader, const struct config_node *node,
	const char *name, struct config_strings *ret)
{
	struct entries entries = {0};

	expand(reader, &entries, node, name);
	keep(reader, &entries, false, ret);
}

void config_read_lines(struct config_reader *reader, const struct config_node *node,
	const char *name, struct config_strings *ret)
{
	struct entries entries = {0};

	expand(reader, &entries, node, name);
	keep(reader, &entries, true, ret);
}

void config_read_maps(struct config_reader *reader, const struct config_node *node,
	const char *name, struct config_strings *ret)
{
	struct entries entries = {.may_lack_files = true};

	expand(reader, &entries, node, name);
	keep(reader, &entries, true, ret);
}

void config_read_entry(struct config_reader *reader, const struct config_node *entry,
	const char *name, struct config_strings *ret_lines)
{
	struct entries entries = {0};

	add_entry(reader, &entries, entry, name);
	keep(reader, &entries, true, ret_lines);
}

static bool is_list_name(struct slice name)
{
	if (name.len == 0 || name.len > MAX_LIST_NAME_BYTES)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		char byte = name.data[i];

		if (!((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
			    (byte >= '0' && byte <= '9') || byte == '-' || byte == '_' ||
			    byte == '.'))
			return false;
	}
	return true;
}

/* A list in a list is refused where it stands: while `lists` is read, no list is there yet. */
static void read_list(struct config_reader *reader, const struct config_node *node,
	const char *name, struct config_list *ret)
{
	struct entries entries = {.of_lists = true};
	const struct config_node *const *items = (const struct config_node *const *)node->items;
	size_t count = node->kind == CONFIG_LIST ? node->count : 1;

	if (node->kind == CONFIG_SCALAR)
		items = &node;
	if (node->kind == CONFIG_MAP) {
		config_need(reader, node, name, "a list");
		return;
	}
	for (size_t i = 0; i < count; i++) {
		if (config_node_is_empty(items[i]) && node->kind == CONFIG_SCALAR)
			continue;
		if (items[i]->kind == CONFIG_SCALAR &&
			slice_starts_with(items[i]->text, SLICE("list:")))
			config_error(reader->errors, items[i]->pos,
				"a list cannot hold another list ('%s')",
				config_quote(items[i]->text).text);
		else
			add_entry(reader, &entries, items[i], name);
	}
	ret->lacks = entries.lacks;
	ret->count = entries.count;
	ret->items = arena_alloc(
		reader->arena, entries.count ? entries.count * sizeof(struct entry) : 1);
	if (entries.count)
		memcpy(ret->items, entries.items, entries.count * sizeof(struct entry));
	mem_free(&entries.items);
}

void config_read_lists(struct config_reader *reader, const struct config_node *lists)
{
	struct config_list *items;

	reader->lists = NULL;
	reader->list_items = NULL;
	if (!lists || config_node_is_empty(lists))
		return;
	if (lists->kind != CONFIG_MAP) {
		config_need(reader, lists, "lists", "a map of names and lists");
		return;
	}
	if (lists->count > MAX_LISTS) {
		config_error(
			reader->errors, lists->pos, "there can be at most %d lists", MAX_LISTS);
		return;
	}
	items = arena_zalloc(reader->arena, (lists->count + 1) * sizeof(*items));
	for (size_t i = 0; i < lists->count; i++) {
		struct config_quoted name = config_quote(lists->keys[i]->text);

		if (!is_list_name(lists->keys[i]->text))
			config_error(reader->errors, lists->keys[i]->pos,
				"the name of a list needs letters, digits, '-', '_' and '.' only, not '%s'",
				name.text);
		read_list(reader, lists->items[i], name.text, &items[i]);
	}
	reader->lists = lists;
	reader->list_items = items;
}

/* What no user of a list has said stands here: a list that nobody uses is checked all the same. */
void config_check_lists(struct config_reader *reader)
{
	struct entries nobody = {0};

	for (size_t i = 0; reader->lists && reader->list_items && i < reader->lists->count; i++) {
		for (struct lack *lack = reader->list_items[i].lacks; lack; lack = lack->next) {
			if (!lack->error_told && !lack->warning_told)
				tell_lack(reader, &nobody, lack);
		}
	}
}

/* ---- networks */

struct cidr_set *config_new_set(struct config_reader *reader)
{
	struct owned_set *owned = arena_alloc(reader->arena, sizeof(*owned));

	owned->set = cidr_set_new();
	list_init(&owned->node);
	list_append(reader->owned_sets, &owned->node);
	return owned->set;
}

void config_free_sets(struct list *owned_sets)
{
	for (struct list *node; (node = list_pop(owned_sets));)
		cidr_set_free(&LIST_ENTRY(node, struct owned_set, node)->set);
}

static void add_network(struct config_reader *reader, struct slice text, struct config_pos pos,
	struct cidr_set *set)
{
	const char *why = NULL;
	struct cidr cidr;

	if (cidr_parse(text, &cidr, &why))
		cidr_set_add(set, &cidr);
	else
		config_error(reader->errors, pos, "'%s' is no network: %s", config_quote(text).text,
			why);
}

struct cidr_set *config_read_networks(
	struct config_reader *reader, const struct config_node *node, const char *name)
{
	struct config_strings texts = {0};
	struct cidr_set *set = config_new_set(reader);

	config_read_strings(reader, node, name, &texts);
	for (size_t i = 0; i < texts.count; i++) {
		if (texts.items[i].data[0] == '!')
			config_error(reader->errors, texts.pos[i],
				"'!' in front of a network is possible in conditions only");
		else
			add_network(reader, texts.items[i], texts.pos[i], set);
	}
	cidr_set_seal(set);
	return set;
}

void config_read_networks_signed(struct config_reader *reader, const struct config_node *node,
	const char *name, struct cidr_set **ret, struct cidr_set **ret_not)
{
	struct config_strings texts = {0};
	struct cidr_set *set = NULL, *set_not = NULL;

	config_read_strings(reader, node, name, &texts);
	for (size_t i = 0; i < texts.count; i++) {
		bool negated = texts.items[i].data[0] == '!';
		struct cidr_set **which = negated ? &set_not : &set;

		if (!*which)
			*which = config_new_set(reader);
		add_network(reader, slice_from(texts.items[i], negated), texts.pos[i], *which);
	}
	if (set)
		cidr_set_seal(set);
	if (set_not)
		cidr_set_seal(set_not);
	*ret = set;
	*ret_not = set_not;
}
