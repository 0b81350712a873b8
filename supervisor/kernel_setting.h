/*
 * supervisor/kernel_setting.h - one number below /proc/sys, of the network namespace of the
 * calling process. Does not block.
 */
#ifndef SUPERVISOR_KERNEL_SETTING_H
#define SUPERVISOR_KERNEL_SETTING_H

#include <stdbool.h>

#include "common/err.h"

/* name: "net/ipv4/ip_nonlocal_bind". err->sys is ENOENT where this kernel has no such setting. */
bool	kernel_setting_read(const char *name, int *ret, struct err *);
bool	kernel_setting_write(const char *name, int value, struct err *);

#endif
