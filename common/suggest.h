/* SPDX-License-Identifier: ISC */
/*
 * The nearest right word to a misspelt one.
 */
#ifndef REEVE_COMMON_SUGGEST_H
#define REEVE_COMMON_SUGGEST_H

#include "common/slice.h"

/* NULL if none of the `count` words is near enough (Damerau-Levenshtein distance at most a third
 * of the length, or three letters and more of its beginning). Case is folded; `-` and `_` are equal. */
const char *suggest_word(struct slice word, const char *const *words, size_t count);

#endif
