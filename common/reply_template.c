/* SPDX-License-Identifier: ISC */
/*
 * Compiling replies: everything that could be wrong with a reply is found
 * here, when the configuration is read. The text is split into literals and
 * variables; code and enhanced code are taken off its front, or filled in, and become the head.
 */
#include "common/reply_template.h"

#include "common/alloc.h"

#define HEAD_BYTES 24 /* "550 5.777.777 " and to spare */

static const char *const var_names[] = {
	[REPLY_VAR_CLIENT] = "client",
	[REPLY_VAR_SENDER] = "sender",
	[REPLY_VAR_RECIPIENT] = "recipient",
	[REPLY_VAR_DOMAIN] = "domain",
	[REPLY_VAR_LOGIN] = "login",
	[REPLY_VAR_HELO] = "helo",
	[REPLY_VAR_RULE] = "rule",
	[REPLY_VAR_REASON] = "reason",
	[REPLY_VAR_UNTIL] = "until",
	[REPLY_VAR_USED] = "used",
	[REPLY_VAR_LIMIT] = "limit",
	[REPLY_VAR_COUNT] = "count",
	[REPLY_VAR_WINDOW] = "window",
	[REPLY_VAR_RETRY] = "retry",
	[REPLY_VARS] = NULL,
};

const char *const *reply_var_names(void)
{
	return var_names;
}

static enum reply_var var_of(struct slice name)
{
	unsigned var = 0;

	while (var < REPLY_VARS && !slice_is(name, var_names[var]))
		var++;
	return (enum reply_var)var;
}

/* What each kind asks for. `class` is the first digit of its codes, 0: it has none. */
struct kind {
	char class;
	unsigned only_code; /* 0: any but those that disconnect */
	unsigned code;      /* where neither text nor caller has one that fits */
	const char *word;
	const char *fallback;
	const char *wrong_code;
	const char *wrong_enhanced;
};

static const struct kind kinds[] = {
	[REPLY_REJECT] = {'5', 0, 550, "", "refused",
		"the code of a rejection must be 500 to 599, but not 521",
		"the enhanced code of a rejection must begin with 5"},
	[REPLY_DEFER] = {'4', 0, 450, "", "try again later",
		"the code of a deferral must be 400 to 499, but not 421",
		"the enhanced code of a deferral must begin with 4"},
	[REPLY_DISCONNECT] = {'5', 521, 521, "", "refused",
		"the code of disconnect must be 521 (421 with temporary: yes)",
		"the enhanced code of disconnect must begin with 5 (4 with temporary: yes)"},
	[REPLY_DISCONNECT_TEMPORARY] = {'4', 421, 421, "", "try again later",
		"the code of a temporary disconnect must be 421",
		"the enhanced code of a temporary disconnect must begin with 4"},
	[REPLY_HOLD] = {0, 0, 0, "HOLD ", "held", NULL, NULL},
	[REPLY_DISCARD] = {0, 0, 0, "DISCARD ", "discarded", NULL, NULL},
	[REPLY_MARK] = {0, 0, 0, "PREPEND ", "-", NULL, NULL},
	[REPLY_NONE] = {0, 0, 0, "", "", NULL, NULL},
};

static bool is_digit(char byte)
{
	return byte >= '0' && byte <= '9';
}

static bool code_fits(const struct kind *kind, unsigned code)
{
	if (kind->only_code)
		return code == kind->only_code;
	return code / 100 == (unsigned)(kind->class - '0') && code != 521 && code != 421;
}

/* The first word of the text; `ret_rest` is what follows, blanks in front dropped. */
static struct slice first_word(struct slice text, struct slice *ret_rest)
{
	size_t len = 0;

	while (len < text.len && text.data[len] != ' ')
		len++;
	*ret_rest = slice_trim(slice_from(text, len));
	return slice_first(text, len);
}

static bool is_code(struct slice word)
{
	return word.len == 3 && is_digit(word.data[0]) && is_digit(word.data[1]) &&
	       is_digit(word.data[2]);
}

/* RFC 3463: a class, a subject and a detail of up to three digits each. */
static bool is_enhanced(struct slice word)
{
	size_t dots = 0, digits = 0;

	if (word.len < 5 || !is_digit(word.data[0]) || word.data[1] != '.')
		return false;
	for (size_t i = 1; i < word.len; i++) {
		if (word.data[i] == '.' && (i == 1 || digits > 0)) {
			dots++;
			digits = 0;
		} else if (!is_digit(word.data[i]) || ++digits > 3) {
			return false;
		}
	}
	return dots == 2 && digits > 0;
}

bool reply_find_unknown_var(struct slice text, struct slice *ret_name)
{
	struct slice literal, rest, name;

	while (slice_split(text, '{', &literal, &rest)) {
		if (rest.len && rest.data[0] == '{') {
			text = slice_from(rest, 1);
			continue;
		}
		if (!slice_split(rest, '}', &name, &text))
			return false;
		if (var_of(name) == REPLY_VARS) {
			*ret_name = name;
			return true;
		}
	}
	return false;
}

struct slice reply_text_without_codes(struct slice text)
{
	struct slice rest, word;

	text = slice_trim(text);
	word = first_word(text, &rest);
	if (is_code(word)) {
		text = rest;
		word = first_word(text, &rest);
	}
	return is_enhanced(word) ? rest : text;
}

static void write_head(struct buf *head, char class, unsigned code, struct slice enhanced)
{
	buf_add_u64(head, code);
	buf_add_char(head, ' ');
	buf_add_char(head, class);
	buf_add(head, slice_from(enhanced, 1));
	buf_add_char(head, ' ');
}

/* Takes code and enhanced code off the text and writes the head. NULL, or what is wrong. */
static const char *take_codes(const struct kind *kind, struct slice *text, unsigned *code,
	struct slice enhanced, struct buf *head)
{
	struct slice rest, word = first_word(*text, &rest);

	if (!code_fits(kind, *code))
		*code = kind->code;
	if (!is_enhanced(enhanced))
		enhanced = SLICE("x.7.1");
	if (is_code(word)) {
		*code = (unsigned)(word.data[0] - '0') * 100 + (unsigned)(word.data[1] - '0') * 10 +
			(unsigned)(word.data[2] - '0');
		if (!code_fits(kind, *code))
			return kind->wrong_code;
		*text = rest;
		word = first_word(*text, &rest);
	}
	if (is_enhanced(word)) {
		if (word.data[0] != kind->class)
			return kind->wrong_enhanced;
		enhanced = word;
		*text = rest;
	}
	if (text->len == 0)
		return "a refusal needs a text behind its code";
	write_head(head, kind->class, *code, enhanced);
	return NULL;
}

/* Takes "Name: " off the text of a mark. RFC 5322: the name is printable and has no colon. */
static const char *take_header_name(struct slice *text, struct slice *ret_head)
{
	struct slice name, value;

	if (!slice_split(*text, ':', &name, &value) || name.len == 0)
		return "a mark must be a header line, like \"X-Name: value\"";
	for (size_t i = 0; i < name.len; i++)
		if (name.data[i] == ' ' || name.data[i] == '{' || name.data[i] == '}')
			return "the name of a header may hold neither blanks nor variables";
	value = slice_trim(value);
	if (value.len == 0)
		return "a header needs a value behind its name";
	*ret_head = slice_first(*text, text->len - value.len);
	*text = value;
	return NULL;
}

static const char *check_bytes(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] < 0x20 || text.data[i] > 0x7e)
			return "a reply may hold printable ASCII only";
	return NULL;
}

static void add_piece(struct reply_template *template, struct slice literal, enum reply_var var)
{
	if (var == REPLY_VARS && literal.len == 0)
		return;
	template->pieces[template->piece_count++] = (struct reply_piece){literal, var};
}

/* Splits the text, which belongs to the template, into pieces. NULL, or what is wrong. */
static const char *split(struct reply_template *template, struct slice text)
{
	struct slice literal, rest, name;

	template->pieces = mem_zalloc_array(text.len + 1, sizeof(*template->pieces));
	while (slice_split(text, '{', &literal, &rest)) {
		enum reply_var var;

		if (rest.len && rest.data[0] == '{') {
			add_piece(template, slice_first(text, literal.len + 1), REPLY_VARS);
			text = slice_from(rest, 1);
			continue;
		}
		add_piece(template, literal, REPLY_VARS);
		if (!slice_split(rest, '}', &name, &text))
			return "a { without } (write {{ for a brace)";
		var = var_of(name);
		if (var == REPLY_VARS)
			return "unknown variable";
		template->uses |= 1U << var;
		add_piece(template, SLICE_EMPTY, var);
	}
	add_piece(template, text, REPLY_VARS);
	return NULL;
}

static size_t literal_bytes(const struct reply_template *template)
{
	size_t bytes = template->word.len + template->head.len;

	for (size_t i = 0; i < template->piece_count; i++)
		bytes += template->pieces[i].literal.len;
	return bytes;
}

static const char *compile(struct reply_template *template, struct slice text,
	unsigned default_code, struct slice default_enhanced)
{
	const struct kind *kind = &kinds[template->kind];
	char memory[HEAD_BYTES];
	struct buf codes;
	struct slice head = SLICE_EMPTY;
	const char *why = NULL;

	buf_init_fixed(&codes, memory, sizeof(memory));
	if (kind->class) {
		template->code = default_code;
		why = take_codes(kind, &text, &template->code, default_enhanced, &codes);
		head = buf_slice(&codes);
	} else if (template->kind == REPLY_MARK) {
		why = take_header_name(&text, &head);
	}
	if (why)
		return why;
	template->memory = mem_alloc(head.len + text.len + 1);
	memcpy(template->memory, head.data, head.len);
	memcpy(template->memory + head.len, text.data, text.len);
	template->head = slice_make(template->memory, head.len);
	template->word = slice_of(kind->word);
	template->fallback = slice_of(kind->fallback);
	why = split(template, slice_make(template->memory + head.len, text.len));
	if (!why && literal_bytes(template) > REPLY_BYTES)
		why = "a reply may have 400 bytes at most";
	return why;
}

struct reply_template *reply_template_new(struct slice text, enum reply_kind kind,
	unsigned default_code, const char *default_enhanced, const char **ret_why)
{
	const char *why = check_bytes(text);
	struct reply_template *template;

	if (!why && text.len > REPLY_BYTES * 4)
		why = "a reply may have 400 bytes at most";
	if (why) {
		*ret_why = why;
		return NULL;
	}
	template = mem_zalloc(sizeof(*template));
	template->kind = kind;
	why = compile(template, slice_trim(text), default_code,
		default_enhanced ? slice_of(default_enhanced) : SLICE_EMPTY);
	if (why) {
		reply_template_free(&template);
		*ret_why = why;
	}
	return template;
}

void reply_template_free(struct reply_template **template)
{
	if (!*template)
		return;
	free((*template)->pieces);
	free((*template)->memory);
	mem_free(template);
}

enum reply_kind reply_template_kind(const struct reply_template *template)
{
	return template->kind;
}

unsigned reply_template_code(const struct reply_template *template)
{
	return template->code;
}

bool reply_template_uses(const struct reply_template *template, enum reply_var var)
{
	return template->uses >> var & 1;
}
