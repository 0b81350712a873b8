/*
 * mta/qmail_process.h - the processes of one qmail: its own programs, the tcpservers that start them, and all that
 * those started (filters, delivery programs). Found by what they execute and whose children they are, never by a
 * name alone: another qmail, in a container or with another home, is not ours. Blocks on /proc; for workers.
 */
#ifndef MTA_QMAIL_PROCESS_H
#define MTA_QMAIL_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"
#include "common/fact.h"
#include "mta/qmail_conf.h"

enum qmail_part {
	QMAIL_IS_NONE,
	QMAIL_IS_SEND,		/* qmail-send */
	QMAIL_IS_HELPER,	/* qmail-lspawn, -rspawn, -clean, splogger: they end when qmail-send has */
	QMAIL_IS_DELIVERY,	/* qmail-local, qmail-remote and what they run */
	QMAIL_IS_LISTENER,	/* tcpserver for a program of qmail's, or the main process of a service */
	QMAIL_IS_SESSION,	/* what a listener started: a client is connected */
	QMAIL_IS_QUEUE,		/* qmail-queue and what stands for it */
	QMAIL_IS_SUBMIT,	/* qmail-inject, sendmail, ...: mail of this host */
	QMAIL_PART_COUNT
};

struct qmail_process {
	pid_t		pid, parent;
	uint64_t	born;		/* clock ticks since boot: tells two holders of one pid apart */
	enum qmail_part	part;
	bool		pop;		/* session or listener that never queues mail */
	bool		parent_of_one;	/* it has children: a session that is taking a message has */
	bool		marked;		/* started for a service that nobody supervises, or below such a one */
	/* kept from one qmail_processes_find() to the next for who ends them */
	uint8_t		told, idle;
	char		program[32];
};

struct qmail_processes { struct qmail_process *at; size_t len, room; };

/*
 * All of them, as they are now. Adds to *all: who is in it and is still there stays, with its part, also when its
 * parent has ended meanwhile; who is gone goes. The caller frees it.
 */
bool	qmail_processes_find(const struct qmail_conf *, struct qmail_processes *all, struct err *);
void	qmail_processes_free(struct qmail_processes *);

/* One of the parts with bit 1 << part in parts; NULL: none. */
const struct qmail_process *qmail_process_of(const struct qmail_processes *, unsigned int parts);

/* Exactly this process, if it is still the same. False: it is gone. */
bool	qmail_process_signal(const struct qmail_process *, int signo);

/*
 * SIGTERM, if it waits, and for no child. So does a session between two commands, with all its answers given, and so it does
 * not from DATA until its 250 is sent. YES: it was sent, and it did nothing between the look and the signal, as it was stopped
 * meanwhile. NO: it goes on as it was. UNKNOWN: this kernel does not tell. Blocks for 50 ms at most.
 */
enum fact qmail_process_end_resting(const struct qmail_process *);

/* Wait until at least one of them has ended, or until the time (clock_mono_ms). */
void	qmail_processes_await(const struct qmail_processes *, uint64_t until_ms);

/* Its listening TCP sockets, as far as they fit; how many. A port of 0 is never there. */
struct qmail_listen { char address[64]; uint16_t port; };
#define QMAIL_LISTENS_MAX 16
size_t	qmail_process_listens(pid_t, struct qmail_listen ret[QMAIL_LISTENS_MAX]);

/* Has it a connection to an address that this host has no longer? Then nothing comes from its client any more. */
bool	qmail_process_is_cut_off(pid_t);

/* Was it started by qmail_service_launch() for this service? By its environment. */
bool	qmail_process_is_of(pid_t, const struct qmail_service *);

#endif
