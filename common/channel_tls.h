/*
 * common/channel_tls.h - what a channel needs of TLS: settings, the pre-shared keys, and what went wrong in words. With digest.c
 * the only files that know OpenSSL; moving the bytes is channel_stream.c's.
 */
#ifndef COMMON_CHANNEL_TLS_H
#define COMMON_CHANNEL_TLS_H

#include "common/channel.h"
#include "common/channel_key.h"

struct ssl_st;		/* OpenSSL's SSL, as event2/bufferevent_ssl.h declares it */
struct channel_tls;

/* One connection's part in the choice of a key. Must outlive its SSL. */
struct channel_tls_seen {
	const struct channel_keys	*keys;		/* accepted now; the owner may change them meanwhile */
	const char			*service;
	bool				 accepting;	/* we are TLS's server */
	bool				 offered;	/* the other side offered a key (accepting), or we did */
	struct channel_key		 key;		/* the one found or sent; number 0: none */
	char				 identity[CHANNEL_IDENTITY_MAX];
};

struct channel_tls *channel_tls_new(void);
void		 channel_tls_free(struct channel_tls *);	/* NULL is fine; connections may outlive it */

/* For one connection; whoever takes it frees it (the bufferevent does). */
struct ssl_st	*channel_tls_conn(struct channel_tls *, struct channel_tls_seen *);

/* After the handshake: is it TLS 1.3, by a key of ours, with (EC)DHE? It cannot be otherwise; nothing is sent before it was asked. */
bool		 channel_tls_proven(struct ssl_st *);
bool		 channel_tls_new_keys(struct ssl_st *);	/* KeyUpdate of our direction with the next write; false: not now */
/* How much of it went to the socket; it goes as one record. 0: none yet, and the next write has to begin with the same bytes. */
size_t		 channel_tls_write(struct ssl_st *, const uint8_t *bytes, size_t len);
void		 channel_tls_goodbye(struct ssl_st *);	/* close_notify, if the socket takes it */

/*
 * What an error of OpenSSL's means, as the end of a sentence "1.2.3.4:5: ...". False: it is one of those that only follow from
 * another (then *ret_why is CHANNEL_BAD_TLS).
 */
bool		 channel_tls_why(const struct channel_tls_seen *, unsigned long error, enum channel_why *ret_why, char *text, size_t size);

#endif
