/*
 * queuesync/look.c - the parts of a check in their order: scan, rules, reading, rules again. Runs in mailpair-queue;
 * blocks on the disk.
 */
#include "queuesync/look.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/digest.h"
#include "queuesync/names.h"
#include "queuesync/progress.h"
#include "queuesync/quarantine.h"
#include "queuesync/read.h"
#include "queuesync/scan.h"

#define SLACK_S 300		/* two nodes' clocks need not agree better */
#define SCAN_THREADS 8		/* a cold disk has a queue; more make it no faster */

static struct check *
begin(const struct target *t, bool deep, bool mending, const struct scan_options *scanning, struct scan_seen *seen, struct err *err)
{
	struct check_options options = { .deep = deep, .mending = mending, .now = (int64_t)(clock_wall_ms() / 1000), .slack = SLACK_S };
	struct check *check;

	digest_random(&options.seed, sizeof options.seed);
	check = check_new(t->rules, &t->layout, &options);
	if (!scan_queue(&t->layout, check, scanning, seen, err)) {
		check_free(check);
		return NULL;
	}
	check_joined(check);
	return check;
}

struct check *
look_for_list(const struct target *t, struct err *err)
{
	struct scan_options scanning = { .threads = SCAN_THREADS };
	struct scan_seen seen;

	return begin(t, true, false, &scanning, &seen, err);
}

/*
 * For the start that follows: the directories whose names are right (mta/queue_note.h). It costs nothing where it cannot be
 * kept.
 */
static void
leave_note(const struct target *t, const struct look *look, const struct queue_note *note)
{
	bool right = !look->live;

	if (t->rules->name_rules == 0 || !t->own || t->params.run_dir == NULL)
		return;
	for (size_t i = 0; i < look->findings.len; i++)
		right = right && (t->rules->name_rules & UINT64_C(1) << look->findings.at[i].rule) == 0;
	if (!right || !queue_note_write(note, t->params.run_dir, t->layout.root, NULL))
		queue_note_drop(t->params.run_dir, t->layout.root);
}

/*
 * Before a start: where the names are right, files are asked about for so long, or not at all (rules->named_whole). True: the look is over.
 */
static bool
names_first(const struct target *t, uint64_t until_us, struct scan_options *scanning, struct queue_note *note, struct look *ret)
{
	struct names_seen seen = { 0 };

	if (!names_right(t->rules, &t->layout, (int64_t)(clock_wall_ms() / 1000), note, &seen)) {
		queue_note_free(note);
		return false;
	}
	scanning->until_us = until_us;
	if (t->rules->named_whole == NULL)
		return false;
	*ret = (struct look){ .messages = seen.messages, .files = seen.files, .cut = true };
	queue_note_free(note);
	return true;
}

/*
 * A scan that asks only about what is not right by the inode tables, of all places but those without. NULL: they cannot be had of
 * this file system, or tell too little, or the queue cannot be looked at; nothing has come of it.
 */
static struct check *
begin_known(const struct target *t, const struct look_options *options, bool (*without)(const struct queue_place *),
    struct queue_note *note, struct scan_seen *seen)
{
	int root = open(t->layout.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct known *known = root == -1 ? NULL : known_new(t->rules, &t->layout, root, (int64_t)(clock_wall_ms() / 1000));
	struct scan_options scanning = { .threads = SCAN_THREADS, .note = note, .known = known, .without = without };
	struct check *check = known == NULL ? NULL : begin(t, false, options->mending, &scanning, seen, NULL);

	if (check != NULL && !known_good(known)) {
		check_free(check);
		check = NULL;
	}
	if (check == NULL)
		queue_note_free(note);
	known_free(known);
	if (root != -1)
		close(root);
	return check;
}

static bool
has_damage(const struct findings *f)
{
	for (size_t i = 0; i < f->len; i++)
		if (f->at[i].class != CLASS_REPORT)
			return true;
	return false;
}

/* at_once: a deep look may read each file as soon as it is met. */
static bool
look_once(const struct target *t, const struct look_options *options, bool at_once, struct look *ret, struct err *err)
{
	/* Before a start nobody waits for logs; where something is found they are looked at all the same, since they may tell more of it. */
	bool (*without)(const struct queue_place *) = options->names_ms != 0 ? t->rules->log : NULL;
	struct scan_options scanning = { .threads = SCAN_THREADS };
	struct read_options reading = { .threads = READ_THREADS, .per_second = options->per_second };
	struct scan_seen seen;
	struct queue_note note = { 0 };
	struct read_seen read;
	struct check *check = NULL;
	uint64_t began_us = clock_mono_us();
	bool ok;

	if (options->limit_ms != 0)
		reading.until_us = began_us + options->limit_ms * UINT64_C(1000);
	progress_stage("files looked at", 0);
	if (options->at_rest && !options->deep)
		check = begin_known(t, options, without, &note, &seen);
	if (check == NULL)
		without = NULL;
	if (check == NULL && options->names_ms != 0 && names_first(t, began_us + options->names_ms * UINT64_C(1000), &scanning, &note, ret))
		return true;
	/* what the names were judged by is older, and so it is what a change since would show against */
	scanning.note = scanning.until_us != 0 ? NULL : &note;
	scanning.reading = at_once && options->deep ? t->rules : NULL;
	if (check == NULL)
		check = begin(t, options->deep, options->mending, &scanning, &seen, err);
	if (check == NULL) {
		queue_note_free(&note);
		return false;
	}
	ok = read_asked(t->rules, &t->layout, check, &reading, &read, err);
	if (ok) {
		memset(ret, 0, sizeof *ret);
		check_end(check, &ret->findings, &ret->messages, &ret->files);
		ret->live = seen.moved || seen.vanished > 0 || read.vanished > 0;
		ret->cut = seen.cut || read.cut || without != NULL;
		leave_note(t, ret, &note);
	}
	queue_note_free(&note);
	check_free(check);
	if (ok && without != NULL && has_damage(&ret->findings)) {
		struct look_options whole = *options;

		whole.names_ms = 0;
		findings_free(&ret->findings);
		return look_once(t, &whole, at_once, ret, err);
	}
	return ok;
}

/* A queue on which a repair was begun is not whole, whatever lies in its places: a message may wait in the quarantine for its new name. */
static void
tell_unfinished(const struct target *t, struct findings *f)
{
	int root = open(t->layout.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char run[RUN_NAME_MAX], path[80];
	struct err ignored;

	if (root == -1)
		return;
	if (quarantine_unfinished(root, run, &ignored)) {
		finding_add(f, 20, CLASS_REPAIR, PROBLEM_INTERRUPTED_REPAIR, ACK_MAYBE, quarantine_path(run, path), NULL,
		    "a repair was cut off before its end; the next one ends it");
		findings_sort(f);
	}
	close(root);
}

bool
look_at(const struct target *t, const struct look_options *options, struct look *ret, struct err *err)
{
	uint64_t began_us = clock_mono_us();
	struct look second;

	/* What is to take little time, or little of the disk's, knows all names soon, and reads what it can after that. */
	if (!look_once(t, options, options->per_second == 0 && options->limit_ms == 0, ret, err))
		return false;
	/*
	 * A message that moved while we looked may be seen twice or not at all: believe only what stays. The second time all names are
	 * known before anything is read, since the longer that takes the more moves meanwhile.
	 */
	if (ret->live && ret->findings.len > 0) {
		if (!look_once(t, options, false, &second, err)) {
			findings_free(&ret->findings);
			return false;
		}
		findings_both(&second.findings, &ret->findings);
		findings_free(&ret->findings);
		*ret = second;
		ret->live = true;
	}
	tell_unfinished(t, &ret->findings);
	ret->took_ms = (clock_mono_us() - began_us) / 1000;
	return true;
}
