/* SPDX-License-Identifier: ISC */
/*
 * Bans and live limits as the texts that stand in a shared list. Pure. Reading believes nothing;
 * what a ban may hit is for daemon/bans to say.
 *
 * A ban: member "192.0.2.1/32" or "2001:db8::/64" and no other spelling, facts "since times node
 * 4:autoreason". A live limit: member "rule/subject", its odd bytes as %XX, facts "since
 * 5:alice200/3600000,...". Times are Redis' clock.
 */
#ifndef REEVE_DAEMON_STORE_REDIS_FACTS_H
#define REEVE_DAEMON_STORE_REDIS_FACTS_H

#include "common/buf.h"
#include "daemon/store/store.h"

/* `offset_ms`: Redis' clock minus ours. `until` and `sticky` go beside the facts. */
void facts_put_ban(struct buf *out, const struct ban *ban, int64_t offset_ms);
bool facts_get_ban(struct slice member, struct slice facts, uint64_t until_wall_ms, bool sticky,
	int64_t offset_ms, struct ban *ret) __attribute__((warn_unused_result));

void facts_put_override_name(struct buf *out, struct slice rule, struct slice subject);
void facts_put_override(struct buf *out, const struct override *override, int64_t offset_ms);
/* Only rule and subject. */
bool facts_get_override_name(struct slice member, struct override *ret)
	__attribute__((warn_unused_result));
bool facts_get_override(struct slice member, struct slice facts, uint64_t until_wall_ms,
	int64_t offset_ms, struct override *ret) __attribute__((warn_unused_result));

#endif
