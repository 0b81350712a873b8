/*
 * queuesync/rule_table.c - the rules, as data. queuesync/RULES.md is printed from here (make docs). Pure.
 *
 * The numbers are kept for ever: findings, journals and manifests carry them.
 */
#include "queuesync/rule_table.h"

/* clang-format off */
const struct rule rule_table[] = {
	/* ---- every mail program ---- */
	{ 1, "all", "directories are there", "repair, stray, report", "missing-directory, wrong-type",
	    "The root and every directory that the program needs is there, is a directory and no symbolic link, and is on the "
	    "queue's own file system.",
	    "A missing directory is made with the owner and mode of its place; what stands in its way goes to the quarantine. A symbolic "
	    "link or a mount is left to a person, since mail may be behind it.", "fast" },
	{ 2, "all", "nothing else is there", "stray, report", "wrong-type, foreign-file, bad-name, orphan-part",
	    "Every entry has a name and a type that the program gives at that level: no links, devices, sockets or directories of others.",
	    "It goes to the quarantine; nothing of the queue refers to it. Files in lost+found are only told of.", "fast" },
	{ 3, "all", "one file, one name", "repair, report", "duplicate",
	    "A file has as many names as the program gives it, and no two paths lead to the same inode but the pairs that the program "
	    "makes itself.",
	    "The name that is wrong, or stands earlier in a message's life, goes to the quarantine; the content stays under the other. Names "
	    "outside of the queue are only told of.", "fast" },
	{ 4, "all", "owner and permissions", "repair, report", "wrong-owner, wrong-mode, uid-map",
	    "Files and directories belong to the account that the program runs as there, with the permissions that it set.",
	    "Both are set on the opened file, unless it has another name elsewhere. Where most of them are wrong alike it is one finding: "
	    "the queue comes from a node with other numbers, or from a copy that lost them.", "fast" },
	{ 5, "all", "content is there", "quarantine, report", "empty, nul-tail, bad-record",
	    "A file that must have content is not of 0 bytes and does not end in NUL bytes, as files do whose size was written before "
	    "their blocks. A file that the disk cannot read is told of, not judged.",
	    "It goes to the quarantine, so that the program does not act on half of it.", "both" },
	{ 6, "all", "times have passed", "repair, report", "bad-time",
	    "No file was changed in the future, but for times of a next try where the program keeps these in the file's own time.",
	    "The time becomes now. If most of the queue is from the future this node's clock is behind, and nothing is touched.", "fast" },
	{ 7, "all", "the right sub-directory", "repair, quarantine", "wrong-directory, duplicate",
	    "A file stands in the sub-directory that follows from its name: only there the program looks for it.",
	    "It is renamed to the right one, never over another file; where one is there already the misplaced one goes to the quarantine.",
	    "fast" },

	/* ---- qmail ---- */
	{ 8, "qmail", "the name is the inode", "repair, quarantine", "name-inode-mismatch, duplicate",
	    "The message file mess/H/N has the inode N. A queue that was copied file by file has other inodes, and the next message "
	    "would meet an old name.",
	    "All files of the message get the number of its inode: first all of them names that no program uses, then the new ones, mess "
	    "last, so that no file can ever be put over another. Many are one finding: a copy that was made file by file. Of two messages "
	    "with one number the one with another inode goes to the quarantine.", "fast" },
	{ 9, "qmail", "every number has its message", "quarantine", "missing-part",
	    "A number that has an envelope, recipients, a state or a bounce has the message file as well.",
	    "What is left of it goes to the quarantine; sender and recipients are told, since an acknowledged message is lost if it had todo "
	    "or info.", "fast" },
	{ 10, "qmail", "todo is an envelope", "repair, quarantine", "bad-record, truncated, empty, nul-tail, duplicate",
	    "todo/N has the records u, p, F and one or more T, each ended by NUL, addresses of at most 1003 bytes, and intd/N is the same "
	    "file or is gone.",
	    "Where intd is another file it goes to the quarantine, since todo is what counts. A broken envelope takes its "
	    "message to the quarantine: qmail would drop recipients in silence.", "both" },
	{ 11, "qmail", "a complete envelope is linked", "promote, wait, garbage", "link-not-durable, unfinished, orphan-part",
	    "A message with a complete intd has its todo. The link is what qmail answers 250 after, but it is not synced: after a power cut "
	    "it can be missing.",
	    "todo/N is linked to intd/N, also beside an info whose channels lack recipients of the envelope: at worst "
	    "a duplicate, since the client was perhaps told no. Incomplete ones were never acknowledged: they wait 36 hours and go to the quarantine then, where qmail would delete them.", "both" },
	{ 12, "qmail", "info and channels are records", "quarantine", "bad-record, truncated, empty, nul-tail",
	    "Where there is no todo, info is one record F, local and remote are one or more records T or D, each ended by NUL.",
	    "The message goes to the quarantine whole: qmail takes a cut record for the end of the file, and ends the message without a "
	    "bounce.", "deep" },
	{ 13, "qmail", "no recipients without a sender", "quarantine", "missing-part",
	    "A message with local, remote or bounce has info or todo: qmail finds its messages by info alone.",
	    "It goes to the quarantine whole, before qmail deletes it after 36 hours.", "fast" },
	{ 14, "qmail", "a bounce has its message", "quarantine", "orphan-part",
	    "bounce/N stands beside info/N, and not beside todo/N.",
	    "The bounce goes to the quarantine: the next message with the number N would inherit another person's failure text.", "fast" },
	{ 15, "qmail", "unfinished files are young", "wait, garbage", "unfinished",
	    "A message file without envelope, and files in pid/, were read within 36 hours.",
	    "Younger ones are left alone; older ones go to the quarantine.", "fast" },
	{ 16, "qmail", "the locks", "repair", "missing-lock, wrong-type",
	    "lock/trigger is a FIFO with permissions 0622, lock/sendmutex and lock/tcpto are files (the latter a cache of "
	    "1024 bytes, or empty). With a regular file as trigger qmail-send spins, without one mail waits 25 minutes.",
	    "What is wrong goes to the quarantine and is made anew; a lock that is right is never touched.", "fast" },
	{ 17, "qmail", "the message begins", "quarantine", "empty, truncated, bad-record, nul-tail",
	    "The message file begins with the line that qmail-queue writes, and is not of 0 bytes.",
	    "The message goes to the quarantine whole.", "both" },
	{ 18, "qmail", "the split is the binary's", "report", "wrong-directory",
	    "The number of sub-directories, and whether todo and intd have them, are those that the installed qmail was built with.",
	    "Nothing: a queue of another split is hashed anew only by order, and qmail is not started on it.", "fast" },

	/* ---- Postfix ---- */
	{ 19, "postfix", "the name fits the inode", "repair", "name-inode-mismatch, bad-name",
	    "The name is a queue id, and a short id holds the file's own inode. (A long id of a copied queue does not, and is unique "
	    "nevertheless.)",
	    "The message and its logs get the id of its inode: the logs first, the message last, never over another file.", "fast" },
	{ 20, "postfix", "no renaming is half done", "repair", "interrupted-repair",
	    "No name ends in \"#FIX\": that is what postsuper calls a file between two names.",
	    "It is renamed to the id that fits its inode.", "fast" },
	{ 21, "postfix", "an id stands in one queue", "repair", "duplicate",
	    "An id is in one of the message queues only.",
	    "Of two copies of a message the one whose inode fits stays, else the one that is further on its way; what is done in the other is "
	    "marked done in it, and the other goes to the quarantine. Different messages: one gets the id of its own inode.", "both" },
	{ 22, "postfix", "ready files are ready", "wait, garbage, repair, promote, quarantine", "unfinished, wrong-mode",
	    "Files in active, deferred and hold have the owner's rwx bits. In incoming and maildrop a file without them is still being "
	    "written, and was never acknowledged.",
	    "Unfinished ones wait 7 days and go to the quarantine then. In the other queues a whole message has lost its bits and gets them "
	    "back, before \"postsuper -p\" deletes it; so does a whole one in incoming or maildrop that shows a mode which Postfix gives "
	    "to no unfinished file, or stands in a queue that has lost its modes.", "both" },
	{ 23, "postfix", "the records are whole", "quarantine", "bad-record, truncated, nul-tail",
	    "A ready file parses to its END record: the sizes and offsets of its first record are those found, it has an arrival time, a "
	    "sender and a recipient, each record is legal where it stands, and jumps come to an end.",
	    "It goes to the quarantine before the queue manager moves it to corrupt, where nobody looks.", "deep" },
	{ 24, "postfix", "END is there", "quarantine", "truncated",
	    "Where the content is whole, as its first record says, the END record is there too.",
	    "It goes to the quarantine; what is missing is told, and can be appended by order.", "deep" },
	{ 25, "postfix", "a log has its message", "garbage", "orphan-part",
	    "Each file in defer, bounce and trace has the message of its id in incoming, active, deferred or hold.",
	    "It goes to the quarantine: a message that gets the same id would inherit it.", "fast" },
	{ 26, "postfix", "logs are readable", "garbage, report", "bad-record, nul-tail",
	    "The paragraphs of a log parse.",
	    "A defer log goes to the quarantine, which costs nothing: it is written anew at each try. A bounce log stays and is told of, "
	    "since it is the only record of its failures.", "deep" },
	{ 27, "postfix", "finished messages end", "report", "unfinished",
	    "A message of which all recipients are done has a bounce log, or is about to be removed.",
	    "Nothing: the queue manager ends it at its next pass.", "deep" },
	{ 28, "postfix", "nothing is put aside", "report", "bad-record",
	    "corrupt and saved are empty: what stands there was accepted and is not being delivered.",
	    "Nothing: a person has to look.", "fast" },
	{ 29, "postfix", "sockets and pid files", "report", "foreign-file",
	    "private, public and pid hold what a running Postfix makes; leftovers of a dead one are harmless.",
	    "Nothing.", "fast" },

	/* ---- Exim ---- */
	{ 30, "exim", "header and body are a pair", "quarantine, garbage, wait, report", "missing-part, orphan-part, unfinished, bad-name",
	    "ID-H and ID-D are both there, or the message is on its way in (only the body) or out (only the journal, or a header of which all "
	    "recipients are done). The installed Exim knows ids of that length.",
	    "A header without its body goes to the quarantine with its loss reported; so does a body without header that has a log or a "
	    "journal. A body alone was never acknowledged: it waits 7 days and goes to the quarantine then.", "both" },
	{ 31, "exim", "the first line is the name", "repair, quarantine", "name-inode-mismatch, bad-record",
	    "Both files begin with a line that says their own name.",
	    "Where both say the same other name they are renamed back to it, the header last; where they disagree they go to the "
	    "quarantine, since Exim would send the one's body with the other's envelope.", "deep" },
	{ 32, "exim", "the header file parses", "quarantine", "bad-record, truncated, nul-tail, empty",
	    "-H parses wholly: the options, the tree of done addresses, as many recipients as it says, headers of the lengths that they "
	    "say, no NUL.",
	    "The message goes to the quarantine whole, before Exim deletes it: it does so when a message that does not parse is older than "
	    "keep_malformed. Header files of that age are therefore read in the fast pass already.", "both" },
	{ 33, "exim", "the body has its lines", "quarantine", "truncated, nul-tail, empty",
	    "The body has as many lines as -body_linecount says (not where it is kept in the form of the wire), and does not end in NUL.",
	    "The message goes to the quarantine whole: Exim would deliver what is left of it.", "deep" },
	{ 34, "exim", "the journal ends a line", "repair, quarantine", "truncated, nul-tail, bad-record",
	    "The last line of -J has its newline, and there is no NUL in it. (Whom its addresses belong to is not judged: children of "
	    "aliases stand there too.)",
	    "The newline is appended: without it Exim cuts a character off the address, and delivers again. A journal with NUL bytes goes to "
	    "the quarantine.", "both" },
	{ 35, "exim", "an id stands in one place", "repair, quarantine", "duplicate, wrong-directory",
	    "All files of an id are either in input or in the sub-directory of its sixth character, in one queue.",
	    "What was torn apart is brought to the body's directory, where Exim looks for the rest. Of two equal messages the one with fewer "
	    "recipients done goes to the quarantine; where they differ both go, for a person to decide.", "both" },
	{ 36, "exim", "hints are readable", "garbage", "bad-hints",
	    "The files in db are databases of their kind. A broken one can stop all delivery.",
	    "It goes to the quarantine: they are caches, and Exim makes them anew.", "both" },
	{ 37, "exim", "leftovers are young", "wait, garbage", "orphan-part, unfinished",
	    "Logs without a message and temporary files are of the last 7 days.",
	    "Younger ones are left alone; older ones go to the quarantine.", "fast" },
	{ 38, "exim", "ids are of the past", "report", "bad-time",
	    "The time in an id is not in the future.",
	    "Nothing: the name is right nevertheless; the clock of the node that took the message was ahead.", "fast" },
};
/* clang-format on */

const size_t rules_count = sizeof rule_table / sizeof rule_table[0];

const struct rule *
rule_find(unsigned int number)
{
	for (size_t i = 0; i < rules_count; i++)
		if (rule_table[i].number == number)
			return &rule_table[i];
	return NULL;
}
