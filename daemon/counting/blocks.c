/* SPDX-License-Identifier: ISC */
/*
 * Free blocks form one list through their `next`; blocks that were never used lie above
 * `touched`, so that an empty pool takes no memory.
 */
#include "daemon/counting/blocks.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

void *blocks_map(size_t bytes)
{
	void *memory = mmap(NULL, bytes ? bytes : 1, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED) {
		fprintf(stderr, "reeve: out of memory (%zu bytes of address space asked for)\n",
			bytes);
		abort();
	}
	return memory;
}

void blocks_unmap(void *memory, size_t bytes)
{
	if (memory)
		munmap(memory, bytes ? bytes : 1);
}

static size_t pool_bytes(const struct blocks *blocks)
{
	return ((size_t)blocks->max + 1) * BLOCK_BYTES;
}

void blocks_init(struct blocks *blocks, size_t max)
{
	*blocks = (struct blocks){.max = max < UINT32_MAX ? (uint32_t)max : UINT32_MAX - 1};
	blocks->memory = blocks_map(pool_bytes(blocks));
}

void blocks_release(struct blocks *blocks)
{
	blocks_unmap(blocks->memory, pool_bytes(blocks));
	*blocks = (struct blocks){.memory = NULL};
}

static uint32_t take(struct blocks *blocks)
{
	uint32_t number = blocks->free_head;

	if (number)
		blocks->free_head = blocks->memory[number].next;
	else
		number = ++blocks->touched;
	blocks->used++;
	blocks->memory[number].next = 0;
	return number;
}

void blocks_drop(struct blocks *blocks, uint32_t *head)
{
	uint32_t number = *head;

	while (number) {
		uint32_t next = blocks->memory[number].next;

		blocks->memory[number].next = blocks->free_head;
		blocks->free_head = number;
		blocks->used--;
		number = next;
	}
	*head = 0;
}

static size_t chain_length(const struct blocks *blocks, uint32_t head)
{
	size_t length = 0;

	for (; head; head = blocks->memory[head].next)
		length++;
	return length;
}

bool blocks_put(struct blocks *blocks, uint32_t *head, const void *bytes, size_t len)
{
	const uint8_t *from = bytes;
	uint32_t *link = head;
	size_t need = blocks_for(len);
	size_t have = chain_length(blocks, *head);

	if (need > have && need - have > blocks_left(blocks))
		return false;
	while (len) {
		size_t part = len < BLOCK_PAYLOAD ? len : BLOCK_PAYLOAD;

		if (!*link)
			*link = take(blocks);
		memcpy(blocks->memory[*link].bytes, from, part);
		from += part;
		len -= part;
		link = &blocks->memory[*link].next;
	}
	blocks_drop(blocks, link);
	return true;
}

void blocks_get(const struct blocks *blocks, uint32_t head, void *bytes, size_t len)
{
	uint8_t *to = bytes;

	while (len) {
		size_t part = len < BLOCK_PAYLOAD ? len : BLOCK_PAYLOAD;

		memcpy(to, blocks->memory[head].bytes, part);
		to += part;
		len -= part;
		head = blocks->memory[head].next;
	}
}

bool blocks_chain_equal(const struct blocks *blocks, uint32_t head, const void *bytes, size_t len)
{
	const uint8_t *with = bytes;

	while (len) {
		size_t part = len < BLOCK_PAYLOAD ? len : BLOCK_PAYLOAD;

		if (memcmp(with, blocks->memory[head].bytes, part) != 0)
			return false;
		with += part;
		len -= part;
		head = blocks->memory[head].next;
	}
	return true;
}
