/* SPDX-License-Identifier: ISC */
/*
 * What a request that is taken as a repeated one says must be what a parser says that reads byte by byte
 * (policy_oracle.h): over all pairs of recordings, with any byte changed, cut anywhere.
 */
#include "common/policy_repeat.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "tests/fuzz/policy_oracle.h"

#define CORPUS "tests/fuzz/corpus/policy"
#define MAX_RECORDINGS 100

static struct policy_repeat repeat;
static struct policy_request request;
static size_t used;

/* As a connection does: the parser where it is no repeated one. */
static enum policy_feed ask(const char *data, size_t len, bool *ret_taken)
{
	struct policy_parser parser;
	enum policy_feed feed;
	const char *why;

	*ret_taken = policy_repeat_take(&repeat, data, len, &request, &used);
	if (*ret_taken)
		return POLICY_READY;
	policy_parser_reset(&parser);
	feed = policy_parser_feed(&parser, data, len, &request, &used, &why);
	if (feed == POLICY_READY)
		policy_repeat_learn(&repeat, data, used, &request);
	return feed;
}

static void says(const char *data, size_t len, enum policy_feed feed)
{
	struct policy_request expected;
	const char *why;
	size_t expected_used = 0;

	cr_assert(oracle(data, len, &expected, &expected_used, &why) == feed);
	if (feed != POLICY_READY)
		return;
	cr_assert(used == expected_used && request.present == expected.present);
	cr_assert(request.state == expected.state);
	for (size_t i = 0; i < POLICY_ATTR_COUNT; i++)
		if (!slice_equal(request.attr[i], expected.attr[i]))
			cr_assert_fail("%s", policy_attr_name((enum policy_attr)i));
}

/* In a heap block of exactly that size. true: it was taken as a repeated one. */
static bool check(const char *bytes, size_t len)
{
	char *data = mem_alloc(len ? len : 1);
	bool taken;

	memcpy(data, bytes, len);
	says(data, len, ask(data, len, &taken));
	free(data);
	return taken;
}

/* The next one is compared with that. */
static void learn(const char *data, size_t len)
{
	bool taken;

	repeat.known = false;
	cr_assert(ask(data, len, &taken) == POLICY_READY && !taken);
}

struct recording {
	char *data;
	size_t len;
};

static struct recording recordings[MAX_RECORDINGS];
static size_t recording_count;

static void read_recordings(void)
{
	DIR *folder = opendir(CORPUS);
	struct dirent *entry;

	cr_assert_not_null(folder, "run from the root of the source tree");
	while ((entry = readdir(folder)) && recording_count < MAX_RECORDINGS) {
		struct recording *recording = &recordings[recording_count];
		char path[600];
		FILE *file;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), CORPUS "/%s", entry->d_name);
		file = fopen(path, "rb");
		cr_assert_not_null(file);
		recording->data = mem_alloc(65536);
		recording->len = fread(recording->data, 1, 65536, file);
		fclose(file);
		recording_count++;
	}
	closedir(folder);
	cr_assert(recording_count >= 40);
}

static void forget_recordings(void)
{
	while (recording_count)
		free(recordings[--recording_count].data);
}

TestSuite(policy_repeat, .init = read_recordings, .fini = forget_recordings);

Test(policy_repeat, each_recording_after_each_other)
{
	size_t taken = 0;

	for (size_t a = 0; a < recording_count; a++) {
		for (size_t b = 0; b < recording_count; b++) {
			check(recordings[a].data, recordings[a].len);
			taken += check(recordings[b].data, recordings[b].len);
		}
	}
	cr_assert(taken >= 25, "%zu", taken); /* most of those that are the same twice */
}

static char text[4096];

static size_t rcpt(const char *state, const char *sender, const char *anew, const char *rest)
{
	return (size_t)snprintf(text, sizeof(text),
		"request=smtpd_access_policy\nprotocol_state=%s\nprotocol_name=ESMTP\n"
		"client_address=192.0.2.7\nclient_name=unknown\nnovelty=1\nhelo_name=h\nsender=%s\n%s"
		"etrn_domain=\nsasl_username=bob\nencryption_protocol=\nencryption_keysize=0\n%s\n",
		state, sender, anew, rest);
}

#define ANEW "recipient=r@example.com\nrecipient_count=0\nqueue_id=\ninstance=1.2.3.0\nsize=0\n"

static bool taken_after(
	size_t first_len, const char *state, const char *sender, const char *anew, const char *rest)
{
	learn(text, first_len);
	return check(text, rcpt(state, sender, anew, rest));
}

static bool taken(const char *state, const char *sender, const char *anew, const char *rest)
{
	return taken_after(rcpt("RCPT", "s@example.com", ANEW, "policy_context=c\n"), state, sender,
		anew, rest);
}

Test(policy_repeat, what_may_change_and_what_not)
{
	const char *s = "s@example.com", *c = "policy_context=c\n";

	cr_assert(taken("RCPT", s, ANEW, c));
	cr_assert(taken("END-OF-MESSAGE", s, ANEW, c));
	cr_assert(taken("DATA", s,
		"recipient=\nrecipient_count=20\nqueue_id=ABC\ninstance=1.2.3.4\n"
		"size=18446744073709551615\n",
		c));
	cr_assert(!taken("NOVELTY", s, ANEW, c) && !taken("", s, ANEW, c));
	cr_assert(!taken("RCPT", "t@example.com", ANEW, c));
	cr_assert(!taken("RCPT", s, ANEW, "policy_context=d\n"));
	cr_assert(!taken("RCPT", s, ANEW, "policy_context=c\nmail_version=3.11.6\n"));
	cr_assert(!taken("RCPT", s, ANEW "size=1\n", c));
	cr_assert(!taken("RCPT", s, "recipient=r@example.com\nqueue_id=\ninstance=1\nsize=0\n", c));
	cr_assert(!taken("RCPT", s, "queue_id=\n" ANEW, c));
}

Test(policy_repeat, a_request_that_is_not_in_order_is_not_kept)
{
	const char *c = "policy_context=c\n", *twice = "policy_context=c\nsender=twice\n";
	const char *apart = "recipient=r@example.com\nrecipient_count=0\nnovelty=\nqueue_id=\n"
			    "instance=1.2.3.0\nsize=0\n";

	cr_assert(!taken_after(rcpt("RCPT", "s", ANEW, twice), "RCPT", "s", ANEW, twice));
	cr_assert(!taken_after(rcpt("RCPT", "s", apart, c), "RCPT", "s", apart, c));
	cr_assert(request.repeat == 0);
	cr_assert(taken_after(rcpt("RCPT", "s", ANEW, c), "RCPT", "s", ANEW, c));
	cr_assert(request.repeat != 0);
}

Test(policy_repeat, a_number_for_all_that_repeat_and_never_again)
{
	const char *c = "policy_context=c\n";
	uint64_t first, second;

	cr_assert(!check(text, rcpt("RCPT", "s", ANEW, c)));
	first = request.repeat;
	cr_assert(first != 0 && check(text, rcpt("DATA", "s", ANEW, c)) && request.repeat == first);
	cr_assert(!check(text, rcpt("RCPT", "t", ANEW, c)));
	second = request.repeat;
	cr_assert(second != 0 && second != first);
	cr_assert(!check(text, rcpt("RCPT", "s", ANEW, c)));
	cr_assert(request.repeat != 0 && request.repeat != first && request.repeat != second);
	/* One that comes in pieces goes through the parser, and is kept when it is whole. */
	first = request.repeat;
	cr_assert(!check(text, 100) && request.repeat == 0);
	cr_assert(!check(text, rcpt("RCPT", "s", ANEW, c)) && request.repeat > first);
	cr_assert(check(text, rcpt("RCPT", "s", ANEW, c)));
}

Test(policy_repeat, any_byte_changed_or_cut_anywhere)
{
	static const char others[] = {'\0', '\n', '=', 'x'};
	char first[4096];
	size_t len = rcpt("RCPT", "s@example.com", ANEW, "policy_context=c\n"), changed = 0;

	memcpy(first, text, len);
	for (size_t at = 0; at < len; at++) {
		learn(first, len);
		check(first, at);
		for (size_t i = 0; i < sizeof(others); i++) {
			learn(first, len);
			memcpy(text, first, len);
			text[at] = others[i];
			changed += check(text, len);
		}
	}
	cr_assert(changed > 40);
}

Test(policy_repeat, what_follows_is_left_alone)
{
	size_t len = rcpt("RCPT", "s@example.com", ANEW, "policy_context=c\n");

	memcpy(text + len, "request=more\n", 13);
	learn(text, len + 13);
	cr_assert(check(text, len + 13) && used == len);
}

Test(policy_repeat, one_that_is_too_long_is_not_kept)
{
	char long_value[POLICY_REPEAT_BYTES];
	size_t len;

	snprintf(long_value, sizeof(long_value), "%0*d", (int)sizeof(long_value) - 500, 0);
	len = rcpt("RCPT", long_value, ANEW, "");
	learn(text, len);
	cr_assert(check(text, len));
	snprintf(long_value, sizeof(long_value), "%0*d", (int)sizeof(long_value) - 1, 0);
	len = rcpt("RCPT", long_value, ANEW, "");
	learn(text, len);
	cr_assert(!check(text, len) && request.repeat == 0);
	/* ... but a recipient may be longer than what is kept. */
	len = rcpt("RCPT", "s", ANEW, "");
	learn(text, len);
	snprintf(long_value, sizeof(long_value),
		"recipient=%0*d\nrecipient_count=0\nqueue_id=\ninstance=1\nsize=0\n",
		(int)sizeof(long_value) - 80, 0);
	cr_assert(check(text, rcpt("RCPT", "s", long_value, "")));
}
