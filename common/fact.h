/*
 * common/fact.h - what is known about the world. UNKNOWN is an answer and never rounded.
 *
 * Compare by name (f == FACT_NO); never write !f, which would be true of UNKNOWN.
 */
#ifndef COMMON_FACT_H
#define COMMON_FACT_H

enum fact { FACT_UNKNOWN, FACT_NO, FACT_YES, FACT_COUNT };

/* "unknown", "no", "yes" */
static inline const char *
fact_name(enum fact f)
{
	return f == FACT_YES ? "yes" : f == FACT_NO ? "no" : "unknown";
}

#endif
