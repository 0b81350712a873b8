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
#include "queuesync/open.h"
#include "queuesync/ring.h"

#define SLOTS 128

enum job_end { JOB_READ, JOB_VANISHED, JOB_REFUSED };

/* One file to be read. The strings of asked.file are in text. */
struct job {
	struct check_asked	asked;
	char			text[CHECK_PATH_MAX + 2];
	enum job_end		end;
	int			sys;
	struct queue_content	content;
};

struct pass {
	const struct rules	*rules;
	const struct queue_layout *layout;
	struct check		*check;
	struct read_seen	*seen;
	int			 root;
};

static void
read_opened(const struct pass *pass, struct job *job, int fd)
{
	struct queue_reader reader;
	struct queue_source source;
	uint64_t ino = job->asked.file.ino;

	if (queue_fstat(fd, &job->asked.file) == -1) {
		job->end = JOB_REFUSED;
		job->sys = errno;
		return;
	}
	/* What stands there now is not what was judged: a message of a running program that moved on. */
	if ((ino != 0 && job->asked.file.ino != ino) || QUEUE_TYPE(job->asked.file.mode) != QUEUE_REGULAR) {
		job->end = JOB_VANISHED;
		return;
	}
	source = queue_source_file(&reader, fd, job->asked.file.size);
	pass->rules->read(pass->layout, &job->asked.file, &source, &job->content, NULL);
	job->end = reader.failed != 0 ? JOB_REFUSED : JOB_READ;
	job->sys = reader.failed;
}

/* In any thread. */
static void
job_work(void *arg, void *slot)
{
	const struct pass *pass = arg;
	struct job *job = slot;
	char path[CHECK_PATH_MAX];
	int fd = queue_open(pass->root, queue_file_path(pass->layout, &job->asked.file, path, sizeof path));

	if (fd == -1) {
		job->sys = errno;
		/* A link, a mount or a FIFO in its place by now: not the file that was judged. */
		job->end = errno == ENOENT || errno == ELOOP || errno == EXDEV || errno == ENXIO || errno == ENOTDIR ?
		    JOB_VANISHED : JOB_REFUSED;
		return;
	}
	memset(&job->content, 0, sizeof job->content);
	read_opened(pass, job, fd);
	close(fd);
}

static void
job_take(void *arg, void *slot)
{
	struct pass *pass = arg;
	struct job *job = slot;

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

static void
job_fill(struct job *job, const struct check_asked *asked)
{
	size_t sub = strlen(asked->file.sub) + 1, name = strlen(asked->file.name) + 1;

	job->asked = *asked;
	job->asked.file.sub = memcpy(job->text, asked->file.sub, sub);
	job->asked.file.name = memcpy(job->text + sub, asked->file.name, name);
}

/* One round of what the check asks for; false when it asks for nothing. */
static bool
read_round(struct pass *pass, struct ring *ring, const struct read_options *options, uint64_t *next_us)
{
	struct check_asked asked;
	bool any = false;

	while (!pass->seen->cut && check_asked(pass->check, &asked)) {
		any = true;
		job_fill(ring_slot(ring), &asked);
		ring_push(ring);
		if (options->per_second != 0) {
			*next_us += 1000000 / options->per_second;
			ring_wait(ring, *next_us);
		}
		pass->seen->cut = options->until_us != 0 && clock_mono_us() >= options->until_us;
	}
	return any;
}

bool
read_asked(const struct rules *rules, const struct queue_layout *layout, struct check *check,
    const struct read_options *options, struct read_seen *ret, struct err *err)
{
	struct read_seen seen = { 0 };
	struct pass pass = { .rules = rules, .layout = layout, .check = check, .seen = &seen };
	struct ring_jobs jobs = { .work = job_work, .take = job_take, .arg = &pass, .idle = options->per_second != 0 };
	uint64_t next_us = clock_mono_us();
	bool again;

	pass.root = open(layout->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (pass.root == -1)
		return err_set(err, errno, "the queue %s cannot be opened", layout->root);
	/* What is found in one round may ask for more: each round is taken whole before the next. */
	do {
		struct ring *ring = ring_new(&jobs, SLOTS, sizeof(struct job), options->threads);

		again = read_round(&pass, ring, options, &next_us);
		ring_end(ring, NULL);
	} while (again && !seen.cut);
	close(pass.root);
	*ret = seen;
	return true;
}
