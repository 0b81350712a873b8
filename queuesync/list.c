/*
 * queuesync/list.c - messages from their parts. The check says which files there are, in the order of inodes; a
 * message is read when its first part comes, all its parts in the order of their bits. Blocks on the disk.
 */
#include "queuesync/list.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "queuesync/open.h"
#include "queuesync/ring.h"

#define SLOTS 16
#define JOBS 16
#define PARTS_MAX 8

struct part { uint16_t place; uint64_t ino; char path[CHECK_PATH_MAX]; };

struct job {
	struct part		part[PARTS_MAX];
	size_t			parts;
	bool			there;		/* at least one part could be read */
	struct queue_message	message;
};

struct batch { struct job job[JOBS]; unsigned int len; };

struct list {
	const struct rules	*rules;
	const struct queue_layout *layout;
	struct check		*check;
	list_message_f		*tell;
	void			*arg;
	int			 root;
};

static char *
copy(const char *text)
{
	char *s = strdup(text);

	if (s == NULL)
		abort();	/* half a list is none */
	return s;
}

static bool
read_part(const struct list *l, const struct part *part, struct queue_message *message)
{
	struct queue_file file = { .place = part->place };
	struct queue_content content = { .bad = false };
	struct queue_reader reader;
	struct queue_source source;
	const char *slash = strrchr(part->path, '/');
	int fd = queue_open(l->root, part->path);
	bool ok;

	if (fd == -1)
		return false;
	file.name = slash != NULL ? slash + 1 : part->path;
	file.sub = "";
	ok = queue_fstat(fd, &file) == 0 && QUEUE_TYPE(file.mode) == QUEUE_REGULAR &&
	    (part->ino == 0 || part->ino == file.ino);
	if (ok) {
		source = queue_source_file(&reader, fd, file.size);
		l->rules->read(l->layout, &file, &source, &content, message);
	}
	close(fd);
	return ok;
}

/* In any thread. */
static void
batch_work(void *arg, void *slot)
{
	struct batch *batch = slot;

	for (unsigned int i = 0; i < batch->len; i++) {
		struct job *job = &batch->job[i];

		job->there = false;
		for (size_t k = 0; k < job->parts; k++)
			job->there = read_part(arg, &job->part[k], &job->message) || job->there;
	}
}

static void
batch_take(void *arg, void *slot)
{
	struct list *l = arg;
	struct batch *batch = slot;

	for (unsigned int i = 0; i < batch->len; i++) {
		struct job *job = &batch->job[i];

		if (job->there) {
			if (job->message.state == NULL)
				job->message.state = l->layout->place[job->part[0].place].path;
			l->tell(l->arg, &job->message);
		}
		queue_message_free(&job->message);
	}
	batch->len = 0;
}

/* The place of a path is the longest that it begins with. */
static uint16_t
place_of(const struct queue_layout *layout, const char *path)
{
	size_t best = 0, longest = 0;

	for (size_t i = 0; i < layout->places; i++) {
		size_t len = strlen(layout->place[i].path);

		if (len >= longest && strncmp(layout->place[i].path, path, len) == 0 && (len == 0 || path[len] == '/')) {
			best = i;
			longest = len;
		}
	}
	return (uint16_t)best;
}

static void
job_fill(const struct list *l, struct job *job, const struct check_asked *asked, uint32_t parts)
{
	char id[64];

	job->parts = 0;
	for (uint32_t bit = 1; bit != 0 && bit < CHECK_BROKEN && job->parts < PARTS_MAX; bit <<= 1) {
		struct part *part = &job->part[job->parts];

		if ((parts & bit) == 0)
			continue;
		part->ino = 0;
		if (bit == asked->bit) {
			memcpy(part->path, asked->path, strlen(asked->path) + 1);
			part->place = asked->file.place;
			part->ino = asked->file.ino;
		} else {
			if (l->rules->path(l->layout, asked->key, bit, part->path) == NULL)
				continue;
			part->place = place_of(l->layout, part->path);
		}
		job->parts++;
	}
	job->message.id = copy(l->rules->id(l->layout, asked->key, id));
}

bool
list_messages(const struct rules *rules, const struct queue_layout *layout, struct check *check, unsigned int threads,
    list_message_f *tell, void *arg, struct err *err)
{
	struct list l = { .rules = rules, .layout = layout, .check = check, .tell = tell, .arg = arg };
	struct ring_jobs jobs = { .work = batch_work, .take = batch_take, .arg = &l };
	struct check_asked asked;
	struct batch *batch;
	struct ring *ring;

	l.root = open(layout->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (l.root == -1)
		return err_set(err, errno, "the queue %s cannot be opened", layout->root);
	ring = ring_new(&jobs, SLOTS, sizeof(struct batch), threads);
	batch = ring_slot(ring);
	while (check_asked(check, &asked)) {
		uint32_t parts = check_parts(check, asked.key), first = parts & (rules->message_bits | rules->aside_bits);

		/* Once a message: with the lowest of the parts that make it one. */
		first &= ~first + 1;
		if (first == 0 || asked.bit != first)
			continue;
		job_fill(&l, &batch->job[batch->len++], &asked,
		    rules->list_bits != 0 ? parts & (rules->list_bits | first) : parts);
		if (batch->len == JOBS) {
			ring_push(ring);
			batch = ring_slot(ring);
		}
	}
	if (batch->len > 0)
		ring_push(ring);
	ring_end(ring, NULL);
	close(l.root);
	return true;
}
