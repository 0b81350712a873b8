/*
 * mta/qmail_conf.h - one qmail on this host: its home, and the services that make it run: qmail-send, and a
 * tcpserver for each port that takes mail (or gives it out: pop3d). A service is a directory that supervise
 * (daemontools) or runsv (runit) watches, or a program that is started as it is. Blocks on small files.
 */
#ifndef MTA_QMAIL_CONF_H
#define MTA_QMAIL_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"
#include "mta/mta.h"

#define QMAIL_HOME "/var/qmail"		/* conf-qmail as it comes */
#define QMAIL_PATH_MAX 512
#define QMAIL_SERVICES_MAX 32

struct qmail_service {
	char	path[QMAIL_PATH_MAX];	/* /service/qmail-smtpd, or /var/qmail/rc */
	bool	supervised;		/* a directory with "run" in it */
	bool	sends;			/* starts qmail-send */
	bool	listens;		/* starts a server; neither: a service that only has to be up */
	bool	pop;			/* listens, and what it runs never queues mail */
	char	cdb[QMAIL_PATH_MAX];	/* tcpserver's rules (-x), "" where none is named plainly */
	dev_t	dev;			/* of the directory or program */
	ino_t	ino;
};

struct qmail_conf {
	char			home[QMAIL_PATH_MAX];	/* as configured */
	char			bin[QMAIL_PATH_MAX];	/* without symbolic links */
	char			queue[QMAIL_PATH_MAX];
	struct qmail_service	service[QMAIL_SERVICES_MAX];
	size_t			services;
};

/* Home only: enough to ask whether it runs. */
bool	qmail_conf_home(const struct mta_params *, struct qmail_conf *ret, struct err *);
/*
 * And the services: params->services, or where that is empty, what is found in /service, /etc/service and
 * /var/service; and HOME/rc where none of them starts qmail-send. False: *err names the first that cannot be used, and
 * *ret has all the others.
 */
bool	qmail_conf_load(const struct mta_params *, struct qmail_conf *ret, struct err *);

/* What a run script starts, by its words; comments do not count. Pure. */
enum qmail_start { QMAIL_STARTS_NOTHING, QMAIL_STARTS_SEND, QMAIL_STARTS_LISTENER, QMAIL_STARTS_POP };
enum qmail_start qmail_script_starts(const char *text, const char *home);
/* The file behind tcpserver's -x; false: none, or it is written with variables. Pure. */
bool	qmail_script_cdb(const char *text, char *ret, size_t size);

/* conf-split as the programs have it, by qmail-showctl; 0 where that is not there or does not say. */
uint32_t qmail_built_split(const struct qmail_conf *, uint64_t deadline_ms);

/*
 * Programs, accounts, control/me, services that somebody supervises and that do not start by themselves, rules that
 * tcpserver can read: all that a start needs but the queue. False: *err says what is wrong.
 */
bool	qmail_conf_check(const struct qmail_conf *, struct err *);
/* tcpserver refuses everybody when its rules cannot be read. */
bool	qmail_cdb_check(const char *path, struct err *);

/* Read what a start will need into the page cache; how many files. */
size_t	qmail_conf_warm(const struct qmail_conf *);

#endif
