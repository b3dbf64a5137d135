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

static struct hash128 connection_id(struct sip common, const struct smtp_names *names,
				    uint64_t policy_connection)
{
	struct slice port = names->client_port;

	sip_next_part(&common, names->server_port);
	if (port.len && !slice_equal(port, SLICE("unknown")))
		sip_next_part(&common, port);
	else
		sip_next_number(&common, policy_connection);
	return not_zero(sip_end128(common));
}

static struct hash128 transaction_id(struct sip common, const struct smtp_names *names)
{
	sip_next_part(&common, names->client_port);
	sip_next_part(&common, names->instance);
	return not_zero(sip_end128(common));
}

void smtp_ids_read(struct smtp_ids *ret, const struct hash_key *key, const struct smtp_names *names,
		   uint64_t policy_connection)
{
	struct sip sip = sip_start128(key), service;

	sip_first_part(&sip, names->server_address);
	service = sip;
	sip_next_part(&service, names->server_port);
	ret->service = sip_end64(service);
	sip_next_part(&sip, names->client_address);
	ret->connection = connection_id(sip, names, policy_connection);
	ret->transaction = (struct hash128){ 0, 0 };
	if (names->instance.len && names->client_address.len)
		ret->transaction = transaction_id(sip, names);
}
