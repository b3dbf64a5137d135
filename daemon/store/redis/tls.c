/* SPDX-License-Identifier: ISC */
/*
 * The SSL object is made here and handed to hiredis, which would otherwise not check the name.
 * While the handshake waits for the other side, waiting for the socket to be writable would spin,
 * so OpenSSL is asked what it wants.
 *
 * OpenSSL keeps errors in a queue of the thread, and takes the oldest one there for that of the call
 * that it is asked about; so the queue is emptied before each call.
 */
#include "daemon/store/redis/tls.h"

#include "daemon/store/redis/link.h"

#ifdef REEVE_REDIS_TLS

#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "common/alloc.h"

struct redis_tls {
	SSL_CTX *context;
	SSL *ssl; /* hiredis frees it */
};

bool redis_link_has_tls(void)
{
	return true;
}

static void say(char detail[static REDIS_TLS_DETAIL_BYTES], const char *what)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;

	snprintf(detail, REDIS_TLS_DETAIL_BYTES, "%s%s%s", what, reason ? ": " : "",
		reason ? reason : "");
}

/* Why did it fail? The certificate, or whatever OpenSSL says. */
static void explain(SSL *ssl, const char *otherwise, char detail[static REDIS_TLS_DETAIL_BYTES])
{
	long verified = SSL_get_verify_result(ssl);
	unsigned long code = ERR_peek_last_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;
	bool alert = ERR_GET_REASON(code) >= SSL_AD_REASON_OFFSET; /* the other side speaks TLS */
	const char *hint = SSL_is_init_finished(ssl) || alert ? "" : "; is there TLS on that port?";

	if (verified != X509_V_OK)
		snprintf(detail, REDIS_TLS_DETAIL_BYTES, "the certificate is refused: %s",
			X509_verify_cert_error_string(verified));
	else
		snprintf(detail, REDIS_TLS_DETAIL_BYTES, "%.90s%s", reason ? reason : otherwise,
			hint);
}

static bool expect_host(SSL *ssl, const char *host)
{
	struct ip ip;
	char *name;
	bool fine;

	if (ip_parse(slice_of(host), &ip))
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	/* OpenSSL's macro casts const away. */
	name = mem_dup(slice_of(host));
	fine = SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
	free(name);
	return fine;
}

static SSL *make_ssl(SSL_CTX *context, const char *host)
{
	SSL *ssl;

	if (SSL_CTX_set_default_verify_paths(context) != 1 ||
		SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1)
		return NULL;
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	ssl = SSL_new(context);
	if (ssl && !expect_host(ssl, host)) {
		SSL_free(ssl);
		return NULL;
	}
	return ssl;
}

struct redis_tls *redis_tls_begin(
	redisContext *redis, const char *host, char ret_detail[static REDIS_TLS_DETAIL_BYTES])
{
	SSL_CTX *context;
	SSL *ssl;
	struct redis_tls *tls;

	redis_tls_before_io();
	context = SSL_CTX_new(TLS_client_method());
	ssl = context ? make_ssl(context, host) : NULL;
	if (!ssl) {
		say(ret_detail, "TLS cannot be set up");
		SSL_CTX_free(context);
		return NULL;
	}
	if (redisInitiateSSL(redis, ssl) != REDIS_OK) {
		explain(ssl, redis->errstr, ret_detail);
		if (!redis->privctx)
			SSL_free(ssl);
		SSL_CTX_free(context);
		return NULL;
	}
	tls = mem_zalloc(sizeof(*tls));
	tls->context = context;
	tls->ssl = ssl;
	return tls;
}

void redis_tls_end(struct redis_tls **tls, redisContext *redis)
{
	(void)redis;
	if (!*tls)
		return;
	SSL_CTX_free((*tls)->context);
	mem_free(tls);
}

void redis_tls_before_io(void)
{
	ERR_clear_error();
}

bool redis_tls_is_open(const struct redis_tls *tls)
{
	return SSL_is_init_finished(tls->ssl);
}

void redis_tls_why(const struct redis_tls *tls, const char *otherwise,
	char ret_detail[static REDIS_TLS_DETAIL_BYTES])
{
	explain(tls->ssl, otherwise, ret_detail);
}

bool redis_tls_has_more(const struct redis_tls *tls)
{
	return SSL_pending(tls->ssl) > 0;
}

int redis_tls_mask(const struct redis_tls *tls, bool unsent, int readable, int writable)
{
	int mask = readable;

	if (SSL_want_write(tls->ssl) || (unsent && !SSL_want_read(tls->ssl)))
		mask |= writable;
	return mask;
}

#else

#include <stdio.h>

bool redis_link_has_tls(void)
{
	return false;
}

struct redis_tls *redis_tls_begin(
	redisContext *redis, const char *host, char ret_detail[static REDIS_TLS_DETAIL_BYTES])
{
	(void)redis, (void)host;
	snprintf(ret_detail, REDIS_TLS_DETAIL_BYTES, "built with a hiredis that has no TLS");
	return NULL;
}

void redis_tls_end(struct redis_tls **tls, redisContext *redis)
{
	(void)tls, (void)redis;
}

void redis_tls_before_io(void)
{
}

bool redis_tls_is_open(const struct redis_tls *tls)
{
	(void)tls;
	return false;
}

void redis_tls_why(const struct redis_tls *tls, const char *otherwise,
	char ret_detail[static REDIS_TLS_DETAIL_BYTES])
{
	(void)tls;
	snprintf(ret_detail, REDIS_TLS_DETAIL_BYTES, "%s", otherwise);
}

bool redis_tls_has_more(const struct redis_tls *tls)
{
	(void)tls;
	return false;
}

int redis_tls_mask(const struct redis_tls *tls, bool unsent, int readable, int writable)
{
	(void)tls;
	return unsent ? readable | writable : readable;
}

#endif
