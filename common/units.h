/* SPDX-License-Identifier: ISC */
/*
 * Values with units, as people write them in reeve.yaml. Parsers return NULL
 * when all is well, else a static text that says what was expected ("needs a
 * unit, like 300ms, 90s, 15m, 1h or 7d"); the value is then untouched.
 */
#ifndef REEVE_COMMON_UNITS_H
#define REEVE_COMMON_UNITS_H

#include <stdint.h>

#include "common/buf.h"
#include "common/slice.h"

struct rate {
	uint64_t limit;       /* UINT64_MAX: unlimited */
	uint64_t window_ms;
};

#define RATE_UNLIMITED UINT64_MAX
/* Of a limit that is none: counters and their stores hold numbers up to 2^53 - 1 (the greatest that Redis's
 * Lua holds exactly). */
#define RATE_MAX_LIMIT ((UINT64_C(1) << 53) - 1)

const char *units_parse_duration(struct slice text, uint64_t *ret_ms);   /* 300ms 90s 15m 1h 7d, also 1h30m */
const char *units_parse_size(struct slice text, uint64_t *ret_bytes);    /* 512B 10KiB 10MiB 1GiB, kB/MB/GB decimal */
const char *units_parse_rate(struct slice text, struct rate *ret_rate);  /* 200/1h; also 10MiB/1d for bytes; "unlimited" */
const char *units_parse_percent(struct slice text, unsigned *ret_percent); /* 80% */
const char *units_parse_bool(struct slice text, bool *ret_value);        /* yes no true false on off */
const char *units_parse_u64(struct slice text, uint64_t *ret_value);     /* plain decimal, nothing else */
const char *units_parse_decimal(struct slice text, double *ret_value);   /* 1.0 */
const char *units_parse_date(struct slice text, uint64_t *ret_wall_ms);  /* 2030-12-31: the end of that day, UTC */

/* For people: "45 s", "12 min", "3 h", "2 h 5 min", "6 d". Rounded up, never "0 s". */
void units_format_duration(struct buf *buf, uint64_t ms);
/* As it would be written in the configuration: 1h, 90s, 1d. */
void units_format_window(struct buf *buf, uint64_t ms);
/* 2026-11-24T03:51:00Z */
void units_format_time(struct buf *buf, uint64_t wall_ms);

#endif
