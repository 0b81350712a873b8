/*
 * common/channel_priv.h - between the parts of a channel: channel.c (which streams there are), channel_stream.c (one of them),
 * channel_socket.c (how a connection begins). For nobody else.
 */
#ifndef COMMON_CHANNEL_PRIV_H
#define COMMON_CHANNEL_PRIV_H

#include <sys/queue.h>
#include <sys/socket.h>

#include "common/channel.h"
#include "common/channel_tls.h"
#include "common/channel_wire.h"

struct bufferevent;

enum stream_state { STREAM_HANDSHAKE, STREAM_HELLO, STREAM_UP, STREAM_CLOSING };

/* One connection. */
struct stream {
	struct channel		*ch;
	TAILQ_ENTRY(stream)	 entry;			/* among others */
	enum stream_state	 state;
	bool			 told;			/* its end is known above: only its last words are left */
	struct bufferevent	*bev;			/* owns ssl and the descriptor */
	struct ssl_st		*ssl;
	struct channel_tls_seen	 seen;
	struct loop_timer	*resumed;		/* what came before a pause is to be given out */
	struct loop_timer	*timer;			/* deadline of handshake and last words; the beat while up */
	uint64_t		 due_ms;		/* when the timer should fire */
	uint64_t		 heard_ms, sent_ms;
	bool			 paused, wants_drain, flushed;
	uint32_t		 records, key_updates;	/* sent since the last of them */
	bool			 busy, dead;		/* frames are given out; freed meanwhile: then only the memory is left */
	char			 where[CHANNEL_WHERE_MAX];
};
TAILQ_HEAD(stream_list, stream);

struct channel {
	struct loop			*loop;
	const struct channel_calls	*calls;
	void				*arg;
	struct channel_hello		 hello;		/* ours */
	struct channel_limits		 limits;
	struct channel_keys		 keys;
	struct channel_tls		*tls;

	struct stream			*up;
	struct stream_list		 others;	/* not proven yet, or saying their last words; the oldest first */
	size_t				 others_len;
	bool				 closing;	/* channel_close() */
	unsigned int			 busy;		/* calls of the user that are not the last deed of ours */
	bool				 dead;		/* freed in one of them: only the memory is left */

	struct sockaddr_storage		 at[CHANNEL_ADDRESSES_MAX];
	size_t				 at_len, at_next;
	bool				 connecting;	/* a connector */
	struct loop_io			*io[CHANNEL_ADDRESSES_MAX];	/* listening; [0]: being connected */
	int				 fd[CHANNEL_ADDRESSES_MAX];	/* -1 none */
	struct loop_timer		*again;		/* connect, or accept again */
	uint32_t			 retry_ms;
	uint64_t			 up_ms;		/* when the stream came up */

	uint64_t			 streams, ended[CHANNEL_WHY_COUNT];
	enum channel_why		 last_why;
	char				 last[CHANNEL_TEXT_MAX];
};

/* ---- channel_socket.c: nothing here blocks; descriptors are non-blocking and close-on-exec */
bool	channel_socket_parse(const struct channel_address *, struct sockaddr_storage *ret, struct err *);
int	channel_socket_listen(const struct sockaddr_storage *, struct err *);	/* -1 with *err */
int	channel_socket_connect(const struct sockaddr_storage *, struct err *);	/* under way; -1 with *err */
void	channel_socket_ready(int fd);						/* connected or accepted: no delays */
uint16_t channel_socket_port(const struct sockaddr_storage *);
const char *channel_socket_text(const struct sockaddr_storage *, char out[CHANNEL_WHERE_MAX]);

/* ---- channel_stream.c: one connection, from the handshake to the last word */
struct stream	*stream_new(struct channel *, int fd, bool accepting, const char *where);	/* takes fd */
void		 stream_free(struct stream *);
bool		 stream_send(struct stream *, uint8_t type, const void *bytes, size_t len);	/* false: no room */
void		 stream_pause(struct stream *, bool paused);
void		 stream_say_bye(struct stream *, const char *sentence);	/* STREAM_CLOSING: it ends by itself */
void		 stream_status(const struct stream *, struct channel_status *);

/* ---- channel.c: what streams tell. After these the stream and the channel may be gone. */
void	channel_stream_proven(struct stream *);
/* Nothing more comes of it: it is freed. */
void	channel_stream_ended(struct stream *, enum channel_why, const char *sentence);
/* As far as anybody is concerned it has ended; it lives on for its last words. */
void	channel_stream_leaves(struct stream *, enum channel_why, const char *sentence);

#endif
