/*
 * mta/mta_health.c - is the mail service good, judged by its last answers. Pure.
 *
 * A refusal proves that something is wrong; silence may be a busy server or a busy prober, so it
 * weighs half. A question that could not be put says nothing about the service and is not kept.
 */
#include "mta/mta.h"

#include <string.h>

#define HEALTH_MAX (sizeof ((struct mta_health *)NULL)->last)

void
mta_health_reset(struct mta_health *health)
{
	memset(health, 0, sizeof *health);
}

/* The newest answer stands first. */
void
mta_health_add(struct mta_health *health, enum mta_answer answer)
{
	if (answer == MTA_ANSWER_UNKNOWN)
		return;
	memmove(health->last + 1, health->last, HEALTH_MAX - 1);
	health->last[0] = (uint8_t)answer;
	if (health->len < HEALTH_MAX)
		health->len++;
}

static uint32_t
weight(enum mta_answer answer)
{
	switch (answer) {
	case MTA_REFUSED:
		return 2;
	case MTA_NO_ANSWER:
		return 1;
	case MTA_ANSWERED:
	case MTA_ANSWER_UNKNOWN:
		break;
	}
	return 0;
}

enum fact
mta_health_good(const struct mta_health *health, uint32_t k, uint32_t n)
{
	uint32_t sum = 0;

	if (health->len == 0)
		return FACT_UNKNOWN;
	if (n > HEALTH_MAX)
		n = HEALTH_MAX;
	if (n == 0)
		n = 1;
	if (k == 0)
		k = 1;
	if (k > n)
		k = n;
	for (size_t i = 0; i < health->len && i < n; i++)
		sum += weight((enum mta_answer)health->last[i]);
	return sum >= 2 * k - 1 ? FACT_NO : FACT_YES;
}
