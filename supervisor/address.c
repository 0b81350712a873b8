/*
 * supervisor/address.c - service addresses on their interfaces: what is held, take, drop.
 *
 * Leaves probing to address_probe.c, telling the neighbours to address_announce.c, and when an
 * address may be taken to the state machine. Runs in workers. Blocks for the time of the probe, and
 * while the kernel's routing lock is held by another process.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_addr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "supervisor/address_parts.h"
#include "supervisor/kernel_setting.h"

static size_t
address_len(int family)
{
	return family == AF_INET ? 4 : 16;
}

static bool
entry_is(const struct netlink_address *entry, const struct conf_address *a, int index)
{
	return entry->index == index && entry->family == a->family &&
	       memcmp(entry->bytes, a->bytes, address_len(a->family)) == 0;
}

/* An IPv6 address whose duplicate detection failed stands there, but the kernel does not answer for
 * it. */
static bool
entry_is_usable(const struct netlink_address *entry)
{
	return entry->family == AF_INET || (entry->flags & IFA_F_DADFAILED) == 0;
}

static bool
same_subnet(const struct netlink_address *a, const struct netlink_address *b)
{
	size_t whole = a->prefix / 8;
	uint8_t rest = (uint8_t)(0xff << (8 - a->prefix % 8));

	if (a->index != b->index || a->family != b->family || a->prefix != b->prefix)
		return false;
	if (memcmp(a->bytes, b->bytes, whole) != 0)
		return false;
	return a->prefix % 8 == 0 || ((a->bytes[whole] ^ b->bytes[whole]) & rest) == 0;
}

bool
address_view_load(const struct conf *conf, struct address_view *ret, struct err *err)
{
	struct address_view view = {.packet = {-1, -1}};
	struct err why;

	if (!netlink_open(&view.nl, err))
		return false;
	if (!netlink_addresses(&view.nl, &view.all, err)) {
		netlink_close(&view.nl);
		return false;
	}
	for (size_t i = 0; i < conf->addresses; i++) {
		const struct conf_address *a = &conf->address[i];

		if (!netlink_link(&view.nl, a->interface, &view.link[i], &why)) {
			if (why.sys == ENODEV)
				continue;
			address_view_free(&view);
			return err_set(err, 0,
			    "cannot ask for the interface of service address %s: %s", a->text,
			    why.text);
		}
		for (size_t k = 0; k < view.all.len; k++)
			if (entry_is(&view.all.item[k], a, view.link[i].index) &&
			    entry_is_usable(&view.all.item[k]))
				view.held[i] = true;
	}
	*ret = view;
	return true;
}

/*
 * The last close() of a packet socket waits some ten milliseconds for the kernel's readers, which a takeover need not. So a
 * child keeps them open until this process ends, and waits in its place. Where it cannot be had we wait ourselves.
 */
static void
let_another_close(const struct address_view *view)
{
	int end[2];
	bool any = false;
	char none;

	for (int kind = 0; kind < ADDRESS_PACKET_COUNT; kind++)
		any = any || view->packet[kind] != -1;
	if (!any || pipe2(end, O_CLOEXEC) == -1)
		return;
	switch (fork()) {
	case 0:
		close(end[1]);
		while (read(end[0], &none, 1) == -1 && errno == EINTR)
			continue;
		_exit(0);
	default:
		/* our end of the pipe stays open until we end */
		close(end[0]);
	}
}

void
address_view_free(struct address_view *view)
{
	let_another_close(view);
	for (int kind = 0; kind < ADDRESS_PACKET_COUNT; kind++)
		if (view->packet[kind] != -1)
			close(view->packet[kind]);
	netlink_close(&view->nl);
	free(view->all.item);
	view->all.item = NULL;
}

bool
address_interface_usable(
    const struct conf *conf, const struct address_view *view, size_t i, struct err *err)
{
	const struct conf_address *a = &conf->address[i];

	if (view->link[i].index == 0)
		return err_set(err, 0,
		    "interface %s of service address %s does not exist on this node", a->interface,
		    a->text);
	if (!view->link[i].up)
		return err_set(err, 0,
		    "interface %s of service address %s is down: set it up with "
		    "\"ip link set %s up\"",
		    a->interface, a->text, a->interface);
	return true;
}

static void
say_ms(struct spawn_out *out, const char *key, uint64_t start_us)
{
	if (out != NULL)
		spawn_say(out, key, "%llu",
		    (unsigned long long)((clock_mono_us() - start_us + 500) / 1000));
}

bool
addresses_probe(const struct conf *conf, uint32_t probe_ms, struct spawn_out *out, struct err *err)
{
	uint64_t start = clock_mono_us();
	struct address_view view;
	bool ok = true;

	if (!address_view_load(conf, &view, err))
		return false;
	for (size_t i = 0; ok && i < conf->addresses; i++)
		ok = view.held[i] || address_interface_usable(conf, &view, i, err);
	ok = ok && address_probe_missing(conf, &view, probe_ms, err);
	address_view_free(&view);
	if (ok)
		say_ms(out, "probe", start);
	return ok;
}

/*
 * A second IPv6 address of a prefix needs no route of its own, if the first one brought the
 * kernel's; where somebody else looks after that route ours comes beside it and goes with the
 * address. IPv4 needs no such care: the kernel makes a secondary entry without a route, and gives
 * it the route when it is promoted.
 */
static uint32_t
flags_for(const struct address_view *view, const struct netlink_address *want)
{
	uint32_t flags = IFA_F_NODAD;

	if (want->family == AF_INET)
		return 0;
	for (size_t k = 0; k < view->all.len; k++)
		if (same_subnet(&view->all.item[k], want) &&
		    (view->all.item[k].flags & IFA_F_NOPREFIXROUTE) == 0)
			flags |= IFA_F_NOPREFIXROUTE;
	return flags;
}

static bool
add_one(const struct conf_address *a, struct address_view *view, int index, struct err *err)
{
	struct netlink_address want = {.index = index, .family = a->family, .prefix = a->prefix};
	struct err why;

	memcpy(want.bytes, a->bytes, address_len(a->family));
	for (size_t k = 0; k < view->all.len; k++) {
		struct netlink_address *entry = &view->all.item[k];

		/* unusable, or it would be held: it stands in the way of a good one, and its route
		 * goes with it */
		if (!entry_is(entry, a, index))
			continue;
		(void)netlink_address_delete(&view->nl, entry, NULL);
		entry->index = 0;
	}
	want.flags = flags_for(view, &want);
	if (netlink_address_add(&view->nl, &want, &why) || why.sys == EEXIST)
		return true;
	return err_set(err, 0, "cannot add service address %s to interface %s: %s", a->text,
	    a->interface, why.text);
}

/*
 * The kernel deletes all secondary IPv4 addresses with their primary one, unless it is told to
 * promote the next. Our address may be the primary of somebody else's, so it is told before, and
 * what vanished all the same (a setting that cannot be written) is put back.
 */
static bool
delete_entry(struct address_view *view, const struct netlink_link *link,
    const struct netlink_address *entry, struct err *err)
{
	bool primary = entry->family == AF_INET && (entry->flags & IFA_F_SECONDARY) == 0;
	bool others = false, safe = true, restore = false, ok;
	char setting[PATH_MAX];
	struct err why;
	int former = 0;

	for (size_t k = 0; primary && k < view->all.len; k++)
		others = others ||
			 (&view->all.item[k] != entry && same_subnet(&view->all.item[k], entry));
	snprintf(setting, sizeof(setting), "net/ipv4/conf/%s/promote_secondaries", link->name);
	if (others)
		safe = kernel_setting_read(setting, &former, NULL) && former != 0;
	if (!safe)
		safe = restore = kernel_setting_write(setting, 1, NULL);
	ok = netlink_address_delete(&view->nl, entry, &why);
	for (size_t k = 0; !safe && k < view->all.len; k++) {
		struct netlink_address other = view->all.item[k];

		if (&view->all.item[k] == entry || !same_subnet(&other, entry))
			continue;
		other.flags &= IFA_F_NOPREFIXROUTE;
		(void)netlink_address_add(&view->nl, &other, NULL); /* EEXIST is the usual answer */
	}
	if (restore)
		(void)kernel_setting_write(setting, former, NULL);
	if (ok || why.sys == EADDRNOTAVAIL || why.sys == ENODEV)
		return true;
	return err_set(err, 0, "%s", why.text);
}

static bool
drop_one(const struct conf_address *a, struct address_view *view, const struct netlink_link *link,
    struct err *err)
{
	bool ok = true;

	if (link->index == 0)
		return true; /* the address went with its interface */
	for (size_t k = 0; k < view->all.len; k++) {
		struct netlink_address *entry = &view->all.item[k];
		struct err why;

		if (!entry_is(entry, a, link->index))
			continue;
		if (!delete_entry(view, link, entry, &why))
			ok = err_set(err, 0,
			    "cannot remove service address %s from interface %s: %s", a->text,
			    a->interface, why.text);
		else
			entry->index = 0; /* gone: nothing may put it back */
	}
	return ok;
}

bool
addresses_down(const struct conf *conf, struct spawn_out *out, struct err *err)
{
	uint64_t start = clock_mono_us();
	struct address_view view;
	bool ok = true;

	if (!address_view_load(conf, &view, err))
		return false;
	/* the last one first: secondary entries go before their primary */
	for (size_t i = conf->addresses; i-- > 0;) {
		struct err why;

		if (drop_one(&conf->address[i], &view, &view.link[i], &why))
			continue;
		if (ok && err != NULL)
			*err = why;
		ok = false;
	}
	address_view_free(&view);
	if (ok)
		say_ms(out, "drop", start);
	return ok;
}

/* Take back what this call added, newest first. A failure here is found by the next question for
 * what is held. */
static void
undo(const struct conf *conf, const struct address_view *view, const bool *added)
{
	struct address_view now;

	if (!address_view_load(conf, &now, NULL))
		return;
	for (size_t i = conf->addresses; i-- > 0;)
		if (added[i])
			(void)drop_one(&conf->address[i], &now, &view->link[i], NULL);
	address_view_free(&now);
}

bool
addresses_up(const struct conf *conf, uint32_t probe_ms, struct spawn_out *out, struct err *err)
{
	bool added[CONF_ADDRESSES_MAX] = {false};
	uint64_t start = clock_mono_us();
	struct address_view view;
	bool ok = true;

	if (!address_view_load(conf, &view, err))
		return false;
	for (size_t i = 0; ok && i < conf->addresses; i++)
		ok = view.held[i] || address_interface_usable(conf, &view, i, err);
	ok = ok && address_probe_missing(conf, &view, probe_ms, err);
	if (ok)
		say_ms(out, "probe", start);
	start = clock_mono_us();
	for (size_t i = 0; ok && i < conf->addresses; i++) {
		if (view.held[i])
			continue;
		ok = added[i] = add_one(&conf->address[i], &view, view.link[i].index, err);
	}
	if (ok) {
		/* all of them: a neighbour may have a wrong idea of those held before as well */
		for (size_t i = 0; i < conf->addresses; i++)
			added[i] = true;
		/* neighbours that miss it ask again within seconds: no reason to give the mail back
		 */
		(void)address_announce_marked(conf, &view, added, NULL);
		say_ms(out, "add", start);
	} else {
		undo(conf, &view, added);
	}
	address_view_free(&view);
	return ok;
}

enum fact
addresses_held(const struct conf *conf, bool held[CONF_ADDRESSES_MAX], struct err *err)
{
	struct address_view view;
	size_t count = 0;

	if (!address_view_load(conf, &view, err))
		return FACT_UNKNOWN;
	for (size_t i = 0; i < conf->addresses; i++)
		count += view.held[i] ? 1 : 0;
	if (held != NULL)
		memcpy(held, view.held, sizeof(view.held));
	if (count != 0 && count != conf->addresses)
		err_set(err, 0, "only %zu of %zu service addresses are on their interfaces", count,
		    conf->addresses);
	address_view_free(&view);
	return count == conf->addresses ? FACT_YES : count == 0 ? FACT_NO : FACT_UNKNOWN;
}

enum fact
addresses_interfaces_good(const struct conf *conf, struct err *err)
{
	struct address_view view;
	enum fact good = FACT_YES;

	if (!address_view_load(conf, &view, err))
		return FACT_UNKNOWN;
	for (size_t i = 0; good == FACT_YES && i < conf->addresses; i++) {
		if (!address_interface_usable(conf, &view, i, err)) {
			good = FACT_NO;
		} else if (!view.link[i].carrier) {
			err_set(err, 0,
			    "interface %s of service address %s has no carrier: look at its "
			    "cable and switch port",
			    conf->address[i].interface, conf->address[i].text);
			good = FACT_NO;
		}
	}
	address_view_free(&view);
	return good;
}
