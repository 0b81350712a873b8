/*
 * configsync/install.h - makes a plan come true below a root: first all new files beside their places, whole and synced, then
 * all the renames. Blocks on the disk: for workers.
 *
 * Nothing has changed until everything stands ready, so that a full disk or bytes that do not come leave the old tree as it was.
 * A directory that is new comes with all that is in it, by one rename.
 * A reader sees the old file or the new one, whole, at every moment, and with no more rights than one of them gives. A crash
 * leaves files that the next scan reports as leftovers; a new plan made of that scan goes on where this one ended.
 *
 * Nothing is done to what changed since the scan: an edit that came meanwhile is put back in its place. Every path is opened with
 * openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS), and is in the scope. No device nodes; no setuid or setgid file unless allowed.
 */
#ifndef CONFIGSYNC_INSTALL_H
#define CONFIGSYNC_INSTALL_H

#include "common/err.h"
#include "configsync/diff.h"
#include "configsync/names.h"
#include "configsync/report.h"
#include "configsync/spare.h"

/*
 * The bytes of a file that are not here: a descriptor to read them from, at offset 0, which install closes; -1 with *err. They
 * are compared with the digest before they are used.
 */
typedef int install_content_f(void *arg, const struct entry *, struct err *);

/* The same where they are in memory, and were compared with the digest: entry->size bytes, until install_apply() returns; NULL: they are not. */
typedef const uint8_t *install_bytes_f(void *arg, const struct entry *);

/* Everything stands ready, and nothing that was there has been touched. False with *err: nor will it be. May be waited in. */
typedef bool install_ready_f(void *arg, struct err *);

struct install_options {
	const struct scope	*scope;
	struct names		*names;
	install_bytes_f		*bytes;		/* asked before content; may be NULL */
	install_content_f	*content;	/* NULL: everything has to be here already */
	install_ready_f		*ready;		/* may be NULL */
	void			*arg;
	struct spare		*spare;		/* may be NULL: a few small files are written over one of these, where bytes has them */
	bool			 setuid;	/* files may be setuid or setgid */
	bool			 no_mounts;	/* RESOLVE_NO_XDEV: nothing on another file system than root's */
	/*
	 * NULL, or not sealed: gets what is new and has no extended attributes as it stood in its place when it had just been put there, in the order
	 * of the changes: what a reading would find, and for scan_options.placed. What somebody was quick to change is in it as it was put there.
	 */
	struct manifest		*placed;
	bool			 partial;	/* leave out what is refused, and what needs it; else that refuses all */
	/*
	 * All of it or nothing, and never partial: where one change cannot be done, those before it are taken back. But where something takes the place of
	 * a directory only what is known before the first change counts, and an edit that came in that moment stays, with what was put in place beside it.
	 */
	bool			 whole;
};

/*
 * True: all is done and on disk, but for what the report says (partial: NOTE_REFUSED; NOTE_NOT_EMPTY: a directory that holds
 * what is not carried stays). False with *err: where nothing was changed, the report has no NOTE_NOT_DONE; else one for each
 * change that was not done. NOTE_FAILED: the change that all of them were given up for; there is none where it was not a single one.
 */
bool	install_apply(int root, const struct change *, size_t changes, const struct install_options *, struct report *, struct err *);

/* Removes what a scan reported as NOTE_LEFTOVER. */
bool	install_clean(int root, const struct scope *, const struct report *, struct err *);

#endif
