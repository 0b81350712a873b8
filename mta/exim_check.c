/*
 * mta/exim_check.c - what must be true before Exim is started. Runs in a worker; blocks in stat(2), account look-ups and
 * attempts to bind a port, which are given back at once.
 *
 * Exim makes a missing spool directory and goes on with an empty queue; and where its port is taken it tries for
 * minutes in silence. Both are told here.
 */
#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/durable.h"
#include "mta/exim_daemon.h"
#include "mta/exim_listen.h"

#define TRUSTED_CONFIGS "/etc/exim4/trusted_configs"	/* Debian's place, compiled in */

/* exim_user is a name, or a number where no account has it. */
static bool
user_number(const char *name, uid_t *ret)
{
	const struct passwd *user = getpwnam(name);
	char *rest;
	unsigned long number = strtoul(name, &rest, 10);

	if (user != NULL)
		*ret = user->pw_uid;
	else if (rest != name && *rest == '\0')
		*ret = (uid_t)number;
	else
		return false;
	return true;
}

static bool
group_number(const char *name, gid_t *ret)
{
	const struct group *group = getgrnam(name);
	char *rest;
	unsigned long number = strtoul(name, &rest, 10);

	if (group != NULL)
		*ret = group->gr_gid;
	else if (rest != name && *rest == '\0')
		*ret = (gid_t)number;
	else
		return false;
	return true;
}

/* Exim forgets its privileges for a file of -C that is not in the list of trusted ones. */
static void
warn_of_trust(const struct exim_conf *conf, struct spawn_out *out)
{
	char text[4096];
	const char *at;
	size_t len = strlen(conf->given);

	if (out == NULL || len == 0 || durable_read(TRUSTED_CONFIGS, text, sizeof text, NULL) == -1)
		return;
	for (at = text; (at = strstr(at, conf->given)) != NULL; at += len)
		if ((at == text || at[-1] == '\n') && (at[len] == '\n' || at[len] == '\0'))
			return;
	spawn_say(out, "warning", "%s is not in " TRUSTED_CONFIGS ": Exim will deliver nothing with it", conf->given);
}

bool
exim_check_config(const struct exim_conf *conf, struct spawn_out *out, struct err *err)
{
	struct exim_listen list;
	struct err why = { 0 };
	uid_t uid;
	gid_t gid;

	if (getuid() != 0)
		return err_set(err, 0, "Exim's daemon can be started by root only");
	if (conf->defaults.off)
		return err_set(err, 0, "the distribution's settings say that Exim is not to be started (QUEUERUNNER=nodaemon or the like)");
	if (!user_number(conf->value[EX_USER], &uid) || !group_number(conf->value[EX_GROUP], &gid))
		return err_set(err, 0, "Exim's account \"%s:%s\" is not known to this system", conf->value[EX_USER], conf->value[EX_GROUP]);
	if (uid == 0)
		return err_set(err, 0, "Exim's user \"%s\" must not be root", conf->value[EX_USER]);
	if (conf->defaults.listens && out != NULL && !exim_listen(conf->value[EX_INTERFACES], conf->value[EX_PORTS],
	    conf->value[EX_TLS_PORTS], &list, &why))
		spawn_say(out, "warning", "%s; its ports cannot be looked at before a start", why.text);
	warn_of_trust(conf, out);
	return true;
}

static bool
check_spool_directory(const struct exim_conf *conf, uid_t uid, struct err *err)
{
	const char *spool = conf->value[EX_SPOOL];
	struct stat st;

	if (stat(spool, &st) == -1) {
		if (errno != ENOENT)
			return err_set(err, errno, "cannot look at Exim's spool %s", spool);
		return err_set(err, ENOENT, "Exim's spool %s is missing: is its storage mounted?", spool);
	}
	if (!S_ISDIR(st.st_mode))
		return err_set(err, 0, "Exim's spool %s is not a directory", spool);
	if (st.st_uid != uid)
		return err_set(err, 0, "Exim's spool %s belongs to uid %u, and %s is uid %u here: give both nodes the same number", spool,
		    (unsigned int)st.st_uid, conf->value[EX_USER], (unsigned int)uid);
	return true;
}

/* /run is empty after a boot; the distribution's script makes this directory at each start. */
static bool
make_pid_directory(const struct exim_conf *conf, uid_t uid, gid_t gid, struct spawn_out *out, struct err *err)
{
	char path[EXIM_PATH_MAX], *slash;

	exim_conf_pid_file(conf, path, sizeof path);
	slash = strrchr(path, '/');
	if (slash == path)
		return true;
	*slash = '\0';
	if (access(path, F_OK) == 0)
		return true;
	/* closed to all until it has its owner */
	if (mkdir(path, 0700) == -1)
		return err_set(err, errno, "cannot make the directory of Exim's pid file, %s", path);
	if (chown(path, uid, gid) == -1 || chmod(path, 0750) == -1)
		return err_set(err, errno, "cannot give %s to Exim", path);
	spawn_say(out, "made", "%s", path);
	return true;
}

enum fact
exim_port_free(const struct smtp_target *target, struct err *err)
{
	static const int yes = 1;
	int fd = socket(target->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), sys;

	if (fd == -1)
		return FACT_UNKNOWN;	/* no IPv6 in this kernel: Exim goes on without it */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
	if (target->addr.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
	/* Bound but not listening it is refused beside a listener, and hinders none that comes meanwhile. */
	sys = bind(fd, (const struct sockaddr *)&target->addr, target->len) == -1 ? errno : 0;
	close(fd);
	if (sys == 0)
		return FACT_YES;
	if (sys == EADDRNOTAVAIL && target->addr.ss_family == AF_INET6)
		return FACT_UNKNOWN;	/* IPv6 is switched off */
	err_set(err, sys, "Exim's address or port cannot be had");
	return FACT_NO;
}

static bool
check_ports(const struct exim_conf *conf, struct err *err)
{
	struct exim_listen list;
	char host[INET6_ADDRSTRLEN], port[8];
	struct err why = { 0 };

	if (!conf->defaults.listens || !exim_listen(conf->value[EX_INTERFACES], conf->value[EX_PORTS], conf->value[EX_TLS_PORTS], &list, NULL))
		return true;
	for (size_t i = 0; i < list.len; i++) {
		const struct smtp_target *target = &list.at[i].target;

		if (exim_port_free(target, &why) != FACT_NO)
			continue;
		if (getnameinfo((const struct sockaddr *)&target->addr, target->len, host, sizeof host, port, sizeof port,
		    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
			host[0] = port[0] = '\0';
		if (why.sys == EADDRINUSE)
			return err_set(err, EADDRINUSE, "another program listens on %s port %s, where Exim is to listen", host, port);
		return err_set(err, why.sys, "Exim cannot listen on %s port %s", host, port);
	}
	return true;
}

bool
exim_check_spool(const struct exim_conf *conf, struct spawn_out *out, struct err *err)
{
	uid_t uid;
	gid_t gid;

	if (!user_number(conf->value[EX_USER], &uid) || !group_number(conf->value[EX_GROUP], &gid))
		return err_set(err, 0, "Exim's account \"%s:%s\" is not known to this system", conf->value[EX_USER], conf->value[EX_GROUP]);
	return check_spool_directory(conf, uid, err) && make_pid_directory(conf, uid, gid, out, err) && check_ports(conf, err);
}
