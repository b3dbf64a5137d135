/* SPDX-License-Identifier: ISC */
/*
 * Only the looks are judged: bytes, the places of `@` and dots, lengths. Whether a literal holds an
 * address or a label has an A-form shows when it is read.
 */
#include "daemon/mail/written.h"

#define LABEL_BYTES 63
#define NAME_BYTES 253

static const char control_flaw[] = "it has a control character";

static bool has_control(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		if ((unsigned char)text.data[i] < ' ' || text.data[i] == 0x7f)
			return true;
	}
	return false;
}

static bool has(struct slice text, char byte)
{
	return text.len && memchr(text.data, byte, text.len);
}

static bool is_glob_byte(char byte)
{
	return byte == '*' || byte == '?';
}

/* Of a domain; what is not ASCII may become a label of one. */
static bool is_domain_byte(char byte, bool glob)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
	       (byte >= '0' && byte <= '9') || byte == '-' || byte == '_' || byte == '.' ||
	       (unsigned char)byte >= 0x80 || (glob && is_glob_byte(byte));
}

/* Known from its bytes: no glob, and nothing that is measured in its A-form only. */
static bool has_known_length(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		if ((unsigned char)text.data[i] >= 0x80 || is_glob_byte(text.data[i]))
			return false;
	}
	return true;
}

static const char *labels_flaw(struct slice domain)
{
	bool more = true;

	while (more) {
		struct slice label, rest = SLICE_EMPTY;

		more = slice_split(domain, '.', &label, &rest);
		if (!more)
			label = domain;
		if (label.len == 0)
			return "its domain has a dot too many";
		if (label.len > LABEL_BYTES && has_known_length(label))
			return "its domain has a label of more than 63 bytes";
		domain = rest;
	}
	return NULL;
}

const char *written_domain_flaw(struct slice domain, bool glob)
{
	if (domain.len && domain.data[0] == '.')
		domain = slice_from(domain, 1);
	if (domain.len && domain.data[domain.len - 1] == '.')
		domain.len--;
	if (domain.len == 0)
		return "it names no domain, like example.com";
	for (size_t i = 0; i < domain.len; i++) {
		if (!is_domain_byte(domain.data[i], glob))
			return "a domain is made of letters, digits, '-', '_' and dots";
	}
	if (domain.len > NAME_BYTES && has_known_length(domain))
		return "its domain is longer than 253 bytes";
	return labels_flaw(domain);
}

const char *written_host_flaw(struct slice host, bool glob)
{
	if (host.len > 2 && host.data[0] == '[' && host.data[host.len - 1] == ']')
		return has(host, ' ') ? "it has a blank" : NULL;
	return written_domain_flaw(host, glob);
}

const char *written_address_flaw(struct slice text, bool glob)
{
	struct slice local = text, domain;

	if (text.len == 0)
		return "it is empty";
	if (has_control(text))
		return control_flaw;
	if (has(text, ' '))
		return "it has a blank; in a pattern '?' stands for one";
	if (!slice_split_last(text, '@', &local, &domain))
		return NULL;
	if (has(local, '@'))
		return "it has more than one '@'; in a pattern '?' stands for one in a local part";
	return written_host_flaw(domain, glob);
}

const char *written_login_flaw(struct slice text, bool glob)
{
	struct slice local, domain;

	if (text.len == 0)
		return "it is empty";
	if (has_control(text))
		return control_flaw;
	return slice_split_last(text, '@', &local, &domain) ? written_host_flaw(domain, glob) : NULL;
}

const char *written_name_flaw(struct slice name, bool glob)
{
	if (name.len == 0)
		return "it is empty";
	if (has_control(name))
		return control_flaw;
	if (name.data[0] == '@')
		return "it is a name of a host, without '@'; .example.com is all below a domain";
	return name.len > 1 && name.data[0] == '.' ? written_domain_flaw(name, glob) : NULL;
}
