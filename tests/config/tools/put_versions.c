/*
 * tests/config/tools/put_versions.c - puts versions into a journal, as the tests of the command line want them.
 *
 *	put_versions JOURNAL <LINES
 *
 * Lines of words: "set NAME WALL-MS CAUSE NODE WHO WHY-IN-ONE-WORD" begins a set of what follows: "file PATH MODE FROM" (the bytes of the file
 * FROM), "link PATH TARGET", "gone PATH". "dispute PATH MINE THEIRS" puts both sides of a conflict, two files. "prune" forgets all that may be
 * forgotten. Exit 0: done.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/digest.h"
#include "configsync/core.h"
#include "configsync/manifest.h"
#include "configsync/store.h"

#define CHANGES_MAX 16
#define NEED(what) do { if (!(what)) { fprintf(stderr, "put_versions: line %d: %s\n", lines, err.text[0] != '\0' ? err.text : #what); exit(1); } } while (0)

static struct err err;
static int lines;

struct put {
	struct store_change	 change[CHANGES_MAX];
	char			 path[CHANGES_MAX][256];
	uint8_t			 digest[CHANGES_MAX][DIGEST_LEN];
	size_t			 n;
};

static void
add(struct store *s, struct put *p, struct entry *e, const char *from)
{
	struct store_change *c = &p->change[p->n];
	uint8_t *digest = p->digest[p->n];

	NEED(p->n < CHANGES_MAX);
	snprintf(p->path[p->n], sizeof p->path[0], "%s", e->path);
	*c = (struct store_change){ .path = p->path[p->n], .common = true };
	if (from != NULL) {
		int fd = open(from, O_RDONLY | O_CLOEXEC);

		NEED(fd != -1 && digest_sha256_fd(fd, digest) && store_add(s, digest, fd, &err));
		e->size = (uint64_t)lseek(fd, 0, SEEK_END);
		memcpy(e->digest, digest, DIGEST_LEN);
		c->digest = digest;
		close(fd);
	}
	if (e->type != ENTRY_NONE)
		c->entry = core_stamped(e, 1, &c->entry_len);
	p->n++;
}

static void
finish(struct store *s, const struct store_set *set, struct put *p)
{
	if (p->n > 0)
		NEED(store_put(s, set, p->change, p->n, &err));
	p->n = 0;
}

static void
dispute(struct store *s, const struct store_set *set, struct entry *e, const char *mine, const char *theirs)
{
	static struct put sides;
	struct store_dispute d = { .kind = 0 };

	add(s, &sides, e, mine);
	add(s, &sides, e, theirs);
	d.mine = sides.change[0];
	d.theirs = sides.change[1];
	d.mine.common = d.theirs.common = false;
	NEED(store_dispute(s, set, &d, 1, &err));
	sides.n = 0;
}

int
main(int argc, char **argv)
{
	static struct put put;
	struct store_set set = { .cause = STORE_EDIT };
	struct store *s = NULL;
	char line[1024];

	NEED(argc == 2 && store_open(argv[1], true, &s, NULL, &err));
	while (fgets(line, sizeof line, stdin) != NULL) {
		char word[7][128] = { "" };
		int n = sscanf(line, "%127s %127s %127s %127s %127s %127s %127s", word[0], word[1], word[2], word[3], word[4], word[5], word[6]);
		struct entry e = { .path = word[1], .mode = 0777, .user = { "root", 0 }, .group = { "root", 0 }, .mtime_s = 1 };
		uint64_t removed;

		lines++;
		if (strcmp(word[0], "set") == 0 && n == 7) {
			finish(s, &set, &put);
			set = (struct store_set){ .cause = (enum store_cause)strtoul(word[3], NULL, 10), .wall_ms = strtoull(word[2], NULL, 10), .tenure = 7 };
			snprintf(set.name, sizeof set.name, "%.63s", word[1]);
			snprintf(set.node, sizeof set.node, "%.63s", word[4]);
			snprintf(set.who, sizeof set.who, "%.63s", word[5]);
			snprintf(set.why, sizeof set.why, "%s", word[6]);
		} else if (strcmp(word[0], "file") == 0 && n == 4) {
			e.type = ENTRY_FILE;
			e.mode = (uint16_t)strtoul(word[2], NULL, 8);
			add(s, &put, &e, word[3]);
		} else if (strcmp(word[0], "link") == 0 && n == 3) {
			e.type = ENTRY_LINK;
			e.target = word[2];
			add(s, &put, &e, NULL);
		} else if (strcmp(word[0], "gone") == 0 && n == 2) {
			add(s, &put, &e, NULL);
		} else if (strcmp(word[0], "dispute") == 0 && n == 4) {
			e.type = ENTRY_FILE;
			e.mode = 0644;
			finish(s, &set, &put);
			dispute(s, &set, &e, word[2], word[3]);
		} else {
			NEED(strcmp(word[0], "prune") == 0);
			finish(s, &set, &put);
			NEED(store_prune(s, UINT64_MAX, 0, &removed, &err));
		}
	}
	finish(s, &set, &put);
	store_close(s);
	return 0;
}
