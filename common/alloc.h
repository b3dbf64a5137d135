/* SPDX-License-Identifier: ISC */
/*
 * Memory that succeeds or ends the process: sizes from outside are capped
 * before they come here, so running out means that the machine is out.
 * All of it is freed with free(3), or mem_free() which also sets NULL.
 */
#ifndef REEVE_COMMON_ALLOC_H
#define REEVE_COMMON_ALLOC_H

#include <stddef.h>
#include <stdlib.h>

#include "common/slice.h"

#define MEM_RESULT __attribute__((malloc, returns_nonnull, warn_unused_result))

void *mem_alloc(size_t bytes) MEM_RESULT;
void *mem_zalloc(size_t bytes) MEM_RESULT;                 /* zeroed */
void *mem_zalloc_array(size_t count, size_t bytes) MEM_RESULT; /* zeroed; overflow ends the process */
void *mem_grow(void *old, size_t bytes) __attribute__((returns_nonnull, warn_unused_result));
char *mem_dup(struct slice bytes) MEM_RESULT;              /* with a NUL behind it */

#define mem_free(pointer_to_pointer) \
	do { \
		free(*(pointer_to_pointer)); \
		*(pointer_to_pointer) = NULL; \
	} while (0)

#endif
