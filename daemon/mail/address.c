/* SPDX-License-Identifier: ISC */
/*
 * Two ways to the same result. Nearly all addresses are ASCII, have one `@`
 * and no routing operator: those are copied once in lower case, and everything
 * points into that copy. All others take the general way, where each step splits
 * off a domain and so shortens what is left.
 */
#include "daemon/mail/address.h"

#include "daemon/mail/idn.h"
#include "daemon/mail/site.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Local domains that are taken off one address. Postfix would go on; what is left then
 * counts as a local address with that odd local part. */
#define MAX_ROUTE 100

#define LABEL_BYTES 63
#define BLOCK_BYTES 16

/* Reads what stands in brackets; `literal` is lower case. */
static bool read_literal(struct slice literal, struct ip *ret_ip)
{
	struct slice text = { literal.data + 1, literal.len - 2 };
	bool prefixed = slice_starts_with(text, SLICE("ipv6:"));

	if (prefixed)
		text = slice_from(text, 5);
	if (prefixed && (text.len == 0 || !memchr(text.data, ':', text.len)))
		return false;
	return ip_parse(text, ret_ip);
}

static struct slice format_literal(const struct ip *ip, struct arena *arena)
{
	char memory[IP_TEXT_BYTES];
	struct slice text = ip_format(ip, memory);
	struct slice prefix = ip_is_v4(ip) ? SLICE("[") : SLICE("[ipv6:");
	size_t len = prefix.len + text.len + 1;
	char *copy = arena_alloc(arena, len);

	memcpy(copy, prefix.data, prefix.len);
	memcpy(copy + prefix.len, text.data, text.len);
	copy[len - 1] = ']';
	return slice_make(copy, len);
}

static void set_literal(struct mail_address *address, struct slice literal, const struct site *site,
			struct arena *arena)
{
	address->domain = idn_fold(literal, arena);
	if (!read_literal(address->domain, &address->ip)) {
		address->kind = MAIL_ADDRESS_BAD_LITERAL;
		return;
	}
	address->kind = MAIL_ADDRESS_LITERAL;
	address->domain = format_literal(&address->ip, arena);
	address->domain_is_local = site_ip_is_own(site, &address->ip);
}

static void set_domain(struct mail_address *address, struct slice domain, const struct site *site,
		       struct arena *arena)
{
	struct slice bare = domain;

	if (bare.len && bare.data[bare.len - 1] == '.')
		bare.len--;
	address->domain_is_local = false;
	if (bare.len >= 2 && bare.data[0] == '[' && bare.data[bare.len - 1] == ']') {
		set_literal(address, bare, site, arena);
	} else if (idn_domain(domain, arena, &address->domain)) {
		address->kind = MAIL_ADDRESS_DOMAIN;
		address->domain_is_local = site_domain_is_local(site, address->domain);
	} else {
		address->kind = MAIL_ADDRESS_UNKNOWN;
		address->domain = idn_fold(bare, arena);
	}
}

static struct slice join(struct slice local, struct slice domain, struct arena *arena)
{
	size_t len = local.len + 1 + domain.len;
	char *copy = arena_alloc(arena, len);

	memcpy(copy, local.data, local.len);
	copy[local.len] = '@';
	memcpy(copy + local.len + 1, domain.data, domain.len);
	return slice_make(copy, len);
}

/* Names that Postfix's split_addr() leaves whole; `local` is folded. */
static bool is_never_split(struct slice local, const struct site *site)
{
	if (slice_equal(local, SLICE("postmaster")) || slice_equal(local, SLICE("mailer-daemon")) ||
	    slice_equal(local, SLICE("double-bounce")))
		return true;
	/* With `-` among the delimiters, whichever of them splits here (owner_request_special). */
	return site_is_delimiter(site, '-') &&
	       (slice_starts_with(local, SLICE("owner-")) ||
		(local.len > 8 && slice_ends_with(local, SLICE("-request"))));
}

static void set_subject(struct mail_address *address, const struct site *site, struct arena *arena)
{
	struct slice local = { address->folded.data,
			       address->folded.len - address->domain.len - 1 };
	size_t at = site_find_delimiter(site, local);

	if (at == 0 || at == local.len || is_never_split(local, site))
		address->subject = address->folded;
	else
		address->subject = join(slice_first(local, at), address->domain, arena);
}

static void finish(struct mail_address *address, const struct site *site, struct arena *arena)
{
	address->folded = join(idn_fold(address->local, arena), address->domain, arena);
	set_subject(address, site, arena);
}

/* Would SMTP have to quote it? Blanks, control characters, specials, and dots out of place. */
static bool needs_quotes(struct slice local)
{
	for (size_t i = 0; i < local.len; i++) {
		unsigned char byte = (unsigned char)local.data[i];

		if (byte <= ' ' || byte == 127 || strchr("()<>,;:\\\"[]", byte))
			return true;
		if (byte == '.' && (i == 0 || i + 1 == local.len || local.data[i + 1] == '.'))
			return true;
	}
	return false;
}

/* What is left to read of a route. An operator that was missed once does not come back, so the
 * whole route is read in a time that grows with its length only. */
struct route {
	struct slice local, domain;
	bool quoted, cracked, squeezed, no_at, no_bang, no_percent;
};

static bool take_at(struct route *route)
{
	if (!route->no_at && slice_split_last(route->local, '@', &route->local, &route->domain))
		return true;
	route->no_at = true;
	return false;
}

static bool take_bang(struct route *route)
{
	if (!route->no_bang && slice_split(route->local, '!', &route->domain, &route->local))
		return true;
	route->no_bang = true;
	return false;
}

static bool take_percent(struct route *route)
{
	if (!route->no_percent && slice_split_last(route->local, '%', &route->local, &route->domain))
		return true;
	route->no_percent = true;
	return false;
}

/* The first `!` that does not stand in quotes; text.len: there is none. */
static size_t find_bare_bang(struct slice text)
{
	bool in_quotes = false;
	size_t i;

	for (i = 0; i < text.len && (in_quotes || text.data[i] != '!'); i++) {
		if (text.data[i] == '"')
			in_quotes = !in_quotes;
		else if (text.data[i] == '\\')
			i++;
	}
	return i < text.len ? i : text.len;
}

/* In quotes from its first byte to its last (or never ended): such a string is opened in turn. */
static bool is_one_string(struct slice text)
{
	const char *end;

	if (text.data[0] != '"')
		return false;
	end = memchr(text.data + 1, '"', text.len - 1);
	return !end || end + 1 == text.data + text.len;
}

/* A quoted local part with a `!` goes through the parser once more and comes back without quotes; with
 * nothing before the `!`, without blanks too. */
static bool crack(struct route *route)
{
	size_t at;

	if (route->no_bang || !memchr(route->local.data, '!', route->local.len))
		return false;
	route->cracked = true;
	if (is_one_string(route->local))
		route->local = slice_from(route->local, 1);
	at = find_bare_bang(route->local);
	route->no_bang = at == route->local.len;
	if (route->no_bang)
		return false;
	route->domain = slice_first(route->local, at);
	route->local = slice_from(route->local, at + 1);
	route->squeezed |= at == 0;
	return true;
}

static bool take_next(struct route *route)
{
	if (take_at(route))
		return true;
	if (!route->quoted)
		return take_bang(route) || take_percent(route);
	return take_percent(route) || crack(route);
}

/* What the parser makes of a piece: quotes and backslashes vanish. It reads every domain too:
 * MAIL FROM:<user@"\"example.com"> comes as user@"example.com and is delivered as from example.com. */
static struct slice parsed(const struct route *route, struct slice text, struct arena *arena)
{
	const char *dropped = route->squeezed ? "\"\\ " : "\"\\";
	char *copy = arena_alloc(arena, text.len);
	size_t len = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] == '\0' || !strchr(dropped, text.data[i]))
			copy[len++] = text.data[i];
	}
	return slice_make(copy, len);
}

static void read_route(struct mail_address *address, const struct site *site, struct arena *arena)
{
	struct route route = { .local = address->raw };
	bool has_domain = take_at(&route);

	route.quoted = needs_quotes(route.local);
	if (!has_domain && (route.quoted || !take_next(&route)))
		route.domain = site_origin(site);
	for (unsigned i = 0;; i++) {
		struct slice domain = parsed(&route, route.domain, arena);

		set_domain(address, domain, site, arena);
		address->shown_local |= address->domain_is_local;
		/* No domain at all is taken off as if it were a local one. */
		if ((!address->domain_is_local && domain.len) || i == MAX_ROUTE || !take_next(&route))
			break;
	}
	address->local = route.cracked ? parsed(&route, route.local, arena) : route.local;
	if (address->domain_is_local && address->local.len == 0)
		address->local = SLICE("MAILER-DAEMON");
	finish(address, site, arena);
}

#ifdef __SSE2__

static inline unsigned equal_bytes(__m128i block, char byte)
{
	return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(block, _mm_set1_epi8(byte)));
}

/* Is there a quote, a backslash, or two dots in a row among the last `len` of sixteen bytes? */
static inline unsigned marks_in(const char *block_at, size_t len)
{
	__m128i block = _mm_loadu_si128((const __m128i *)(const void *)block_at);
	unsigned counts = 0xffffU << (BLOCK_BYTES - len);
	unsigned dots = equal_bytes(block, '.') & counts;

	return (dots & dots >> 1) |
	       ((equal_bytes(block, '"') | equal_bytes(block, '\\')) & counts);
}

/* is_simple_domain() where `text` has a block at least; each begins with the last byte of the one
 * before, so that no pair is missed. */
static bool has_simple_end(struct slice text, size_t len)
{
	const char *domain = text.data + text.len - len;
	unsigned marks;

	if (len == 0 || domain[0] == '[' || domain[0] == '.' || domain[len - 1] == '.')
		return false;
	marks = marks_in(text.data + text.len - BLOCK_BYTES, len < BLOCK_BYTES ? len : BLOCK_BYTES);
	for (size_t i = 0; i + BLOCK_BYTES < len; i += BLOCK_BYTES - 1)
		marks |= marks_in(domain + i, BLOCK_BYTES);
	return !marks;
}

#endif

/* Are the last `len` bytes of `text` a name whose labels fit, without quotes and no literal? */
static bool is_simple_domain(struct slice text, size_t len)
{
	struct slice domain = slice_from(text, text.len - len);

#ifdef __SSE2__
	if (text.len >= BLOCK_BYTES && len <= LABEL_BYTES)
		return has_simple_end(text, len);
#endif
	return idn_labels_fit(domain) && domain.data[0] != '[' &&
	       !memchr(domain.data, '"', domain.len) && !memchr(domain.data, '\\', domain.len);
}

/* What nearly all addresses are: ASCII, local@name. `folded` in lower case; false: not as simple as that. */
static bool split_simple(struct slice raw, struct arena *arena, struct slice *ret_folded,
			 struct slice *ret_local, struct slice *ret_domain)
{
	char *copy = arena_alloc(arena, raw.len);

	*ret_folded = slice_make(copy, raw.len);
	return idn_lower(raw, copy) &&
	       slice_split_last(*ret_folded, '@', ret_local, ret_domain) &&
	       is_simple_domain(*ret_folded, ret_domain->len);
}

static void set_simple(struct mail_address *address, struct slice raw, struct slice folded,
		       struct slice domain)
{
	address->kind = MAIL_ADDRESS_DOMAIN;
	address->raw = raw;
	address->local = slice_first(raw, raw.len - domain.len - 1);
	address->domain = domain;
	address->folded = address->subject = folded;
	address->ip = (struct ip){ { 0 } };
}

/* false: the general way has to be taken, and nothing was touched. */
static bool read_simple(struct mail_address *address, struct slice raw, const struct site *site,
			struct arena *arena)
{
	struct slice folded, local, domain;
	unsigned marks;
	bool is_local;

	if (!split_simple(raw, arena, &folded, &local, &domain))
		return false;
	is_local = site_domain_is_local(site, domain);
	marks = site_local_part_marks(site, local);
	if (is_local && (local.len == 0 || marks & SITE_MARK_ROUTE))
		return false;
	set_simple(address, raw, folded, domain);
	address->domain_is_local = address->shown_local = is_local;
	if (marks & SITE_MARK_DELIMITER)
		set_subject(address, site, arena);
	return true;
}

static bool read_simple_login(struct mail_address *login, struct slice raw,
			      const struct site *site, struct arena *arena)
{
	struct slice folded, local, domain;

	if (!split_simple(raw, arena, &folded, &local, &domain))
		return false;
	set_simple(login, raw, folded, domain);
	login->domain_is_local = login->shown_local = site_domain_is_local(site, domain);
	if (site_local_part_marks(site, local) & SITE_MARK_DELIMITER)
		set_subject(login, site, arena);
	return true;
}

static void clear(struct mail_address *address, enum mail_address_kind kind, struct slice raw)
{
	*address = (struct mail_address){
		.kind = kind,
		.raw = raw,
		.local = SLICE_EMPTY,
		.domain = SLICE_EMPTY,
		.folded = SLICE_EMPTY,
		.subject = SLICE_EMPTY,
	};
}

void mail_address_read(struct mail_address *ret, struct slice text, const struct site *site,
		       struct arena *arena)
{
	if (text.len && read_simple(ret, text, site, arena))
		return;
	clear(ret, MAIL_ADDRESS_NULL, text);
	if (text.len)
		read_route(ret, site, arena);
}

void mail_login_read(struct mail_address *ret, struct slice text, const struct site *site,
		     struct arena *arena)
{
	struct slice domain;

	if (text.len && text.len <= MAIL_LOGIN_BYTES && read_simple_login(ret, text, site, arena))
		return;
	clear(ret, MAIL_ADDRESS_NONE, text);
	if (text.len == 0)
		return;
	ret->local = text;
	if (text.len > MAIL_LOGIN_BYTES) {
		ret->kind = MAIL_ADDRESS_UNKNOWN;
		ret->folded = ret->subject = idn_fold(text, arena);
		return;
	}
	domain = site_login_domain(site);
	slice_split_last(text, '@', &ret->local, &domain);
	set_domain(ret, domain, site, arena);
	ret->shown_local = ret->domain_is_local;
	finish(ret, site, arena);
}
