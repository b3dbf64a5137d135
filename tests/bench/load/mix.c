/* SPDX-License-Identifier: ISC */
/*
 * The generator shares the machine with the server and must cost little. So a text of MIX_RCPT is of
 * fixed width and patched in place, and one of MIX_MAIL is put together from pieces that are made once a
 * session or message. A text is a real one of Postfix 3.7: 29 attributes in its order.
 */
#include "tests/bench/load/mix.h"

#include <stdio.h>
#include <string.h>

static uint64_t draw(struct mix *mix)
{
	uint64_t x = mix->random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return mix->random = x;
}

static void put_digits(char *at, unsigned width, uint64_t value)
{
	while (width-- > 0) {
		at[width] = (char)('0' + value % 10);
		value /= 10;
	}
}

static void put_hex(char *at, unsigned width, uint64_t value)
{
	while (width-- > 0) {
		at[width] = "0123456789abcdef"[value & 15];
		value >>= 4;
	}
}

/* ---- MIX_RCPT ---- */

static size_t place_of(const char *text, const char *name)
{
	const char *p = strstr(text, name);

	return p == NULL ? 0 : (size_t)(p - text) + strlen(name);
}

static void compose_rcpt(struct mix *mix, struct mix_smtpd *smtpd)
{
	bool login = mix->logins > 0;
	char *text = smtpd->request;

	smtpd->len = (size_t)snprintf(text, MIX_REQUEST_BYTES,
		"request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\n"
		"client_address=198.18.100.100\nclient_name=mail.example.net\n"
		"client_port=34567\nreverse_client_name=mail.example.net\n"
		"server_address=192.0.2.25\nserver_port=%s\nhelo_name=client.example.net\n"
		"sender=sender@d0000.example.net\nrecipient=u0000000@example.com\n"
		"recipient_count=0\nqueue_id=\ninstance=10000.00000000.00000.0\nsize=0\n"
		"etrn_domain=\nstress=\nsasl_method=%s\nsasl_username=%s\nsasl_sender=\n"
		"ccert_subject=\nccert_issuer=\nccert_fingerprint=\n"
		"ccert_pubkey_fingerprint=\nencryption_protocol=\nencryption_cipher=\n"
		"encryption_keysize=0\npolicy_context=\n\n",
		login ? "587" : "25", login ? "PLAIN" : "",
		login ? "l000000@d0000.example.net" : "");
	mix->at = (struct mix_places){
		.client = place_of(text, "client_address=198.18."),
		.port = place_of(text, "client_port="),
		.sender = place_of(text, "\nsender=sender@d"),
		.recipient = place_of(text, "\nrecipient=u"),
		.instance = place_of(text, "\ninstance=10000."),
		.login = login ? place_of(text, "sasl_username=l") : 0,
	};
}

static void next_rcpt(struct mix *mix, struct mix_smtpd *smtpd)
{
	char *text = smtpd->request;
	uint64_t session = mix->requests / mix->recipients;
	uint64_t r = draw(mix);
	unsigned domain = (unsigned)(r % mix->domains);

	if (smtpd->len == 0)
		compose_rcpt(mix, smtpd);
	put_digits(text + mix->at.client, 3, 100 + session % 100);
	put_digits(text + mix->at.client + 4, 3, 100 + session / 100 % 100);
	put_digits(text + mix->at.port, 5, 10000 + session % 50000);
	put_digits(text + mix->at.recipient, 7, mix->requests % 10000000);
	put_hex(text + mix->at.instance, 8, mix->first_instance + session);
	if (mix->at.login != 0) {
		unsigned login = (unsigned)((mix->in_turn ? mix->requests : r >> 20) % mix->logins);

		domain = login % mix->domains;
		put_digits(text + mix->at.login, 6, login);
		put_digits(text + mix->at.login + 8, 4, domain);
	}
	put_digits(text + mix->at.sender, 4, domain);
}

/* ---- MIX_MAIL ---- */

struct share {
	unsigned below, number; /* of 100 */
};

/* The last of each is what the rest get. --help tells them, too. */
static const struct share messages_of_session[] = {{70, 1}, {85, 2}, {95, 3}, {100, 5}};
static const struct share recipients_of_message[] = {
	{70, 1}, {83, 2}, {91, 3}, {96, 5}, {99, 10}, {100, 50}};

static unsigned draw_share(struct mix *mix, const struct share *shares)
{
	unsigned r = (unsigned)(draw(mix) >> 33) % 100;

	while (r >= shares->below)
		shares++;
	return shares->number;
}

static void begin_session(struct mix *mix, struct mix_smtpd *smtpd)
{
	uint64_t r = draw(mix);
	bool login = mix->logins > 0;
	unsigned host;

	smtpd->session = mix->sessions++;
	smtpd->login = login ? (unsigned)((r >> 20) % mix->logins) : 0;
	smtpd->domain = (login ? smtpd->login : (unsigned)(r >> 20)) % mix->domains;
	host = (login ? smtpd->login : (unsigned)(r >> 40)) % 10000;
	smtpd->messages_left = draw_share(mix, messages_of_session);
	smtpd->sequence = 0;
	smtpd->head_len = (size_t)snprintf(smtpd->head, sizeof(smtpd->head),
		"\nprotocol_name=ESMTP\nclient_address=198.18.%u.%u\n"
		"client_name=h%04u.example.net\nclient_port=%u\nreverse_client_name=h%04u.example.net\n"
		"server_address=192.0.2.25\nserver_port=%s\nhelo_name=h%04u.example.net\nsender=",
		100 + host % 100, 100 + host / 100, host,
		(unsigned)(10000 + smtpd->session % 50000), host, login ? "587" : "25", host);
	if (login)
		smtpd->tail_len = (size_t)snprintf(smtpd->tail, sizeof(smtpd->tail),
			"\netrn_domain=\nstress=\nsasl_method=PLAIN\nsasl_username=l%06u@d%04u.example.net\n"
			"sasl_sender=\nccert_subject=\nccert_issuer=\nccert_fingerprint=\n"
			"ccert_pubkey_fingerprint=\nencryption_protocol=TLSv1.3\n"
			"encryption_cipher=TLS_AES_256_GCM_SHA384\nencryption_keysize=256\npolicy_context=\n\n",
			smtpd->login, smtpd->domain);
	else
		smtpd->tail_len = (size_t)snprintf(smtpd->tail, sizeof(smtpd->tail),
			"\netrn_domain=\nstress=\nsasl_method=\nsasl_username=\nsasl_sender=\n"
			"ccert_subject=\nccert_issuer=\nccert_fingerprint=\nccert_pubkey_fingerprint=\n"
			"encryption_protocol=\nencryption_cipher=\nencryption_keysize=0\npolicy_context=\n\n");
}

/* One in ten writes under another name of his domain. */
static void begin_message(struct mix *mix, struct mix_smtpd *smtpd)
{
	uint64_t r = draw(mix) >> 24;

	if (mix->logins > 0 && r % 10 != 0)
		smtpd->sender_len = (size_t)snprintf(smtpd->sender, sizeof(smtpd->sender),
			"l%06u@d%04u.example.net", smtpd->login, smtpd->domain);
	else
		smtpd->sender_len = (size_t)snprintf(smtpd->sender, sizeof(smtpd->sender),
			"sender@d%04u.example.net", smtpd->domain);
	smtpd->size = 1000 + (unsigned)(r >> 8) % 99000;
	smtpd->recipients = draw_share(mix, recipients_of_message);
	smtpd->asked = smtpd->accepted = 0;
	smtpd->data_asked = smtpd->ended = false;
}

/* Three in four of those who have logged in write to others; a stranger may write to us alone. */
static void draw_recipient(struct mix *mix, struct mix_smtpd *smtpd)
{
	uint64_t r = draw(mix) >> 8;
	char *at = smtpd->recipient;

	*at++ = 'u';
	put_digits(at, 7, r % 10000000);
	at += 7;
	if (mix->logins > 0 && (r >> 24) % 4 != 0) {
		memcpy(at, "@r0000.example.org", 18);
		put_digits(at + 2, 4, (r >> 32) % 1000);
		at += 18;
	} else {
		memcpy(at, "@example.com", 12);
		at += 12;
	}
	smtpd->recipient_len = (size_t)(at - smtpd->recipient);
}

static char *put(char *at, const char *text, size_t len)
{
	memcpy(at, text, len);
	return at + len;
}

static char *put_text(char *at, const char *text)
{
	return put(at, text, strlen(text));
}

static char *put_number(char *at, uint64_t number)
{
	unsigned width = 1;

	for (uint64_t rest = number / 10; rest > 0; rest /= 10)
		width++;
	put_digits(at, width, number);
	return at + width;
}

/* pid.seconds.microseconds.sequence: the session stands for the microseconds. */
static char *put_instance(const struct mix *mix, const struct mix_smtpd *smtpd, char *at)
{
	at = put_text(at, "\ninstance=2710.");
	put_hex(at, 8, mix->first_instance + (smtpd->session >> 20));
	at[8] = '.';
	put_hex(at + 9, 5, smtpd->session);
	at[14] = '.';
	return put_number(at + 15, smtpd->sequence);
}

/* The queue file, and so its name, is there from the first recipient that was not refused. */
static char *put_queue_id(const struct mix_smtpd *smtpd, char *at)
{
	at = put_text(at, "\nqueue_id=");
	if (smtpd->accepted == 0)
		return at;
	put_hex(at, 10, (smtpd->session << 8) + smtpd->sequence);
	return at + 10;
}

static void compose(const struct mix *mix, struct mix_smtpd *smtpd, const char *state,
	unsigned count, unsigned size)
{
	char *at = put_text(smtpd->request, "request=smtpd_access_policy\nprotocol_state=");

	at = put_text(at, state);
	at = put(at, smtpd->head, smtpd->head_len);
	at = put(at, smtpd->sender, smtpd->sender_len);
	at = put_text(at, "\nrecipient=");
	if (count <= 1) /* at DATA and later only a single one is told */
		at = put(at, smtpd->recipient, smtpd->recipient_len);
	at = put_number(put_text(at, "\nrecipient_count="), count);
	at = put_queue_id(smtpd, at);
	at = put_instance(mix, smtpd, at);
	at = put_number(put_text(at, "\nsize="), size);
	at = put(at, smtpd->tail, smtpd->tail_len);
	smtpd->len = (size_t)(at - smtpd->request);
}

/* The next message, of the same client or the next one. */
static void go_on(struct mix *mix, struct mix_smtpd *smtpd)
{
	if (smtpd->messages_left == 0)
		begin_session(mix, smtpd);
	else
		smtpd->sequence++;
	smtpd->messages_left--;
	begin_message(mix, smtpd);
}

static void next_mail(struct mix *mix, struct mix_smtpd *smtpd)
{
	bool all_asked = smtpd->asked == smtpd->recipients;

	if (smtpd->len == 0 || smtpd->ended || (all_asked && smtpd->accepted == 0)) {
		go_on(mix, smtpd);
		all_asked = false;
	}
	if (!all_asked) {
		draw_recipient(mix, smtpd);
		compose(mix, smtpd, "RCPT", 0, smtpd->size);
		smtpd->asked++;
	} else if (!smtpd->data_asked) {
		compose(mix, smtpd, "DATA", smtpd->accepted, smtpd->size);
		smtpd->data_asked = true;
	} else {
		compose(mix, smtpd, "END-OF-MESSAGE", smtpd->accepted, smtpd->size + 17);
		smtpd->ended = true;
	}
}

void mix_next(struct mix *mix, struct mix_smtpd *smtpd)
{
	if (mix->kind == MIX_RCPT)
		next_rcpt(mix, smtpd);
	else
		next_mail(mix, smtpd);
	mix->requests++;
}

void mix_answered(struct mix_smtpd *smtpd, bool refused)
{
	if (refused && smtpd->data_asked)
		smtpd->ended = true;
	else if (!refused && !smtpd->data_asked)
		smtpd->accepted++;
}
