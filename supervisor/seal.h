/*
 * supervisor/seal.h - <spool>/.mailpair/owner: who owns the spool, under which tenure. Written before
 * anything is started, checked before every mount is used. Parser and verdict are pure.
 *
 * File: "mailpair-seal 1", then lines "pair NAME", "node NAME", "tenure N", "boot ID", "at RFC3339",
 * "state owned|released", last "sum HEX" (SHA-256 of everything before that line).
 */
#ifndef SUPERVISOR_SEAL_H
#define SUPERVISOR_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/fact.h"

struct seal {
	char		pair[CONF_NAME_MAX], node[CONF_NAME_MAX], boot[64];
	uint64_t	tenure;
	uint64_t	at_wall_ms;
	bool		released;
};

bool	seal_parse(const char *text, size_t len, struct seal *ret, struct err *);
size_t	seal_format(const struct seal *, char *buf, size_t size);

/* What entitles us to the spool. */
enum proof_kind {
	PROOF_NONE,
	PROOF_RELEASED,		/* the peer let go of tenure N and agreed to the next */
	PROOF_FENCED,		/* a fence device did it and a following status says so; or status "off" */
	PROOF_VOUCHED,		/* the operator's confirm-dead */
	PROOF_LEASE,		/* place for the witness */
	PROOF_HELD,		/* we never let go: re-adoption in the same boot */
	PROOF_COUNT
};
const char *proof_name(enum proof_kind);

enum seal_verdict {
	SEAL_OK,
	SEAL_OTHER_PAIR,	/* another pair's spool */
	SEAL_STRANGER,		/* sealed by a node that is not of this pair */
	SEAL_NEWER,		/* a tenure that the proof does not cover */
	SEAL_VERDICT_COUNT
};

/*
 * May this node use a spool with this seal (NULL: a fresh spool, none yet), and under which tenure?
 * known: the newest tenure this node knows of (its own or heard). RELEASED covers tenures up to
 * *released* only; FENCED and VOUCHED cover whatever the peer held, since it is off; HELD covers only
 * our own seal with exactly the tenure known. *ret_tenure = max(known, seal)+1 (HELD: known). Pure.
 */
enum seal_verdict seal_judge(const struct seal *, const char *pair, const char *self, const char *peer,
    enum proof_kind, uint64_t released, uint64_t known, uint64_t *ret_tenure);

#define SEAL_DIR ".mailpair"	/* in the spool's root: what mailpair itself keeps there */

/* Worker side. The root directory of the mounted spool, or -1 with *err: also where nothing is mounted. */
int	seal_spool_open(const char *mountpoint, struct err *);
/* What a spool is that is found mounted when the daemon starts. */
enum seal_found {
	SEAL_FOUND_OURS,	/* sealed by us in this boot and not let go since: our tenure goes on */
	SEAL_FOUND_UNSEALED,	/* mounted here, but not sealed for it, and nobody else's: a take that was cut short, or a person */
	SEAL_FOUND_THEIRS,	/* the peer's by its seal or by a newer tenure, touched by another kernel, or nothing can be read from it */
	SEAL_FOUND_FOREIGN,	/* a seal that would stop the peer as well: of another pair, of a stranger, damaged */
	SEAL_FOUND_COUNT
};
const char *seal_found_name(enum seal_found);
struct seal_look {
	const char		*pair, *self, *peer, *boot;
	uint64_t		 known, released;	/* newest tenure known here; newest that this node let go */
	const struct seal	*seal;			/* NULL: there is none, or it could not be read */
	bool			 unread;		/* it could not be read ... */
	int			 unread_sys;		/* ... with this errno; 0: it was read and is damaged */
	enum fact		 touched;		/* has another kernel mounted the spool since this one did? */
};
/* Pure. */
enum seal_found seal_find(const struct seal_look *);

/* Worker side, on a mounted spool. ret_exists false: none there (a fresh spool). A seal that is there but cannot be
 * read or parsed is an error: never treated as fresh. */
bool	seal_read(const char *mountpoint, struct seal *ret, bool *ret_exists, struct err *);
bool	seal_write(const char *mountpoint, const struct seal *, struct err *);	/* durable; makes .mailpair (0755 root) */

#endif
