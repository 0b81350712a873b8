/*
 * mta/qmail_service.h - asks and tells supervise (daemontools) or runsv (runit) about one service, by the files that
 * both keep in its directory "supervise": ok and control are FIFOs, status is a file. And starts a program that
 * nobody supervises. Nothing here waits for a service. For workers.
 * Source: supervise(8), svc(8), sv(8), runsv(8); the bytes of status as svstat and sv read them.
 */
#ifndef MTA_QMAIL_SERVICE_H
#define MTA_QMAIL_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/err.h"
#include "mta/qmail_conf.h"

struct qmail_status {
	bool	watched;	/* a supervise or runsv is there for it; else the rest means nothing */
	pid_t	pid;		/* 0: it does not run */
	bool	paused, wanted_up;
};

/* False: it cannot be told. */
bool	qmail_service_status(const struct qmail_service *, struct qmail_status *ret, struct err *);

/*
 * 'u': start it and keep it up; 'd': TERM, and keep it down; 'c': CONT. Told, not done: the supervisor does it next.
 * False where nobody supervises it.
 */
bool	qmail_service_control(const struct qmail_service *, char command, struct err *);

/* Pure: the bytes of supervise/status; watched is set. False: neither daemontools' nor runit's. */
bool	qmail_status_parse(const unsigned char *bytes, size_t len, struct qmail_status *ret);

/* What the program of a service that nobody supervises has in its environment, as NAME=path. */
#define QMAIL_SERVICE_MARK "MAILPAIR_SERVICE"

/*
 * Start it in a session of its own, with no descriptor but /dev/null and PATH led by qmail's bin; true once the program was
 * executed. *ret_pid: its process, which is nobody's child.
 */
bool	qmail_service_launch(const struct qmail_conf *, const struct qmail_service *, pid_t *ret_pid, struct err *);

#endif
