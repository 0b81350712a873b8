/*
 * mta/postfix_conf.h - what we must know of a Postfix configuration. The values come from postconf,
 * run once and kept in run_dir until main.cf, master.cf or postconf itself change, so that a
 * takeover starts no program to read them. Blocks; for workers.
 */
#ifndef MTA_POSTFIX_CONF_H
#define MTA_POSTFIX_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "mta/mta.h"
#include "mta/postfix_file.h"
#include "mta/smtp_probe.h"

/* X(enumerator, name in main.cf) */
#define POSTFIX_PARAMS(X)						\
	X(PF_QUEUE_DIR, "queue_directory")				\
	X(PF_DATA_DIR, "data_directory")				\
	X(PF_DAEMON_DIR, "daemon_directory")				\
	X(PF_COMMAND_DIR, "command_directory")				\
	X(PF_CONFIG_DIR, "config_directory")				\
	X(PF_META_DIR, "meta_directory")				\
	X(PF_SHLIB_DIR, "shlib_directory")				\
	X(PF_MAIL_OWNER, "mail_owner")					\
	X(PF_SETGID_GROUP, "setgid_group")				\
	X(PF_INTERFACES, "inet_interfaces")				\
	X(PF_PROTOCOLS, "inet_protocols")				\
	X(PF_HASH_NAMES, "hash_queue_names")				\
	X(PF_HASH_DEPTH, "hash_queue_depth")				\
	X(PF_LONG_IDS, "enable_long_queue_ids")				\
	X(PF_MAILLOG, "maillog_file")					\
	X(PF_COMPAT, "compatibility_level")				\
	X(PF_SMTP_CAPATH, "smtp_tls_CApath")				\
	X(PF_SMTPD_CAPATH, "smtpd_tls_CApath")				\
	X(PF_LOCAL_RCPT_MAPS, "local_recipient_maps")			\
	X(PF_MYORIGIN, "myorigin")					\
	X(PF_MULTI_DIRS, "multi_instance_directories")			\
	X(PF_MULTI_ENABLE, "multi_instance_enable")

enum postfix_param {
#define X(id, name) id,
	POSTFIX_PARAMS(X)
#undef X
	PF_COUNT
};

#define POSTFIX_SERVICES_MAX 160

struct postfix_service {
	char	name[96];	/* "smtp", "127.0.0.1:25", "cleanup" */
	char	type[16];	/* inet, unix, unix-dgram, fifo, pass */
	char	program[64];
	bool	chroot;
	bool	single;		/* process limit 1 */
	bool	wrapped;	/* begins with TLS: no greeting to wait for */
};

struct postfix_conf {
	const char		*value[PF_COUNT];	/* never NULL; points into text */
	char			 text[24576];
	struct postfix_service	 service[POSTFIX_SERVICES_MAX];
	size_t			 services;
	struct postfix_seen_list seen;			/* what the values were read from */
};

/* Read it, from run_dir where that is still valid; else run postconf and keep the result there. */
bool	postfix_conf_load(const struct mta_params *, struct postfix_conf *ret, struct err *);
/*
 * The values only (no services), and the last ones known even where the files have changed since: for stopping what was
 * started by them, also when the configuration is broken by now.
 */
bool	postfix_conf_load_known(const struct mta_params *, struct postfix_conf *ret, struct err *);

/* run_dir/NAME for this configuration: each instance has notes of its own. Pure. */
void	postfix_run_path(const struct mta_params *, const char *name, char *buf, size_t size);

/* master.cf's text into service[]; chroot_default is what "-" means. Pure. */
bool	postfix_conf_services(struct postfix_conf *, const char *text, bool chroot_default,
	    struct err *);

/* "name = value" lines as postconf prints them into value[]. Pure. */
bool	postfix_conf_values(struct postfix_conf *, const char *text, struct err *);

/*
 * Where a client on this host finds the first plain SMTP service. Pure but for a look into
 * /etc/services.
 */
bool	postfix_conf_target(const struct postfix_conf *, struct smtp_target *ret, struct err *);

/* Is queue one of hash_queue_names? How deep then, else 0. Pure. */
int	postfix_conf_hash_depth(const struct postfix_conf *, const char *queue);

#endif
