/*
 * common/conf_value.c - single values of mailpair.conf: durations, numbers, yes and no, choices,
 * names of nodes, numeric addresses. Each refusal says the value and what would be right.
 *
 * What values mean together is conf_check.c's. Pure.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/conf_parts.h"

static const struct {
	const char *unit;
	uint64_t ms;
} units[] = {
    {"ms", 1},
    {"s", 1000},
    {"", 1000},
    {"min", 60000},
    {"h", 3600000},
};
#define UNITS (sizeof(units) / sizeof(units[0]))

/* Digits from *at on; false where there is none or the number is beyond 32 bits. */
static bool
digits(const char **at, uint64_t *ret)
{
	uint64_t value = 0;
	const char *c = *at;

	for (; *c >= '0' && *c <= '9'; c++) {
		value = value * 10 + (uint64_t)(*c - '0');
		if (value > UINT32_MAX)
			return false;
	}
	if (c == *at)
		return false;
	*at = c;
	*ret = value;
	return true;
}

bool
conf_duration(const char *text, uint32_t *ret_ms)
{
	uint64_t value;

	if (!digits(&text, &value))
		return false;
	for (size_t i = 0; i < UNITS; i++) {
		if (strcmp(text, units[i].unit) != 0)
			continue;
		value *= units[i].ms;
		if (value >= CONF_REFUSED)
			return false;
		*ret_ms = (uint32_t)value;
		return true;
	}
	return false;
}

bool
conf_age(const char *text, uint32_t *ret_s)
{
	uint64_t value;
	uint32_t ms;
	const char *at = text;

	if (digits(&at, &value) && (strcmp(at, "d") == 0 || strcmp(at, "h") == 0)) {
		value *= *at == 'd' ? 86400 : 3600;
		if (value >= CONF_REFUSED)
			return false;
		*ret_s = (uint32_t)value;
		return true;
	}
	if (!conf_duration(text, &ms) || ms % 1000 != 0)
		return false;
	*ret_s = ms / 1000;
	return true;
}

bool
conf_size(const char *text, uint64_t *ret_bytes)
{
	static const char factors[] = "KMG";
	const char *factor;
	uint64_t value;

	if (!digits(&text, &value))
		return false;
	if (*text != '\0') {
		factor = strchr(factors, *text);
		if (factor == NULL || text[1] != '\0')
			return false;
		value <<= 10 * (unsigned int)(factor - factors + 1);
	}
	*ret_bytes = value;
	return true;
}

bool
conf_number(const char *text, uint32_t *ret)
{
	uint64_t value;

	if (!digits(&text, &value) || *text != '\0' || value >= CONF_REFUSED)
		return false;
	*ret = (uint32_t)value;
	return true;
}

bool
conf_bool(const char *text, bool *ret)
{
	static const char *const yes[] = {"yes", "on", "true"};
	static const char *const no[] = {"no", "off", "false"};

	for (size_t i = 0; i < 3; i++) {
		if (strcasecmp(text, yes[i]) != 0 && strcasecmp(text, no[i]) != 0)
			continue;
		*ret = strcasecmp(text, yes[i]) == 0;
		return true;
	}
	return false;
}

const char *
conf_duration_text(uint32_t ms, char *buf, size_t size)
{
	if (ms == 0)
		snprintf(buf, size, "0");
	else if (ms % 3600000 == 0)
		snprintf(buf, size, "%uh", ms / 3600000);
	else if (ms % 60000 == 0)
		snprintf(buf, size, "%umin", ms / 60000);
	else if (ms % 1000 == 0)
		snprintf(buf, size, "%us", ms / 1000);
	else
		snprintf(buf, size, "%ums", ms);
	return buf;
}

const char *
conf_age_text(uint32_t s, char *buf, size_t size)
{
	if (s % 86400 == 0 && s > 0)
		snprintf(buf, size, "%ud", s / 86400);
	else if (s < 4000000)
		conf_duration_text(s * 1000, buf, size);
	else
		snprintf(buf, size, "%us", s);
	return buf;
}

int
conf_ip(const char *text, bool zone, uint8_t ret_bytes[16])
{
	char copy[INET6_ADDRSTRLEN + 32];
	uint8_t bytes[16] = {0};
	char *percent;
	int family;

	if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy))
		return AF_UNSPEC;
	percent = strchr(copy, '%');
	if (percent != NULL) {
		if (!zone || percent[1] == '\0' || strlen(percent + 1) > 15)
			return AF_UNSPEC;
		*percent = '\0';
	}
	family = strchr(copy, ':') != NULL ? AF_INET6 : AF_INET;
	if ((percent != NULL && family == AF_INET) || inet_pton(family, copy, bytes) != 1)
		return AF_UNSPEC;
	memcpy(ret_bytes, bytes, sizeof(bytes));
	return family;
}

#define NO_ADDRESS                                                                                 \
	"is no numeric IPv4 or IPv6 address; write it like 192.0.2.25/24 or 2001:db8::25/64"

const char *
conf_prefix(const char *text, int *ret_family, uint8_t ret_bytes[16], uint8_t *ret_prefix)
{
	const char *slash = strchr(text, '/');
	char copy[INET6_ADDRSTRLEN];
	uint8_t bytes[16];
	uint32_t prefix, bits;
	int family;

	if (slash == NULL)
		return conf_ip(text, false, bytes) == AF_UNSPEC
			   ? NO_ADDRESS
			   : "has no prefix length; write it like 192.0.2.25/24 or 2001:db8::25/64";
	if ((size_t)(slash - text) >= sizeof(copy))
		return NO_ADDRESS;
	memcpy(copy, text, (size_t)(slash - text));
	copy[slash - text] = '\0';
	family = conf_ip(copy, false, bytes);
	if (family == AF_UNSPEC)
		return NO_ADDRESS;
	bits = family == AF_INET ? 32 : 128;
	if (!conf_number(slash + 1, &prefix) || prefix < 1 || prefix > bits)
		return family == AF_INET ? "has a wrong prefix length; for IPv4 it is 1 to 32"
					 : "has a wrong prefix length; for IPv6 it is 1 to 128";
	*ret_family = family;
	memcpy(ret_bytes, bytes, sizeof(bytes));
	*ret_prefix = (uint8_t)prefix;
	return NULL;
}

static void
store(void *field, size_t size, uint32_t value)
{
	uint8_t u8 = (uint8_t)value;
	uint16_t u16 = (uint16_t)value;

	if (size == sizeof(u8))
		memcpy(field, &u8, sizeof(u8));
	else if (size == sizeof(u16))
		memcpy(field, &u16, sizeof(u16));
	else
		memcpy(field, &value, sizeof(value));
}

static void
set_duration(const struct conf_option *o, void *field, const char *where, const char *text,
    int line, struct conf_mistakes *mistakes)
{
	char low[24], high[24];
	uint32_t ms = CONF_REFUSED;

	if (!conf_duration(text, &ms)) {
		conf_mistake(mistakes, line,
		    "%s%s = \"%s\" is no duration; write 200ms, 2s, 1min or 1h (a "
		    "bare number is seconds)",
		    where, o->name, text);
	} else if (ms < o->min || ms > o->max) {
		conf_mistake(mistakes, line, "%s%s = \"%s\" is out of range; %s to %s is right",
		    where, o->name, text, conf_duration_text(o->min, low, sizeof(low)),
		    conf_duration_text(o->max, high, sizeof(high)));
		ms = CONF_REFUSED;
	}
	store(field, o->size, ms);
}

static void
set_number(const struct conf_option *o, void *field, const char *where, const char *text, int line,
    struct conf_mistakes *mistakes)
{
	uint32_t value = CONF_REFUSED;

	if (!conf_number(text, &value) || value < o->min || value > o->max) {
		conf_mistake(mistakes, line,
		    "%s%s = \"%s\" is wrong; a number from %u to %u is right", where, o->name, text,
		    o->min, o->max);
		value = CONF_REFUSED;
	}
	store(field, o->size, value);
}

static void
set_age(const struct conf_option *o, uint32_t *field, const char *where, const char *text, int line,
    struct conf_mistakes *mistakes)
{
	char low[24], high[24];

	*field = CONF_REFUSED;
	if (!conf_age(text, field) || *field < o->min || *field > o->max) {
		conf_mistake(mistakes, line, "%s%s = \"%s\" is wrong; %s to %s is right, like 30d",
		    where, o->name, text, conf_age_text(o->min, low, sizeof(low)),
		    conf_age_text(o->max, high, sizeof(high)));
		*field = CONF_REFUSED;
	}
}

static void
set_size(const struct conf_option *o, uint64_t *field, const char *where, const char *text, int line,
    struct conf_mistakes *mistakes)
{
	uint64_t low = (uint64_t)o->min << 20, high = (uint64_t)o->max << 20;

	*field = 0;
	if (!conf_size(text, field) || *field < low || *field > high) {
		conf_mistake(mistakes, line, "%s%s = \"%s\" is wrong; %uM to %uG is right, like 512M or 2G",
		    where, o->name, text, o->min, o->max >> 10);
		*field = low;
	}
}

static void
set_choice(const struct conf_option *o, void *field, const char *where, const char *text, int line,
    struct conf_mistakes *mistakes)
{
	char all[128] = "";
	size_t used = 0;

	for (uint32_t i = 0; o->choices[i] != NULL; i++) {
		if (strcmp(o->choices[i], text) == 0) {
			store(field, o->size, i);
			return;
		}
		used += (size_t)snprintf(all + used, sizeof(all) - used, "%s%s",
		    i == 0			? ""
		    : o->choices[i + 1] == NULL ? " or "
						: ", ",
		    o->choices[i]);
	}
	conf_mistake(
	    mistakes, line, "%s%s = \"%s\" is not known; %s is right", where, o->name, text, all);
	if (o->size > sizeof(bool))
		store(field, o->size, CONF_REFUSED);
}

static void
set_node(const struct conf *conf, const struct conf_option *o, int *field, const char *where,
    const char *text, int line, struct conf_mistakes *mistakes)
{
	*field = CONF_NODE_REFUSED;
	for (int i = 0; i < CONF_NODES; i++)
		if (conf->node[i] != NULL && strcmp(conf->node[i], text) == 0)
			*field = i;
	if (*field != CONF_NODE_REFUSED)
		return;
	if (conf->node[0] != NULL && conf->node[1] != NULL)
		conf_mistake(mistakes, line,
		    "%s%s = \"%s\" is no node of this pair; \"%s\" or \"%s\" is right", where,
		    o->name, text, conf->node[0], conf->node[1]);
	else if (conf->node[0] != NULL)
		conf_mistake(
		    mistakes, line, "%s%s = \"%s\" is no node of this pair", where, o->name, text);
	/* Without any node the file is refused for that. */
}

static void
set_list(struct conf *conf, const struct conf_option *o, void *field, const char *where,
    const char *text, int line, struct conf_mistakes *mistakes)
{
	const char **item = field;
	size_t *len = (size_t *)(void *)((char *)field + o->size);

	if (*len == CONF_OPTIONS_MAX) {
		conf_mistake(mistakes, line, "%s%s has more than %d values", where, o->name,
		    CONF_OPTIONS_MAX);
		return;
	}
	item[*len] = conf_arena_copy(conf->arena, text);
	conf_arena_line(conf->arena, &item[*len], line);
	(*len)++;
}

void
conf_set(struct conf *conf, const struct conf_option *o, void *field, const char *where,
    const char *text, int line, struct conf_mistakes *mistakes)
{
	switch (o->kind) {
	case KIND_TEXT:
		*(const char **)field = conf_arena_copy(conf->arena, text);
		break;
	case KIND_DURATION:
		set_duration(o, field, where, text, line, mistakes);
		break;
	case KIND_NUMBER:
		set_number(o, field, where, text, line, mistakes);
		break;
	case KIND_BOOL:
		if (!conf_bool(text, field))
			conf_mistake(mistakes, line, "%s%s = \"%s\" is neither yes nor no", where,
			    o->name, text);
		break;
	case KIND_AGE:
		set_age(o, field, where, text, line, mistakes);
		break;
	case KIND_SIZE:
		set_size(o, field, where, text, line, mistakes);
		break;
	case KIND_CHOICE:
		set_choice(o, field, where, text, line, mistakes);
		break;
	case KIND_NODE:
		set_node(conf, o, field, where, text, line, mistakes);
		break;
	case KIND_LIST:
		set_list(conf, o, field, where, text, line, mistakes);
		break;
	case KIND_COUNT:
		break;
	}
}
