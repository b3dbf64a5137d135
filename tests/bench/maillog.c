/* SPDX-License-Identifier: ISC */
/*
 * How many lines of Postfix's log a second: a recording is read into memory and goes through the
 * witness again and again, comment lines left out.
 *
 * usage: maillog FILE [SECONDS]. Prints lines a second and how many connections were told of.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/alloc.h"
#include "daemon/feeds/witness.h"

#define MAX_FILE_BYTES (64 * 1024 * 1024)

static uint64_t told;

static void on_session(struct witness_sink *sink, const struct bans_session *session,
		       struct clock_now now)
{
	(void)sink;
	(void)session;
	(void)now;
	told++;
}

static void on_login(struct witness_sink *sink, const struct witness_login *login,
		     struct clock_now now)
{
	(void)sink;
	(void)login;
	(void)now;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static uint64_t read_once(struct witness *witness, struct slice text)
{
	struct slice line, rest;
	uint64_t lines = 0;

	while (slice_split(text, '\n', &line, &rest)) {
		text = rest;
		if (line.len == 0 || line.data[0] == '#')
			continue;
		witness_line(witness, line, (struct clock_now){ 1000, 1000 });
		lines++;
	}
	return lines;
}

int main(int argc, char **argv)
{
	struct witness_sink sink = { on_session, on_login };
	struct witness *witness = witness_new((struct hash_key){ 1, 2 }, &sink);
	double limit = argc > 2 ? strtod(argv[2], NULL) : 3, start, took;
	char *memory = mem_alloc(MAX_FILE_BYTES);
	FILE *in = argc > 1 ? fopen(argv[1], "r") : NULL;
	struct slice text;
	uint64_t lines = 0;

	if (!in) {
		fprintf(stderr, "usage: maillog FILE [SECONDS]\n");
		return 1;
	}
	text = slice_make(memory, fread(memory, 1, MAX_FILE_BYTES, in));
	fclose(in);
	start = seconds();
	do {
		lines += read_once(witness, text);
		took = seconds() - start;
	} while (took < limit);
	printf("%.0f lines/s, %llu lines, %llu connections in %.2f s\n", (double)lines / took,
	       (unsigned long long)lines, (unsigned long long)told, took);
	witness_free(&witness);
	free(memory);
	return 0;
}
