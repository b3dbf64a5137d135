/* SPDX-License-Identifier: ISC */
/*
 * Any bytes as address, login, host name and patterns. What must hold: all that comes
 * out is consistent in itself, reading the folded form again changes nothing (as long as the domain was
 * known), and a set of a pattern and its negation never holds.
 */
#include <assert.h>
#include <stdint.h>

#include "common/alloc.h"
#include "daemon/mail/idn.h"
#include "daemon/mail/pattern.h"
#include "daemon/mail/site.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct slice own_domains[] = { { "example.com", 11 }, { "d", 1 }, { ".s.example", 10 } };
static struct config_pos no_pos[3];

static struct site *make_site(struct config *config, struct config_errors *errors)
{
	config->site.origin = SLICE("example.com");
	config->site.login_domain = SLICE("d");
	config->site.recipient_delimiter = SLICE("+-");
	config->site.domains = (struct config_strings){ own_domains, no_pos, 3, false };
	return site_new(config, errors);
}

static void check_address(const struct mail_address *address, const struct site *site, struct arena *arena)
{
	struct mail_address again;

	if (address->kind == MAIL_ADDRESS_NULL)
		return;
	assert(address->folded.len > address->domain.len);
	assert(slice_ends_with(address->folded, address->domain));
	assert(slice_ends_with(address->subject, address->domain));
	assert(address->subject.len <= address->folded.len);
	for (size_t i = 0; i < address->folded.len; i++)
		assert(address->folded.data[i] < 'A' || address->folded.data[i] > 'Z');
	/* Quotes may hide an operator that shows when they have vanished. */
	if (address->kind == MAIL_ADDRESS_UNKNOWN || memchr(address->raw.data, '"', address->raw.len) ||
	    memchr(address->raw.data, '\\', address->raw.len))
		return;
	mail_address_read(&again, address->folded, site, arena);
	assert(again.domain_is_local == address->domain_is_local || address->raw.len > 200);
	/* Folding may change what folding gave, for odd sequences; and what follows is for whole routes. */
	if (address->raw.len <= 200 && idn_lower(address->folded, arena_alloc(arena, address->folded.len))) {
		assert(slice_equal(again.folded, address->folded));
		assert(slice_equal(again.subject, address->subject));
	}
}

static bool match(const struct pattern_set *set, enum pattern_kind kind, struct slice text,
		  const struct mail_address *address)
{
	return kind == PATTERN_NAME ? pattern_set_match_name(set, text)
				    : pattern_set_match_address(set, address);
}

static void check_patterns(struct slice pattern, struct slice text, const struct mail_address *address,
			   enum pattern_kind kind, const struct site *site, struct config_errors *errors)
{
	char *negated = mem_alloc(pattern.len + 1);
	struct slice both[2] = { pattern, { negated, pattern.len + 1 } };
	struct config_strings one = { both, no_pos, 1, false }, two = { both, no_pos, 2, false };
	struct pattern_set *plain = pattern_set_new(&one, kind, site, errors);
	struct pattern_set *never;

	negated[0] = '!';
	memcpy(negated + 1, pattern.data, pattern.len);
	never = pattern_set_new(&two, kind, site, errors);
	if (pattern.len && pattern.data[0] != '!' && slice_equal(slice_trim(pattern), pattern))
		assert(!match(never, kind, text, address));
	match(plain, kind, text, address);
	pattern_set_free(&plain);
	pattern_set_free(&never);
	free(negated);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config config = { 0 };
	struct config_errors *errors = config_errors_new();
	struct site *site = make_site(&config, errors);
	struct slice text = { (const char *)data, size }, pattern = SLICE_EMPTY;
	struct mail_address address, login;
	struct arena arena;

	arena_init(&arena, 256);
	slice_split(text, '\n', &pattern, &text);
	mail_address_read(&address, text, site, &arena);
	check_address(&address, site, &arena);
	mail_login_read(&login, text, site, &arena);
	site_login_owns(site, &login, &address);
	site_login_account(site, &login);
	for (enum pattern_kind kind = PATTERN_ADDRESS; kind <= PATTERN_NAME; kind++)
		check_patterns(pattern, text, kind == PATTERN_LOGIN ? &login : &address, kind, site, errors);
	arena_release(&arena);
	site_free(&site);
	config_errors_free(&errors);
	return 0;
}
