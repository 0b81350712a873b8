/*
 * mta/postfix_services.c - reads master.cf into a list and finds where SMTP is spoken. Pure but for
 * a look into /etc/services where a port has an unusual name; runs in a worker.
 */
#include "mta/postfix_conf.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { F_NAME, F_TYPE, F_PRIVATE, F_UNPRIV, F_CHROOT, F_WAKEUP, F_LIMIT, F_PROGRAM, F_COUNT };

static void
trim_copy(char *to, size_t size, const char *from, size_t len)
{
	if (len >= size)
		len = size - 1;
	memcpy(to, from, len);
	to[len] = '\0';
}

/* One logical line, its continuation lines included. */
static bool
parse_service(const char *line, size_t len, bool chroot_default, struct postfix_service *ret)
{
	const char *field[F_COUNT], *end = line + len;
	size_t flen[F_COUNT];
	int n = 0;

	for (const char *p = line; n < F_COUNT; n++) {
		while (p < end && isspace((unsigned char)*p))
			p++;
		if (p == end)
			return false;
		field[n] = p;
		while (p < end && !isspace((unsigned char)*p))
			p++;
		flen[n] = (size_t)(p - field[n]);
	}
	trim_copy(ret->name, sizeof ret->name, field[F_NAME], flen[F_NAME]);
	trim_copy(ret->type, sizeof ret->type, field[F_TYPE], flen[F_TYPE]);
	trim_copy(ret->program, sizeof ret->program, field[F_PROGRAM], flen[F_PROGRAM]);
	ret->chroot = field[F_CHROOT][0] == 'y' || (field[F_CHROOT][0] == '-' && chroot_default);
	ret->single = flen[F_LIMIT] == 1 && field[F_LIMIT][0] == '1';
	ret->wrapped = memmem(line, len, "smtpd_tls_wrappermode=yes", 25) != NULL ||
	    strcmp(ret->name, "smtps") == 0 || strcmp(ret->name, "submissions") == 0;
	return true;
}

static bool
add_service(struct postfix_conf *conf, const char *line, size_t len, bool chroot_default,
    struct err *err)
{
	if (len == 0)
		return true;
	if (conf->services == POSTFIX_SERVICES_MAX)
		return err_set(err, 0, "%s/master.cf has more than %d services",
		    conf->value[PF_CONFIG_DIR], POSTFIX_SERVICES_MAX);
	if (!parse_service(line, len, chroot_default, &conf->service[conf->services]))
		return err_set(err, 0, "%s/master.cf has a service with less than 8 fields: \"%.*s\"",
		    conf->value[PF_CONFIG_DIR], (int)(len < 60 ? len : 60), line);
	conf->services++;
	return true;
}

/*
 * Lines that begin with a blank go on with the one before; comments and empty lines do not count.
 */
bool
postfix_conf_services(struct postfix_conf *conf, const char *text, bool chroot_default,
    struct err *err)
{
	char logical[4096];
	size_t have = 0;

	conf->services = 0;
	for (const char *line = text; *line != '\0'; ) {
		size_t len = strcspn(line, "\n"), blanks = strspn(line, " \t\r");

		if (blanks < len && line[blanks] != '#') {
			if (blanks == 0) {
				if (!add_service(conf, logical, have, chroot_default, err))
					return false;
				have = 0;
			}
			/* what does not fit are options far down, which we do not read */
			if (have + len + 1 < sizeof logical) {
				memcpy(logical + have, line, len);
				have += len;
				logical[have++] = ' ';
			}
		}
		line += len + (line[len] == '\n');
	}
	return add_service(conf, logical, have, chroot_default, err);
}

/* "smtp", "25"; 0 when it is neither a number nor a known name. */
static uint16_t
port_number(const char *name)
{
	char *rest;
	long port = strtol(name, &rest, 10);
	struct servent *entry;

	if (rest != name && *rest == '\0')
		return port >= 1 && port <= 65535 ? (uint16_t)port : 0;
	if (strcmp(name, "smtp") == 0)
		return 25;
	if (strcmp(name, "submission") == 0)
		return 587;
	entry = getservbyname(name, "tcp");
	return entry != NULL ? ntohs((uint16_t)entry->s_port) : 0;
}

/*
 * The best of inet_interfaces: a loopback address, which is there before the service addresses are
 * and is never asked to wait by postscreen; else the first number in the list.
 */
static bool
interface_address(const struct postfix_conf *conf, char *buf, size_t size)
{
	const char *word = conf->value[PF_INTERFACES];
	bool six_only = strcmp(conf->value[PF_PROTOCOLS], "ipv6") == 0, found = false;

	while (*(word += strspn(word, ", \t")) != '\0') {
		size_t len = strcspn(word, ", \t");
		char item[96], *bare = item;
		struct smtp_target target;

		trim_copy(item, sizeof item, word, len);
		word += len;
		if (strcmp(item, "all") == 0 || strcmp(item, "loopback-only") == 0 ||
		    strcmp(item, "localhost") == 0) {
			snprintf(buf, size, "%s", six_only ? "::1" : "127.0.0.1");
			return true;
		}
		if (item[0] == '[' && item[strlen(item) - 1] == ']') {
			item[strlen(item) - 1] = '\0';
			bare++;
		}
		if (!smtp_target_set(bare, 25, &target, NULL))
			continue;
		if (!found || strncmp(bare, "127.", 4) == 0 || strcmp(bare, "::1") == 0)
			snprintf(buf, size, "%s", bare);
		found = true;
	}
	return found;
}

bool
postfix_conf_target(const struct postfix_conf *conf, struct smtp_target *ret, struct err *err)
{
	for (size_t i = 0; i < conf->services; i++) {
		const struct postfix_service *svc = &conf->service[i];
		char host[96] = "", port[96];
		const char *colon = strrchr(svc->name, ':');
		uint16_t number;

		if (strcmp(svc->type, "inet") != 0 || svc->wrapped ||
		    (strcmp(svc->program, "smtpd") != 0 && strcmp(svc->program, "postscreen") != 0))
			continue;
		snprintf(port, sizeof port, "%s", colon != NULL ? colon + 1 : svc->name);
		number = port_number(port);
		if (number == 0)
			continue;
		if (colon != NULL && svc->name[0] == '[' && colon[-1] == ']')
			trim_copy(host, sizeof host, svc->name + 1, (size_t)(colon - svc->name) - 2);
		else if (colon != NULL)
			trim_copy(host, sizeof host, svc->name, (size_t)(colon - svc->name));
		if (strcmp(host, "localhost") == 0)
			snprintf(host, sizeof host, "127.0.0.1");
		if (host[0] == '\0' && !interface_address(conf, host, sizeof host))
			continue;
		if (smtp_target_set(host, number, ret, NULL))
			return true;
	}
	return err_set(err, 0, "no SMTP service with a numeric address is found in %s/master.cf and "
	    "inet_interfaces: set \"probe\" of this mta to ADDRESS:PORT",
	    conf->value[PF_CONFIG_DIR]);
}
