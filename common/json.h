/*
 * common/json.h - writes one JSON document (RFC 8259) into a bounded buffer, or, where a document may be
 * of any size, through one. Pure.
 *
 * Members of the outermost object or array (with json_lines() also of deeper ones) stand on lines of
 * their own, everything deeper on one line, so that people and line tools can read it too. key is NULL
 * inside arrays and at the top.
 * Strings may hold any bytes: what is not UTF-8 becomes U+FFFD, control characters are escaped.
 */
#ifndef COMMON_JSON_H
#define COMMON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/fact.h"

#define JSON_DEPTH_MAX 16

/* Takes a part of a document; what it does with a failure is its own affair. */
typedef void json_sink_f(void *arg, const char *bytes, size_t len);

struct json {
	char		*buf;
	size_t		 size, len;		/* len: needed so far, may pass size */
	size_t		 given;			/* bytes of the document that the sink has taken */
	json_sink_f	*sink;			/* NULL: the buffer is all there is */
	void		*sink_arg;
	unsigned int	 lines;			/* levels whose members have lines of their own */
	unsigned int	 depth;
	bool		 filled[JSON_DEPTH_MAX];	/* something stands at this depth already */
	char		 closing[JSON_DEPTH_MAX];	/* what ends this depth */
};

void	json_init(struct json *, char *buf, size_t size);	/* buf may be NULL with size 0: only measure */
/* Whenever buf is full, and at the end, what is in it goes to the sink: nothing is cut. */
void	json_stream(struct json *, char *buf, size_t size, json_sink_f *, void *arg);
void	json_lines(struct json *, unsigned int levels);	/* default 1 */
/* NUL-terminates (cut where it does not fit) and returns the length needed without the NUL. */
size_t	json_finish(struct json *);

void	json_object(struct json *, const char *key);
void	json_object_end(struct json *);
void	json_array(struct json *, const char *key);
void	json_array_end(struct json *);

void	json_string(struct json *, const char *key, const char *value);	/* NULL: null */
void	json_int(struct json *, const char *key, int64_t value);
void	json_uint(struct json *, const char *key, uint64_t value);
void	json_thousandths(struct json *, const char *key, uint64_t value);	/* 1500: 1.5, as ms from us */
void	json_bool(struct json *, const char *key, bool value);
void	json_null(struct json *, const char *key);
void	json_fact(struct json *, const char *key, enum fact value);	/* true, false, null where unknown */

#endif
