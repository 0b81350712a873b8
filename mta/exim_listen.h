/*
 * mta/exim_listen.h - where Exim's daemon listens: local_interfaces with daemon_smtp_ports. Pure but for a look into
 * /etc/services where a port has an unusual name.
 */
#ifndef MTA_EXIM_LISTEN_H
#define MTA_EXIM_LISTEN_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "mta/smtp_probe.h"

#define EXIM_LISTEN_MAX 64

struct exim_listen {
	struct { struct smtp_target target; bool tls; } at[EXIM_LISTEN_MAX];
	size_t	len;
};

/*
 * Lists as Exim writes them: items parted by ":" (doubled within an item), or by another character after "<". An item
 * may carry a port of its own: "192.0.2.1.26", "[::1]:26". False: no list of numeric addresses and known ports.
 */
bool	exim_listen(const char *interfaces, const char *ports, const char *tls_ports, struct exim_listen *ret, struct err *);

/* Where this host can hold a plain SMTP dialogue with it: loopback if it is heard there, else the first address. */
bool	exim_listen_target(const struct exim_listen *, struct smtp_target *ret, struct err *);

#endif
