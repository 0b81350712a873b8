/*
 * supervisor/address_nonlocal.c - let an mta listen on service addresses that are not here yet, and
 * put the kernel's former values back.
 *
 * The former values stand in a file of run_dir before anything is changed, so that a killed
 * supervisor (S11) still finds them; that file goes at reboot as the settings do. Runs in workers.
 * Blocks on run_dir.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/durable.h"
#include "supervisor/address.h"
#include "supervisor/kernel_setting.h"

static const char *const settings[] = {"net/ipv4/ip_nonlocal_bind", "net/ipv6/ip_nonlocal_bind"};

#define SETTINGS (sizeof(settings) / sizeof(settings[0]))
#define ABSENT	 (-1) /* this kernel does not have it */

struct former {
	int value[SETTINGS];
};

static bool
note_path(const struct conf *conf, char path[PATH_MAX], struct err *err)
{
	if (snprintf(path, PATH_MAX, "%s/nonlocal-bind", conf->run_dir) >= PATH_MAX)
		return err_set(err, ENAMETOOLONG, "run directory %s", conf->run_dir);
	return true;
}

/* NO: there is no note; UNKNOWN: *err. */
static enum fact
note_read(const char *path, struct former *ret, struct err *err)
{
	struct former former;
	char text[128], rest;
	struct err why;

	if (durable_read(path, text, sizeof(text), &why) == -1) {
		if (why.sys == ENOENT)
			return FACT_NO;
		err_set(err, 0, "%s", why.text);
		return FACT_UNKNOWN;
	}
	if (sscanf(text, "ipv4 %d ipv6 %d %c", &former.value[0], &former.value[1], &rest) != 2) {
		err_set(err, 0,
		    "%s does not hold the former values of ip_nonlocal_bind: set them by hand "
		    "and remove the file",
		    path);
		return FACT_UNKNOWN;
	}
	*ret = former;
	return FACT_YES;
}

bool
address_nonlocal_allow(const struct conf *conf, struct err *err)
{
	struct former former;
	char path[PATH_MAX], text[128];
	struct err why;
	enum fact noted;

	if (!note_path(conf, path, err))
		return false;
	noted = note_read(path, &former, err);
	if (noted == FACT_UNKNOWN)
		return false;
	for (size_t i = 0; noted == FACT_NO && i < SETTINGS; i++) {
		if (kernel_setting_read(settings[i], &former.value[i], &why))
			continue;
		if (why.sys != ENOENT)
			return err_set(err, 0, "%s", why.text);
		former.value[i] = ABSENT;
	}
	/* an older note stays: the values of today are our own */
	snprintf(text, sizeof(text), "ipv4 %d\nipv6 %d\n", former.value[0], former.value[1]);
	if (noted == FACT_NO && !durable_write(path, text, strlen(text), 0600, err))
		return false;
	for (size_t i = 0; i < SETTINGS; i++)
		if (former.value[i] != ABSENT && !kernel_setting_write(settings[i], 1, err))
			return false;
	return true;
}

bool
address_nonlocal_restore(const struct conf *conf, struct err *err)
{
	struct former former;
	char path[PATH_MAX];

	if (!note_path(conf, path, err))
		return false;
	switch (note_read(path, &former, err)) {
	case FACT_NO:
		return true;
	case FACT_YES:
		break;
	case FACT_UNKNOWN:
	case FACT_COUNT:
		return false;
	}
	for (size_t i = 0; i < SETTINGS; i++)
		if (former.value[i] != ABSENT &&
		    !kernel_setting_write(settings[i], former.value[i], err))
			return false;
	if (unlink(path) == -1 && errno != ENOENT)
		return err_set(err, errno, "cannot remove %s", path);
	return true;
}
