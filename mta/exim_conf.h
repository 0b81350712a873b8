/*
 * mta/exim_conf.h - what we must know of an installed Exim: its program, what "exim -bP" and "exim -bV" say, and how
 * the distribution starts it. Kept in run_dir until a file that it was read from changes, so that a takeover
 * runs no program to ask. Blocks; for workers.
 */
#ifndef MTA_EXIM_CONF_H
#define MTA_EXIM_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/spawn.h"
#include "mta/exim_defaults.h"
#include "mta/mta.h"
#include "mta/postfix_file.h"	/* files as they were seen: nothing in it is Postfix's own */

#define EXIM_PATH_MAX POSTFIX_PATH_MAX

/* X(enumerator, name as exim -bP has it) */
#define EXIM_SETTINGS(X)				\
	X(EX_SPOOL, "spool_directory")			\
	X(EX_PID_FILE, "pid_file_path")			\
	X(EX_USER, "exim_user")				\
	X(EX_GROUP, "exim_group")			\
	X(EX_INTERFACES, "local_interfaces")		\
	X(EX_PORTS, "daemon_smtp_ports")		\
	X(EX_TLS_PORTS, "tls_on_connect_ports")		\
	X(EX_LOG, "log_file_path")

enum exim_setting {
#define X(id, name) id,
	EXIM_SETTINGS(X)
#undef X
	EX_COUNT
};

struct exim_conf {
	char		 program[EXIM_PATH_MAX];	/* "/usr/sbin/exim4", as it is run */
	char		 file[EXIM_PATH_MAX];		/* the configuration file that it reads */
	char		 given[EXIM_PATH_MAX];		/* the same where it is given by -C, else "" */
	const char	*value[EX_COUNT];		/* never NULL; points into text */
	bool		 split;				/* split_spool_directory */
	bool		 unsure;			/* it includes files that only Exim knows: asked anew each time */
	uint32_t	 id_length;			/* of ids that this version makes; 0: not known */
	struct exim_defaults defaults;
	char		 text[8192];
	struct postfix_seen_list seen;
};

/*
 * From run_dir where that is still valid; else the distribution's generator of the configuration is run as its
 * start script would (Debian's update-exim4.conf), Exim is asked, and the answer kept. False: no Exim, or Exim
 * refuses its configuration: *err has its own words.
 */
bool	exim_conf_load(const struct mta_params *, struct exim_conf *ret, struct err *);
/* The last that is known, also where files have changed since: for what was started by it. Asks where nothing is known. */
bool	exim_conf_load_known(const struct mta_params *, struct exim_conf *ret, struct err *);

/* Lines of "exim -bP" into value[] and split. Pure. */
bool	exim_conf_values(struct exim_conf *, const char *text, struct err *);
/* "Exim version 4.96 #2 built ...": the length of its ids; 0 where that is no such text. Pure. */
uint32_t exim_version_ids(const char *text);

/* Where the daemon writes its pid. */
void	exim_conf_pid_file(const struct exim_conf *, char *buf, size_t size);

#endif
