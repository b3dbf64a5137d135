/* SPDX-License-Identifier: ISC */
/*
 * The one place where running out of memory is noticed. It ends the process:
 * a daemon that goes on with half an answer is worse than one that is started again.
 */
#include "common/alloc.h"

#include <stdint.h>
#include <stdio.h>

static _Noreturn void out_of_memory(size_t bytes)
{
	fprintf(stderr, "reeve: out of memory (%zu bytes asked for)\n", bytes);
	abort();
}

void *mem_alloc(size_t bytes)
{
	void *memory = malloc(bytes ? bytes : 1);

	if (!memory)
		out_of_memory(bytes);
	return memory;
}

void *mem_zalloc(size_t bytes)
{
	return mem_zalloc_array(1, bytes);
}

void *mem_zalloc_array(size_t count, size_t bytes)
{
	void *memory = count && bytes ? calloc(count, bytes) : calloc(1, 1);

	if (!memory)
		out_of_memory(count > SIZE_MAX / (bytes ? bytes : 1) ? SIZE_MAX : count * bytes);
	return memory;
}

void *mem_grow(void *old, size_t bytes)
{
	void *memory = realloc(old, bytes ? bytes : 1);

	if (!memory)
		out_of_memory(bytes);
	return memory;
}

char *mem_dup(struct slice bytes)
{
	char *copy;

	if (bytes.len == SIZE_MAX)
		out_of_memory(bytes.len);
	copy = mem_alloc(bytes.len + 1);
	if (bytes.len)
		memcpy(copy, bytes.data, bytes.len);
	copy[bytes.len] = '\0';
	return copy;
}
