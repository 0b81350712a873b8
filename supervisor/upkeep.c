/*
 * supervisor/upkeep.c - see upkeep.h. Runs in the supervisor's main process, but for upkeep_try(), which is a worker's.
 */
#include "supervisor/upkeep.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/journal.h"
#include "common/log.h"

#define SLOW_MS 2500		/* what waits for so long is ill; tries are 2 s apart, so it is known within 5 s */

enum trouble { JOURNAL_STUCK, JOURNAL_ASIDE, LOG_STUCK, TROUBLES };

struct troubles {
	unsigned int	which;		/* bits 1 << enum trouble */
	struct { char text[320], advice[320]; } item[TROUBLES];
};

/* ---------------------------------------------------------------- what is wrong */

static void __attribute__((format(printf, 4, 5)))
add(struct troubles *t, enum trouble which, const char *advice, const char *fmt, ...)
{
	va_list ap;

	t->which |= 1u << which;
	va_start(ap, fmt);
	vsnprintf(t->item[which].text, sizeof(t->item[which].text), fmt, ap);
	va_end(ap);
	snprintf(t->item[which].advice, sizeof(t->item[which].advice), "%s", advice);
}

static void
look_at_journal(const struct upkeep *u, struct troubles *t, uint64_t now)
{
	struct scribe_health h;
	char lost[64] = "";

	scribe_health(u->scribe, SCRIBE_JOURNAL, now, &h);
	if (h.dropped > 0)
		snprintf(lost, sizeof(lost), ", lost: %" PRIu64, h.dropped);
	if (h.stuck != NULL || h.waiting_ms >= SLOW_MS)
		add(t, JOURNAL_STUCK, "see who holds it ('fuser -v' on the file) and whether its disk has room: mail goes on, and what "
		    "waits is written as soon as it can be", "%.200s; entries waiting in memory: %zu%s", h.stuck != NULL ? h.stuck :
		    "the journal takes nothing", h.waits, lost);
	if (u->aside > 0)
		add(t, JOURNAL_ASIDE, "look for the cause (disk, kernel's log); then move these files, with their -wal and -shm, "
		    "elsewhere, or remove them", "the journal was spoilt and begun anew: %u spoilt %s in %s, the newest is %s", u->aside,
		    u->aside == 1 ? "one lies" : "ones lie", u->conf->state_dir, u->newest);
}

static void
look_at_log(const struct upkeep *u, struct troubles *t, uint64_t now)
{
	struct scribe_health h;

	scribe_health(u->scribe, SCRIBE_LOG, now, &h);
	if (h.waiting_ms >= SLOW_MS)
		add(t, LOG_STUCK, strcmp(u->conf->log, "syslog") == 0 ? "restart the system's log daemon: mail goes on" :
		    "look at the disk of this file: mail goes on", "the log (%s) has taken nothing for %" PRIu64 " s; lines waiting in "
		    "memory: %zu, lost: %" PRIu64, u->conf->log, h.waiting_ms / 1000, h.waits, h.dropped);
}

static void
look(const struct upkeep *u, struct troubles *t)
{
	uint64_t now = clock_mono_ms();

	t->which = 0;
	look_at_journal(u, t, now);
	look_at_log(u, t, now);
}

void
upkeep_status(const struct upkeep *u, bool disk_bad, struct status *st)
{
	struct scribe_health h;
	struct troubles t;

	look(u, &t);
	if (disk_bad)
		t.which &= ~(1u << JOURNAL_STUCK);
	for (int i = 0; i < TROUBLES && st->problems < STATUS_PROBLEMS_MAX; i++) {
		if ((t.which & 1u << i) == 0)
			continue;
		memcpy(st->problem[st->problems].text, t.item[i].text, sizeof(t.item[i].text));
		memcpy(st->problem[st->problems].advice, t.item[i].advice, sizeof(t.item[i].advice));
		st->problems++;
	}
	scribe_health(u->scribe, SCRIBE_JOURNAL, 0, &h);
	st->journal_dropped = h.dropped;
	scribe_health(u->scribe, SCRIBE_LOG, 0, &h);
	st->log_dropped = h.dropped;
}

/* ---------------------------------------------------------------- trying */

void
upkeep_try(const struct conf *conf, struct spawn_out *out)
{
	char path[512], newest[64];
	struct err err;
	size_t aside;

	snprintf(path, sizeof(path), "%s/journal.db", conf->state_dir);
	aside = journal_aside(path, newest, sizeof(newest));
	if (aside > 0)
		spawn_say(out, "aside", "%zu %s", aside, newest);
	if (!journal_writable(path, &err))
		spawn_say(out, "journal", "%s", err.text);
}

void
upkeep_learn(struct upkeep *u, const char *report)
{
	struct troubles t;
	char value[256];

	u->aside = 0;
	if (spawn_get(report, "aside", value, sizeof(value)) != NULL)
		(void)sscanf(value, "%u %63s", &u->aside, u->newest);
	/* the scribe's child finds out what it is, and mends what is spoilt */
	if (spawn_get(report, "journal", value, sizeof(value)) != NULL)
		scribe_try(u->scribe);
	look(u, &t);
	t.which &= ~(1u << JOURNAL_ASIDE);	/* an alarm was given when it was moved */
	for (int i = 0; i < TROUBLES; i++) {
		if ((t.which & ~u->told & 1u << i) != 0)
			u->alarm(u->arg, t.item[i].text);
	}
	u->told = t.which;
}

void
upkeep_told(void *upkeep, enum scribe_news news, const char *text)
{
	struct upkeep *u = upkeep;
	struct journal_event ev = { .kind = JOURNAL_EVENT, .ok = true, .wall_ms = clock_wall_ms(), .name = "journal" };
	const char *name;

	switch (news) {
	case SCRIBE_RENEWED:
		u->alarm(u->arg, text);
		u->aside++;		/* the next try counts again */
		name = strrchr(text, '/');
		snprintf(u->newest, sizeof(u->newest), "%.63s", name != NULL ? name + 1 : "");
		break;
	case SCRIBE_WELL:
		log_info("%s", text);
		snprintf(ev.text, sizeof(ev.text), "%s", text);
		scribe_event(u->scribe, &ev);
		break;
	case SCRIBE_STUCK:		/* if it lasts, it is told as one of the troubles */
	case SCRIBE_NO_NEWS:
		break;
	}
}

void
upkeep_init(struct upkeep *u, struct scribe *scribe, const struct conf *conf, upkeep_alarm_f *alarm, void *arg)
{
	*u = (struct upkeep){ .conf = conf, .scribe = scribe, .alarm = alarm, .arg = arg };
}

void
upkeep_conf(struct upkeep *u, const struct conf *conf)
{
	u->conf = conf;
}
