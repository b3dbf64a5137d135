/* SPDX-License-Identifier: ISC */
/*
 * Arenas: alignment, growth past the first block, and what a reset keeps.
 */
#include "common/arena.h"

#include <criterion/criterion.h>
#include <stddef.h>
#include <stdint.h>

Test(arena, all_pieces_are_aligned_and_apart)
{
	struct arena arena;
	unsigned char *pieces[200];

	arena_init(&arena, 512);
	for (size_t i = 0; i < 200; i++) {
		pieces[i] = arena_alloc(&arena, i);
		cr_assert_eq((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
		memset(pieces[i], (int)i, i);
	}
	for (size_t i = 0; i < 200; i++)
		for (size_t j = 0; j < i; j++)
			cr_assert_eq(pieces[i][j], i);
	arena_release(&arena);
}

Test(arena, reset_starts_again_in_the_first_block)
{
	struct arena arena;
	void *first;

	arena_init(&arena, 256);
	first = arena_alloc(&arena, 16);
	for (int round = 0; round < 3; round++) {
		memset(arena_alloc(&arena, 5000), 1, 5000);
		memset(arena_alloc(&arena, 100000), 1, 100000);
		arena_reset(&arena);
		cr_assert_eq(arena_alloc(&arena, 16), first);
	}
	arena_release(&arena);
	arena_release(&arena);
	arena_reset(&arena);
}

Test(arena, zeroed_memory_is_zero_after_use)
{
	struct arena arena;
	unsigned char *piece;

	arena_init(&arena, 256);
	memset(arena_alloc(&arena, 200), 0xff, 200);
	arena_reset(&arena);
	piece = arena_zalloc(&arena, 200);
	for (size_t i = 0; i < 200; i++)
		cr_assert_eq(piece[i], 0);
	arena_release(&arena);
}

Test(arena, works_without_a_first_block_worth_the_name)
{
	struct arena arena;

	arena_init(&arena, 0);
	cr_assert(slice_is(arena_dup(&arena, SLICE("hello")), "hello"));
	arena_release(&arena);
}

Test(arena, dup_copies)
{
	struct arena arena;
	char bytes[] = "sender@example.com";
	struct slice copy, empty;

	arena_init(&arena, 64);
	copy = arena_dup(&arena, slice_of(bytes));
	empty = arena_dup(&arena, slice_make(NULL, 0));
	bytes[0] = 'X';
	cr_assert(slice_is(copy, "sender@example.com"));
	cr_assert_eq(empty.len, 0);
	cr_assert_not_null(empty.data);
	arena_release(&arena);
}
