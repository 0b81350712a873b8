/*
 * configsync/install_priv.h - for install*.c: one installation while it runs.
 */
#ifndef CONFIGSYNC_INSTALL_PRIV_H
#define CONFIGSYNC_INSTALL_PRIV_H

#include <sys/stat.h>
#include <time.h>

#include "configsync/install.h"

#define STAGING_MAX (sizeof SCOPE_STAGING + SCOPE_STAGING_DIGITS)
#define STAGED_MAX (ENTRY_PATH_MAX + 2 + STAGING_MAX)	/* of a path */
#define IN_NONE SIZE_MAX

struct item {
	bool		 skip;		/* refused, or needs what is */
	bool		 staged;	/* its staging name exists */
	bool		 done;
	bool		 plain;		/* without extended attributes, and st is what was staged, or put in place */
	bool		 steady;	/* of st, as in entry_local */
	bool		 kept;		/* whole: what was there stands below its staging name */
	uid_t		 uid;
	gid_t		 gid;
	size_t		 in;		/* the change that makes the directory which it is staged in, under its own name; or IN_NONE */
	struct stat	 st;
	struct timespec	 left;		/* whole: mtime of what was put in place */
	int		 spare;		/* staged in that one; -1: it has a staging name */
	size_t		 staging_dir;	/* IN_NONE: length of the part of its path that is the directory of its staging name */
};

/* A directory in which names changed: synced once, and its mtime put back where it is carried. */
struct touched { char *path; struct timespec mtime; };

struct syncing { dev_t dev; int fd; };
#define SYNCING_MAX 8

/* What a new file in a staged directory has from the beginning, where it is without extended attributes: as the first one in it had. */
struct given { size_t in; uid_t uid; gid_t gid; };		/* in IN_NONE: not known */

struct install {
	int				 root;
	const struct install_options	*o;
	struct report			*report;
	const struct change		*change;
	struct item			*item;
	size_t				 len;
	struct touched			*touched;
	size_t				 touched_len, touched_room;
	bool				 whole;		/* all of it or nothing, see install_whole.c */
	bool				 bulk;		/* many files: whole file systems are synced, and not file by file */
	struct syncing			 syncing[SYNCING_MAX];
	unsigned int			 syncings;
	struct install_early		*early;		/* a sync under way; the last one began with early_at files staged */
	size_t				 early_at;
	int				 early_sys;	/* errno of one that failed */
	bool				 bare;		/* what install_attributes() saw last had no extended attributes before */
	struct given			 given;
	const char			*inside;	/* the last path that was found to be carried */
	char				 dir_path[STAGED_MAX];	/* of the directory that is open */
	int				 dir;				/* -1: none */
	size_t				 dir_staged;			/* the change that it is the staged directory of, or IN_NONE */
	bool				 dir_touched;			/* it is among them */
};

/* An open directory that path stands in, valid until the next call; *ret_name in it. It counts as touched. -1 with errno. */
int	install_parent(struct install *, const char *path, const char **ret_name);
/* The same by length of the directory's path. */
int	install_directory(struct install *, const char *path, size_t len);
void	install_staging_name(const char *path, char name[STAGING_MAX]);
/* Where it is staged, from the root. */
void	install_staged_path(const struct install *, size_t i, char path[STAGED_MAX]);
/* An open staged directory, valid as above; it does not count as touched. -1 with errno. */
int	install_staged_directory(struct install *, size_t i);
/* Is what stands there what the plan saw? moved: its ctime is not compared, as it was just renamed. */
bool	install_is(const struct stat *, const struct entry *was, bool moved);
void	install_set_mtime(struct install *, const char *dir, const struct entry *);

/* install_attr.c: owner, attributes, mode and times, never wider in between. was NULL: of a new file; st: whose it is now. False with *err. */
bool	install_attributes(struct install *, int fd, const struct stat *st, const struct item *, const struct entry *was, const struct entry *to,
	    const char *path, struct err *);
bool	install_set_time(int fd, const char *name, const struct entry *to);	/* name: what stands in the directory fd; NULL: fd itself. False with errno */
bool	install_link_attributes(struct install *, int dir, const char *name, const struct item *, const struct entry *to, const char *path,
	    struct err *);
/* Can the ids in its ACLs be set here? */
bool	install_acls_ok(struct install *, const struct entry *to);

void	install_find_new(struct install *);		/* install_new.c: which changes come in a directory that is new itself */
/* Owner, mode, times and so on of all staged directories, when all is in them; the innermost first. */
bool	install_finish_new(struct install *, struct err *);
bool	install_stage(struct install *, size_t i, struct err *);		/* install_stage.c */
void	install_unstage(struct install *, size_t i);
void	install_left(struct install *, size_t i, int fd);	/* for install_options.placed */
/* install_sync.c. A file or directory (st) is on the disk with install_sync_staged() at the latest. */
bool	install_sync(struct install *, int fd, const struct stat *st);
void	install_sync_early(struct install *, size_t staged);	/* so many are staged, and there are more */
bool	install_sync_staged(struct install *, struct err *);
bool	install_commit(struct install *, size_t i, struct err *);		/* install_commit.c */
bool	install_narrow(struct install *, size_t i, struct err *);
bool	install_remove_directory(struct install *, size_t i, struct err *);
/* install_whole.c. Can it be put in place as a whole? */
bool	install_can_take_back(const struct change *, size_t len);
/* The change before begun has failed: what is done is done no more. False: some of it stands, and is done. */
bool	install_take_back(struct install *, size_t begun);
/* All is in place: what was there goes, and directories that are to. False with *err: some of these stay, and the report names them. */
bool	install_let_go(struct install *, struct err *);

#endif
