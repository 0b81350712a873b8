/*
 * tests/unit/tls_peer.h - OpenSSL used plainly and blocking, by children that are not one of our nodes, or bad ones.
 */
#ifndef TESTS_UNIT_TLS_PEER_H
#define TESTS_UNIT_TLS_PEER_H

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "common/channel_key.h"

/* What a child offers or accepts. */
struct tls_peer {
	int		 version;	/* highest; 0: 1.3 */
	bool		 psk;		/* offers identity and key */
	bool		 certificate;	/* as a server: one of its own */
	char		 identity[CHANNEL_IDENTITY_MAX];
	uint8_t		 key[DIGEST_LEN];
};

static struct tls_peer tls_peer;

static inline SSL_SESSION *
tls_peer_session(SSL *ssl)
{
	static const unsigned char suite[2] = { 0x13, 0x01 };
	SSL_SESSION *session = SSL_SESSION_new();

	SSL_SESSION_set1_master_key(session, tls_peer.key, sizeof(tls_peer.key));
	SSL_SESSION_set_cipher(session, SSL_CIPHER_find(ssl, suite));
	SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION);
	return session;
}

static inline int
tls_peer_use(SSL *ssl, const EVP_MD *md, const unsigned char **id, size_t *len, SSL_SESSION **ret)
{
	(void)md;
	*id = (const unsigned char *)tls_peer.identity;
	*len = strlen(tls_peer.identity);
	*ret = tls_peer_session(ssl);
	return 1;
}

static inline int
tls_peer_find(SSL *ssl, const unsigned char *id, size_t len, SSL_SESSION **ret)
{
	(void)id;
	(void)len;
	*ret = tls_peer_session(ssl);
	return 1;
}

/* Somebody's certificate, signed by himself. */
static inline void
tls_peer_certify(SSL_CTX *ctx)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();

	X509_set_version(cert, 2);
	X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_set_pubkey(cert, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC, (const unsigned char *)"mx1", -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(cert));
	X509_sign(cert, key, EVP_sha256());
	SSL_CTX_use_certificate(ctx, cert);
	SSL_CTX_use_PrivateKey(ctx, key);
}

/* A handshake over a connected socket; NULL: it failed. For a child that ends soon: nothing is freed. */
static inline SSL *
tls_peer_handshake(int fd, bool server)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	SSL *ssl;

	if (tls_peer.version != 0)
		SSL_CTX_set_max_proto_version(ctx, tls_peer.version);
	if (tls_peer.psk && server)
		SSL_CTX_set_psk_find_session_callback(ctx, tls_peer_find);
	if (tls_peer.psk && !server)
		SSL_CTX_set_psk_use_session_callback(ctx, tls_peer_use);
	if (tls_peer.certificate)
		tls_peer_certify(ctx);
	ssl = SSL_new(ctx);
	SSL_set_fd(ssl, fd);
	return (server ? SSL_accept(ssl) : SSL_connect(ssl)) == 1 ? ssl : NULL;
}

#endif
