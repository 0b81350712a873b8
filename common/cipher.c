/*
 * common/cipher.c - AES-256-GCM from OpenSSL. Not for the supervisor: its EVP layer takes megabytes at its first use.
 */
#include "common/cipher.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "common/digest.h"

#define NONCE 12
#define TAG 16

static EVP_CIPHER_CTX *
cipher_begin(const uint8_t *key, const uint8_t *nonce, int seal, const void *about, size_t about_len)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n;

	if (ctx == NULL || about_len > CIPHER_MAX || EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce, seal) != 1 ||
	    EVP_CipherUpdate(ctx, NULL, &n, about, (int)about_len) != 1)
		abort();
	return ctx;
}

void
cipher_seal(const uint8_t key[CIPHER_KEY], const void *about, size_t about_len, const void *bytes, size_t len, uint8_t *to)
{
	EVP_CIPHER_CTX *ctx;
	int n;

	digest_random(to, NONCE);
	ctx = cipher_begin(key, to, 1, about, about_len);
	if (len > CIPHER_MAX || (len > 0 && EVP_CipherUpdate(ctx, to + NONCE, &n, bytes, (int)len) != 1) ||
	    EVP_CipherFinal_ex(ctx, to + NONCE + len, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG, to + NONCE + len) != 1)
		abort();
	EVP_CIPHER_CTX_free(ctx);
}

bool
cipher_open(const uint8_t key[CIPHER_KEY], const void *about, size_t about_len, const uint8_t *bytes, size_t len, uint8_t *to)
{
	uint8_t tag[TAG], none[1];
	EVP_CIPHER_CTX *ctx;
	size_t inner;
	bool ok;
	int n;

	if (len < CIPHER_EXTRA || len > CIPHER_MAX)
		return false;
	inner = len - CIPHER_EXTRA;
	memcpy(tag, bytes + NONCE + inner, TAG);
	ctx = cipher_begin(key, bytes, 0, about, about_len);
	ok = (inner == 0 || EVP_CipherUpdate(ctx, to, &n, bytes + NONCE, (int)inner) == 1) &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG, tag) == 1 && EVP_CipherFinal_ex(ctx, none, &n) == 1;
	EVP_CIPHER_CTX_free(ctx);
	if (!ok && inner > 0)
		OPENSSL_cleanse(to, inner);
	return ok;
}
