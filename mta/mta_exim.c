/*
 * mta/mta_exim.c - the Exim driver: ties the parts exim_*.c to the interface of mta/mta.h. Runs in workers; blocks up to
 * the limit that the caller gives.
 */
#include "mta/mta.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "mta/exim_conf.h"
#include "mta/exim_daemon.h"
#include "mta/exim_listen.h"
#include "mta/exim_lock.h"
#include "mta/exim_queue.h"
#include "mta/smtp_probe.h"

/* Too large for a stack that is locked into memory. NULL with *err. */
static struct exim_conf *
conf_new(const struct mta_params *params, bool known, struct err *err)
{
	struct exim_conf *conf = calloc(1, sizeof *conf);

	if (conf == NULL) {
		err_set(err, 0, "out of memory");
		return NULL;
	}
	if (known ? exim_conf_load_known(params, conf, err) : exim_conf_load(params, conf, err))
		return conf;
	free(conf);
	return NULL;
}

static bool
prepare(const struct mta_params *params, struct spawn_out *out, struct err *err)
{
	struct err why = { 0 };
	struct exim_conf *conf = conf_new(params, false, &why);

	(void)err;
	if (conf != NULL && exim_check_config(conf, out, &why)) {
		spawn_say(out, "prepared", "yes");
	} else {
		spawn_say(out, "prepared", "no");
		spawn_say(out, "why", "%s", why.text);
	}
	free(conf);
	return true;
}

static enum fact
running(const struct mta_params *params, pid_t *ret_pid, struct err *err)
{
	struct exim_conf *conf = conf_new(params, true, err);
	enum fact fact = FACT_UNKNOWN;
	pid_t pid = 0;

	if (conf != NULL)
		fact = exim_alive(conf, &pid, err);
	free(conf);
	if (fact != FACT_UNKNOWN && ret_pid != NULL)
		*ret_pid = pid;
	return fact;
}

static bool
start_stopped(const struct exim_conf *conf, uint64_t deadline_ms, struct spawn_out *out, struct err *err)
{
	uint64_t began_us = clock_mono_us(), checked_us;
	bool script = conf->defaults.odd[0] != '\0', ok;
	pid_t pid = 0;

	if (!exim_check_config(conf, NULL, err) || !exim_check_spool(conf, out, err))
		return false;
	checked_us = clock_mono_us();
	spawn_say(out, "check", "%.1f", (double)(checked_us - began_us) / 1000);
	if (script) {
		spawn_say(out, "warning", "the distribution's start script is used because %s", conf->defaults.odd);
		ok = exim_script_start(conf, deadline_ms, &pid, err);
	} else {
		ok = exim_daemon_start(conf, deadline_ms, &pid, err);
	}
	if (!ok)
		return false;
	spawn_say(out, "exec", "%s%.1f", script ? "script " : "", (double)(clock_mono_us() - checked_us) / 1000);
	spawn_say(out, "pid", "%d", (int)pid);
	return true;
}

static bool
start(const struct mta_params *params, uint32_t limit_ms, struct spawn_out *out, struct err *err)
{
	uint64_t deadline_ms = clock_mono_ms() + limit_ms;
	struct exim_conf *conf = conf_new(params, false, err);
	pid_t pid = 0;
	bool ok = false;

	if (conf == NULL)
		return false;
	switch (exim_alive(conf, &pid, err)) {
	case FACT_YES:
		spawn_say(out, "pid", "%d", (int)pid);
		ok = true;
		break;
	case FACT_NO:
		ok = start_stopped(conf, deadline_ms, out, err);
		break;
	case FACT_UNKNOWN:		/* *err says why: two daemons must not be risked */
	case FACT_COUNT:
		break;
	}
	free(conf);
	return ok;
}

static bool
stop(const struct mta_params *params, uint32_t limit_ms, struct spawn_out *out, struct err *err)
{
	uint64_t deadline_ms = clock_mono_ms() + limit_ms;
	struct exim_conf *conf = conf_new(params, true, err);
	bool ok = conf != NULL && exim_stop(conf, deadline_ms, out, err);

	free(conf);
	return ok;
}

static enum mta_answer
answers(const struct mta_params *params, struct err *err)
{
	struct smtp_target target;
	struct exim_listen list;
	struct exim_conf *conf;
	bool ok;

	if (params->probe != NULL) {
		ok = smtp_target_parse(params->probe, &target, err);
	} else {
		conf = conf_new(params, false, err);
		ok = conf != NULL && exim_listen(conf->value[EX_INTERFACES], conf->value[EX_PORTS], conf->value[EX_TLS_PORTS], &list, err) &&
		    exim_listen_target(&list, &target, err);
		free(conf);
	}
	return ok ? smtp_probe(&target, params->probe_ms, err) : MTA_ANSWER_UNKNOWN;
}

/* ---------------------------------------------------------------- the queue */

/* Names only. A sub-directory is looked into once. */
static bool
count_directory(int fd, bool is_sub, uint64_t *headers, uint64_t *journals, struct err *err)
{
	DIR *dir = fdopendir(fd);
	const struct dirent *entry;
	bool ok = true;

	if (dir == NULL) {
		close(fd);
		return err_set(err, errno, "Exim's queue cannot be read");
	}
	while (ok && (errno = 0, entry = readdir(dir)) != NULL) {
		enum exim_part part;
		struct exim_id id;

		if (!is_sub && entry->d_name[0] != '.' && entry->d_name[1] == '\0') {
			int sub = openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

			if (sub != -1)
				ok = count_directory(sub, true, headers, journals, err);
		} else if (exim_name(EXIM_HOLDS_INPUT, entry->d_name, &part, &id)) {
			*headers += part == EXIM_PART_HEADER;
			*journals += part == EXIM_PART_JOURNAL;
		}
	}
	if (ok && errno != 0)
		ok = err_set(err, errno, "Exim's queue cannot be read");
	closedir(dir);
	return ok;
}

static bool
layout_of(const struct exim_conf *conf, const struct queue_owners *owners, struct queue_layout *ret, struct err *err)
{
	struct exim_spool spool = { .directory = conf->value[EX_SPOOL], .settings = true, .split = conf->split,
		.id_length = conf->id_length, .uid = QUEUE_ID_ANY, .gid = QUEUE_ID_ANY };
	char *rest;

	if (!queue_uid(owners, conf->value[EX_USER], &spool.uid)) {
		spool.uid = (uint32_t)strtoul(conf->value[EX_USER], &rest, 10);
		if (*rest != '\0' || rest == conf->value[EX_USER])
			return err_set(err, 0, "Exim's user \"%s\" is not known", conf->value[EX_USER]);
	}
	if (!queue_gid(owners, conf->value[EX_GROUP], &spool.gid)) {
		spool.gid = (uint32_t)strtoul(conf->value[EX_GROUP], &rest, 10);
		if (*rest != '\0' || rest == conf->value[EX_GROUP])
			return err_set(err, 0, "Exim's group \"%s\" is not known", conf->value[EX_GROUP]);
	}
	return exim_spool_layout(&spool, ret, err);
}

/* The account of a node whose configuration is not at hand: of the names that distributions give it. */
static bool
foreign_accounts(const char *dir, const struct queue_owners *owners, struct exim_spool *spool, struct err *err)
{
	static const char *const names[] = { "Debian-exim", "exim", "Exim", "mailnull", "mail" };
	struct stat st;

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (queue_uid(owners, names[i], &spool->uid) && queue_gid(owners, names[i], &spool->gid))
			return true;
	if (owners != NULL)
		return err_set(err, 0, "the accounts have no user and group Debian-exim or exim, whose an Exim queue is");
	/* nobody here runs Exim: whose the spool directory is */
	if (stat(dir, &st) == 0 && st.st_uid != 0) {
		spool->uid = st.st_uid;
		spool->gid = st.st_gid;
	}
	return true;
}

static bool
layout(const struct mta_params *params, const char *dir, const struct queue_owners *owners, struct queue_layout *ret,
    struct err *err)
{
	struct exim_spool spool = { .uid = QUEUE_ID_ANY, .gid = QUEUE_ID_ANY };
	struct exim_conf *conf;
	char *real;
	bool ok;

	if (dir == NULL) {
		conf = conf_new(params, false, err);
		ok = conf != NULL && layout_of(conf, owners, ret, err);
		free(conf);
	} else {
		real = realpath(dir, NULL);
		if (real == NULL)
			return err_set(err, errno, "Exim's spool %s cannot be looked into", dir);
		spool.directory = real;
		ok = foreign_accounts(real, owners, &spool, err) && exim_spool_layout(&spool, ret, err);
		free(real);
	}
	if (ok)
		ret->owners = owners;
	return ok;
}

static bool
count_layout(const struct queue_layout *queue, struct mta_queue_counts *counts, struct err *err)
{
	int root = open(queue->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t headers = 0, journals = 0;
	bool ok = root != -1 || err_set(err, errno, "Exim's spool %s cannot be looked into", queue->root);

	for (size_t i = 0; ok && i < queue->places; i++) {
		const struct queue_place *place = &queue->place[i];
		uint64_t here = 0;
		int fd;

		if (exim_holds(place->kind) != EXIM_HOLDS_INPUT)
			continue;
		fd = openat(root, place->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd == -1)
			continue;		/* nothing was ever queued there */
		ok = count_directory(fd, false, &here, &journals, err);
		if (exim_queue_number(place->kind) == EXIM_QUEUE_FROZEN)
			counts->hold += here;
		else
			headers += here;
	}
	if (root != -1)
		close(root);
	/* a journal is there while a delivery is under way, or was cut */
	counts->active = journals < headers ? journals : headers;
	counts->deferred = headers - counts->active;
	counts->total = headers + counts->hold;
	return ok;
}

static bool
count(const struct mta_params *params, struct mta_queue_counts *ret, struct err *err)
{
	struct mta_queue_counts counts = { 0 };
	struct queue_layout queue;
	bool ok;

	if (!layout(params, NULL, NULL, &queue, err))
		return false;
	ok = count_layout(&queue, &counts, err);
	queue_layout_free(&queue);
	if (ok)
		*ret = counts;
	return ok;
}

static enum fact
lock(const struct mta_params *params, const struct queue_layout *queue, struct queue_lock *ret, struct err *err)
{
	struct exim_instance inst;
	enum fact fact = FACT_UNKNOWN;
	struct exim_conf *conf;

	/* Its spool: also what works with its configuration elsewhere. Another one: whoever works there. */
	conf = conf_new(params, true, NULL);
	if (conf != NULL && strcmp(conf->value[EX_SPOOL], queue->root) == 0) {
		if (exim_instance(conf, &inst, err))
			fact = exim_spool_free(&inst, err);
	} else if (exim_instance_of_tree(queue->root, &inst, err)) {
		fact = exim_spool_free(&inst, err);
	}
	free(conf);
	if (fact == FACT_YES)
		ret->held = 0;	/* nothing to hold: who mends must see to it that Exim is not started meanwhile */
	return fact;
}

const struct mta_driver mta_exim = {
	.name = "exim",
	.prepare = prepare,
	.running = running,
	.start = start,
	.stop = stop,
	.answers = answers,
	.count = count,
	.layout = layout,
	.lock = lock,
};
