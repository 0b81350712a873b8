/*
 * tests/rules_print.c - prints the rules of queues as queuesync/RULES.md. The page is generated so that it cannot differ
 * from what findings refer to; "make check" compares it.
 */
#include <stdio.h>
#include <string.h>

#include "queuesync/rule_table.h"

static void
print_rule(const struct rule *rule)
{
	printf("### %u. %s\n\n%s\n\nOtherwise: %s (%s), found by the %s.\nMended: %s\n\n", rule->number, rule->name, rule->law,
	    rule->classes, rule->problems, strcmp(rule->pass, "both") == 0 ? "fast pass as far as it goes, and the deep pass" :
	    strcmp(rule->pass, "deep") == 0 ? "deep pass" : "fast pass", rule->mended);
}

int
main(void)
{
	static const struct { const char *mta, *title; } parts[] = {
		{ "all", "Every mail program" }, { "qmail", "qmail" }, { "postfix", "Postfix" }, { "exim", "Exim" },
	};

	puts("# What a whole queue is\n\n"
	    "Printed by `make docs` from `queuesync/rule_table.c`; do not edit. A finding of `mailpair queue check` carries the number\n"
	    "of its rule. The *fast pass* looks at names, inodes, places, owners, permissions and sizes; the *deep pass* (`--deep`)\n"
	    "at every record of every file. Nothing is ever deleted or overwritten: the *quarantine* is a directory on the same\n"
	    "file system.\n\n"
	    "| class | meaning | what the repair does |\n|---|---|---|\n"
	    "| repair | the message is whole, something about it is wrong | mends it in place |\n"
	    "| promote | complete, perhaps acknowledged, and the program would never send it | makes it visible |\n"
	    "| wait | unfinished, never acknowledged, too young to judge | nothing |\n"
	    "| garbage | left over, never needed | quarantine |\n"
	    "| quarantine | acknowledged and damaged, or dangerous to the program | quarantine, whole; the loss is told |\n"
	    "| stray | no queue file at all | quarantine |\n"
	    "| report | worth a person's look | nothing |\n");
	for (size_t p = 0; p < sizeof parts / sizeof parts[0]; p++) {
		printf("## %s\n\n", parts[p].title);
		for (size_t i = 0; i < rules_count; i++)
			if (strcmp(rule_table[i].mta, parts[p].mta) == 0)
				print_rule(&rule_table[i]);
	}
	return 0;
}
