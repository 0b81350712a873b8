/*
 * mta/postfix_tree.c - the second half of the checks of "postfix start": the directories of the
 * queue, and every message under its right name. Runs in a worker; blocks in a few dozen stat(2)
 * and one pass of readdir(3) over what mailpair-queue has not just checked.
 *
 * "postfix start" runs postsuper in any case, for two things: it renames files whose name does not
 * fit their inode (told here, mended by mailpair-queue), and it deletes unfinished files that are a
 * week old (not done: nothing waits for it, and in a restored queue with lost mode bits they are
 * mail). What is in active/ is not moved back to incoming/ here: qmgr does that first thing when
 * it starts.
 */
#include "mta/postfix_check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "mta/postfix_queue.h"

static bool
make_directory(const struct postfix_dir *dir, struct spawn_out *out, struct err *err)
{
	/* closed to all until it has its owner */
	if (mkdir(dir->path, 0700) == -1)
		return err_set(err, errno, "cannot make Postfix's directory %s", dir->path);
	if (chown(dir->path, dir->uid, dir->gid) == -1 || chmod(dir->path, dir->mode) == -1)
		return err_set(err, errno, "cannot give Postfix's directory %s its owner and mode",
		    dir->path);
	spawn_say(out, "made", "%s", dir->path);
	return true;
}

static bool
check_directory(const struct postfix_conf *conf, const struct postfix_plan *plan,
    const struct postfix_dir *dir, struct spawn_out *out, struct err *err)
{
	struct stat st;

	if (stat(dir->path, &st) == -1) {
		if (errno != ENOENT)
			return err_set(err, errno, "cannot look at Postfix's directory %s", dir->path);
		/* Postfix would make it and go on with an empty queue beside the real one. */
		if (strcmp(dir->path, conf->value[PF_QUEUE_DIR]) == 0)
			return err_set(err, ENOENT, "Postfix's queue directory %s is missing: is its "
			    "storage mounted?", dir->path);
		return make_directory(dir, out, err);
	}
	if (!S_ISDIR(st.st_mode))
		return err_set(err, 0, "%s stands where Postfix needs a directory", dir->path);
	if (dir->uid == plan->owner && st.st_uid != plan->owner)
		return err_set(err, 0, "%s belongs to uid %u, and Postfix's mail_owner %s is uid %u here: "
		    "give both nodes the same number (or run \"postfix set-permissions\")", dir->path,
		    (unsigned int)st.st_uid, conf->value[PF_MAIL_OWNER], (unsigned int)plan->owner);
	if (st.st_uid != dir->uid)
		spawn_say(out, "warning", "%s is not owned by uid %u", dir->path,
		    (unsigned int)dir->uid);
	if (dir->gid != (gid_t)-1 && st.st_gid != dir->gid)
		spawn_say(out, "warning", "%s is not of group %s", dir->path,
		    conf->value[PF_SETGID_GROUP]);
	if ((st.st_mode & 07777) != dir->mode)
		spawn_say(out, "warning", "%s has mode %04o instead of %04o", dir->path,
		    (unsigned int)(st.st_mode & 07777), (unsigned int)dir->mode);
	return true;
}

/*
 * A message under a wrong name may be put over by a new one that meets its inode and microsecond, and is delivered in spite of
 * it. mailpair-queue mends it, with a journal and over nothing; whether it does is the operator's choice (queue-check).
 */
static bool
check_names(const struct mta_params *params, const struct postfix_conf *conf, uint64_t deadline_ms,
    struct spawn_out *out, struct err *err)
{
	struct err why = { 0 };

	switch (postfix_queue_named_well(conf, params->run_dir, deadline_ms, &why)) {
	case FACT_YES:
		return true;
	case FACT_NO:
		break;
	case FACT_UNKNOWN:
	case FACT_COUNT:
		return err_set(err, 0, "%s", why.text);
	}
	if (!params->names_judged)
		return err_set(err, 0, "%s in %s: \"mailpair queue check --repair\" mends it", why.text,
		    conf->value[PF_QUEUE_DIR]);
	spawn_say(out, "warning", "%s in %s: \"mailpair queue check --repair\" mends it", why.text, conf->value[PF_QUEUE_DIR]);
	return true;
}

bool
postfix_check_queue(const struct mta_params *params, const struct postfix_conf *conf, const struct postfix_plan *plan,
    uint64_t deadline_ms, struct spawn_out *out, struct err *err)
{
	for (size_t i = 0; i < plan->dirs; i++)
		if (!check_directory(conf, plan, &plan->dir[i], out, err))
			return false;
	return check_names(params, conf, deadline_ms, out, err);
}
