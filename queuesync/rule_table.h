/*
 * queuesync/rule_table.h - the rules by which a queue is judged: number, who it is for, the words of the
 * contract, and a sentence. queuesync/RULES.md is printed from it (make docs). Pure.
 * Source of the invariants: the formats as read in the programs' sources and seen in real crashes.
 */
#ifndef QUEUESYNC_RULE_TABLE_H
#define QUEUESYNC_RULE_TABLE_H

#include <stddef.h>

struct rule {
	unsigned int	 number;	/* 1..38, stable: journals and scripts keep it */
	const char	*mta;		/* "all", "qmail", "postfix", "exim" */
	const char	*name;		/* short, for headings */
	const char	*classes;	/* the classes it may give, "repair, quarantine" */
	const char	*problems;	/* the problems it may give */
	const char	*law;		/* what is so in a whole queue */
	const char	*mended;	/* what the repair does, and why that is safe */
	const char	*pass;		/* "fast", "deep", "both" */
};

extern const struct rule rule_table[];
extern const size_t rules_count;
const struct rule *rule_find(unsigned int number);	/* NULL: none */

#endif
