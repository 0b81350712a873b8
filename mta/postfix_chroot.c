/*
 * mta/postfix_chroot.c - keeps the chroot of Postfix's services as the system is. Runs in a worker;
 * blocks in small reads, and for the distribution's script where that is needed.
 *
 * After a takeover the copies in the queue directory are the other node's: its hosts file, its
 * resolver. So a difference is the rule, and running the distribution's script for it (hundreds of
 * ms) would be the longest step of a takeover. Plain files are copied here; the script runs for
 * what takes more than copying.
 */
#include "mta/postfix_chroot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/durable.h"

#define DEBIAN_SCRIPT "/usr/lib/postfix/configure-instance.sh"
#define DEBIAN_DEFAULTS "/etc/default/postfix"

static bool
plan_copy(struct postfix_plan *plan, const char *path, struct err *err)
{
	if (plan->copies == POSTFIX_COPIES_MAX || strlen(path) >= sizeof plan->copy[0])
		return err_set(err, 0, "%s is too much for the list of files in Postfix's chroot", path);
	for (size_t i = 0; i < plan->copies; i++)
		if (strcmp(plan->copy[i], path) == 0)
			return true;
	snprintf(plan->copy[plan->copies++], sizeof plan->copy[0], "%s", path);
	return true;
}

/* The libraries that name look-ups load when it is too late to see them outside. */
static bool
plan_libraries(struct postfix_plan *plan, struct err *err)
{
	static const char *const pattern[] = {
		"/lib/*/libgcc_s*.so*", "/lib/*/libnss*.so*", "/lib/*/libresolv*.so*",
		"/lib/libgcc_s*.so*", "/lib/libnss*.so*", "/lib/libresolv*.so*",
	};
	char dir[POSTFIX_PATH_MAX];
	bool ok = postfix_see(&plan->seen, "/lib", err);

	for (size_t i = 0; ok && i < sizeof pattern / sizeof pattern[0]; i++) {
		glob_t found = { 0 };

		if (glob(pattern[i], 0, NULL, &found) == 0) {
			for (size_t n = 0; ok && n < found.gl_pathc; n++) {
				const char *path = found.gl_pathv[n];

				snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(path, '/') - path), path);
				ok = plan_copy(plan, path, err) && postfix_see(&plan->seen, dir, err);
			}
		}
		globfree(&found);
	}
	return ok;
}

/*
 * /etc/default/postfix is a shell script. Two of its settings matter here: SYNC_CHROOT= (empty: the
 * operator wants no copies) and extra files. What is more than a plain word is for the script.
 */
static void
read_defaults(bool *ret_wanted, bool *ret_extra)
{
	char text[8192], *rest = text, *line;

	*ret_wanted = true;
	*ret_extra = false;
	if (durable_read(DEBIAN_DEFAULTS, text, sizeof text, NULL) == -1)
		return;
	while ((line = strsep(&rest, "\n")) != NULL) {
		const char *value = strchr(line, '=');

		line += strspn(line, " \t");
		if (value == NULL || line[0] == '#')
			continue;
		value++;
		if (strncmp(line, "SYNC_CHROOT=", 12) == 0)
			*ret_wanted = strcspn(value, "'\" \t#") != 0 || strpbrk(value, "yY$`") != NULL;
		if (strncmp(line, "chroot_extra_", 13) == 0 && strspn(value, "'\" \t") < strlen(value))
			*ret_extra = true;
	}
}

static void
plan_certificates(const struct postfix_conf *conf, struct postfix_plan *plan)
{
	const char *dir[2] = { conf->value[PF_SMTP_CAPATH], conf->value[PF_SMTPD_CAPATH] };
	size_t n = 0;

	for (size_t i = 0; i < 2; i++) {
		size_t len = strlen(conf->value[PF_QUEUE_DIR]);

		if (dir[i][0] != '/' || strlen(dir[i]) >= sizeof plan->ca_dir[0] - 1 ||
		    strncmp(dir[i], conf->value[PF_QUEUE_DIR], len) == 0 ||
		    (n == 1 && strcmp(plan->ca_dir[0], dir[i]) == 0))
			continue;
		snprintf(plan->ca_dir[n++], sizeof plan->ca_dir[0], "%s", dir[i]);
	}
}

bool
postfix_chroot_plan(const struct postfix_conf *conf, struct postfix_plan *plan, struct err *err)
{
	static const char *const files[] = {
		"/etc/localtime", "/etc/services", "/etc/resolv.conf", "/etc/hosts", "/etc/host.conf",
		"/etc/nsswitch.conf", "/etc/nss_mdns.config",
	};
	const char *maps = conf->value[PF_LOCAL_RCPT_MAPS];
	bool wanted, extra;

	if (!postfix_see(&plan->seen, DEBIAN_DEFAULTS, err) ||
	    !postfix_see(&plan->seen, DEBIAN_SCRIPT, err))
		return false;
	read_defaults(&wanted, &extra);
	for (size_t i = 0; i < conf->services; i++)
		plan->chroot = plan->chroot || conf->service[i].chroot;
	plan->chroot = plan->chroot && wanted;
	if (!plan->chroot)
		return true;
	if (access(DEBIAN_SCRIPT, X_OK) == 0)
		snprintf(plan->script, sizeof plan->script, "%s", DEBIAN_SCRIPT);
	/* The script alone knows what is extra, and how passwd is copied without its secrets. */
	if (plan->script[0] != '\0' && (extra || (strstr(maps, "unix:passwd.byname") != NULL &&
	    strstr(maps, "proxy:unix:passwd.byname") == NULL)))
		snprintf(plan->ca_dir[2], sizeof plan->ca_dir[2], "always");
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
		if (!plan_copy(plan, files[i], err))
			return false;
	plan_certificates(conf, plan);
	return plan_libraries(plan, err);
}

/* ---------------------------------------------------------------- at each start */

static bool
same_content(const char *a, const char *b, off_t size)
{
	enum { CHUNK = 65536 };
	char *buf = malloc(2 * CHUNK);
	int fa = open(a, O_RDONLY | O_CLOEXEC), fb = open(b, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool same = buf != NULL && fa != -1 && fb != -1;

	for (off_t done = 0; same && done < size; ) {
		ssize_t na = pread(fa, buf, CHUNK, done), nb = pread(fb, buf + CHUNK, CHUNK, done);

		same = na > 0 && na == nb && memcmp(buf, buf + CHUNK, (size_t)na) == 0;
		done += na;
	}
	if (fa != -1)
		close(fa);
	if (fb != -1)
		close(fb);
	free(buf);
	return same;
}

/*
 * Is the copy what the original is? A copy of ours has the original's time, so that one stat
 * tells.
 */
static bool
up_to_date(const char *from, const struct stat *original, const char *to)
{
	struct stat copy;

	if (lstat(to, &copy) == -1 || !S_ISREG(copy.st_mode) || copy.st_size != original->st_size)
		return false;
	return (copy.st_mtim.tv_sec == original->st_mtim.tv_sec &&
	    copy.st_mtim.tv_nsec == original->st_mtim.tv_nsec) ||
	    same_content(from, to, original->st_size);
}

static bool
copy_bytes(int from, int to, struct err *err, const char *path)
{
	char buf[65536];
	ssize_t n;

	while ((n = read(from, buf, sizeof buf)) > 0)
		for (ssize_t done = 0, did; done < n; done += did)
			if ((did = write(to, buf + done, (size_t)(n - done))) == -1)
				return err_set(err, errno, "cannot write %s", path);
	return n == 0 || err_set(err, errno, "cannot read the original of %s", path);
}

static bool
make_parents(char *path, size_t root_len, struct err *err)
{
	for (char *slash = strchr(path + root_len + 1, '/'); slash != NULL;
	    slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0755) == -1 && errno != EEXIST)
			return err_set(err, errno, "cannot make %s in Postfix's chroot", path);
		*slash = '/';
	}
	return true;
}

/* Whole or not at all, so that a service that runs never reads half of it. */
static bool
copy_file(const char *from, const struct stat *original, char *to, size_t root_len, struct err *err)
{
	struct timespec times[2] = { original->st_atim, original->st_mtim };
	char fresh[2 * POSTFIX_PATH_MAX];
	int in, out = -1;
	bool ok;

	if (!make_parents(to, root_len, err))
		return false;
	snprintf(fresh, sizeof fresh, "%s.mailpair-new", to);
	in = open(from, O_RDONLY | O_CLOEXEC);
	if (in == -1)
		return err_set(err, errno, "cannot read %s", from);
	if (unlink(fresh) == -1 && errno != ENOENT)
		ok = err_set(err, errno, "cannot remove the left-over %s", fresh);
	else if ((out = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) == -1)
		ok = err_set(err, errno, "cannot make %s", fresh);
	else
		ok = copy_bytes(in, out, err, fresh);
	if (ok && (fchmod(out, (original->st_mode & 0755) | 0444) == -1 ||
	    futimens(out, times) == -1 || rename(fresh, to) == -1))
		ok = err_set(err, errno, "cannot put %s in its place", to);
	if (!ok && out != -1)
		unlink(fresh);
	if (out != -1)
		close(out);
	close(in);
	return ok;
}

/* A certificate directory is as it was when every *.pem has a copy of its size, not older. */
static bool
certificates_same(const char *dir, const char *queue_dir)
{
	char path[2 * POSTFIX_PATH_MAX];
	struct dirent *entry;
	size_t found = 0, copied = 0;
	bool same = true;
	DIR *from = opendir(dir), *to;

	if (from == NULL)
		return true;		/* nothing to copy: so does the script see it */
	snprintf(path, sizeof path, "%s%s", queue_dir, dir);
	to = opendir(path);
	if (to == NULL) {
		closedir(from);
		return false;
	}
	while (same && (entry = readdir(from)) != NULL) {
		size_t len = strlen(entry->d_name);
		struct stat a, b;

		if (len < 5 || strcmp(entry->d_name + len - 4, ".pem") != 0 ||
		    fstatat(dirfd(from), entry->d_name, &a, 0) == -1)
			continue;
		found++;
		same = fstatat(dirfd(to), entry->d_name, &b, 0) == 0 && a.st_size == b.st_size &&
		    b.st_mtime >= a.st_mtime;
	}
	while (same && (entry = readdir(to)) != NULL) {
		size_t len = strlen(entry->d_name);

		copied += len >= 5 && strcmp(entry->d_name + len - 4, ".pem") == 0;
	}
	closedir(from);
	closedir(to);
	return same && found == copied;
}

static bool
run_script(const struct postfix_conf *conf, const struct postfix_plan *plan, uint64_t deadline_ms,
    struct spawn_out *out, struct err *err)
{
	char config[POSTFIX_PATH_MAX + 16], errout[512] = "";
	const char *const argv[] = { plan->script, "-", NULL };
	const char *const env[] = {
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C", config, NULL };
	const struct spawn_cmd cmd = { .argv = argv, .env = env };
	struct err why = { 0 };
	uint64_t began = clock_mono_ms();
	int status;

	snprintf(config, sizeof config, "MAIL_CONFIG=%s", conf->value[PF_CONFIG_DIR]);
	status = spawn_run(&cmd, began < deadline_ms ? (uint32_t)(deadline_ms - began) : 0, NULL, 0,
	    errout, sizeof errout, &why);
	spawn_say(out, "script", "%u", (unsigned int)(clock_mono_ms() - began));
	if (status == 0)
		return true;
	return err_set(err, 0, "%s could not refresh Postfix's chroot in %s: %.200s", plan->script,
	    conf->value[PF_QUEUE_DIR], status == -1 ? why.text : errout);
}

bool
postfix_chroot_refresh(const struct postfix_conf *conf, const struct postfix_plan *plan,
    uint64_t deadline_ms, struct spawn_out *out, struct err *err)
{
	const char *queue_dir = conf->value[PF_QUEUE_DIR];
	bool script = strcmp(plan->ca_dir[2], "always") == 0;
	size_t copied = 0;
	char to[POSTFIX_PATH_MAX + 160];
	struct stat original;

	if (!plan->chroot)
		return true;
	for (size_t i = 0; i < 2 && plan->ca_dir[i][0] != '\0'; i++)
		script = script || !certificates_same(plan->ca_dir[i], queue_dir);
	if (script && plan->script[0] != '\0') {
		if (!run_script(conf, plan, deadline_ms, out, err))
			return false;
	}
	for (size_t i = 0; i < plan->copies; i++) {
		if (stat(plan->copy[i], &original) == -1 || !S_ISREG(original.st_mode))
			continue;
		snprintf(to, sizeof to, "%s%s", queue_dir, plan->copy[i]);
		if (up_to_date(plan->copy[i], &original, to))
			continue;
		if (!copy_file(plan->copy[i], &original, to, strlen(queue_dir), err))
			return false;
		copied++;
	}
	if (copied != 0 || script)
		spawn_say(out, "chroot", "refreshed %zu", copied);
	return true;
}
