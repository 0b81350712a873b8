/*
 * mta/smtp_probe.h - one polite SMTP dialogue: wait for the whole greeting, QUIT, wait for 221.
 *
 * Blocks, but never longer than its limit. No name is ever looked up.
 */
#ifndef MTA_SMTP_PROBE_H
#define MTA_SMTP_PROBE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/err.h"
#include "mta/mta.h"

struct smtp_target {
	struct sockaddr_storage	 addr;
	socklen_t		 len;
};

/* "192.0.2.1:25" or "[2001:db8::1]:25"; numbers only. Pure. */
bool		smtp_target_parse(const char *text, struct smtp_target *ret, struct err *);

/* The same from its two parts; a bare address, without brackets. Pure. */
bool		smtp_target_set(const char *address, uint16_t port, struct smtp_target *ret, struct err *);

/* *err says in a sentence what came instead of an orderly dialogue; untouched when answered. */
enum mta_answer	smtp_probe(const struct smtp_target *, uint32_t limit_ms, struct err *);

#endif
