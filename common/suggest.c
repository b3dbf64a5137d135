/* SPDX-License-Identifier: ISC */
/*
 * Edit distance with swaps of neighbours (optimal string alignment), over
 * short words only: keys, names of checks, variables.
 */
#include "common/suggest.h"

#define MAX_WORD_BYTES 40

static char fold(char byte)
{
	if (byte >= 'A' && byte <= 'Z')
		return (char)(byte - 'A' + 'a');
	return byte == '-' ? '_' : byte;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned least = a < b ? a : b;

	return least < c ? least : c;
}

/* Both at most MAX_WORD_BYTES long. */
static unsigned distance(struct slice a, struct slice b)
{
	unsigned table[MAX_WORD_BYTES + 1][MAX_WORD_BYTES + 1];

	for (unsigned i = 0; i <= a.len; i++)
		table[i][0] = i;
	for (unsigned j = 0; j <= b.len; j++)
		table[0][j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		for (size_t j = 1; j <= b.len; j++) {
			char x = fold(a.data[i - 1]), y = fold(b.data[j - 1]);
			unsigned least = min3(table[i - 1][j] + 1, table[i][j - 1] + 1,
				table[i - 1][j - 1] + (x != y));

			if (i > 1 && j > 1 && x == fold(b.data[j - 2]) &&
				fold(a.data[i - 2]) == y && table[i - 2][j - 2] + 1 < least)
				least = table[i - 2][j - 2] + 1;
			table[i][j] = least;
		}
	}
	return table[a.len][b.len];
}

/* "warn" for "warning": what was cut short is nearer than its distance says. */
static bool is_cut_short(struct slice word, struct slice candidate)
{
	if (word.len < 3 || word.len >= candidate.len)
		return false;
	for (size_t i = 0; i < word.len; i++)
		if (fold(word.data[i]) != fold(candidate.data[i]))
			return false;
	return true;
}

const char *suggest_word(struct slice word, const char *const *words, size_t count)
{
	const char *best = NULL;
	unsigned best_distance = MAX_WORD_BYTES + 1;

	if (word.len == 0 || word.len > MAX_WORD_BYTES)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		struct slice candidate = slice_of(words[i]);
		size_t longer = word.len > candidate.len ? word.len : candidate.len;
		unsigned away;

		if (candidate.len > MAX_WORD_BYTES)
			continue;
		away = distance(word, candidate);
		if ((away <= longer / 3 || is_cut_short(word, candidate)) && away < best_distance) {
			best = words[i];
			best_distance = away;
		}
	}
	return best;
}
