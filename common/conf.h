/*
 * common/conf.h - mailpair.conf as plain data. conf.c is the only file that includes confuse.h;
 * conf_check.c judges the result (pure) and conf_diff.c says what changed between two of them.
 *
 * The file is the same on both nodes; nodes are told apart by index: 0 is the first "node" section.
 * Strings belong to the struct conf and live as long as it does. Everything here blocks on disk
 * reads: for start-up, workers and the command line only.
 */
#ifndef COMMON_CONF_H
#define COMMON_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/digest.h"
#include "common/err.h"

#define CONF_NODES 2
#define CONF_LINKS_MAX 8
#define CONF_FENCES_MAX 8	/* together */
#define CONF_BINDS_MAX 32
#define CONF_ADDRESSES_MAX 32
#define CONF_OPTIONS_MAX 32
#define CONF_TREES_MAX 64
#define CONF_CERTIFICATES_MAX 32
#define CONF_NAME_MAX 64	/* of nodes, links, pair, ... with the NUL */

enum conf_transport { CONF_UDP, CONF_MULTICAST, CONF_BROADCAST, CONF_SERIAL, CONF_TRANSPORT_COUNT };

struct conf_link {
	const char		*name;
	enum conf_transport	 transport;
	const char		*address[CONF_NODES];	/* udp: numeric IPv4 or IPv6 of each node, perhaps %interface */
	const char		*interface;		/* multicast, broadcast; udp: optional, to watch its carrier */
	const char		*group;			/* multicast group, numeric */
	uint16_t		 port;			/* default 694 */
	uint8_t			 ttl;			/* multicast, default 1 */
	const char		*device;		/* serial */
	uint32_t		 baud;
	bool			 direct;		/* "direct = yes": a cable between the two nodes, its carrier is a hint */
	int			 line;
};

struct conf_fence {
	const char	*name;
	int		 node;				/* index of the node it switches off */
	const char	*agent;				/* "fence_ipmilan" (PATH and /usr/sbin) or an absolute path */
	const char	*options[CONF_OPTIONS_MAX];	/* "key=value" for the agent's standard input */
	size_t		 options_len;
	uint32_t	 timeout_ms;			/* of one call of the agent; default 20 s */
	uint32_t	 retries;			/* further tries of a failed "off"; default 1 */
	uint32_t	 monitor_ms;			/* period of "monitor"; default 1 h, 0 = never */
	uint32_t	 level;				/* default 1; devices of one level must all succeed, the next level is tried if one fails */
	int		 line;
};

enum conf_fsck { CONF_FSCK_PREEN, CONF_FSCK_ASK, CONF_FSCK_NEVER, CONF_FSCK_COUNT };
enum conf_holders { CONF_HOLDERS_KILL, CONF_HOLDERS_TERM, CONF_HOLDERS_LEAVE, CONF_HOLDERS_COUNT };

struct conf_storage {
	const char	*name;
	const char	*type;		/* "shared"; later "drbd" */
	const char	*device;	/* shared: block device or image file; the same path on both nodes, or device@NODE */
	const char	*node_device[CONF_NODES];	/* never NULL after conf_load for "shared" */
	const char	*mountpoint;
	const char	*fstype;
	const char	*options;	/* mount options, "" by default */
	enum conf_fsck	 fsck;
	uint32_t	 fsck_ms;	/* time budget, default 2 min */
	enum conf_holders holders;	/* what to do with processes that keep the mount busy; default kill (TERM, then KILL) */
	int		 line;
};

struct conf_bind {
	const char	*path;		/* where it is seen */
	const char	*from;		/* relative to the mountpoint */
	bool		 symlink;	/* method = "symlink": the old ".drbdlinks" way */
	int		 line;
};

struct conf_address {
	const char	*text;		/* "192.168.0.53/24" */
	int		 family;	/* AF_INET, AF_INET6 */
	uint8_t		 bytes[16];	/* network order */
	uint8_t		 prefix;
	const char	*interface;
	bool		 probe;		/* look for a foreign owner before taking it (RFC 5227); default yes */
	uint32_t	 announce;	/* announcements after taking, default 3 */
	uint32_t	 refresh_ms;	/* announce again every ..., default 60 s, 0 never */
	int		 line;
};

enum conf_queue_check { CONF_QUEUE_MEND, CONF_QUEUE_REPORT, CONF_QUEUE_REFUSE, CONF_QUEUE_COUNT };

struct conf_mta {
	const char	*name;		/* the driver: "postfix", ... */
	const char	*config;	/* configuration directory, NULL: the driver's default */
	const char	*services[CONF_OPTIONS_MAX];	/* qmail: directories or programs; none: the driver finds them */
	size_t		 services_len;
	const char	*probe;		/* "127.0.0.1:25": where the SMTP dialogue is held; NULL: the driver finds it */
	uint32_t	 monitor_ms;	/* default 2 s */
	uint32_t	 probe_ms;	/* time limit of one dialogue, default 2 s */
	uint32_t	 failures;	/* k of n: default 3 */
	uint32_t	 window;	/* n, default 5 */
	uint32_t	 start_ms, stop_ms;
	enum conf_queue_check queue_check;	/* default mend */
	uint32_t	 check_ms;	/* limit of check and repair before a start, default 60 s */
	int		 line;
};

struct conf_takeover {
	bool		 automatic;	/* default no */
	bool		 failback;	/* default no */
	int		 prefer;	/* node index, -1 none */
	uint32_t	 failback_after_ms;	/* peer must have been well for so long, default 60 s */
	uint32_t	 fence_delay_ms;	/* a standby waits so long before it shoots, default 3 s */
	uint32_t	 fence_retry_ms;	/* after a failed fence ask again, default 10 s */
	bool		 hints;		/* ask for the power status on hints, default yes */
	uint32_t	 restarts;	/* restart budget of a service, default 3 ... */
	uint32_t	 restart_window_ms;	/* ... in this time, default 5 min */
};

/* config-sync { tree "/etc/postfix" { ... } }: a directory or a single file that both nodes have alike. */
struct conf_tree {
	const char	*path;
	const char	*include[CONF_OPTIONS_MAX];	/* patterns (configsync/glob.h), relative to path where they do not begin with "/" */
	size_t		 include_len;
	const char	*exclude[CONF_OPTIONS_MAX];
	size_t		 exclude_len;
	const char	*validate;	/* for /bin/sh: status 0 where the staged tree is good; NULL: none */
	const char	*reload;	/* for /bin/sh, after it was put in place; NULL: none */
	int		 line;
};

/* config-sync { certificate "mail" { ... } }: files that are replaced as one. */
struct conf_certificate {
	const char	*name;
	const char	*certificate, *key, *chain;	/* chain may be NULL */
	const char	*names[CONF_OPTIONS_MAX];	/* what clients call this service; none: not compared */
	size_t		 names_len;
	int		 line;
};

enum conf_writers { CONF_WRITERS_ACTIVE, CONF_WRITERS_BOTH, CONF_WRITERS_COUNT };

struct conf_sync {
	bool			 on;		/* the section is there */
	enum conf_writers	 writers;	/* default active */
	uint32_t		 settle_ms;	/* a set is one change when it was quiet for so long, default 200 ms */
	uint16_t		 port;		/* TCP, default 9695 */
	const char		*address[CONF_NODES];	/* numeric; by default those of the first udp link */
	bool			 defaults;	/* the trees of a mail server (configsync/setup.c), default yes */
	bool			 setuid;	/* files may be setuid or setgid, default no */
	uint32_t		 validate_ms;	/* limit of one check of a set, default 10 s */
	uint32_t		 reload_ms;	/* of making tables and reloading after one installation, default 60 s */
	uint32_t		 keep_s;	/* versions of files are kept for so long ... */
	uint64_t		 keep_bytes;	/* ... and up to so many bytes; defaults 90 days, 1 GiB */
	const char		*include[CONF_OPTIONS_MAX];
	size_t			 include_len;
	const char		*exclude[CONF_OPTIONS_MAX];
	size_t			 exclude_len;
	struct conf_tree	 tree[CONF_TREES_MAX];
	size_t			 trees;
	struct conf_certificate	 certificate[CONF_CERTIFICATES_MAX];
	size_t			 certificates;
	int			 line;
};

struct conf_heartbeat {
	uint32_t	keepalive_ms, warntime_ms, deadtime_ms, initdead_ms;
};

struct conf {
	const char		*file;
	const char		*pair;
	const char		*node[CONF_NODES];
	int			 self;		/* index of this node */
	struct conf_heartbeat	 heartbeat;
	struct conf_link	 link[CONF_LINKS_MAX];
	size_t			 links;
	struct conf_takeover	 takeover;
	struct conf_fence	 fence[CONF_FENCES_MAX];
	size_t			 fences;
	struct conf_storage	 storage;	/* exactly one */
	struct conf_bind	 bind[CONF_BINDS_MAX];
	size_t			 binds;
	struct conf_address	 address[CONF_ADDRESSES_MAX];
	size_t			 addresses;
	struct conf_mta		 mta;		/* exactly one */
	struct conf_sync	 sync;		/* config-sync { } */
	/* timeouts { } */
	uint32_t		 mount_ms, unmount_ms, kill_ms, bind_ms, address_ms, hook_ms, stall_ms;
	/* files; defaults are the contract's */
	const char		*state_dir;	/* /var/lib/mailpair */
	const char		*run_dir;	/* /run/mailpair */
	const char		*authkeys;	/* /etc/mailpair/authkeys */
	const char		*hooks_dir;	/* /etc/mailpair/hooks.d */
	const char		*log;		/* "syslog", "stderr" or an absolute path; default syslog */
	const char		*group;		/* group of the control socket, default "mailpair" */
	bool			 allow_weak_auth;
	uint8_t			 digest[DIGEST_LEN];	/* of the file's bytes */
	struct conf_arena	*arena;		/* owns the strings */
};

/* All mistakes found, in the order of the file. */
struct conf_mistake {
	int	line;		/* 0: no single line is to blame */
	char	text[400];	/* the value and what would be right; without file and line */
};
struct conf_mistakes {
	struct conf_mistake	*item;
	size_t			 len;
};
void	conf_mistakes_free(struct conf_mistakes *);

/*
 * Read a file whole. node: own name, NULL = uname -n (compared without case, and without domain
 * if the configured name has none). On success *ret is new (conf_free) and mistakes is empty. On
 * failure false, *ret untouched, and mistakes has at least one entry.
 */
bool	conf_load(const char *file, const char *node, struct conf **ret, struct conf_mistakes *);
void	conf_free(struct conf *);

/* conf_check.c, pure: the rules over a filled struct conf; adds to mistakes. Called by conf_load. */
void	conf_check(const struct conf *, struct conf_mistakes *);
void	conf_mistake(struct conf_mistakes *, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/*
 * What a running daemon cannot change (pair, nodes, storage, state and run directory ...): false,
 * and *err names the option and both values. Pure.
 */
bool	conf_can_reload(const struct conf *old, const struct conf *now, struct err *);

/* "200ms", "2s", "1min", "5" (seconds), "1h"; false on anything else. Pure. */
bool	conf_duration(const char *text, uint32_t *ret_ms);
/* The same for long times, "90d" too, in seconds. Pure. */
bool	conf_age(const char *text, uint32_t *ret_s);
/* "512K", "64M", "1G", a bare number is bytes; factors of 1024. Pure. */
bool	conf_size(const char *text, uint64_t *ret_bytes);

/*
 * authkeys: "auth N" and "N METHOD SECRET" lines (Heartbeat authkeys(5)). Refused when readable
 * by others than its owner, or not owned by us (root).
 */
#define AUTHKEYS_MAX 15
struct authkeys {
	struct { uint8_t id; uint8_t key[64]; size_t len; } key[AUTHKEYS_MAX];	/* key: SECRET's bytes; longer ones hashed by SHA-256 */
	size_t	len;
	size_t	sending;	/* index of the key that signs */
};
bool	authkeys_load(const char *file, bool allow_weak, struct authkeys *ret, struct conf_mistakes *);
/* Pure part of the above, for tests and fuzzing. */
bool	authkeys_parse(const char *text, size_t len, bool allow_weak, struct authkeys *ret, struct conf_mistakes *);

#endif
