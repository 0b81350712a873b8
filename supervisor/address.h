/*
 * supervisor/address.h - service addresses over rtnetlink: probe (RFC 5227; RFC 4861/4862 for IPv6), take, announce,
 * refresh, drop. Blocks (probing waits): for workers, but address_announce() which is one sendto() a packet.
 */
#ifndef SUPERVISOR_ADDRESS_H
#define SUPERVISOR_ADDRESS_H

#include <stdbool.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/fact.h"
#include "common/spawn.h"

/*
 * Take every address: those already held stay; the others are probed in parallel on their interface
 * (total wait at most probe_ms; 0 = no probe), added, announced once. A foreign owner is an error that
 * names its MAC. Undoes what it added when one fails. IPv6 is added with nodad after our own probe.
 * Reports "probe", "add" with ms. IPv4 addresses get a label-free secondary entry.
 */
bool		addresses_up(const struct conf *, uint32_t probe_ms, struct spawn_out *, struct err *);
bool		addresses_down(const struct conf *, struct spawn_out *, struct err *);	/* idempotent */
/* YES: all there; NO: none; UNKNOWN: some, or cannot tell. held[i] may be NULL. */
enum fact	addresses_held(const struct conf *, bool held[CONF_ADDRESSES_MAX], struct err *);
/* Gratuitous ARP (request and reply form) or unsolicited neighbour advertisement for each address held. */
bool		addresses_announce(const struct conf *, struct err *);
/* Is the interface there, up and with carrier? NO names it in *err. */
enum fact	addresses_interfaces_good(const struct conf *, struct err *);
/*
 * An mta that listens on a service address itself must be able to bind it before it is there: set
 * net.ipv4.ip_nonlocal_bind and net.ipv6.ip_nonlocal_bind to 1, the former values noted durably in
 * run_dir; and put back. Both idempotent.
 */
bool		address_nonlocal_allow(const struct conf *, struct err *);
bool		address_nonlocal_restore(const struct conf *, struct err *);

#endif
