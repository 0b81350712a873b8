/*
 * queuesync/read.c - the pass over the contents. Opening and parsing is done by threads, each file by itself; the
 * check hears of them one after the other. Blocks on the disk.
 */
#include "queuesync/read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "queuesync/batch_read.h"
#include "queuesync/open.h"
#include "queuesync/progress.h"
#include "queuesync/ring.h"

#define SLOTS 8
#define JOBS BATCH_FILES	/* a slot: handing over costs as much as a file that is in the cache */

enum job_end { JOB_READ, JOB_VANISHED, JOB_REFUSED };

/* One file to be read. The strings of asked are copies in path and sub. */
struct job {
	struct check_asked	asked;
	char			path[CHECK_PATH_MAX], sub[CHECK_PATH_MAX];
	enum job_end		end;
	int			sys;
	struct queue_content	content;
};

struct batch { struct job job[JOBS]; unsigned int len; };

struct pass {
	const struct rules	*rules;
	const struct queue_layout *layout;
	struct check		*check;
	struct read_seen	*seen;
	struct batch_pool	*readers;
	int			 root;
};

/* Is it what was judged, to be read? */
static enum job_end
job_opened(struct job *job, int fd)
{
	uint64_t ino = job->asked.file.ino;

	if (queue_fstat(fd, &job->asked.file) == -1) {
		job->sys = errno;
		return JOB_REFUSED;
	}
	/* What stands there now is not what was judged: a message of a running program that moved on. */
	if ((ino != 0 && job->asked.file.ino != ino) || QUEUE_TYPE(job->asked.file.mode) != QUEUE_REGULAR)
		return JOB_VANISHED;
	return JOB_READ;
}

static struct batch_file
job_open(const struct pass *pass, struct job *job)
{
	int fd = queue_open(pass->root, job->path);

	if (fd == -1) {
		job->sys = errno;
		/* A link, a mount or a FIFO in its place by now: not the file that was judged. */
		job->end = errno == ENOENT || errno == ELOOP || errno == EXDEV || errno == ENXIO || errno == ENOTDIR ?
		    JOB_VANISHED : JOB_REFUSED;
		return (struct batch_file){ .fd = -1 };
	}
	job->end = job_opened(job, fd);
	if (job->end != JOB_READ) {
		close(fd);
		fd = -1;
	}
	return (struct batch_file){ .fd = fd, .size = job->asked.file.size };
}

static void
job_read(const struct pass *pass, struct job *job, const struct batch_file *opened)
{
	struct queue_reader reader;
	struct queue_source source = queue_source_file(&reader, opened->fd, opened->size);

	queue_reader_knows(&reader, opened->head, opened->len);
	memset(&job->content, 0, sizeof job->content);
	pass->rules->read(pass->layout, &job->asked.file, &source, &job->content, NULL);
	job->end = reader.failed != 0 ? JOB_REFUSED : JOB_READ;
	job->sys = reader.failed;
	close(opened->fd);
}

static void
job_take(struct pass *pass, struct job *job)
{
	switch (job->end) {
	case JOB_READ:
		pass->seen->files++;
		check_content(pass->check, &job->asked, &job->content);
		break;
	case JOB_VANISHED:
		pass->seen->vanished++;
		break;
	case JOB_REFUSED:
		check_unreadable(pass->check, &job->asked, strerror(job->sys));
		break;
	}
}

/* In any thread. */
static void
batch_work(void *arg, void *slot)
{
	const struct pass *pass = arg;
	struct batch *batch = slot;
	struct batch_reader *reader = batch->len > 1 ? batch_reader_take(pass->readers) : NULL;
	struct batch_file opened[BATCH_FILES];

	for (unsigned int i = 0, len; i < batch->len; i += len) {
		len = batch_len(reader, batch->len - i);
		for (unsigned int k = 0; k < len; k++)
			opened[k] = job_open(pass, &batch->job[i + k]);
		batch_read(reader, opened, len);
		for (unsigned int k = 0; k < len; k++)
			if (opened[k].fd != -1)
				job_read(pass, &batch->job[i + k], &opened[k]);
	}
	batch_reader_give(pass->readers, reader);
}

static void
batch_take(void *arg, void *slot)
{
	struct batch *batch = slot;

	for (unsigned int i = 0; i < batch->len; i++, progress_count())
		job_take(arg, &batch->job[i]);
	batch->len = 0;
}

static void
job_fill(struct job *job, const struct check_asked *asked)
{
	job->asked = *asked;
	job->asked.path = memcpy(job->path, asked->path, strlen(asked->path) + 1);
	job->asked.file.name = job->path + (asked->file.name - asked->path);
	job->asked.file.sub = memcpy(job->sub, asked->file.sub, strlen(asked->file.sub) + 1);
}

/* One round of what the check asks for; false when it asks for nothing. */
static bool
read_round(struct pass *pass, struct ring *ring, const struct read_options *options, uint64_t *next_us)
{
	/* What is throttled goes file by file, so that the pace is even. */
	unsigned int most = options->per_second != 0 ? 1 : JOBS;
	struct batch *batch = ring_slot(ring);
	struct check_asked asked;
	bool any = false;

	while (!pass->seen->cut && check_asked(pass->check, &asked)) {
		any = true;
		job_fill(&batch->job[batch->len++], &asked);
		if (batch->len < most)
			continue;
		ring_push(ring);
		if (options->per_second != 0) {
			*next_us += 1000000 / options->per_second;
			ring_wait(ring, *next_us);
		}
		pass->seen->cut = options->until_us != 0 && clock_mono_us() >= options->until_us;
		batch = ring_slot(ring);
	}
	if (batch->len > 0)
		ring_push(ring);
	return any;
}

bool
read_asked(const struct rules *rules, const struct queue_layout *layout, struct check *check,
    const struct read_options *options, struct read_seen *ret, struct err *err)
{
	struct read_seen seen = { 0 };
	struct pass pass = { .rules = rules, .layout = layout, .check = check, .seen = &seen };
	struct ring_jobs jobs = { .work = batch_work, .take = batch_take, .arg = &pass, .idle = options->per_second != 0 };
	uint64_t next_us = clock_mono_us();
	bool again;

	pass.root = open(layout->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (pass.root == -1)
		return err_set(err, errno, "the queue %s cannot be opened", layout->root);
	pass.readers = batch_pool_new();
	/* What is found in one round may ask for more: each round is taken whole before the next. */
	do {
		struct ring *ring = ring_new(&jobs, SLOTS, sizeof(struct batch), options->threads);

		again = read_round(&pass, ring, options, &next_us);
		ring_end(ring, NULL);
	} while (again && !seen.cut);
	batch_pool_free(pass.readers);
	close(pass.root);
	*ret = seen;
	return true;
}
