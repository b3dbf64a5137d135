/* SPDX-License-Identifier: ISC */
/*
 * TLS below a connection of hiredis, where hiredis has it (1.0 and later). The other side's
 * certificate must be signed by an authority of the system and be made out to the host that was
 * asked for: hiredis does not look at that by itself.
 */
#ifndef REEVE_DAEMON_STORE_REDIS_TLS_H
#define REEVE_DAEMON_STORE_REDIS_TLS_H

#include <hiredis/hiredis.h>
#include <stdbool.h>

#define REDIS_TLS_DETAIL_BYTES 128

struct redis_tls;

/* Begins the handshake on a connected socket that does not block; it goes on with what is read
 * and written. NULL: `ret_detail` says why. `host` is a name or an address. */
struct redis_tls *redis_tls_begin(
	redisContext *redis, const char *host, char ret_detail[static REDIS_TLS_DETAIL_BYTES]);
/* Before redisFree(), which frees what is hiredis'. */
void redis_tls_end(struct redis_tls **tls, redisContext *redis);
/* Before each read and write: what failed on another connection is no error of this one. */
void redis_tls_before_io(void);
/* The handshake is done. */
bool redis_tls_is_open(const struct redis_tls *tls);
/* After reading or writing failed, for people; `otherwise`: where TLS has nothing to say. */
void redis_tls_why(const struct redis_tls *tls, const char *otherwise,
	char ret_detail[static REDIS_TLS_DETAIL_BYTES]);
/* Something was decrypted and not yet read. */
bool redis_tls_has_more(const struct redis_tls *tls);
/* What to wait for, out of two bits. */
int redis_tls_mask(const struct redis_tls *tls, bool unsent, int readable, int writable);

#endif
