/* SPDX-License-Identifier: ISC */
/*
 * One hash begins with what the three have in common and goes on in copies.
 */
#include "daemon/mail/smtp_ids.h"

#include "common/sip.h"

static struct hash128 not_zero(struct hash128 id)
{
	if (hash128_is_zero(id))
		id.lo = 1;
	return id;
}

static struct hash128 connection_id(
	struct sip common, const struct smtp_names *names, uint64_t policy_connection)
{
	struct slice port = names->client_port;

	sip_next_part(&common, names->server_port);
	if (port.len && !slice_equal(port, SLICE("unknown")))
		sip_next_part(&common, port);
	else
		sip_next_number(&common, policy_connection);
	return not_zero(sip_end128(common));
}

struct hash128 smtp_ids_transaction(struct sip message, struct slice instance)
{
	sip_next_part(&message, instance);
	return not_zero(sip_end128(message));
}

void smtp_ids_begin(struct smtp_ids *ret, struct sip *ret_message, const struct hash_key *key,
	const struct smtp_names *names, uint64_t policy_connection)
{
	struct sip sip = sip_start128(key), service;

	sip_first_part(&sip, names->server_address);
	service = sip;
	sip_next_part(&service, names->server_port);
	ret->service = sip_end64(service);
	sip_next_part(&sip, names->client_address);
	ret->connection = connection_id(sip, names, policy_connection);
	ret->transaction = (struct hash128){0, 0};
	sip_next_part(&sip, names->client_port);
	*ret_message = sip;
}

void smtp_ids_read(struct smtp_ids *ret, const struct hash_key *key, const struct smtp_names *names,
	uint64_t policy_connection)
{
	struct sip message;

	smtp_ids_begin(ret, &message, key, names, policy_connection);
	if (names->instance.len && names->client_address.len)
		ret->transaction = smtp_ids_transaction(message, names->instance);
}
