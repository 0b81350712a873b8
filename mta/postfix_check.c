/*
 * mta/postfix_check.c - the first half of the checks of "postfix start": configuration, programs,
 * accounts, and which directories the queue needs. Runs in a worker; blocks in stat(2), small reads
 * and account look-ups.
 *
 * Every fatal check of postfix-script and post-install has its counterpart here or in
 * mta/postfix_tree.c. The list of directories is read from Postfix's own postfix-files and not
 * known to us, so that another version's differences are respected.
 */
#include "mta/postfix_check.h"

#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/durable.h"
#include "mta/postfix_chroot.h"

static bool
need_directory(struct postfix_plan *plan, const char *path, const char *what, struct err *err)
{
	struct stat st;

	if (stat(path, &st) == -1)
		return err_set(err, errno, "Postfix's %s directory %s", what, path);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, 0, "Postfix's %s directory %s is not a directory", what, path);
	return postfix_see(&plan->seen, path, err);
}

static bool
check_programs(const struct postfix_conf *conf, struct postfix_plan *plan, struct spawn_out *out,
    struct err *err)
{
	char path[POSTFIX_PATH_MAX];

	snprintf(path, sizeof path, "%s/master", conf->value[PF_DAEMON_DIR]);
	if (access(path, X_OK) == -1)
		return err_set(err, errno, "Postfix's master program %s cannot be run", path);
	if (!postfix_see(&plan->seen, path, err))
		return false;
	for (size_t i = 0; i < conf->services; i++) {
		const char *program = conf->service[i].program;

		snprintf(path, sizeof path, "%s%s%s", program[0] == '/' ? "" :
		    conf->value[PF_DAEMON_DIR], program[0] == '/' ? "" : "/", program);
		if (access(path, X_OK) == -1 && out != NULL)
			spawn_say(out, "warning", "the program %s of service %s in master.cf cannot be run",
			    path, conf->service[i].name);
		if (!postfix_see(&plan->seen, path, err))
			return false;
	}
	return true;
}

static bool
check_accounts(const struct postfix_conf *conf, struct postfix_plan *plan, struct err *err)
{
	const struct passwd *user;
	const struct group *group;

	if (!postfix_see(&plan->seen, "/etc/passwd", err) ||
	    !postfix_see(&plan->seen, "/etc/group", err))
		return false;
	user = getpwnam(conf->value[PF_MAIL_OWNER]);
	if (user == NULL)
		return err_set(err, 0, "Postfix's mail_owner \"%s\" is no user of this system",
		    conf->value[PF_MAIL_OWNER]);
	if (user->pw_uid == 0 || user->pw_gid == 0)
		return err_set(err, 0, "Postfix's mail_owner \"%s\" must not be privileged",
		    conf->value[PF_MAIL_OWNER]);
	plan->owner = user->pw_uid;
	group = getgrnam(conf->value[PF_SETGID_GROUP]);
	if (group == NULL)
		return err_set(err, 0, "Postfix's setgid_group \"%s\" is no group of this system",
		    conf->value[PF_SETGID_GROUP]);
	if (group->gr_gid == 0)
		return err_set(err, 0, "Postfix's setgid_group \"%s\" must not be privileged",
		    conf->value[PF_SETGID_GROUP]);
	plan->group = group->gr_gid;
	return true;
}

/* postfix-files names owners by parameter or by name. */
static bool
owner_number(const struct postfix_conf *conf, const struct postfix_plan *plan, const char *name,
    uid_t *ret)
{
	const struct passwd *user;

	if (strcmp(name, "$mail_owner") == 0 || strcmp(name, conf->value[PF_MAIL_OWNER]) == 0)
		*ret = plan->owner;
	else if (strcmp(name, "root") == 0)
		*ret = 0;
	else if ((user = getpwnam(name)) != NULL)
		*ret = user->pw_uid;
	else
		return false;
	return true;
}

static bool
group_number(const struct postfix_plan *plan, const char *name, gid_t *ret)
{
	const struct group *group;

	if (name[0] == '\0' || strcmp(name, "-") == 0)
		*ret = (gid_t)-1;
	else if (strcmp(name, "$setgid_group") == 0)
		*ret = plan->group;
	else if ((group = getgrnam(name)) != NULL)
		*ret = group->gr_gid;
	else
		return false;
	return true;
}

/* "$queue_directory/active" -> a path. False: another directory, which a start does not make. */
static bool
instance_path(const struct postfix_conf *conf, const char *name, char *buf, size_t size)
{
	static const struct { const char *prefix; enum postfix_param param; } own[] = {
		{ "$queue_directory", PF_QUEUE_DIR }, { "$data_directory", PF_DATA_DIR },
	};

	for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
		size_t len = strlen(own[i].prefix);

		if (strncmp(name, own[i].prefix, len) == 0 &&
		    (name[len] == '\0' || name[len] == '/')) {
			snprintf(buf, size, "%s%.200s", conf->value[own[i].param], name + len);
			return true;
		}
	}
	return false;
}

/* One line "name:type:owner:group:permission:flags". What a start would create is noted. */
static bool
files_line(const struct postfix_conf *conf, struct postfix_plan *plan, char *line, struct err *err)
{
	char *field[6] = { NULL }, *rest = line;
	struct postfix_dir *dir = &plan->dir[plan->dirs];

	if (line[0] != '$')
		return true;
	for (int i = 0; i < 6; i++) {
		field[i] = strsep(&rest, ":");
		if (field[i] == NULL)
			return true;		/* no flags: nothing to create */
	}
	if (strcmp(field[1], "d") != 0 || strchr(field[5], 'c') == NULL ||
	    strchr(field[5], 'o') != NULL)
		return true;
	if (plan->dirs == POSTFIX_DIRS_MAX) {
		snprintf(plan->odd, sizeof plan->odd, "postfix-files lists more than %d directories",
		    POSTFIX_DIRS_MAX);
		return true;
	}
	if (!instance_path(conf, field[0], dir->path, sizeof dir->path)) {
		/* an add-on package's own directory: its rules are not known to us */
		snprintf(plan->odd, sizeof plan->odd, "postfix-files asks for %.100s", field[0]);
		return true;
	}
	dir->mode = (mode_t)strtol(field[4], NULL, 8);
	if (!owner_number(conf, plan, field[2], &dir->uid) || !group_number(plan, field[3], &dir->gid))
		return err_set(err, 0, "postfix-files gives %s to \"%s:%s\", whom this system does not "
		    "know", dir->path, field[2], field[3]);
	plan->dirs++;
	return true;
}

static bool
read_files(const struct postfix_conf *conf, struct postfix_plan *plan, const char *path,
    struct err *err)
{
	static const size_t size = 262144;
	char *text = malloc(size), *line, *rest;
	struct err why = { 0 };
	bool ok = true;

	if (text == NULL)
		return err_set(err, 0, "out of memory");
	if (durable_read(path, text, size, &why) == -1)
		ok = err_set(err, 0, "Postfix's list of directories cannot be read: %s", why.text);
	rest = text;
	while (ok && (line = strsep(&rest, "\n")) != NULL)
		ok = files_line(conf, plan, line, err);
	free(text);
	return ok && postfix_see(&plan->seen, path, err);
}

static bool
check_files(const struct postfix_conf *conf, struct postfix_plan *plan, struct err *err)
{
	char path[POSTFIX_PATH_MAX], extra[2 * POSTFIX_PATH_MAX];
	struct dirent **entry = NULL;
	bool ok;
	int n;

	snprintf(path, sizeof path, "%s/postfix-files", conf->value[PF_META_DIR]);
	if (!read_files(conf, plan, path, err))
		return false;
	snprintf(path, sizeof path, "%s/postfix-files.d", conf->value[PF_META_DIR]);
	ok = postfix_see(&plan->seen, path, err);
	n = scandir(path, &entry, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		if (ok && entry[i]->d_name[0] != '.') {
			snprintf(extra, sizeof extra, "%s/%s", path, entry[i]->d_name);
			ok = read_files(conf, plan, extra, err);
		}
		free(entry[i]);
	}
	free(entry);
	return ok;
}

/* A log file of Postfix's own needs the service that writes it. */
static bool
check_log(const struct postfix_conf *conf, struct err *err)
{
	if (conf->value[PF_MAILLOG][0] == '\0')
		return true;
	for (size_t i = 0; i < conf->services; i++)
		if (strcmp(conf->service[i].name, "postlog") == 0 &&
		    strcmp(conf->service[i].type, "unix-dgram") == 0)
			return true;
	return err_set(err, 0, "maillog_file is set but %s/master.cf has no \"postlog\" service: run "
	    "\"postfix upgrade-configuration\"", conf->value[PF_CONFIG_DIR]);
}

/*
 * Debian's start refuses a myorigin that belongs to the distributor. It may be the name of a file.
 */
static bool
check_origin(const struct postfix_conf *conf, struct postfix_plan *plan, struct err *err)
{
	char text[512];
	const char *origin = conf->value[PF_MYORIGIN];

	if (origin[0] == '/') {
		if (!postfix_see(&plan->seen, origin, err))
			return false;
		if (durable_read(origin, text, sizeof text, NULL) == -1)
			return true;		/* Postfix says more about it than we could */
		text[strcspn(text, "\r\n")] = '\0';
		origin = text;
	}
	if (strcasecmp(origin, "debian.org") == 0 || strcasecmp(origin, "ubuntu.com") == 0)
		return err_set(err, 0, "Postfix's myorigin is \"%s\": set it to a name of your own",
		    origin);
	return true;
}

static void
warn_about(const char *path, uid_t uid, struct spawn_out *out)
{
	struct stat st;

	if (out == NULL || lstat(path, &st) == -1)
		return;
	if (st.st_uid != uid)
		spawn_say(out, "warning", "%s is not owned by uid %u", path, (unsigned int)uid);
	if (!S_ISLNK(st.st_mode) && (st.st_mode & 022) != 0)
		spawn_say(out, "warning", "%s can be written by group or others", path);
}

/*
 * What check-warn of postfix-script tells of what is shared by all instances and of our own
 * directory.
 */
static void
warn_of_owners(const struct postfix_conf *conf, struct spawn_out *out)
{
	static const enum postfix_param roots[] = {
		PF_CONFIG_DIR, PF_DAEMON_DIR, PF_META_DIR, PF_SHLIB_DIR };
	static const char *const setgid[] = { "postqueue", "postdrop" };
	char path[2 * POSTFIX_PATH_MAX];
	struct stat st;

	for (size_t i = 0; i < sizeof roots / sizeof roots[0]; i++) {
		DIR *dir = opendir(conf->value[roots[i]]);
		struct dirent *entry;

		warn_about(conf->value[roots[i]], 0, out);
		while (dir != NULL && (entry = readdir(dir)) != NULL) {
			if (entry->d_name[0] == '.')
				continue;
			snprintf(path, sizeof path, "%s/%s", conf->value[roots[i]], entry->d_name);
			warn_about(path, 0, out);
		}
		if (dir != NULL)
			closedir(dir);
	}
	for (size_t i = 0; i < sizeof setgid / sizeof setgid[0]; i++) {
		snprintf(path, sizeof path, "%s/%s", conf->value[PF_COMMAND_DIR], setgid[i]);
		if (out != NULL && (stat(path, &st) == -1 || (st.st_mode & 02111) != 02111))
			spawn_say(out, "warning", "%s is not set-gid and executable for all", path);
	}
}

bool
postfix_check_config(const struct postfix_conf *conf, struct postfix_plan *ret,
    struct spawn_out *out, struct err *err)
{
	if (getuid() != 0)
		return err_set(err, 0, "Postfix can be started by root only");
	memset(ret, 0, sizeof *ret);
	ret->seen = conf->seen;
	if (!need_directory(ret, conf->value[PF_COMMAND_DIR], "command", err) ||
	    !need_directory(ret, conf->value[PF_DAEMON_DIR], "daemon", err) ||
	    !need_directory(ret, conf->value[PF_CONFIG_DIR], "configuration", err) ||
	    !need_directory(ret, conf->value[PF_META_DIR], "meta", err))
		return false;
	if (strcmp(conf->value[PF_SHLIB_DIR], "no") != 0 &&
	    !need_directory(ret, conf->value[PF_SHLIB_DIR], "shared-library", err))
		return false;
	if (!check_programs(conf, ret, out, err) || !check_accounts(conf, ret, err) ||
	    !check_files(conf, ret, err) || !check_log(conf, err) ||
	    !check_origin(conf, ret, err) || !postfix_chroot_plan(conf, ret, err))
		return false;
	warn_of_owners(conf, out);
	return true;
}
