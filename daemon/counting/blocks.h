/* SPDX-License-Identifier: ISC */
/*
 * A pool of 32-byte blocks for what has no fixed length: subjects, and the buckets that an entry
 * has no room for. Bytes lie in chains of blocks, so nothing fragments: while a block is free, it
 * can be used for anything. The address space is reserved once, the kernel gives pages as they
 * are touched.
 */
#ifndef REEVE_DAEMON_COUNTING_BLOCKS_H
#define REEVE_DAEMON_COUNTING_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BLOCK_BYTES 32
#define BLOCK_PAYLOAD (BLOCK_BYTES - sizeof(uint32_t))

struct block {
	uint32_t next; /* 0: the last of its chain */
	uint8_t bytes[BLOCK_PAYLOAD];
};

struct blocks {
	struct block *memory;  /* block 0 is never given out */
	uint32_t max, touched; /* highest number; highest ever used */
	uint32_t free_head, used;
};

void blocks_init(struct blocks *blocks, size_t max);
void blocks_release(struct blocks *blocks);
/* Zeroed address space, backed when touched; never fails (see alloc.h). Also for the tables
 * beside this one. */
void *blocks_map(size_t bytes) __attribute__((returns_nonnull, warn_unused_result));
void blocks_unmap(void *memory, size_t bytes);

/* How many blocks `len` bytes need. */
static inline size_t blocks_for(size_t len)
{
	return (len + BLOCK_PAYLOAD - 1) / BLOCK_PAYLOAD;
}

static inline size_t blocks_left(const struct blocks *blocks)
{
	return blocks->max - blocks->used;
}

/* Puts `len` bytes into the chain `*head` (0: none yet), which grows or shrinks to fit. false:
 * not enough blocks, nothing was changed. */
bool blocks_put(struct blocks *blocks, uint32_t *head, const void *bytes, size_t len)
	__attribute__((warn_unused_result));
void blocks_get(const struct blocks *blocks, uint32_t head, void *bytes, size_t len);
/* As blocks_equal(), for chains of more than one block. */
bool blocks_chain_equal(const struct blocks *blocks, uint32_t head, const void *bytes, size_t len);

static inline bool blocks_equal(
	const struct blocks *blocks, uint32_t head, const void *bytes, size_t len)
{
	if (len > BLOCK_PAYLOAD)
		return blocks_chain_equal(blocks, head, bytes, len);
	return memcmp(blocks->memory[head].bytes, bytes, len) == 0;
}

void blocks_drop(struct blocks *blocks, uint32_t *head);

#endif
