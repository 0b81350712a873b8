/*
 * common/conf_diff.c - what a running daemon cannot take from a new configuration: who the nodes
 * are, what they move, and where the daemon keeps what it knows. Everything else may change.
 *
 * Leaves the taking of what may change to the supervisor. Pure.
 */
#include <stdio.h>
#include <string.h>

#include "common/conf_parts.h"

static bool
same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool
refuse(struct err *err, const char *what, const char *old, const char *now)
{
	return err_set(err, 0,
	    "%s cannot change while the daemon runs (it is \"%s\", the new file says \"%s\"): "
	    "restart mailpaird on both nodes, one after the other",
	    what, old == NULL ? "" : old, now == NULL ? "" : now);
}

static bool
refuse_count(struct err *err, const char *what, size_t old, size_t now)
{
	char was[24], is[24];

	snprintf(was, sizeof(was), "%zu", old);
	snprintf(is, sizeof(is), "%zu", now);
	return refuse(err, what, was, is);
}

static bool
same_binds(const struct conf *old, const struct conf *now, struct err *err)
{
	char what[1100];

	if (old->binds != now->binds)
		return refuse_count(err, "the number of bind sections", old->binds, now->binds);
	for (size_t i = 0; i < now->binds; i++) {
		const struct conf_bind *a = &old->bind[i], *b = &now->bind[i];

		if (!same(a->path, b->path))
			return refuse(err, "the path of a bind", a->path, b->path);
		snprintf(what, sizeof(what), "bind \"%s\": from", a->path);
		if (!same(a->from, b->from))
			return refuse(err, what, a->from, b->from);
		snprintf(what, sizeof(what), "bind \"%s\": method", a->path);
		if (a->symlink != b->symlink)
			return refuse(err, what, a->symlink ? "symlink" : "bind",
			    b->symlink ? "symlink" : "bind");
	}
	return true;
}

static bool
same_addresses(const struct conf *old, const struct conf *now, struct err *err)
{
	char what[128];

	if (old->addresses != now->addresses)
		return refuse_count(
		    err, "the number of address sections", old->addresses, now->addresses);
	for (size_t i = 0; i < now->addresses; i++) {
		const struct conf_address *a = &old->address[i], *b = &now->address[i];

		if (!same(a->text, b->text))
			return refuse(err, "a service address", a->text, b->text);
		snprintf(what, sizeof(what), "address \"%s\": interface", a->text);
		if (!same(a->interface, b->interface))
			return refuse(err, what, a->interface, b->interface);
	}
	return true;
}

static bool
same_services(const struct conf *old, const struct conf *now, struct err *err)
{
	if (old->mta.services_len != now->mta.services_len)
		return refuse_count(err, "the number of services of the mta", old->mta.services_len, now->mta.services_len);
	for (size_t i = 0; i < now->mta.services_len; i++)
		if (!same(old->mta.services[i], now->mta.services[i]))
			return refuse(err, "mta: services", old->mta.services[i], now->mta.services[i]);
	return true;
}

bool
conf_can_reload(const struct conf *old, const struct conf *now, struct err *err)
{
	const struct conf_storage *a = &old->storage, *b = &now->storage;
	const struct {
		const char *what, *old, *now;
	} fixed[] = {
	    {"pair", old->pair, now->pair},
	    {"the first node", old->node[0], now->node[0]},
	    {"the second node", old->node[1], now->node[1]},
	    {"state-dir", old->state_dir, now->state_dir},
	    {"run-dir", old->run_dir, now->run_dir},
	    {"group", old->group, now->group},
	    {"the name of the storage", a->name, b->name},
	    {"storage: type", a->type, b->type},
	    {"storage: device of the first node", a->node_device[0], b->node_device[0]},
	    {"storage: device of the second node", a->node_device[1], b->node_device[1]},
	    {"storage: mountpoint", a->mountpoint, b->mountpoint},
	    {"storage: fstype", a->fstype, b->fstype},
	    {"storage: options", a->options, b->options},
	    {"the mta", old->mta.name, now->mta.name},
	    {"mta: config", old->mta.config, now->mta.config},
	};

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		if (!same(fixed[i].old, fixed[i].now))
			return refuse(err, fixed[i].what, fixed[i].old, fixed[i].now);
	if (old->self != now->self)
		return refuse(err, "the own node", old->node[old->self], now->node[now->self]);
	return same_binds(old, now, err) && same_addresses(old, now, err) && same_services(old, now, err);
}
