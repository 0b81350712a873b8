/*
 * common/hooks.c - runs the operator's scripts after a transition. Runs in a worker and blocks
 * there, for each script at most hook_ms; what they do and whether they succeed changes nothing.
 *
 * They run as root, so whoever can change one of them, or the directory, is root: such are refused.
 */
#include "common/hooks.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"

#define ENV_MAX 40
#define ENV_LEN 384

struct env {
	char		 text[ENV_MAX][ENV_LEN];
	const char	*entry[ENV_MAX + 1];
	size_t		 len;
};

static void __attribute__((format(printf, 2, 3)))
env_add(struct env *env, const char *fmt, ...)
{
	va_list ap;

	if (env->len == ENV_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(env->text[env->len], ENV_LEN, fmt, ap);
	va_end(ap);
	env->entry[env->len] = env->text[env->len];
	env->len++;
}

/*
 * The same facts under the names of Pacemaker's alert agents, so that scripts written for those
 * work here: a fence is of kind "fencing", services that come or go are a "resource" operation,
 * all else is about a "node".
 */
static void
env_add_alert(struct env *env, const struct conf *conf, const struct hook_facts *f, const char *at)
{
	const char *self = conf->node[conf->self], *peer = conf->node[1 - conf->self];
	bool fence = strcmp(f->event, "fence") == 0;
	bool up = strcmp(f->event, "takeover") == 0 || strcmp(f->event, "switchover") == 0;
	bool down = strcmp(f->event, "release") == 0;

	env_add(env, "CRM_alert_kind=%s", fence ? "fencing" : up || down ? "resource" : "node");
	env_add(env, "CRM_alert_node=%s", fence ? peer : self);
	env_add(env, "CRM_alert_nodeid=%d", (fence ? 1 - conf->self : conf->self) + 1);
	env_add(env, "CRM_alert_desc=%s", f->reason);
	env_add(env, "CRM_alert_task=%s", fence ? "off" : up ? "start" : down ? "stop" : f->event);
	env_add(env, "CRM_alert_rsc=%s", conf->pair);
	env_add(env, "CRM_alert_rc=0");
	env_add(env, "CRM_alert_target_rc=0");
	env_add(env, "CRM_alert_status=0");
	env_add(env, "CRM_alert_interval=0");
	env_add(env, "CRM_alert_node_sequence=%llu", (unsigned long long)f->tenure);
	env_add(env, "CRM_alert_timestamp=%s", at);
	env_add(env, "CRM_alert_timestamp_epoch=%llu", (unsigned long long)(f->at_wall_ms / 1000));
	env_add(env, "CRM_alert_timestamp_usec=%06llu",
	    (unsigned long long)(f->at_wall_ms % 1000 * 1000));
	env_add(env, "CRM_alert_version=mailpair-%s", MAILPAIR_VERSION);
}

static void
env_fill(struct env *env, const struct conf *conf, const struct hook_facts *f)
{
	char at[CLOCK_RFC3339_MAX];

	clock_rfc3339_ms(f->at_wall_ms, at);
	env_add(env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	env_add(env, "LANG=C");
	env_add(env, "HOME=/root");
	env_add(env, "MAILPAIR_EVENT=%s", f->event);
	env_add(env, "MAILPAIR_PAIR=%s", conf->pair);
	env_add(env, "MAILPAIR_NODE=%s", conf->node[conf->self]);
	env_add(env, "MAILPAIR_PEER=%s", conf->node[1 - conf->self]);
	env_add(env, "MAILPAIR_ROLE=%s", f->role);
	env_add(env, "MAILPAIR_FROM=%s", f->from);
	env_add(env, "MAILPAIR_TO=%s", f->to);
	env_add(env, "MAILPAIR_TENURE=%llu", (unsigned long long)f->tenure);
	env_add(env, "MAILPAIR_REASON=%s", f->reason);
	env_add(env, "MAILPAIR_AT=%s", at);
	env_add_alert(env, conf, f, at);
}

/* Root's, or our own where we are not root ourselves; and writable by its owner only. */
static bool
trusted(const struct stat *st)
{
	return (st->st_uid == 0 || st->st_uid == geteuid()) && (st->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* Back-up copies of editors and package managers have a dot or a tilde. */
static int
hook_name(const struct dirent *entry)
{
	return strpbrk(entry->d_name, ".~") == NULL;
}

static int
hook_order(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);	/* the same in every locale */
}

static void
hook_run(const struct conf *conf, const struct env *env, const char *name, struct spawn_out *out)
{
	char path[PATH_MAX], said[256];
	const char *argv[] = { path, NULL };
	struct spawn_cmd cmd = { .argv = argv, .env = env->entry };
	struct stat st;
	struct err err;
	int code;

	if (snprintf(path, sizeof(path), "%s/%s", conf->hooks_dir, name) >= (int)sizeof(path) ||
	    stat(path, &st) == -1 || !S_ISREG(st.st_mode) || (st.st_mode & S_IXUSR) == 0)
		return;
	if (!trusted(&st)) {
		spawn_say(out, "hook", "%s skipped: others than root can write it; chown root and "
		    "chmod go-w %s", name, path);
		return;
	}
	if ((code = spawn_run(&cmd, conf->hook_ms, NULL, 0, said, sizeof(said), &err)) == 0)
		return;
	said[strcspn(said, "\n")] = '\0';
	if (code == -1)
		spawn_say(out, "hook", "%s failed: %s", name, err.text);
	else
		spawn_say(out, "hook", "%s exit %d%s%s", name, code, said[0] != '\0' ? ": " : "", said);
}

bool
hooks_run(const struct conf *conf, const struct hook_facts *facts, struct spawn_out *out,
    struct err *err)
{
	struct env env = { .len = 0 };
	struct dirent **entry;
	struct stat st;
	int n;

	if (stat(conf->hooks_dir, &st) == -1)
		return errno == ENOENT ||
		    err_set(err, errno, "hooks in %s are not run", conf->hooks_dir);
	if (!trusted(&st))
		return err_set(err, 0, "hooks in %s are not run: others than root can write this "
		    "directory", conf->hooks_dir);
	if ((n = scandir(conf->hooks_dir, &entry, hook_name, hook_order)) == -1)
		return err_set(err, errno, "hooks in %s are not run", conf->hooks_dir);
	env_fill(&env, conf, facts);
	for (int i = 0; i < n; i++) {
		hook_run(conf, &env, entry[i]->d_name, out);
		free(entry[i]);
	}
	free(entry);
	return true;
}
