/*
 * common/channel_tls.c - TLS 1.3 by external pre-shared keys, with OpenSSL 3. Nothing here blocks or knows sockets.
 *
 * One version, one cipher suite (its hash, SHA-256, is the one that keys are derived with), two groups. No certificate is
 * ever loaded or trusted, so that a handshake without one of our keys cannot end well on either side. A server looks at the
 * proof of the key (the binder) before it does any arithmetic with curves: a stranger costs little.
 */
#include "common/channel_tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/channel_wire.h"

#define SUITE  "TLS_AES_128_GCM_SHA256"
#define GROUPS "X25519:P-256"

struct channel_tls {
	SSL_CTX *ctx;
};

/* Settings that cannot fail but for want of memory, or in a library without TLS 1.3. */
static void
must(bool done)
{
	if (!done)
		abort();
}

/* A "session" is how OpenSSL wants to be told of an external key. */
static SSL_SESSION *
key_session(SSL *ssl, const struct channel_key *key)
{
	static const unsigned char suite[2] = { 0x13, 0x01 };	/* RFC 8446 B.4: SUITE */
	SSL_SESSION *session = SSL_SESSION_new();

	must(session != NULL && SSL_SESSION_set1_master_key(session, key->psk, sizeof(key->psk)) == 1 &&
	    SSL_SESSION_set_cipher(session, SSL_CIPHER_find(ssl, suite)) == 1 &&
	    SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) == 1);
	return session;
}

/* Server: which key is meant? None is no error to OpenSSL, it then looks for a certificate, and there is none. */
static int
key_find(SSL *ssl, const unsigned char *identity, size_t len, SSL_SESSION **ret_session)
{
	struct channel_tls_seen *seen = SSL_get_app_data(ssl);
	uint8_t number = channel_identity_get(identity, len, seen->service);

	seen->offered = true;
	channel_printable(identity, len, seen->identity, sizeof(seen->identity));
	*ret_session = NULL;
	for (size_t i = 0; i < seen->keys->len; i++) {
		if (number != 0 && seen->keys->key[i].number == number) {
			seen->key = seen->keys->key[i];
			*ret_session = key_session(ssl, &seen->key);
			break;
		}
	}
	return 1;
}

/* Client: offer the key that is for sending. Called again after a HelloRetryRequest, with its hash. */
static int
key_use(SSL *ssl, const EVP_MD *md, const unsigned char **ret_identity, size_t *ret_len, SSL_SESSION **ret_session)
{
	struct channel_tls_seen *seen = SSL_get_app_data(ssl);

	(void)md;	/* there is one suite only */
	seen->offered = true;
	if (seen->key.number == 0)
		seen->key = seen->keys->key[seen->keys->sending];
	*ret_len = channel_identity_put(seen->service, seen->key.number, seen->identity);
	*ret_identity = (const unsigned char *)seen->identity;
	*ret_session = key_session(ssl, &seen->key);
	return 1;
}

struct channel_tls *
channel_tls_new(void)
{
	struct channel_tls *tls = calloc(1, sizeof(*tls));
	SSL_CTX *ctx;

	must(tls != NULL);
	ctx = tls->ctx = SSL_CTX_new(TLS_method());
	must(ctx != NULL && SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1 &&
	    SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1 && SSL_CTX_set_ciphersuites(ctx, SUITE) == 1 &&
	    SSL_CTX_set1_groups_list(ctx, GROUPS) == 1 && SSL_CTX_set_num_tickets(ctx, 0) == 1 &&
	    SSL_CTX_set_max_early_data(ctx, 0) == 1);
	/* whatever openssl.cnf of this machine says */
	SSL_CTX_clear_options(ctx, SSL_OP_ALLOW_NO_DHE_KEX | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	/* an idle stream needs no buffers of 2 x 17 KiB */
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_psk_find_session_callback(ctx, key_find);
	SSL_CTX_set_psk_use_session_callback(ctx, key_use);
	return tls;
}

void
channel_tls_free(struct channel_tls *tls)
{
	if (tls == NULL)
		return;
	SSL_CTX_free(tls->ctx);
	free(tls);
}

struct ssl_st *
channel_tls_conn(struct channel_tls *tls, struct channel_tls_seen *seen)
{
	SSL *ssl = SSL_new(tls->ctx);

	must(ssl != NULL && SSL_set_app_data(ssl, seen) == 1);
	if (!seen->accepting)
		SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);	/* no certificate is trusted: a server that shows one fails */
	return ssl;
}

bool
channel_tls_proven(struct ssl_st *ssl)
{
	const struct channel_tls_seen *seen = SSL_get_app_data(ssl);
	EVP_PKEY *ephemeral = NULL;
	bool proven = SSL_version(ssl) == TLS1_3_VERSION && SSL_session_reused(ssl) == 1 && seen->key.number != 0 &&
	    SSL_get_peer_tmp_key(ssl, &ephemeral) == 1;

	EVP_PKEY_free(ephemeral);
	ERR_clear_error();
	return proven;
}

bool
channel_tls_new_keys(struct ssl_st *ssl)
{
	bool done = SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1;

	ERR_clear_error();
	return done;
}

size_t
channel_tls_write(struct ssl_st *ssl, const uint8_t *bytes, size_t len)
{
	int n;

	ERR_clear_error();
	n = SSL_write(ssl, bytes, (int)len);
	ERR_clear_error();	/* whoever writes them next finds it again */
	return n > 0 ? (size_t)n : 0;
}

void
channel_tls_goodbye(struct ssl_st *ssl)
{
	SSL_shutdown(ssl);
	ERR_clear_error();	/* else the next connection would be blamed */
}

static bool
why(enum channel_why *ret, enum channel_why is, char *text, size_t size, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

static bool
why(enum channel_why *ret, enum channel_why is, char *text, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, size, fmt, ap);
	va_end(ap);
	*ret = is;
	return true;
}

/* The other side's alerts, as a client sees them: OpenSSL's server has these two for keys. */
static bool
refusal_why(const struct channel_tls_seen *seen, int reason, enum channel_why *ret, char *text, size_t size)
{
	if (reason == SSL_AD_REASON_OFFSET + SSL_AD_HANDSHAKE_FAILURE || reason == SSL_AD_REASON_OFFSET + SSL_AD_UNKNOWN_PSK_IDENTITY)
		return why(ret, CHANNEL_UNKNOWN_KEY, text, size,
		    "it does not accept key %u for the service %s: its authkeys needs that line first", seen->key.number, seen->service);
	return why(ret, CHANNEL_FORGED, text, size,
	    "it has another secret in key %u of authkeys than this node, or another name of the pair", seen->key.number);
}

bool
channel_tls_why(const struct channel_tls_seen *seen, unsigned long error, enum channel_why *ret, char *text, size_t size)
{
	int reason = ERR_GET_REASON(error);
	const char *said = ERR_reason_error_string(error);

	switch (ERR_GET_LIB(error) == ERR_LIB_SSL ? reason : 0) {
	case SSL_R_BINDER_DOES_NOT_VERIFY:
		return why(ret, CHANNEL_FORGED, text, size,
		    "it has another secret in key %u of authkeys than this node, or another name of the pair", seen->key.number);
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_VERSION_TOO_LOW:
	case SSL_AD_REASON_OFFSET + SSL_AD_PROTOCOL_VERSION:
		return why(ret, CHANNEL_OLD_TLS, text, size, "it speaks TLS older than 1.3");
	case SSL_R_HTTP_REQUEST:
	case SSL_R_HTTPS_PROXY_REQUEST:
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_PACKET_LENGTH_TOO_LONG:
	case SSL_R_UNEXPECTED_MESSAGE:
	case SSL_R_INVALID_CCS_MESSAGE:
		if (seen->offered && seen->accepting)
			break;	/* what has been talking TLS until now broke it */
		return why(ret, CHANNEL_NOT_TLS, text, size, "it does not speak TLS (%s)", said);
	case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
	case SSL_R_NO_SHARED_CIPHER:
		if (!seen->accepting)
			break;
		if (!seen->offered)
			return why(ret, CHANNEL_NO_KEY, text, size, "it offers no pre-shared key");
		return why(ret, CHANNEL_UNKNOWN_KEY, text, size,
		    "it offers the key \"%s\", which is none of ours for the service %s: add it to authkeys here", seen->identity, seen->service);
	case SSL_AD_REASON_OFFSET + SSL_AD_HANDSHAKE_FAILURE:
	case SSL_AD_REASON_OFFSET + SSL_AD_UNKNOWN_PSK_IDENTITY:
	case SSL_AD_REASON_OFFSET + SSL_AD_ILLEGAL_PARAMETER:
		if (!seen->accepting)
			return refusal_why(seen, reason, ret, text, size);
		break;
	case SSL_R_CERTIFICATE_VERIFY_FAILED:
		return why(ret, CHANNEL_NO_KEY, text, size, "it shows a certificate and ignores our key");
	case SSL_R_UNEXPECTED_EOF_WHILE_READING:
		return why(ret, CHANNEL_LOST, text, size, "the connection ended without a word");
	default:
		break;
	}
	why(ret, CHANNEL_BAD_TLS, text, size, "TLS failed: %s", said != NULL ? said : "no reason known");
	return false;
}
