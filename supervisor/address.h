/*
 * supervisor/address.h - service addresses over rtnetlink: probe (RFC 5227; RFC 4861/4862 for
 * IPv6), take, announce, refresh, drop. Blocks: probing waits, and every question to the kernel
 * waits while another process holds its routing lock. So all of this is for workers. struct
 * spawn_out may be NULL.
 */
#ifndef SUPERVISOR_ADDRESS_H
#define SUPERVISOR_ADDRESS_H

#include <stdbool.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/fact.h"
#include "common/spawn.h"

/*
 * Take every address: those already held stay; the others are probed in parallel on their
 * interface (total wait at most probe_ms; 0 = no probe), added, announced once. A foreign owner is
 * an error that names its MAC. Undoes what it added when one fails. IPv6 is added with nodad after
 * our own probe. Reports "probe", "add" with ms. IPv4 addresses get a label-free secondary entry.
 * An interface that does not exist or is down is an error; one without carrier is not.
 */
bool		addresses_up(const struct conf *, uint32_t probe_ms, struct spawn_out *,
		    struct err *);
/*
 * The probe alone, without taking: for running beside the mount, followed by addresses_up() with
 * 0. Waits the whole probe_ms unless a foreign host claims an address; probe_ms 0 asks nobody.
 * Held addresses are not asked for. Only Ethernet-like interfaces are probed. A host that probes
 * for the same address at the same time counts as foreign.
 */
bool		addresses_probe(const struct conf *, uint32_t probe_ms, struct spawn_out *,
		    struct err *);
/*
 * Idempotent; goes on after a failure and returns the first. Never takes other addresses along.
 * Reports "drop" with ms.
 */
bool		addresses_down(const struct conf *, struct spawn_out *, struct err *);
/* YES: all there; NO: none; UNKNOWN: some, or cannot tell. held[i] may be NULL. */
enum fact	addresses_held(const struct conf *, bool held[CONF_ADDRESSES_MAX], struct err *);
/*
 * Gratuitous ARP (request and reply form) or unsolicited neighbour advertisement for each address
 * held, once.
 */
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
