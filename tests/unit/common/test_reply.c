/* SPDX-License-Identifier: ISC */
/*
 * Replies: what templates are refused (reply_template.c), what codes are filled in, and that any
 * bytes in any variable still make a reply that Postfix reads as it was meant.
 */
#include "common/reply.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct reply_template *compile(
	const char *text, enum reply_kind kind, unsigned code, const char *enhanced)
{
	const char *why = NULL;
	struct reply_template *template =
		reply_template_new(slice_of(text), kind, code, enhanced, &why);

	cr_assert_not_null(template, "%s: %s", text, why);
	cr_assert_null(why);
	return template;
}

static const struct reply_vars vars = {
	.value = {
		[REPLY_VAR_CLIENT] = {"192.0.2.7", 9},
		[REPLY_VAR_SENDER] = {"bob+x@example.com", 17},
		[REPLY_VAR_RECIPIENT] = {"a b\r\n<c>@[192.0.2.1]", 20},
		[REPLY_VAR_DOMAIN] = {"example.com", 11},
		[REPLY_VAR_LOGIN] = {"\xc3\xa9ve%n", 6},
		[REPLY_VAR_RULE] = {"hourly", 6},
		[REPLY_VAR_REASON] = {"too many, \"bad\"\n\x80", 17},
		[REPLY_VAR_USED] = {"200", 3},
		[REPLY_VAR_LIMIT] = {"200", 3},
		[REPLY_VAR_COUNT] = {"recipients", 10},
		[REPLY_VAR_WINDOW] = {"1h", 2},
		[REPLY_VAR_RETRY] = {"12 min", 6},
	}};

static void writes(const char *text, enum reply_kind kind, unsigned code, const char *enhanced,
	const char *expected)
{
	struct reply_template *template = compile(text, kind, code, enhanced);
	struct buf out;

	buf_init(&out, 1000);
	reply_write(&out, template, &vars);
	cr_assert(slice_is(buf_slice(&out), expected), "%.*s", SLICE_ARG(buf_slice(&out)));
	buf_release(&out);
	reply_template_free(&template);
	cr_assert_null(template);
}

Test(reply, codes_are_filled_in)
{
	writes("no", REPLY_REJECT, 550, "5.1.8", "action=550 5.1.8 no\n\n");
	writes("553 no", REPLY_REJECT, 550, "5.7.1", "action=553 5.7.1 no\n\n");
	writes("5.7.27 no", REPLY_REJECT, 550, "5.1.8", "action=550 5.7.27 no\n\n");
	writes("  553   5.7.27   no ", REPLY_REJECT, 550, "5.1.8", "action=553 5.7.27 no\n\n");
	writes("no", REPLY_REJECT, 0, NULL, "action=550 5.7.1 no\n\n");
	writes("no", REPLY_DEFER, 0, NULL, "action=450 4.7.1 no\n\n");
	writes("no", REPLY_DISCONNECT, 0, NULL, "action=521 5.7.1 no\n\n");
	writes("no", REPLY_DISCONNECT_TEMPORARY, 0, NULL, "action=421 4.7.1 no\n\n");
}

Test(reply, defaults_of_another_class_give_way)
{
	writes("no", REPLY_DEFER, 550, "5.1.8", "action=450 4.1.8 no\n\n");
	writes("no", REPLY_REJECT, 452, "4.5.3", "action=550 5.5.3 no\n\n");
	writes("no", REPLY_DISCONNECT_TEMPORARY, 521, "5.7.1", "action=421 4.7.1 no\n\n");
	writes("no", REPLY_REJECT, 521, "junk", "action=550 5.7.1 no\n\n");
}

Test(reply, variables)
{
	writes("553 5.7.1 {sender}: not owned by {login}", REPLY_REJECT, 0, NULL,
		"action=553 5.7.1 bob+x@example.com: not owned by ??ve?n\n\n");
	writes("{recipient}: no such user", REPLY_REJECT, 550, "5.1.1",
		"action=550 5.1.1 a?b???c?@[192.0.2.1]: no such user\n\n");
	writes("{client} is blocked until {until} ({reason})", REPLY_DISCONNECT, 0, NULL,
		"action=521 5.7.1 192.0.2.7 is blocked until  (too many, \"bad\"?\?)\n\n");
	writes("{used} of {limit} {count} used in {window}; try again in {retry}", REPLY_DEFER, 450,
		"4.7.1",
		"action=450 4.7.1 200 of 200 recipients used in 1h; try again in 12 min\n\n");
	writes("{{sender} {{{rule}} }", REPLY_REJECT, 0, NULL,
		"action=550 5.7.1 {sender} {hourly} }\n\n");
	writes("{rule}", REPLY_HOLD, 0, NULL, "action=HOLD hourly\n\n");
	writes("by {rule}", REPLY_DISCARD, 0, NULL, "action=DISCARD by hourly\n\n");
}

Test(reply, marks)
{
	writes("X-Reeve-PTR: none", REPLY_MARK, 0, NULL, "action=PREPEND X-Reeve-PTR: none\n\n");
	writes("X-Rule:{rule}", REPLY_MARK, 550, "5.7.1", "action=PREPEND X-Rule:hourly\n\n");
	writes("X-Helo: {helo}", REPLY_MARK, 0, NULL, "action=PREPEND X-Helo: -\n\n");
	writes("X-Time: a: b", REPLY_MARK, 0, NULL, "action=PREPEND X-Time: a: b\n\n");
}

/* Postfix 3.7 reads past the end of "550 5.7.1 ". */
Test(reply, a_refusal_is_never_without_text)
{
	writes("{helo}", REPLY_REJECT, 0, NULL, "action=550 5.7.1 refused\n\n");
	writes("550 5.7.1 {helo} {until}", REPLY_REJECT, 0, NULL, "action=550 5.7.1 refused\n\n");
	writes("{helo}", REPLY_DEFER, 0, NULL, "action=450 4.7.1 try again later\n\n");
	writes("", REPLY_HOLD, 0, NULL, "action=HOLD held\n\n");
	writes("", REPLY_DISCARD, 0, NULL, "action=DISCARD discarded\n\n");
}

Test(reply, none_is_dunno)
{
	struct buf out;

	writes("", REPLY_NONE, 0, NULL, "action=DUNNO\n\n");
	writes("550 would be {sender}", REPLY_NONE, 0, NULL, "action=DUNNO\n\n");
	buf_init(&out, 100);
	reply_write(&out, NULL, NULL);
	cr_assert(slice_is(buf_slice(&out), "action=DUNNO\n\n"));
	buf_reset(&out);
	reply_write_text(&out, NULL, NULL);
	cr_assert_eq(out.len, 0);
	buf_release(&out);
}

static void says(const char *text, enum reply_kind kind, const char *expected)
{
	struct reply_template *template = compile(text, kind, 0, NULL);
	struct buf out;

	buf_init(&out, 1000);
	reply_write_text(&out, template, &vars);
	cr_assert(slice_is(buf_slice(&out), expected), "%.*s", SLICE_ARG(buf_slice(&out)));
	buf_release(&out);
	reply_template_free(&template);
}

Test(reply, text_alone)
{
	says("{domain}: no", REPLY_REJECT, "550 5.7.1 example.com: no");
	says("by {rule}", REPLY_HOLD, "by hourly");
	says("X-A: b", REPLY_MARK, "X-A: b");
	says("seen {sender}", REPLY_NONE, "seen bob+x@example.com");
	says("", REPLY_NONE, "");
}

Test(reply, what_is_not_compiled)
{
	static const struct {
		const char *text;
		enum reply_kind kind;
		const char *why;
	} bad[] = {
		{"", REPLY_REJECT, "a refusal needs a text behind its code"},
		{"550", REPLY_REJECT, "a refusal needs a text behind its code"},
		{"550 5.7.1", REPLY_REJECT, "a refusal needs a text behind its code"},
		{"5.7.1 ", REPLY_REJECT, "a refusal needs a text behind its code"},
		{"450 no", REPLY_REJECT, "the code of a rejection must be 500 to 599, but not 521"},
		{"521 no", REPLY_REJECT, "the code of a rejection must be 500 to 599, but not 521"},
		{"250 ok", REPLY_REJECT, "the code of a rejection must be 500 to 599, but not 521"},
		{"550 4.7.1 no", REPLY_REJECT,
			"the enhanced code of a rejection must begin with 5"},
		{"4.7.1 no", REPLY_REJECT, "the enhanced code of a rejection must begin with 5"},
		{"550 no", REPLY_DEFER, "the code of a deferral must be 400 to 499, but not 421"},
		{"421 no", REPLY_DEFER, "the code of a deferral must be 400 to 499, but not 421"},
		{"5.1.8 no", REPLY_DEFER, "the enhanced code of a deferral must begin with 4"},
		{"554 no", REPLY_DISCONNECT,
			"the code of disconnect must be 521 (421 with temporary: yes)"},
		{"521 no", REPLY_DISCONNECT_TEMPORARY,
			"the code of a temporary disconnect must be 421"},
		{"a\nb", REPLY_REJECT, "a reply may hold printable ASCII only"},
		{"a\tb", REPLY_HOLD, "a reply may hold printable ASCII only"},
		{"caf\xc3\xa9", REPLY_NONE, "a reply may hold printable ASCII only"},
		{"{sender", REPLY_REJECT, "a { without } (write {{ for a brace)"},
		{"x {", REPLY_REJECT, "a { without } (write {{ for a brace)"},
		{"none", REPLY_MARK, "a mark must be a header line, like \"X-Name: value\""},
		{": none", REPLY_MARK, "a mark must be a header line, like \"X-Name: value\""},
		{"X Y: none", REPLY_MARK,
			"the name of a header may hold neither blanks nor variables"},
		{"X-{rule}: none", REPLY_MARK,
			"the name of a header may hold neither blanks nor variables"},
		{"X-Y :none", REPLY_MARK,
			"the name of a header may hold neither blanks nor variables"},
		{"X-Y: ", REPLY_MARK, "a header needs a value behind its name"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *why = NULL;

		cr_assert_null(
			reply_template_new(slice_of(bad[i].text), bad[i].kind, 0, NULL, &why), "%s",
			bad[i].text);
		cr_assert_str_eq(why, bad[i].why, "%s", bad[i].text);
	}
}

Test(reply, unknown_variables_are_found)
{
	static const struct {
		const char *text, *name;
	} rows[] = {
		{"{senderr}", "senderr"},
		{"{Sender}", "Sender"},
		{"{}", ""},
		{"{client} { sender}", " sender"},
		{"{{sender}} {sender }", "sender "},
		{"{x{sender}", "x{sender"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *why = NULL;
		struct slice name = SLICE_EMPTY;

		cr_assert_null(
			reply_template_new(slice_of(rows[i].text), REPLY_REJECT, 0, NULL, &why));
		cr_assert_str_eq(why, "unknown variable");
		cr_assert(reply_find_unknown_var(slice_of(rows[i].text), &name));
		cr_assert(slice_is(name, rows[i].name));
	}
	cr_assert_not(reply_find_unknown_var(SLICE("{{x}} {sender} {"), &(struct slice){0}));
}

Test(reply, long_texts)
{
	char text[2000];
	const char *why = NULL;
	struct reply_template *template;

	memset(text, 'x', sizeof(text));
	cr_assert_null(reply_template_new(slice_make(text, 2000), REPLY_REJECT, 0, NULL, &why));
	cr_assert_null(reply_template_new(slice_make(text, 391), REPLY_REJECT, 0, NULL, &why));
	cr_assert_str_eq(why, "a reply may have 400 bytes at most");
	template = reply_template_new(slice_make(text, 390), REPLY_REJECT, 0, NULL, &why);
	cr_assert_not_null(template);
	reply_template_free(&template);
	reply_template_free(&template);
}

Test(reply, facts_about_a_template)
{
	struct reply_template *template = compile("553 {sender} {retry}", REPLY_REJECT, 0, NULL);

	cr_assert_eq(reply_template_kind(template), REPLY_REJECT);
	cr_assert_eq(reply_template_code(template), 553);
	for (unsigned var = 0; var < REPLY_VARS; var++)
		cr_assert_eq(reply_template_uses(template, (enum reply_var)var),
			var == REPLY_VAR_SENDER || var == REPLY_VAR_RETRY);
	reply_template_free(&template);
	template = compile("X-A: b", REPLY_MARK, 550, "5.7.1");
	cr_assert_eq(reply_template_code(template), 0);
	reply_template_free(&template);
}

Test(reply, what_does_not_fit_is_not_written)
{
	struct reply_template *template = compile("no", REPLY_REJECT, 0, NULL);
	char memory[20];
	struct buf out;

	buf_init_fixed(&out, memory, sizeof(memory));
	reply_write(&out, template, NULL);
	cr_assert_eq(out.len, 0);
	cr_assert(out.overflow);
	reply_template_free(&template);
}

/* ^action=[ -~]{1,400}\n\n$, whatever the values hold. */
static void has_form(struct slice reply)
{
	cr_assert(slice_starts_with(reply, SLICE("action=")));
	cr_assert(slice_ends_with(reply, SLICE("\n\n")));
	cr_assert(reply.len >= 7 + 1 + 2 && reply.len <= 7 + REPLY_BYTES + 2);
	for (size_t i = 7; i < reply.len - 2; i++)
		cr_assert(reply.data[i] >= ' ' && reply.data[i] <= '~');
}

static void any_vars(char *memory, size_t bytes, struct reply_vars *ret)
{
	for (size_t i = 0; i < bytes; i++)
		memory[i] = (char)rand();
	for (size_t i = 0; i < REPLY_VARS; i++) {
		size_t start = (size_t)rand() % bytes;

		ret->value[i] = slice_make(memory + start, (size_t)rand() % (bytes - start));
		if (rand() % 4 == 0)
			ret->value[i] = slice_make(NULL, 0);
	}
}

Test(reply, any_values_make_a_reply)
{
	static const struct {
		const char *text;
		enum reply_kind kind;
	} forms[] = {
		{"{sender}: not owned by {login}", REPLY_REJECT},
		{"{client}{sender}{recipient}{domain}{login}{helo}{rule}{reason}{until}{used}{limit}",
			REPLY_DEFER},
		{"{reason}", REPLY_DISCONNECT},
		{"{helo}{helo}{helo}{helo}{helo}{helo}{helo}", REPLY_DISCONNECT_TEMPORARY},
		{"{reason}", REPLY_HOLD},
		{"{reason}", REPLY_DISCARD},
		{"X-Reeve: {reason}{reason}{reason}{reason}", REPLY_MARK},
		{"{reason}", REPLY_NONE},
	};

	srand(4);
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct reply_template *template = compile(forms[i].text, forms[i].kind, 0, NULL);

		for (int round = 0; round < 2000; round++) {
			char memory[300], out_memory[7 + REPLY_BYTES + 2];
			struct reply_vars any;
			struct buf out;

			any_vars(memory, sizeof(memory), &any);
			buf_init_fixed(&out, out_memory, sizeof(out_memory));
			reply_write(&out, template, &any);
			has_form(buf_slice(&out));
		}
		reply_template_free(&template);
	}
}

Test(reply, strangers_values_are_cut_at_64_bytes)
{
	struct reply_template *template = compile("{sender}", REPLY_HOLD, 0, NULL);
	char sender[200];
	struct reply_vars long_vars = {0};
	struct buf out;

	memset(sender, 's', sizeof(sender));
	long_vars.value[REPLY_VAR_SENDER] = slice_make(sender, sizeof(sender));
	buf_init(&out, 1000);
	reply_write(&out, template, &long_vars);
	cr_assert_eq(out.len, strlen("action=HOLD ") + 64 + 2);
	buf_release(&out);
	reply_template_free(&template);
}

Test(reply, text_without_codes)
{
	static const char *const texts[][2] = {
		{"550 5.7.1 no {helo}", "no {helo}"}, {"550 no", "no"}, {"5.7.1 no", "no"},
		{" 452  4.5.3  later ", "later"}, {"550", ""}, {"550 5.7.1", ""}, {"", ""},
		{"5501 no", "5501 no"}, {"5.7 no", "5.7 no"}, {"no 550 5.7.1", "no 550 5.7.1"},
		{"5.7.1 550 no", "550 no"},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct slice rest = reply_text_without_codes(slice_of(texts[i][0]));

		cr_assert(slice_is(rest, texts[i][1]), "%s", texts[i][0]);
	}
}
