/*
 * configsync/pool.h - memory for very many small things that live long, next to each other: what comes and goes meanwhile leaves no
 * holes between them, so that it can go back to the kernel. Pure; the process ends where memory does.
 *
 * Who gives something back says how large it was. Blocks are kept until the pool ends. What has POOL_LARGE bytes is malloc()'s, and does
 * not end with the pool; where a sanitizer looks for what is used too long that is everything.
 */
#ifndef CONFIGSYNC_POOL_H
#define CONFIGSYNC_POOL_H

#include <stddef.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define POOL_LARGE 1u
#endif
#endif
#ifndef POOL_LARGE
#define POOL_LARGE 1024u
#endif

struct pool;

struct pool *pool_new(void);
void	pool_free(struct pool *);		/* NULL is allowed */
void	*pool_take(struct pool *, size_t size);	/* not zeroed; for any type */
void	pool_give(struct pool *, void *, size_t size);	/* NULL is allowed */

#endif
