/* SPDX-License-Identifier: ISC */
/*
 * A bump allocator in a chain of blocks. The first block lives as long as the
 * arena, later ones until the next reset; each later block is at least twice
 * the size of the one before, so that a long request takes few of them.
 *
 * Under AddressSanitizer all memory that is not handed out is poisoned: a
 * slice that outlived its request is found at its first use.
 */
#include "common/arena.h"

#include <stdalign.h>
#include <stdint.h>

#include "common/alloc.h"

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISON 1
#endif
#endif

#ifdef ARENA_POISON
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(start, bytes) ((void)(start), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(start, bytes) ((void)(start), (void)(bytes))
#endif

#define ALIGNMENT alignof(max_align_t)

struct arena_block {
	struct arena_block *older;
	size_t bytes; /* in memory */
	alignas(max_align_t) char memory[];
};

static struct arena_block *block_new(size_t bytes, struct arena_block *older)
{
	struct arena_block *block = mem_alloc(sizeof(*block) + bytes);

	block->older = older;
	block->bytes = bytes;
	ASAN_POISON_MEMORY_REGION(block->memory, bytes);
	return block;
}

static void block_free(struct arena_block *block)
{
	ASAN_UNPOISON_MEMORY_REGION(block->memory, block->bytes);
	free(block);
}

/* Saturates: what cannot be had is refused by mem_alloc(). */
static size_t round_up(size_t bytes)
{
	if (bytes > SIZE_MAX / 4)
		return SIZE_MAX / 4;
	return (bytes + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
}

void arena_init(struct arena *arena, size_t first_block_bytes)
{
	arena->first = arena->block = block_new(round_up(first_block_bytes), NULL);
	arena->used = 0;
}

static void free_later_blocks(struct arena *arena)
{
	while (arena->block != arena->first) {
		struct arena_block *block = arena->block;

		arena->block = block->older;
		block_free(block);
	}
}

void arena_reset(struct arena *arena)
{
	if (!arena->first)
		return;
	if (arena->block != arena->first)
		free_later_blocks(arena);
	ASAN_POISON_MEMORY_REGION(arena->first->memory, arena->first->bytes);
	arena->used = 0;
}

void arena_release(struct arena *arena)
{
	if (!arena->first)
		return;
	free_later_blocks(arena);
	block_free(arena->first);
	*arena = (struct arena){0};
}

static __attribute__((noinline)) void add_block(struct arena *arena, size_t bytes)
{
	size_t size = arena->block->bytes * 2;

	arena->block = block_new(size > bytes ? size : bytes, arena->block);
	arena->used = 0;
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
	size_t size = round_up(bytes);
	char *memory;

	if (size > arena->block->bytes - arena->used)
		add_block(arena, size);
	memory = arena->block->memory + arena->used;
	arena->used += size;
	ASAN_UNPOISON_MEMORY_REGION(memory, bytes);
	return memory;
}

void *arena_zalloc(struct arena *arena, size_t bytes)
{
	return memset(arena_alloc(arena, bytes), 0, bytes);
}

struct slice arena_dup(struct arena *arena, struct slice bytes)
{
	char *copy;

	if (!bytes.len)
		return SLICE_EMPTY;
	copy = arena_alloc(arena, bytes.len);
	memcpy(copy, bytes.data, bytes.len);
	return (struct slice){copy, bytes.len};
}
