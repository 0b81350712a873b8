/*
 * mta/postfix_layout.c - the places of a Postfix queue. What directories there are, whose, and with what permissions is
 * Postfix's own list (postfix-files); how names are spread over sub-directories is a setting.
 */
#include "mta/postfix_layout.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mta/postfix_id.h"

#define SAMPLE 2000	/* names that are looked at to tell how a queue is hashed */

enum owner { ROOT, OWNER };

static const struct place {
	const char		*path;
	enum postfix_place	 kind;
	enum owner		 uid;
	bool			 drop_group;	/* of setgid_group; else any */
	uint32_t		 mode;		/* 0: not looked at */
	bool			 hashable, skipped;
	uint32_t		 usual_depth;
} places[] = {
	{ "",		POSTFIX_PLACE_ROOT,	ROOT,	false,	0,	false,	false,	0 },
	{ "maildrop",	POSTFIX_PLACE_MAILDROP,	OWNER,	true,	0730,	false,	false,	0 },
	{ "incoming",	POSTFIX_PLACE_INCOMING,	OWNER,	false,	0700,	true,	false,	0 },
	{ "active",	POSTFIX_PLACE_ACTIVE,	OWNER,	false,	0700,	true,	false,	0 },
	{ "deferred",	POSTFIX_PLACE_DEFERRED,	OWNER,	false,	0700,	true,	false,	1 },
	{ "hold",	POSTFIX_PLACE_HOLD,	OWNER,	false,	0700,	true,	false,	0 },
	{ "corrupt",	POSTFIX_PLACE_CORRUPT,	OWNER,	false,	0700,	true,	false,	0 },
	{ "saved",	POSTFIX_PLACE_SAVED,	OWNER,	false,	0700,	false,	false,	0 },
	{ "defer",	POSTFIX_PLACE_DEFER,	OWNER,	false,	0700,	true,	false,	1 },
	{ "bounce",	POSTFIX_PLACE_BOUNCE,	OWNER,	false,	0700,	true,	false,	0 },
	{ "trace",	POSTFIX_PLACE_TRACE,	OWNER,	false,	0700,	true,	false,	0 },
	{ "flush",	POSTFIX_PLACE_FLUSH,	OWNER,	false,	0700,	true,	false,	0 },
	{ "pid",	POSTFIX_PLACE_PID,	ROOT,	false,	0755,	false,	true,	0 },
	{ "private",	POSTFIX_PLACE_PRIVATE,	OWNER,	false,	0700,	false,	true,	0 },
	{ "public",	POSTFIX_PLACE_PUBLIC,	OWNER,	true,	0710,	false,	true,	0 },
};
#define PLACES (sizeof places / sizeof places[0])

static bool
no_account(struct err *err, const char *what, const char *name, const struct queue_owners *owners)
{
	return err_set(err, 0, "Postfix's %s \"%s\" is %s", what, name, owners != NULL ?
	    "not in the file of accounts: it needs a line for it" : "unknown on this system: give a file of accounts");
}

static bool
begin(const char *root, const char *user, const char *group, const struct queue_owners *owners, struct queue_layout *ret,
    struct err *err)
{
	uint32_t uid, gid;

	if (!queue_uid(owners, user, &uid))
		return no_account(err, "mail_owner", user, owners);
	if (!queue_gid(owners, group, &gid))
		return no_account(err, "setgid_group", group, owners);
	*ret = (struct queue_layout){ .mta = "postfix", .root = strdup(root), .owners = owners };
	if (ret->root == NULL)
		return err_set(err, 0, "out of memory");
	for (size_t i = 0; i < PLACES; i++) {
		struct queue_place *place = queue_place_add(ret, places[i].path, (uint8_t)places[i].kind);

		place->required = true;
		place->skipped = places[i].skipped;
		place->uid = places[i].uid == ROOT ? 0 : uid;
		place->gid = places[i].drop_group ? gid : QUEUE_ID_ANY;
		place->mode = places[i].mode;
		/* what has one character is walked into at any level, also where the setting says that there is none */
		place->hash = places[i].hashable ? QUEUE_POSTFIX : QUEUE_FLAT;
	}
	return true;
}

bool
postfix_layout_own(const struct postfix_conf *conf, const struct queue_owners *owners, struct queue_layout *ret,
    struct err *err)
{
	struct queue_layout layout;

	if (!begin(conf->value[PF_QUEUE_DIR], conf->value[PF_MAIL_OWNER], conf->value[PF_SETGID_GROUP], owners, &layout, err))
		return false;
	layout.long_ids = strcmp(conf->value[PF_LONG_IDS], "yes") == 0;
	for (size_t i = 0; i < PLACES; i++) {
		int depth = places[i].hashable ? postfix_conf_hash_depth(conf, places[i].path) : 0;

		if (depth < 0 || depth > POSTFIX_DEPTH_MAX) {
			queue_layout_free(&layout);
			return err_set(err, 0, "Postfix's hash_queue_depth is %d; up to %d is understood", depth,
			    POSTFIX_DEPTH_MAX);
		}
		layout.place[i].depth = (uint32_t)depth;
	}
	*ret = layout;
	return true;
}

/* ---------------------------------------------------------------- a foreign tree */

struct sample {
	size_t	names[POSTFIX_DEPTH_MAX + 1];	/* files at each level */
	size_t	looked;
	size_t	long_names, short_names;
	size_t	deepest;			/* directory, of those without files too */
};

static void
sample_dir(struct sample *s, int parent, const char *name, size_t level)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	DIR *dir = fd == -1 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (dir == NULL) {
		if (fd != -1)
			close(fd);
		return;
	}
	if (level > s->deepest)
		s->deepest = level;
	while (s->looked < SAMPLE && (entry = readdir(dir)) != NULL) {
		struct postfix_id id;

		if (entry->d_name[0] == '.')
			continue;
		if (entry->d_name[1] == '\0' && level < POSTFIX_DEPTH_MAX) {
			sample_dir(s, fd, entry->d_name, level + 1);
		} else if (postfix_id_parse(entry->d_name, &id)) {
			s->looked++;
			s->names[level]++;
			s->long_names += id.is_long;
			s->short_names += !id.is_long;
		}
	}
	closedir(dir);
}

static uint32_t
sampled_depth(const struct sample *s, uint32_t usual)
{
	size_t most = 0;

	if (s->looked == 0)
		return s->deepest > 0 ? (uint32_t)s->deepest : usual;
	for (size_t i = 1; i <= POSTFIX_DEPTH_MAX; i++)
		if (s->names[i] > s->names[most])
			most = i;
	return (uint32_t)most;
}

bool
postfix_layout_tree(const char *dir, const struct queue_owners *owners, struct queue_layout *ret, struct err *err)
{
	struct queue_layout layout;
	size_t long_names = 0, short_names = 0;
	char root[PATH_MAX];
	int fd;

	if (realpath(dir, root) == NULL || (fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		return err_set(err, errno, "cannot open the queue %s", dir);
	if (!begin(root, "postfix", "postdrop", owners, &layout, err)) {
		close(fd);
		return false;
	}
	for (size_t i = 0; i < PLACES; i++) {
		struct sample sample = { 0 };

		if (!places[i].hashable)
			continue;
		sample_dir(&sample, fd, places[i].path, 0);
		layout.place[i].depth = sampled_depth(&sample, places[i].usual_depth);
		long_names += sample.long_names;
		short_names += sample.short_names;
	}
	close(fd);
	layout.long_ids = long_names > short_names;
	*ret = layout;
	return true;
}
