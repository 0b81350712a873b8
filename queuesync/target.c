/*
 * queuesync/target.c - from what the operator says to layouts. Blocks.
 */
#include "queuesync/target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>


/* Directories that only this program's queue has together. */
static const struct { const char *mta, *directory[5]; } looks[] = {
	{ "qmail", { "mess", "info", "todo", "intd", "remote" } },
	{ "postfix", { "maildrop", "incoming", "active", "deferred", "hold" } },
	{ "exim", { "input", "msglog", NULL } },
	{ "exim", { "input", "db", NULL } },
};

const char *
target_guess(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *best = NULL;
	size_t most = 1;

	if (fd == -1)
		return NULL;
	/* By how many are there: one or two may be missing, which is what is to be found out. */
	for (size_t i = 0; i < sizeof looks / sizeof looks[0]; i++) {
		size_t n = 0;

		for (size_t k = 0; k < 5 && looks[i].directory[k] != NULL; k++)
			n += faccessat(fd, looks[i].directory[k], F_OK, AT_SYMLINK_NOFOLLOW) == 0;
		if (n > most) {
			most = n;
			best = looks[i].mta;
		}
	}
	close(fd);
	return best;
}

/* ---------------------------------------------------------------- one queue */

static bool
target_one(struct targets *targets, const char *mta, const struct mta_params *params, const struct target_wish *wish,
    const char *dir, struct err *err)
{
	struct target *t = &targets->at[targets->len];

	if (targets->len == TARGETS_MAX)
		return err_set(err, 0, "there are more than %d queues here: say which with --queue", TARGETS_MAX);
	t->driver = mta_find(mta);
	t->rules = rules_find(mta);
	t->params = *params;
	t->own = wish->queue == NULL;
	if (t->driver == NULL)
		return err_set(err, 0, "--mta %s: there is no such mail program; right are: %s", mta, mta_names());
	if (t->rules == NULL || t->driver->layout == NULL)
		return err_set(err, 0, "the queue of %s cannot be checked by this version", mta);
	if (!t->driver->layout(&t->params, dir, wish->owners != NULL ? &targets->owners : NULL, &t->layout, err))
		return false;
	targets->len++;
	return true;
}

/* The one that is named, or all that the program has here. */
static bool
target_add(struct targets *targets, const char *mta, const struct mta_params *params, const struct target_wish *wish,
    struct err *err)
{
	const struct mta_driver *driver = mta_find(mta);
	struct mta_queues *all;
	bool ok;

	if (wish->queue != NULL || driver == NULL || driver->queues == NULL)
		return target_one(targets, mta, params, wish, wish->queue, err);
	all = malloc(sizeof *all);
	ok = all != NULL ? driver->queues(params, all, err) : err_set(err, 0, "out of memory");
	for (size_t i = 0; ok && i < all->len; i++)
		ok = target_one(targets, mta, params, wish, all->root[i], err);
	free(all);
	return ok;
}

static bool
guess_add(struct targets *targets, const struct target_wish *wish, struct err *err)
{
	struct mta_params params = { .config = wish->config };
	const char *mta = target_guess(wish->queue);
	struct stat st;

	if (mta == NULL && stat(wish->queue, &st) == -1)
		return err_set(err, errno, "%s cannot be looked into", wish->queue);
	if (mta == NULL)
		return err_set(err, 0, "%s does not look like a mail queue: say whose it is with --mta (%s)", wish->queue,
		    mta_names());
	return target_add(targets, mta, &params, wish, err);
}

/* ---------------------------------------------------------------- those of mailpair.conf */

static bool
conf_add(struct targets *targets, const struct target_wish *wish, struct err *err)
{
	struct conf_mistakes mistakes = { 0 };
	struct mta_params params;
	bool ok;

	if (!conf_load(wish->conf, wish->node, &targets->conf, &mistakes)) {
		ok = err_set(err, 0, "whose queue? %s:%d: %s; or say it with --mta (%s)", wish->conf, mistakes.item[0].line,
		    mistakes.item[0].text, mta_names());
		conf_mistakes_free(&mistakes);
		return ok;
	}
	conf_mistakes_free(&mistakes);
	memcpy(targets->services, targets->conf->mta.services, sizeof targets->conf->mta.services);
	params = (struct mta_params){ .config = wish->config != NULL ? wish->config : targets->conf->mta.config,
	    .services = targets->services, .run_dir = targets->conf->run_dir };
	return target_add(targets, targets->conf->mta.name, &params, wish, err);
}

bool
targets_find(const struct target_wish *wish, struct targets *targets, struct err *err)
{
	struct mta_params params = { .config = wish->config, .run_dir = wish->run_dir };

	memset(targets, 0, sizeof *targets);
	if (wish->owners != NULL && !queue_owners_read(wish->owners, &targets->owners, err))
		return false;
	if (wish->mta != NULL)
		return target_add(targets, wish->mta, &params, wish, err);
	if (wish->queue != NULL)
		return guess_add(targets, wish, err);
	return conf_add(targets, wish, err);
}

void
targets_free(struct targets *targets)
{
	for (size_t i = 0; i < targets->len; i++)
		queue_layout_free(&targets->at[i].layout);
	if (targets->conf != NULL)
		conf_free(targets->conf);
	memset(targets, 0, sizeof *targets);
}
