/* SPDX-License-Identifier: ISC */
/*
 * The message reader. It goes twice over a message: first over every record of every section, to
 * see that the counts and lengths are true and to find the SOA; then, for each step of the CNAME
 * chain, over the answer section for the records of one owner.
 *
 * Names are expanded to lower-case wire form (length bytes and all) and compared in it: in text
 * form a label that holds a dot would look like two. Compression pointers must lead to before the
 * piece of name that holds them, so that no loop is possible.
 */
#include "daemon/dns/wire.h"

#define NAME_BYTES 255             /* wire form, RFC 1035 2.3.4 */
#define CLASS_IN 1
#define TYPE_NS 2
#define TYPE_CNAME 5
#define TYPE_SOA 6
#define TYPE_OPT 41

/* Answer records that are looked at: more of one name say nothing new, and a hostile message
 * stays cheap. */
#define MAX_LOOKED_AT 256

struct reader {
	const uint8_t *message;
	size_t len, at;
	bool bad;                  /* ran past the end; all that is read from then on is 0 */
};

struct wire_name {
	uint8_t bytes[NAME_BYTES];
	size_t len;
	bool odd;                  /* holds what no host name has */
};

struct header {
	uint16_t flags, questions, answers, authorities, additionals;
};

struct resource {
	size_t owner_at, data_at, data_len;
	uint16_t type, class;
	uint32_t ttl_s;
	uint8_t extended_rcode;    /* where type is OPT */
};

struct scan {
	size_t answers_at;
	bool soa, ns;
	uint32_t negative_ttl_s;
};

struct result {
	struct dns_answer *answer;
	uint32_t ttl_s;
	bool found;                /* records of the type were there, kept or dropped */
	bool lost;                 /* the chain is too long, or not all of it was looked at */
};

/* ---- bytes ---- */

static bool has(struct reader *reader, size_t bytes)
{
	if (reader->bad || bytes > reader->len - reader->at)
		reader->bad = true;
	return !reader->bad;
}

static void skip(struct reader *reader, size_t bytes)
{
	if (has(reader, bytes))
		reader->at += bytes;
}

static uint8_t read_u8(struct reader *reader)
{
	return has(reader, 1) ? reader->message[reader->at++] : 0;
}

static uint16_t read_u16(struct reader *reader)
{
	uint16_t high = read_u8(reader);

	return (uint16_t)(high << 8 | read_u8(reader));
}

static uint32_t read_u32(struct reader *reader)
{
	uint32_t high = read_u16(reader);

	return high << 16 | read_u16(reader);
}

/* ---- names ---- */

static uint8_t lower(uint8_t byte)
{
	return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + ('a' - 'A')) : byte;
}

static bool is_host_byte(uint8_t byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '-' ||
	       byte == '_';
}

static void skip_name(struct reader *reader)
{
	for (;;) {
		uint8_t byte = read_u8(reader);

		if (reader->bad || byte == 0)
			return;
		if (byte >= 0xc0) {
			skip(reader, 1);
			return;
		}
		if (byte > 63)
			reader->bad = true;
		skip(reader, byte);
	}
}

/* `bytes` of a label; its length byte goes in front. */
static bool add_label(struct wire_name *name, const uint8_t *bytes, uint8_t len)
{
	/* One more for the root label, which must still fit. */
	if (name->len + 1 + len + 1 > NAME_BYTES)
		return false;
	name->bytes[name->len++] = len;
	for (uint8_t i = 0; i < len; i++) {
		uint8_t byte = lower(bytes[i]);

		name->odd = name->odd || !is_host_byte(byte);
		name->bytes[name->len++] = byte;
	}
	return true;
}

/* The name at `at`; the reader itself stays where it is. */
static bool expand_name(const struct reader *reader, size_t at, struct wire_name *ret)
{
	struct reader walk = { reader->message, reader->len, at, false };
	size_t piece_at = at;

	ret->len = 0;
	ret->odd = false;
	for (;;) {
		uint8_t byte = read_u8(&walk);

		if (walk.bad)
			return false;
		if (byte >= 0xc0) {
			size_t target = (size_t)(byte & 0x3f) << 8 | read_u8(&walk);

			if (walk.bad || target >= piece_at)
				return false;
			walk.at = piece_at = target;
			continue;
		}
		if (byte == 0)
			break;
		if (byte > 63 || !has(&walk, byte) ||
		    !add_label(ret, walk.message + walk.at, byte))
			return false;
		walk.at += byte;
	}
	ret->bytes[ret->len++] = 0;
	return true;
}

static bool name_equal(const struct wire_name *a, const struct wire_name *b)
{
	return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

static bool name_from_text(struct slice text, struct wire_name *ret)
{
	ret->len = 0;
	ret->odd = false;
	while (text.len) {
		struct slice label = text, rest = SLICE_EMPTY;

		(void)slice_split(text, '.', &label, &rest);
		if (label.len == 0 || label.len > 63 ||
		    !add_label(ret, (const uint8_t *)label.data, (uint8_t)label.len))
			return false;
		text = rest;
	}
	ret->bytes[ret->len++] = 0;
	return true;
}

static struct slice name_to_text(const struct wire_name *name, struct arena *arena)
{
	char text[NAME_BYTES];
	size_t len = 0;

	for (size_t at = 0; name->bytes[at]; at += 1u + name->bytes[at]) {
		if (len)
			text[len++] = '.';
		memcpy(text + len, name->bytes + at + 1, name->bytes[at]);
		len += name->bytes[at];
	}
	return arena_dup(arena, (struct slice){ text, len });
}

/* ---- records ---- */

static struct resource read_resource(struct reader *reader)
{
	struct resource resource = { .owner_at = reader->at };

	skip_name(reader);
	resource.type = read_u16(reader);
	resource.class = read_u16(reader);
	resource.ttl_s = read_u32(reader);
	resource.extended_rcode = (uint8_t)(resource.ttl_s >> 24);
	if (resource.ttl_s > INT32_MAX)
		resource.ttl_s = 0;        /* RFC 2181 8 */
	resource.data_len = read_u16(reader);
	resource.data_at = reader->at;
	skip(reader, resource.data_len);
	return resource;
}

static bool read_soa(const struct reader *reader, const struct resource *soa, struct scan *scan)
{
	struct reader data = { reader->message, soa->data_at + soa->data_len, soa->data_at, false };
	uint32_t minimum_s;

	skip_name(&data);
	skip_name(&data);
	skip(&data, 16);
	minimum_s = read_u32(&data);
	if (minimum_s > INT32_MAX)
		minimum_s = 0;
	if (data.bad || data.at != data.len)
		return false;
	if (!scan->soa)
		scan->negative_ttl_s = soa->ttl_s < minimum_s ? soa->ttl_s : minimum_s;
	scan->soa = true;
	return true;
}

/* Every record of the message. false: it lies about its counts or lengths, or is an error in
 * disguise (an extended rcode, whose low bits may be 0). */
static bool scan_records(struct reader *reader, const struct header *header, struct scan *ret)
{
	*ret = (struct scan){ .answers_at = reader->at };
	for (unsigned i = 0; i < header->answers && !reader->bad; i++)
		(void)read_resource(reader);
	for (unsigned i = 0; i < header->authorities && !reader->bad; i++) {
		struct resource resource = read_resource(reader);

		if (reader->bad || resource.class != CLASS_IN)
			continue;
		if (resource.type == TYPE_SOA && !read_soa(reader, &resource, ret))
			return false;
		ret->ns = ret->ns || resource.type == TYPE_NS;
	}
	for (unsigned i = 0; i < header->additionals && !reader->bad; i++) {
		struct resource resource = read_resource(reader);

		if (resource.type == TYPE_OPT && resource.extended_rcode)
			return false;
	}
	return !reader->bad;
}

static bool read_header(struct reader *reader, struct header *ret)
{
	skip(reader, 2);
	ret->flags = read_u16(reader);
	ret->questions = read_u16(reader);
	ret->answers = read_u16(reader);
	ret->authorities = read_u16(reader);
	ret->additionals = read_u16(reader);
	return !reader->bad;
}

/* An answer (QR) to a standard query, whole (no TC), with exactly one question, and that is
 * ours. */
static bool read_question(struct reader *reader, const struct header *header,
			  const struct wire_name *asked, enum dns_type type)
{
	struct wire_name name;
	size_t name_at = reader->at;

	if ((header->flags & 0x8000) == 0 || (header->flags & 0x7a00) != 0 ||
		header->questions != 1)
		return false;
	skip_name(reader);
	if (read_u16(reader) != type || read_u16(reader) != CLASS_IN || reader->bad)
		return false;
	return expand_name(reader, name_at, &name) && name_equal(&name, asked);
}

static struct ip ip_of_bytes(const uint8_t *bytes, size_t len)
{
	struct ip ip = { { 0 } };

	memcpy(ip.bytes + sizeof(ip.bytes) - len, bytes, len);
	if (len == 4)
		ip.bytes[10] = ip.bytes[11] = 0xff;
	return ip;
}

/* The name in a record's data, which must end where the data ends. */
static bool read_target(const struct reader *reader, const struct resource *resource,
	size_t skipped, struct wire_name *ret)
{
	struct reader data = { reader->message, resource->data_at + resource->data_len,
			       resource->data_at + skipped, false };

	if (skipped > resource->data_len)
		return false;
	skip_name(&data);
	return !data.bad && data.at == data.len &&
	       expand_name(reader, resource->data_at + skipped, ret);
}

/* false: the record is malformed, and with it the message. */
static bool read_data(const struct reader *reader, const struct resource *resource,
		      struct arena *arena, struct dns_record *ret, bool *ret_keep)
{
	const uint8_t *data = reader->message + resource->data_at;
	struct wire_name target;

	*ret = (struct dns_record){ .name = SLICE_EMPTY };
	*ret_keep = true;
	if (resource->type == DNS_A || resource->type == DNS_AAAA) {
		if (resource->data_len != (resource->type == DNS_A ? 4 : 16))
			return false;
		ret->ip = ip_of_bytes(data, resource->data_len);
		return true;
	}
	if (!read_target(reader, resource, resource->type == DNS_MX ? 2 : 0, &target))
		return false;
	if (resource->type == DNS_MX)
		ret->preference = (uint16_t)(data[0] << 8 | data[1]);
	/* The root is a null MX (RFC 7505), but nobody's name. */
	*ret_keep = !target.odd && (target.len > 1 || resource->type == DNS_MX);
	if (*ret_keep)
		ret->name = name_to_text(&target, arena);
	return true;
}

/* ---- the chain ---- */

static void lower_ttl(struct result *result, const struct resource *resource)
{
	if (resource->ttl_s < result->ttl_s)
		result->ttl_s = resource->ttl_s;
}

static bool take_record(const struct reader *reader, const struct resource *resource,
			struct arena *arena, struct result *result)
{
	struct dns_record record;
	bool keep;

	if (!read_data(reader, resource, arena, &record, &keep))
		return false;
	result->found = true;
	lower_ttl(result, resource);
	if (keep)
		result->answer->records[result->answer->count++] = record;
	return true;
}

enum step { STEP_BAD, STEP_END, STEP_ALIAS };

/* All that the answer section says of `owner`: records of the type, else an alias, which
 * becomes the owner. */
static enum step read_owner(struct reader reader, unsigned answers, enum dns_type type,
			    struct wire_name *owner, struct arena *arena, struct result *result)
{
	struct resource alias = { .type = 0 };

	for (unsigned i = 0; i < answers && result->answer->count < DNS_MAX_ANSWERS; i++) {
		struct resource resource = read_resource(&reader);
		struct wire_name name;

		if (!expand_name(&reader, resource.owner_at, &name))
			return STEP_BAD;
		if (resource.class != CLASS_IN || !name_equal(&name, owner))
			continue;
		if (resource.type == (uint16_t)type) {
			if (!take_record(&reader, &resource, arena, result))
				return STEP_BAD;
		} else if (resource.type == TYPE_CNAME && !alias.type) {
			alias = resource;
		}
	}
	if (result->found || !alias.type)
		return STEP_END;
	lower_ttl(result, &alias);
	return read_target(&reader, &alias, 0, owner) ? STEP_ALIAS : STEP_BAD;
}

static bool read_chain(const struct reader *reader, const struct header *header, enum dns_type type,
		       struct wire_name *owner, struct arena *arena, struct result *result)
{
	unsigned answers = header->answers < MAX_LOOKED_AT ? header->answers : MAX_LOOKED_AT;
	enum step step = STEP_ALIAS;

	for (unsigned i = 0; i <= WIRE_MAX_CNAMES && step == STEP_ALIAS; i++)
		step = read_owner(*reader, answers, type, owner, arena, result);
	result->lost = step == STEP_ALIAS || header->answers > answers;
	return step != STEP_BAD;
}

static enum dns_status decide(const struct header *header, const struct scan *scan,
			      const struct result *result)
{
	bool exists = (header->flags & 0xf) == 0;

	if (result->found)
		return exists && result->answer->count ? DNS_FOUND : DNS_UNKNOWN;
	if (result->lost)
		return DNS_UNKNOWN;
	if (!exists)
		return DNS_NXDOMAIN;
	if (scan->soa)
		return DNS_NODATA;
	/* Name servers without a SOA are a referral (RFC 2308 2.2); answers that lead nowhere
	 * say nothing. */
	return scan->ns || header->answers ? DNS_UNKNOWN : DNS_NODATA;
}

static enum dns_status read_message(struct reader *reader, struct slice name, enum dns_type type,
				    struct arena *arena, struct result *result)
{
	struct header header;
	struct scan scan;
	struct wire_name owner;
	enum dns_status status;

	if (!name_from_text(name, &owner) || !read_header(reader, &header) ||
	    !read_question(reader, &header, &owner, type))
		return DNS_UNKNOWN;
	if ((header.flags & 0xf) != 0 && (header.flags & 0xf) != 3)
		return DNS_UNKNOWN;
	if (!scan_records(reader, &header, &scan))
		return DNS_UNKNOWN;
	reader->at = scan.answers_at;
	if (!read_chain(reader, &header, type, &owner, arena, result))
		return DNS_UNKNOWN;
	status = decide(&header, &scan, result);
	if (status == DNS_NXDOMAIN || status == DNS_NODATA) {
		uint32_t ttl_s = scan.soa ? scan.negative_ttl_s : WIRE_NO_SOA_TTL_MS / 1000;

		if (ttl_s < result->ttl_s)
			result->ttl_s = ttl_s;
	}
	return status;
}

const struct dns_answer *wire_read(struct slice name, enum dns_type type, const uint8_t *message,
				   size_t len, struct arena *arena, uint64_t *ret_ttl_ms)
{
	struct reader reader = { message, len, 0, false };
	struct result result = { .ttl_s = INT32_MAX };

	result.answer = arena_alloc(arena, sizeof(*result.answer) +
						   DNS_MAX_ANSWERS * sizeof(struct dns_record));
	result.answer->count = 0;
	result.answer->status = read_message(&reader, name, type, arena, &result);
	if (result.answer->status != DNS_FOUND)
		result.answer->count = 0;
	*ret_ttl_ms = result.answer->status == DNS_UNKNOWN ? 0 : (uint64_t)result.ttl_s * 1000;
	return result.answer;
}
